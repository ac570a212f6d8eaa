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
    /// How the job began, kept for where its folder is removed.
    job: Option<Vec<u8>>,
    unwritten: Unwritten,
    /// The segments as they were last listed, and how many of them have nothing more.
    listed: Vec<Segment>,
    passed: usize,
    /// How far each segment of each stream was read.
    places: BTreeMap<(Uuid, u64), ReadPlace>,
    /// The segment of each stream that is being read.
    current: BTreeMap<Uuid, u64>,
    /// How many of the unwritten batches were handed out.
    taken: usize,
    seen: BTreeMap<Uuid, BTreeSet<u64>>,
    /// Segments that cannot be read by this version, and why.
    left_out: BTreeMap<PathBuf, String>,
}

/// How what was read compares with what was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shortfall {
    pub(super) announced: u64,
    /// Announced, and could not be read.
    pub(super) missing: u64,
    /// There are bytes in the spool that could not be read: part of what is missing may be in them.
    pub(super) damaged: bool,
    /// Segments that this version does not read, a line each.
    pub(super) left_out: Vec<String>,
}

impl Source {
    pub(super) fn new(folder: &Path, unwritten: Unwritten) -> Self {
        Self {
            folder: folder.to_path_buf(),
            job: only_record(folder, "job").ok(),
            unwritten,
            listed: Vec::new(),
            passed: 0,
            places: BTreeMap::new(),
            current: BTreeMap::new(),
            taken: 0,
            seen: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// Begins again.
    pub(super) fn rewind(&mut self) {
        self.listed.clear();
        self.passed = 0;
        self.places.clear();
        self.current.clear();
        self.taken = 0;
        self.seen.clear();
        self.left_out.clear();
    }

    /// Takes what the spool has no room for.
    pub(super) fn set_unwritten(&mut self, unwritten: Unwritten) {
        self.unwritten = unwritten;
        self.taken = 0;
    }

    /// The folder lies there now.
    pub(super) fn move_to(&mut self, folder: PathBuf) {
        if self.folder != folder {
            self.folder = folder;
            self.listed.clear();
            self.passed = 0;
        }
    }

    /// How the job began.
    pub(super) fn job(&self) -> Result<Vec<u8>, SpoolError> {
        match &self.job {
            Some(job) => Ok(job.clone()),
            None => only_record(&self.folder, "job"),
        }
    }

    /// How it ended.
    pub(super) fn end(&self) -> Result<Vec<u8>, SpoolError> {
        match &self.unwritten.end {
            Some(payload) => Ok(payload.clone()),
            None => only_record(&self.folder, "end"),
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
            // Of one that was removed there is no rest.
            rest.unwrap_or_else(|error| !error.is_not_there())
        };
        let damaged = self.places.iter().any(|((stream, number), place)| {
            place.skipped() > 0 || (missing > 0 && has_rest(*stream, *number, *place))
        });
        Shortfall {
            announced: arrival::announced(&end),
            missing,
            damaged,
            left_out: self.left_out.values().cloned().collect(),
        }
    }

    /// Whether the last batch came from the last of the segments that are known, so that none of them holds another but what is appended to it.
    pub(super) fn is_at_the_last(&self) -> bool {
        self.passed + 1 == self.listed.len()
    }

    /// To list a long job's segments takes longer than to read a record, so they are listed again only where those that are known have nothing more,
    /// of which the last may have grown.
    fn next_in_spool(&mut self) -> Result<Option<(Uuid, Record)>, SpoolError> {
        if self.passed == self.listed.len() {
            self.passed = self.passed.saturating_sub(1);
        }
        if let Some(next) = self.next_in_listed()? {
            return Ok(Some(next));
        }
        self.listed = match spool::segments(&self.folder) {
            // Removed: its writer makes it anew, or hands over at the end what found no place.
            Err(error) if error.is_not_there() => Vec::new(),
            listed => listed?,
        };
        self.passed = 0;
        self.next_in_listed()
    }

    /// Listed before it is read: what ends here, and is not the last of its stream, has ended for good.
    fn next_in_listed(&mut self) -> Result<Option<(Uuid, Record)>, SpoolError> {
        while let Some(segment) = self.listed.get(self.passed) {
            let Segment {
                stream,
                number,
                path,
            } = segment;
            let (stream, number) = (*stream, *number);
            let current = self.current.entry(stream).or_insert(number);
            if number >= *current {
                *current = number;
                let place = self.places.get(&(stream, number));
                let reader = match place {
                    Some(place) => SegmentReader::resume(path, *place),
                    None => SegmentReader::open(path),
                };
                match reader {
                    // Removed since it was listed.
                    Err(error) if error.is_not_there() => {}
                    Err(error @ SpoolError::Foreign(_)) => {
                        self.left_out.insert(path.clone(), error.to_string());
                    }
                    reader => {
                        let mut reader = reader?;
                        let next = reader.next_record()?;
                        self.places.insert((stream, number), reader.place());
                        if let Some(record) = next {
                            return Ok(Some((stream, record)));
                        }
                    }
                }
            }
            self.passed += 1;
        }
        Ok(None)
    }
}

fn only_record(folder: &Path, name: &str) -> Result<Vec<u8>, SpoolError> {
    let path = folder.join(name);
    match SegmentReader::open(&path)?.next_record()? {
        Some(record) => Ok(record.payload),
        None => Err(SpoolError::Broken {
            path,
            reason: "torn".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use highwater_wire::VERSION;
    use tempfile::TempDir;

    use super::*;
    use crate::spool::Spool;

    fn append(spool: &mut Spool, seqs: std::ops::Range<u64>) {
        for seq in seqs {
            spool.append(seq, &v1::Batch::default()).unwrap();
        }
    }

    fn take_one(source: &mut Source) -> Option<(Uuid, u64)> {
        let next = source.next_batch().unwrap();
        next.map(|(stream, record)| (stream, record.seq))
    }

    fn take_all(source: &mut Source) -> Vec<(Uuid, u64)> {
        std::iter::from_fn(|| take_one(source)).collect()
    }

    #[test]
    fn behind_the_writer_each_batch_of_each_stream_is_taken_once() {
        let root = TempDir::new().unwrap();
        let mut dead = Spool::create(root.path(), &v1::Job::default(), Uuid::nil()).unwrap();
        append(&mut dead, 0..130);
        let mut spool = Spool::another_stream(dead.folder()).unwrap();
        let mut source = Source::new(dead.folder(), Unwritten::default());
        let mut taken = Vec::new();
        let mut seq = 0;
        // In steps that meet the end of a segment before, at and behind its last batch.
        for step in [1, 62, 1, 1, 63, 64, 65, 128, 1] {
            append(&mut spool, seq..seq + step);
            seq += step;
            taken.extend(take_one(&mut source));
            append(&mut spool, seq..seq + 1);
            seq += 1;
            taken.extend(take_all(&mut source));
        }
        let (before, own): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|(stream, _)| *stream == dead.stream());
        let seqs = |taken: Vec<(Uuid, u64)>| taken.into_iter().map(|(_, seq)| seq);
        assert!(seqs(before).eq(0..130));
        assert!(seqs(own).eq(0..seq));
    }

    #[test]
    fn what_is_appended_to_the_last_segment_is_found_without_a_listing() {
        let root = TempDir::new().unwrap();
        let mut spool = Spool::create(root.path(), &v1::Job::default(), Uuid::nil()).unwrap();
        let (stream, handoff) = (spool.stream(), spool.handoff());
        let mut source = Source::new(spool.folder(), Unwritten::default());
        for seq in 0..3 {
            assert_eq!(take_one(&mut source), None);
            let known = source.listed.clone();
            append(&mut spool, seq..seq + 1);
            // A listing would find it.
            let other = spool::segment_path(spool.folder(), Uuid::nil(), seq);
            fs::write(&other, "").unwrap();
            assert_eq!(take_one(&mut source), Some((stream, seq)));
            assert_eq!(source.listed, known);
            assert!(handoff.is_last(stream, seq) && source.is_at_the_last());
            fs::remove_file(other).unwrap();
        }
    }

    #[test]
    fn a_folder_that_is_removed_and_made_anew_ends_nothing_and_doubles_nothing() {
        let root = TempDir::new().unwrap();
        let mut spool = Spool::create(root.path(), &v1::Job::default(), Uuid::nil()).unwrap();
        let mut source = Source::new(spool.folder(), Unwritten::default());
        append(&mut spool, 0..70);
        let first: Vec<_> = (0..66).filter_map(|_| take_one(&mut source)).collect();
        std::fs::remove_dir_all(spool.folder()).unwrap();
        assert_eq!(take_one(&mut source), None);
        spool.be_quick();
        append(&mut spool, 70..72);
        let rest = take_all(&mut source);
        let seqs = first.into_iter().chain(rest).map(|(_, seq)| seq);
        assert!(seqs.eq(0..72));
        let end = v1::End {
            version: VERSION,
            streams: vec![v1::StreamCount {
                stream: spool.stream().to_string(),
                batches: 73,
            }],
            ..v1::End::default()
        };
        let shortfall = source.shortfall(&codec::encode(&end).unwrap());
        assert_eq!((shortfall.missing, shortfall.damaged), (1, false));
    }

    #[test]
    fn segments_are_listed_again_only_where_those_that_are_known_have_nothing_more() {
        let root = TempDir::new().unwrap();
        let mut spool = Spool::create(root.path(), &v1::Job::default(), Uuid::nil()).unwrap();
        append(&mut spool, 0..200);
        let mut source = Source::new(spool.folder(), Unwritten::default());
        assert_eq!(take_one(&mut source), Some((spool.stream(), 0)));
        // Another stream is found with the next listing.
        let known = source.listed.clone();
        let other = spool::segment_path(spool.folder(), Uuid::from_u128(7), 0);
        fs::copy(&known[0].path, other).unwrap();
        for seq in 1..200 {
            assert_eq!(take_one(&mut source), Some((spool.stream(), seq)));
            assert_eq!(source.listed, known);
        }
        let others = take_all(&mut source);
        assert!(
            others
                .into_iter()
                .eq((0..64).map(|seq| (Uuid::from_u128(7), seq)))
        );
        assert_eq!(source.listed.len(), known.len() + 1);
    }
}
