//! The writing side of a spool.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use highwater_wire::{
    codec::{self, Encoder},
    v1,
};
use prost::Message;
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::{
    HEAD_BYTES, Handoff, Kind, MAGIC, Record, SpoolError, io,
    removed::Ground,
    room::{Reserve, is_full, is_scarce, rewrite},
    segments::path_of,
    thin::Detail,
};
use crate::regular;

/// A segment is closed after so many batches or bytes; what is closed can be written again with less in it.
const SEGMENT_BATCHES: u64 = 64;
const SEGMENT_BYTES: u64 = 128 << 10;
/// A process that was killed has let go of its files after so long.
const LETS_GO: Duration = Duration::from_secs(5);
/// On a full disk the running segment is closed once it has so many batches.
const FEW_BATCHES: u64 = 4;

/// The spool of a job that is being recorded.
#[derive(Debug)]
pub struct Spool {
    pub(super) folder: PathBuf,
    pub(super) stream: Uuid,
    pub(super) segment: File,
    /// How long the segment is by what was written to it, bytes.
    pub(super) length: u64,
    pub(super) path: PathBuf,
    /// Number of the running segment, and of its first batch.
    pub(super) number: u64,
    pub(super) first: u64,
    pub(super) closed: Vec<Closed>,
    pub(super) batches: u64,
    encoder: Encoder,
    /// The record that is written, in memory that is used again.
    record: Vec<u8>,
    pub(super) reserve: Reserve,
    less: Less,
    pub(super) handoff: Handoff,
    /// Held by whoever goes on with the spool of a dead agent.
    pub(super) lock: Option<File>,
    pub(super) ground: Ground,
}

/// A segment that is not written any more.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) number: u64,
    /// Its batches have lower numbers.
    pub(super) below: u64,
    detail: Detail,
}

/// What gave way to a full disk since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Less {
    /// Time of which about one value a second is left, µs.
    pub thinned_us: i64,
    /// Time of which no samples are left here, since the server has them, µs.
    pub bared_us: i64,
}

impl Spool {
    /// Makes the folder of a job and writes how it began.
    ///
    /// # Errors
    /// When the folder or a file cannot be made.
    pub fn create(root: &Path, job: &v1::Job, uuid: Uuid) -> Result<Self, SpoolError> {
        let folder = root.join(uuid.to_string());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder.join("events"))
            .map_err(io(&folder))?;
        let lock = lock(&folder)?;
        write_whole(&folder.join("job"), Kind::Job, job)?;
        Self::with_stream(folder, Some(lock))
    }

    /// Goes on with the spool of a dead agent, in another stream; whoever calls holds its lock.
    ///
    /// # Errors
    /// When the folder is none of a job, or the segment cannot be made.
    pub fn another_stream(folder: &Path) -> Result<Self, SpoolError> {
        super::uuid_of(folder)?;
        Self::with_stream(folder.to_path_buf(), None)
    }

    fn with_stream(folder: PathBuf, lock: Option<File>) -> Result<Self, SpoolError> {
        let stream = Uuid::new_v4();
        let path = path_of(&folder, stream, 0);
        let mut reserve = Reserve::new(&folder);
        let segment = begin(&path).map_err(io(&path))?;
        reserve.refill();
        Ok(Self {
            ground: Ground::of(&folder, &path)?,
            encoder: Encoder::new().map_err(io(&path))?,
            folder,
            stream,
            segment,
            length: MAGIC.len() as u64,
            path,
            number: 0,
            first: 0,
            closed: Vec::new(),
            batches: 0,
            record: Vec::new(),
            reserve,
            less: Less::default(),
            handoff: Handoff::of(stream),
            lock,
        })
    }

    /// Appends a batch. Numbers count from 0 without holes. On a full disk the oldest fine-grained samples give way to it.
    ///
    /// # Errors
    /// When it cannot be written, as while its folder is gone; what a failed write left is cut off again, so that later batches can be read.
    pub fn append(&mut self, seq: u64, batch: &v1::Batch) -> Result<(), SpoolError> {
        self.append_at(Instant::now(), seq, batch)
    }

    /// The same at an instant: whoever removes the folder is left alone with it for a while.
    pub(super) fn append_at(
        &mut self,
        now: Instant,
        seq: u64,
        batch: &v1::Batch,
    ) -> Result<(), SpoolError> {
        self.hold_ground(now)?;
        encode(&mut self.encoder, Kind::Batch, seq, batch, &mut self.record)
            .map_err(io(&self.path))?;
        loop {
            match self.write() {
                Ok(()) => break,
                Err(error) if is_full(&error) && self.make_room() => {}
                Err(error) => return Err(io(&self.path)(error)),
            }
        }
        self.batches = self.batches.max(seq + 1);
        self.handoff.appended(seq);
        self.length = self.segment.metadata().map_or(0, |about| about.len());
        if self.batches - self.first >= SEGMENT_BATCHES || self.length >= SEGMENT_BYTES {
            // Where no file can be made the running one grows on.
            if self.close().is_ok() {
                self.reserve.refill();
            }
        }
        if is_scarce(&self.segment) {
            self.thin_oldest();
        }
        Ok(())
    }

    /// Writes the record that was made, whole or not at all.
    fn write(&mut self) -> std::io::Result<()> {
        let before = self.segment.metadata()?.len();
        let written = self.segment.write_all(&self.record);
        if written.is_err() {
            self.segment.set_len(before)?;
        }
        written
    }

    /// Ends the running segment and begins the next.
    fn close(&mut self) -> std::io::Result<()> {
        let path = path_of(&self.folder, self.stream, self.number + 1);
        self.segment = begin(&path)?;
        self.length = MAGIC.len() as u64;
        self.ground.set_segment(&path);
        self.path = path;
        self.closed.push(Closed {
            number: self.number,
            below: self.batches,
            detail: Detail::Full,
        });
        self.number += 1;
        self.first = self.batches;
        Ok(())
    }

    /// Makes room for what does not fit. False when there is nothing left to give.
    fn make_room(&mut self) -> bool {
        let released = self.reserve.release();
        let gave = self.thin_oldest()
            || (self.batches - self.first >= FEW_BATCHES
                && self.close().is_ok()
                && self.thin_oldest())
            || self.bare_oldest();
        if gave {
            self.reserve.refill();
        }
        released || gave
    }

    /// Thins the oldest closed segment that holds all of its samples: what the server has comes before what it has not.
    fn thin_oldest(&mut self) -> bool {
        let full = |closed: &&mut Closed| closed.detail == Detail::Full;
        while let Some(closed) = self.closed.iter_mut().find(full) {
            let path = path_of(&self.folder, self.stream, closed.number);
            let Ok(done) = rewrite(&path, Detail::Thin, &self.handoff, &mut self.encoder) else {
                return false;
            };
            closed.detail = Detail::Thin;
            if done.less_us > 0 {
                self.less.thinned_us += done.lost_us;
                return true;
            }
        }
        false
    }

    /// Takes all samples from the oldest segment that the server has.
    fn bare_oldest(&mut self) -> bool {
        let acknowledged = self.handoff.acknowledged();
        let known =
            |closed: &&mut Closed| closed.detail < Detail::Bare && closed.below <= acknowledged;
        while let Some(closed) = self.closed.iter_mut().find(known) {
            let path = path_of(&self.folder, self.stream, closed.number);
            let Ok(done) = rewrite(&path, Detail::Bare, &self.handoff, &mut self.encoder) else {
                return false;
            };
            closed.detail = Detail::Bare;
            if done.less_us > 0 {
                self.less.bared_us += done.less_us;
                return true;
            }
        }
        false
    }

    /// What gave way since the last call.
    pub fn take_less(&mut self) -> Less {
        std::mem::take(&mut self.less)
    }

    /// What whoever sends the batches shares with this writer.
    #[must_use]
    pub fn handoff(&self) -> Handoff {
        self.handoff.clone()
    }

    /// Folder of the job.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Folder for the plugin's files.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.folder.join("events")
    }

    /// Identity of this start of the agent.
    #[must_use]
    pub fn stream(&self) -> Uuid {
        self.stream
    }

    /// Writes no more batches: their reserve on the disk is free for the end, and the lock, of a spool that is new, is whose who writes that.
    #[must_use]
    pub fn into_lock(mut self) -> Option<File> {
        self.lock.take()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What is written from here on, the end, may have its room.
        self.reserve.release();
    }
}

/// Takes the lock of a job's folder; it is given back when the file is closed, also by death.
///
/// # Errors
/// [`SpoolError::Busy`] while another process holds it.
pub fn lock(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.join("lock");
    // A disk may be too full, or not writable, for one that is there already.
    let file = match regular::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => appending(&path)?,
        opened => opened.map_err(io(&path))?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SpoolError::Busy(folder.to_path_buf())),
        Err(error) => Err(io(&path)(error.into())),
    }
}

/// Whether somebody holds the lock of a job's folder. Asking makes no file, and two that ask at once do not take each other for the holder.
#[must_use]
pub fn is_locked(folder: &Path) -> bool {
    let asked = regular::open(&folder.join("lock"))
        .map(|file| flock(&file, FlockOperation::NonBlockingLockShared));
    matches!(asked, Ok(Err(rustix::io::Errno::WOULDBLOCK)))
}

/// [`lock`] for the spool of an agent that is gone: the threads of a process that was killed go after it, and the last of them lets go.
///
/// # Errors
/// As [`lock`]: [`SpoolError::Busy`] where somebody else holds it for longer.
pub fn lock_of_gone(folder: &Path) -> Result<File, SpoolError> {
    let until = Instant::now() + LETS_GO;
    loop {
        match lock(folder) {
            Err(SpoolError::Busy(_)) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(20));
            }
            locked => return locked,
        }
    }
}

/// Writes how a job ended.
///
/// # Errors
/// When it cannot be written.
pub fn write_end(folder: &Path, end: &v1::End) -> Result<(), SpoolError> {
    write_whole(&folder.join("end"), Kind::End, end)
}

/// A batch as a record, for where it cannot be written.
///
/// # Errors
/// When it cannot be encoded.
pub fn record_of(seq: u64, batch: &v1::Batch) -> std::io::Result<Record> {
    Ok(Record {
        kind: Kind::Batch,
        seq,
        payload: codec::encode(batch)?,
    })
}

/// Writes a file of one record so that it is there whole or not at all.
fn write_whole<M: Message>(path: &Path, kind: Kind, message: &M) -> Result<(), SpoolError> {
    let mut bytes = MAGIC.to_vec();
    let mut record = Vec::new();
    Encoder::new()
        .and_then(|mut encoder| encode(&mut encoder, kind, 0, message, &mut record))
        .map_err(io(path))?;
    bytes.extend(record);
    write_bytes(path, &bytes)
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    regular::replace(path, bytes).map_err(|(path, error)| io(&path)(error))
}

/// Makes a record of a message.
pub(super) fn encode<M: Message>(
    encoder: &mut Encoder,
    kind: Kind,
    seq: u64,
    message: &M,
    record: &mut Vec<u8>,
) -> std::io::Result<()> {
    record.clear();
    record.extend([0; 8]);
    record.push(kind as u8);
    record.extend(seq.to_le_bytes());
    encoder.append(message, record)?;
    seal(record)
}

/// A record as it was read, again as bytes.
pub(super) fn again(old: &Record, record: &mut Vec<u8>) -> std::io::Result<()> {
    record.clear();
    record.extend([0; 8]);
    record.push(old.kind as u8);
    record.extend(old.seq.to_le_bytes());
    record.extend_from_slice(&old.payload);
    seal(record)
}

/// Fills in the length and the CRC of a record whose rest is there.
fn seal(record: &mut [u8]) -> std::io::Result<()> {
    let length = u32::try_from(record.len() - HEAD_BYTES).map_err(std::io::Error::other)?;
    let crc = crc32fast::hash(&record[8..]);
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Makes a segment; one of which not even the first bytes could be written is none.
fn begin(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    // Read again where its folder is removed.
    options.read(true).append(true).create(true).mode(0o600);
    let mut segment = regular::open_with(&mut options, path)?;
    match segment.write_all(MAGIC) {
        Ok(()) => Ok(segment),
        Err(error) => {
            drop(fs::remove_file(path));
            Err(error)
        }
    }
}

fn appending(path: &Path) -> Result<File, SpoolError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    regular::open_with(&mut options, path).map_err(io(path))
}
