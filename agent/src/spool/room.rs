//! Room on a disk that is full: a reserve to work with, and segments written again with less in them.
//!
//! A segment is written again beside the old one, so that whoever sends it behind the writer never reads what is half of each. That takes room which only the
//! reserve gives for sure: where others took what it gave up before the segment was done, nothing is thinned until there is room again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use highwater_wire::{
    codec::{self, Encoder},
    v1,
};
use rustix::{
    fs::{FallocateFlags, fallocate, fstatvfs},
    io::Errno,
};

use super::{
    Handoff, MAGIC, SpoolError, io as at,
    read::SegmentReader,
    thin::{Detail, thin},
    write::{again, encode},
};
use crate::regular;

/// What is laid aside while there is room, bytes: more than any closed segment takes.
const RESERVE_BYTES: u64 = 256 << 10;
/// No more than this share of what is free is laid aside.
const RESERVE_SHARE: u64 = 8;
/// So much should be free beside the spool, bytes: the plugin writes to the same disk, and stops for good where it cannot.
const FLOOR_BYTES: u64 = 1 << 20;
/// On a small disk no more than this share of it.
const FLOOR_SHARE: u64 = 8;

/// A file that only holds its place on the disk.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    is_there: bool,
}

impl Reserve {
    /// None yet; what a dead agent laid aside is given up.
    pub(super) fn new(folder: &Path) -> Self {
        let path = folder.join("reserve");
        drop(fs::remove_file(&path));
        Self {
            path,
            is_there: false,
        }
    }

    /// Lays it aside again, where there is room.
    pub(super) fn refill(&mut self) {
        if !self.is_there {
            self.is_there = self.fill().is_ok();
            if !self.is_there {
                drop(fs::remove_file(&self.path));
            }
        }
    }

    /// Gives it up; false when there was none.
    pub(super) fn release(&mut self) -> bool {
        std::mem::take(&mut self.is_there) && fs::remove_file(&self.path).is_ok()
    }

    fn fill(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(0o600);
        let mut file = regular::open_with(&mut options, &self.path)?;
        let bytes = RESERVE_BYTES.min(free(&file)?.0 / RESERVE_SHARE);
        match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.write_all(&vec![0; bytes as usize]),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether less is free on a file's disk than should be.
pub(super) fn is_scarce(file: &File) -> bool {
    free(file).is_ok_and(|(free, total)| free < FLOOR_BYTES.min(total / FLOOR_SHARE))
}

/// Bytes free to this user, and the size of the disk.
fn free(file: &File) -> io::Result<(u64, u64)> {
    let disk = fstatvfs(file)?;
    Ok((
        disk.f_bavail.saturating_mul(disk.f_frsize),
        disk.f_blocks.saturating_mul(disk.f_frsize),
    ))
}

/// Whether a write failed because the disk, or the user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSPC | Errno::DQUOT)
    ) || error.kind() == io::ErrorKind::WriteZero
}

/// What writing a segment again came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// Time whose samples became fewer, µs; the file is as it was where that is none.
    pub(super) less_us: i64,
    /// The part of it that the server does not have, µs.
    pub(super) lost_us: i64,
}

/// Writes a closed segment again with no more than a detail of each batch. What the server got meanwhile counts as had, by `handoff`.
///
/// The new file takes the place of the old in one step, so that a reader, or whoever comes after a death, finds one or the other whole.
///
/// # Errors
/// When it cannot be read or there is no room for the new file beside it; the segment is then as it was.
pub(super) fn rewrite(
    path: &Path,
    detail: Detail,
    handoff: &Handoff,
    encoder: &mut Encoder,
) -> Result<Rewritten, SpoolError> {
    let mut reader = SegmentReader::open(path)?;
    let (mut bytes, mut record) = (MAGIC.to_vec(), Vec::new());
    let mut less = Vec::new();
    while let Some(old) = reader.next_record()? {
        // What cannot be read here may be read by another release.
        let Ok(mut batch) = codec::decode::<v1::Batch>(&old.payload) else {
            again(&old, &mut record).map_err(at(path))?;
            bytes.extend_from_slice(&record);
            continue;
        };
        let less_us = thin(&mut batch, detail);
        if less_us > 0 {
            less.push((old.seq, less_us));
        }
        encode(encoder, old.kind, old.seq, &batch, &mut record).map_err(at(path))?;
        bytes.extend_from_slice(&record);
    }
    if less.is_empty() {
        return Ok(Rewritten::default());
    }
    let fresh = path.with_extension("thin");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = regular::open_with(&mut options, &fresh)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = written {
        drop(fs::remove_file(&fresh));
        return Err(at(path)(error));
    }
    let acknowledged = handoff.acknowledged();
    let lost = less.iter().filter(|(seq, _)| *seq >= acknowledged);
    Ok(Rewritten {
        less_us: less.iter().map(|(_, us)| us).sum(),
        lost_us: lost.map(|(_, us)| us).sum(),
    })
}
