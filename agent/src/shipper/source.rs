//! What is to be sent: the records of a spool, and what found no room there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use highwater_analysis::arrival;
use highwater_wire::{codec, v1};
use uuid::Uuid;

use crate::spool::{self, ReadPlace, Record, Segment, SegmentReader, SpoolError, Unwritten};

/// Reads a spool behind its writer. No segment is held open between two batches: on a full disk the writer replaces them by smaller ones.
#[derive(Debug)]
pub(super) struct Source {
    folder: PathBuf,
    unwritten: Unwritten,
    /// How far each segment of each stream was read.
    places: BTreeMap<(Uuid, u64), ReadPlace>,
    /// The segment of each stream that is being read.
    current: BTreeMap<Uuid, u64>,
    /// How many of the unwritten batches were handed out.
    taken: usize,
    seen: BTreeMap<Uuid, BTreeSet<u64>>,
}

/// How what was read compares with what was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortfall {
    pub(super) announced: u64,
    /// Announced, and could not be read.
    pub(super) missing: u64,
    /// There are bytes in the spool that could not be read: part of what is missing may be in them.
    pub(super) damaged: bool,
}

impl Source {
    pub(super) fn new(folder: &Path, unwritten: Unwritten) -> Self {
        Self {
            folder: folder.to_path_buf(),
            unwritten,
            places: BTreeMap::new(),
            current: BTreeMap::new(),
            taken: 0,
            seen: BTreeMap::new(),
        }
    }

    /// Begins again.
    pub(super) fn rewind(&mut self) {
        self.places.clear();
        self.current.clear();
        self.taken = 0;
        self.seen.clear();
    }

    /// Takes what the spool has no room for.
    pub(super) fn set_unwritten(&mut self, unwritten: Unwritten) {
        self.unwritten = unwritten;
        self.taken = 0;
    }

    /// How the job began.
    pub(super) fn job(&self) -> Result<Vec<u8>, SpoolError> {
        self.only_record("job")
    }

    /// How it ended.
    pub(super) fn end(&self) -> Result<Vec<u8>, SpoolError> {
        match &self.unwritten.end {
            Some(payload) => Ok(payload.clone()),
            None => self.only_record("end"),
        }
    }

    /// The next batch, `None` when there is none yet.
    pub(super) fn next_batch(&mut self) -> Result<Option<(Uuid, Record)>, SpoolError> {
        let next = match self.next_in_spool()? {
            Some(next) => Some(next),
            None => {
                let next = self.unwritten.batches.get(self.taken).cloned();
                self.taken += usize::from(next.is_some());
                next
            }
        };
        if let Some((stream, record)) = &next {
            self.seen.entry(*stream).or_default().insert(record.seq);
        }
        Ok(next)
    }

    /// What of that which an end announces was not among the batches.
    pub(super) fn shortfall(&self, end: &[u8]) -> Shortfall {
        // An end that cannot be read is refused by the server, not here.
        let end = codec::decode::<v1::End>(end).unwrap_or_default();
        let there = |stream| self.seen.get(&stream).map_or(0, |seen| seen.len() as u64);
        let missing = arrival::missing(&end, there);
        let has_rest = |stream, number, place| {
            let path = spool::segment_path(&self.folder, stream, number);
            // One that was written again is read from its begin to know.
            let rest = SegmentReader::resume(&path, place).and_then(|mut reader| {
                while reader.next_record()?.is_some() {}
                reader.has_rest()
            });
            rest.unwrap_or(true)
        };
        let damaged = self.places.iter().any(|((stream, number), place)| {
            place.skipped() > 0 || (missing > 0 && has_rest(*stream, *number, *place))
        });
        Shortfall {
            announced: arrival::announced(&end),
            missing,
            damaged,
        }
    }

    fn next_in_spool(&mut self) -> Result<Option<(Uuid, Record)>, SpoolError> {
        // Listed before it is read: what ends here, and is not the last of its stream, has ended for good.
        for segment in spool::segments(&self.folder)? {
            let Segment {
                stream,
                number,
                path,
            } = segment;
            let current = self.current.entry(stream).or_insert(number);
            if number < *current {
                continue;
            }
            *current = number;
            let place = self.places.get(&(stream, number));
            let mut reader = match place {
                Some(place) => SegmentReader::resume(&path, *place)?,
                None => SegmentReader::open(&path)?,
            };
            let next = reader.next_record()?;
            self.places.insert((stream, number), reader.place());
            if let Some(record) = next {
                return Ok(Some((stream, record)));
            }
        }
        Ok(None)
    }

    fn only_record(&self, name: &str) -> Result<Vec<u8>, SpoolError> {
        let path = self.folder.join(name);
        match SegmentReader::open(&path)?.next_record()? {
            Some(record) => Ok(record.payload),
            None => Err(SpoolError::Broken {
                path,
                reason: "torn".to_owned(),
            }),
        }
    }
}
