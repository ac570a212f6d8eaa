//! The reading side of a spool.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use highwater_analysis::arrival;
use highwater_wire::{
    codec::{self, Checked},
    v1,
};
use uuid::Uuid;

use super::{BLANK, HEAD_BYTES, Head, MAGIC, Record, Segment, SpoolError, io, segments};
use crate::regular;

/// Reads the records of one segment while it grows.
#[derive(Debug)]
pub struct SegmentReader {
    path: PathBuf,
    file: File,
    place: ReadPlace,
    /// Batches up to this number were read before, in a file that another has replaced.
    known: Option<u64>,
}

/// How far a segment was read, for whoever does not hold it open meanwhile: the room of a file that was replaced is only free once nobody
/// has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPlace {
    inode: u64,
    at: u64,
    skipped: u64,
    ended: bool,
    last: Option<u64>,
}

impl ReadPlace {
    /// Records that were broken and passed over.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl SegmentReader {
    /// Opens a segment.
    ///
    /// # Errors
    /// When it cannot be read or is none of version 1.
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        Self::of(regular::open(path).map_err(io(path))?, path)
    }

    /// Reads a segment that is open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn of(file: File, path: &Path) -> Result<Self, SpoolError> {
        let inode = file.metadata().map_err(io(path))?.ino();
        let mut reader = Self {
            path: path.to_path_buf(),
            file,
            place: ReadPlace {
                inode,
                at: MAGIC.len() as u64,
                skipped: 0,
                ended: false,
                last: None,
            },
            known: None,
        };
        match reader.bytes::<{ MAGIC.len() }>(0)? {
            Some(magic) if magic == *MAGIC => {}
            // A disk that lost its power has the length of a file, and not yet its bytes.
            Some(magic) if magic == BLANK => {}
            // A writer that was killed before its first bytes has written nothing to lose.
            None => {}
            // What was cut by somebody while an agent wrote to it goes on without a beginning.
            Some(_) if reader.record_at(0)?.is_some() => {
                reader.place.at = 0;
                reader.place.skipped = 1;
            }
            // A damaged begin takes nothing from what stands whole behind it. What names another version is left to that.
            Some(magic)
                if magic[..7] != MAGIC[..7] && reader.record_at(MAGIC.len() as u64)?.is_some() =>
            {
                reader.place.skipped = 1;
            }
            Some(_) => return Err(SpoolError::Foreign(path.to_path_buf())),
        }
        Ok(reader)
    }

    /// The record at a place, if there is a whole one.
    fn record_at(&self, at: u64) -> Result<Option<Record>, SpoolError> {
        let Some(head) = self.bytes::<HEAD_BYTES>(at)?.and_then(Head::of) else {
            return Ok(None);
        };
        let length = self.file.metadata().map_err(io(&self.path))?.len();
        if at + (HEAD_BYTES + head.length()) as u64 > length {
            return Ok(None);
        }
        let mut payload = vec![0; head.length()];
        self.file
            .read_exact_at(&mut payload, at + HEAD_BYTES as u64)
            .map_err(io(&self.path))?;
        Ok(head.record(payload))
    }

    /// Where the last whole record that was read ends, and its number.
    pub(super) fn read_to(&self) -> (u64, Option<u64>) {
        (self.place.at, self.place.last)
    }

    /// Opens a segment to go on where it was left. Where it has been written again meanwhile, goes on behind the batch read last.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn resume(path: &Path, place: ReadPlace) -> Result<Self, SpoolError> {
        let mut reader = Self::open(path)?;
        if reader.place.inode == place.inode {
            reader.place = place;
        } else {
            reader.known = place.last;
            reader.place.last = place.last;
            reader.place.skipped = place.skipped;
        }
        Ok(reader)
    }

    /// How far it was read.
    #[must_use]
    pub fn place(&self) -> ReadPlace {
        self.place
    }

    /// The next whole record; `None` when there is none yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_record(&mut self) -> Result<Option<Record>, SpoolError> {
        while !self.place.ended {
            let Some(head) = self.bytes::<HEAD_BYTES>(self.place.at)? else {
                return Ok(None);
            };
            if head == [0; HEAD_BYTES] {
                if !self.is_blank_to_its_end()? {
                    self.place.skipped += 1;
                    self.place.ended = true;
                }
                return Ok(None);
            }
            let Some(head) = Head::of(head) else {
                self.place.skipped += 1;
                self.place.ended = true;
                break;
            };
            let mut payload = vec![0; head.length()];
            match self
                .file
                .read_exact_at(&mut payload, self.place.at + HEAD_BYTES as u64)
            {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(io(&self.path)(error)),
            }
            self.place.at += (HEAD_BYTES + head.length()) as u64;
            match head.record(payload) {
                Some(record) if self.known.is_some_and(|known| record.seq <= known) => {}
                Some(record) => {
                    self.place.last = Some(record.seq);
                    return Ok(Some(record));
                }
                None => self.place.skipped += 1,
            }
        }
        Ok(None)
    }

    /// Records that were broken and passed over.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.place.skipped
    }

    /// Whether bytes are left behind the last whole record: a record that was torn, or a segment whose rest cannot be read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_rest(&self) -> Result<bool, SpoolError> {
        let length = self.file.metadata().map_err(io(&self.path))?.len();
        Ok(self.place.ended || (length > self.place.at && !self.is_blank_to_its_end()?))
    }

    /// Whether nothing but zeros follows.
    fn is_blank_to_its_end(&self) -> Result<bool, SpoolError> {
        let (mut at, mut bytes) = (self.place.at, [0; 4096]);
        loop {
            let length = self.file.read_at(&mut bytes, at).map_err(io(&self.path))?;
            if length == 0 {
                return Ok(true);
            }
            if bytes[..length].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += length as u64;
        }
    }

    fn bytes<const N: usize>(&self, at: u64) -> Result<Option<[u8; N]>, SpoolError> {
        let mut bytes = [0; N];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(io(&self.path)(error)),
        }
    }
}

/// A whole spool, read back.
#[derive(Debug)]
pub struct Recorded {
    /// Identity of the job.
    pub uuid: Uuid,
    /// How it began.
    pub job: v1::Job,
    /// Its batches with stream and number.
    pub batches: Vec<(Uuid, u64, v1::Batch)>,
    /// How it ended; none when the agent died.
    pub end: Option<v1::End>,
    /// Records that were broken and passed over.
    pub skipped: u64,
    /// Segments of another version, or whose begin is damaged, which were left out: a line each.
    pub left_out: Vec<String>,
}

impl Recorded {
    /// How many batches an end announces, and how many of them are not there or cannot be read.
    #[must_use]
    pub fn shortfall(&self, end: &v1::End) -> (u64, u64) {
        let mut there: BTreeMap<Uuid, BTreeSet<u64>> = BTreeMap::new();
        for (stream, seq, _) in &self.batches {
            there.entry(*stream).or_default().insert(*seq);
        }
        let count = |stream| there.get(&stream).map_or(0, |seqs| seqs.len() as u64);
        (arrival::announced(end), arrival::missing(end, count))
    }
}

/// Reads everything of a job.
///
/// # Errors
/// When the folder is none, or how the job began cannot be read.
pub fn read(folder: &Path) -> Result<Recorded, SpoolError> {
    let mut recorded = Recorded {
        uuid: uuid_of(folder)?,
        job: read_job(folder)?,
        batches: Vec::new(),
        end: read_end(folder)?,
        skipped: 0,
        left_out: Vec::new(),
    };
    for Segment { stream, path, .. } in segments(folder)? {
        let mut reader = match SegmentReader::open(&path) {
            Err(error @ SpoolError::Foreign(_)) => {
                recorded.left_out.push(error.to_string());
                continue;
            }
            reader => reader?,
        };
        while let Some(record) = reader.next_record()? {
            match codec::decode::<v1::Batch>(&record.payload) {
                Ok(batch) => recorded.batches.push((stream, record.seq, batch)),
                Err(_) => recorded.skipped += 1,
            }
        }
        recorded.skipped += reader.skipped();
    }
    Ok(recorded)
}

/// How the job began.
///
/// # Errors
/// When it is missing or broken.
pub fn read_job(folder: &Path) -> Result<v1::Job, SpoolError> {
    let path = folder.join("job");
    read_one(&path)?.ok_or_else(|| SpoolError::Broken {
        path,
        reason: "the record of the job is missing or torn".to_owned(),
    })
}

/// How the job ended; `None` when its agent died before it could say.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_end(folder: &Path) -> Result<Option<v1::End>, SpoolError> {
    let path = folder.join("end");
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => read_one(&path),
    }
}

fn read_one<M: Checked>(path: &Path) -> Result<Option<M>, SpoolError> {
    let Some(record) = SegmentReader::open(path)?.next_record()? else {
        return Ok(None);
    };
    codec::decode(&record.payload)
        .map(Some)
        .map_err(|problem| SpoolError::Broken {
            path: path.to_path_buf(),
            reason: problem.to_string(),
        })
}

/// Every job's folder below a spool's root, oldest first (their names are UUIDs of version 7).
///
/// # Errors
/// When the root cannot be read; a root that is not there holds no jobs.
pub fn open_jobs(root: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(root)(error)),
    };
    let mut jobs = Vec::new();
    for entry in entries {
        let path = entry.map_err(io(root))?.path();
        if uuid_of(&path).is_ok() && is_job(&path) {
            jobs.push(path);
        }
    }
    jobs.sort();
    Ok(jobs)
}

/// Whether a folder holds a recording.
#[must_use]
pub fn is_job(folder: &Path) -> bool {
    folder.join("job").is_file()
}

/// The job whose folder this is.
///
/// # Errors
/// When its name is no UUID.
pub fn uuid_of(folder: &Path) -> Result<Uuid, SpoolError> {
    folder
        .file_name()
        .and_then(|name| Uuid::parse_str(&name.to_string_lossy()).ok())
        .ok_or_else(|| SpoolError::Broken {
            path: folder.to_path_buf(),
            reason: "the name of a job's folder is its uuid".to_owned(),
        })
}
