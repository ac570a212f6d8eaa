//! The writing side of a spool.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use highwater_wire::{
    codec::{self, Encoder},
    v1,
};
use prost::Message;
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::{HEAD_BYTES, Handoff, Kind, MAGIC, Record, SpoolError, io, segment_path};
use crate::regular;

/// The spool of a job that is being recorded.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    uuid: Uuid,
    stream: Uuid,
    segment: File,
    path: PathBuf,
    batches: u64,
    encoder: Encoder,
    /// The record that is written, in memory that is used again.
    record: Vec<u8>,
    handoff: Handoff,
    /// Held by whoever goes on with the spool of a dead agent.
    _lock: Option<File>,
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
        Self::with_stream(folder, uuid, Some(lock))
    }

    /// Goes on with the spool of a dead agent, in another stream; whoever calls holds its lock.
    ///
    /// # Errors
    /// When the folder is none of a job, or the segment cannot be made.
    pub fn another_stream(folder: &Path) -> Result<Self, SpoolError> {
        Self::with_stream(folder.to_path_buf(), super::uuid_of(folder)?, None)
    }

    fn with_stream(folder: PathBuf, uuid: Uuid, lock: Option<File>) -> Result<Self, SpoolError> {
        let stream = Uuid::new_v4();
        let path = segment_path(&folder, stream);
        let encoder = Encoder::new().map_err(io(&path))?;
        let mut segment = appending(&path)?;
        segment.write_all(MAGIC).map_err(io(&path))?;
        Ok(Self {
            folder,
            uuid,
            stream,
            segment,
            path,
            batches: 0,
            encoder,
            record: Vec::new(),
            handoff: Handoff::default(),
            _lock: lock,
        })
    }

    /// Appends a batch. Numbers count from 0 without holes.
    ///
    /// # Errors
    /// When it cannot be written; what a failed write left is cut off again, so that later batches can be read.
    pub fn append(&mut self, seq: u64, batch: &v1::Batch) -> Result<(), SpoolError> {
        encode(&mut self.encoder, Kind::Batch, seq, batch, &mut self.record)
            .map_err(io(&self.path))?;
        let before = self.segment.metadata().map_err(io(&self.path))?.len();
        if let Err(source) = self.segment.write_all(&self.record) {
            self.segment.set_len(before).map_err(io(&self.path))?;
            return Err(io(&self.path)(source));
        }
        self.batches = self.batches.max(seq + 1);
        self.handoff.bell.ring();
        Ok(())
    }

    /// Writes how the job ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self, end: &v1::End) -> Result<(), SpoolError> {
        write_end(&self.folder, end)
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

    /// Identity of the job.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Identity of this start of the agent.
    #[must_use]
    pub fn stream(&self) -> Uuid {
        self.stream
    }

    /// How many batches were appended.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches
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
    let fresh = path.with_extension("new");
    let mut bytes = MAGIC.to_vec();
    let mut record = Vec::new();
    Encoder::new()
        .and_then(|mut encoder| encode(&mut encoder, kind, 0, message, &mut record))
        .map_err(io(path))?;
    bytes.extend(record);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let written = regular::open_with(&mut options, &fresh)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(io(&fresh));
    if written.is_err() {
        // Where there was no room, the half of it must not take what there is.
        drop(fs::remove_file(&fresh));
    }
    written?;
    fs::rename(&fresh, path).map_err(io(path))
}

/// Makes a record of a message.
fn encode<M: Message>(
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
    let length = u32::try_from(record.len() - HEAD_BYTES).map_err(std::io::Error::other)?;
    let crc = crc32fast::hash(&record[8..]);
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

fn appending(path: &Path) -> Result<File, SpoolError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    regular::open_with(&mut options, path).map_err(io(path))
}
