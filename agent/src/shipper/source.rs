//! What is to be sent: the records of a spool, and what found no room there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use highwater_analysis::arrival;
use highwater_wire::{codec, v1};
use uuid::Uuid;

use crate::spool::{self, Record, SegmentReader, SpoolError, Unwritten};

/// Reads a spool behind its writer.
#[derive(Debug)]
pub(super) struct Source {
    folder: PathBuf,
    unwritten: Unwritten,
    open: Vec<(Uuid, SegmentReader)>,
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
            open: Vec::new(),
            taken: 0,
            seen: BTreeMap::new(),
        }
    }

    /// Begins again.
    pub(super) fn rewind(&mut self) {
        self.open.clear();
        self.taken = 0;
        self.seen.clear();
    }

    /// Takes the end that the spool has no room for.
    pub(super) fn set_end(&mut self, payload: Vec<u8>) {
        self.unwritten.end = Some(payload);
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
        let damaged = self.open.iter().any(|(_, reader)| {
            reader.skipped() > 0 || (missing > 0 && reader.has_rest().unwrap_or(true))
        });
        Shortfall {
            announced: arrival::announced(&end),
            missing,
            damaged,
        }
    }

    fn next_in_spool(&mut self) -> Result<Option<(Uuid, Record)>, SpoolError> {
        for (stream, path) in spool::segments(&self.folder)? {
            if self.open.iter().all(|(known, _)| *known != stream) {
                self.open.push((stream, SegmentReader::open(&path)?));
            }
        }
        for (stream, reader) in &mut self.open {
            if let Some(record) = reader.next_record()? {
                return Ok(Some((*stream, record)));
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
