//! What was recorded and is not yet acknowledged, on disk.
//!
//! # Constraints
//!
//! - The agent may be killed at any instruction; what was appended before stays readable.
//! - A record is what goes over the network, so that sending needs no second encoding.
//! - Recording never waits for sending: the sender reads the same file behind the writer.
//!
//! # Layout
//!
//! A folder a job, `<root>/<job uuid>/`, mode 0700:
//!
//! | file | holds |
//! |---|---|
//! | `lock` | nothing; its writer holds an exclusive `flock` as long as it lives |
//! | `job` | one record: the `Job` |
//! | `<stream uuid>.segment`, `<stream uuid>.<n>.segment` | the records of one start of an agent, from number 0 (which has none) on: its batches |
//! | `end` | one record: the `End`; there once the job has ended in an orderly way |
//! | `reserve` | nothing; it holds room on the disk to work with when that is full, and is gone once the recording is over |
//! | `*.thin` | a segment that was being written again when the agent died; nobody reads it |
//! | `events/` | the plugin's files; not sent, kept until the spool goes |
//!
//! `highwater_wire::spool` says how a file begins and what a record is, for whoever else reads a spool.
//!
//! # Writing
//!
//! One `write` a record on a descriptor opened for appending. No sync: the page cache outlives the death of any process, and a machine
//! that loses power in CI takes its disk with it. After some batches a segment is closed and the next begun; a closed one does not grow.
//!
//! Version 1 is written; version 1 is read. Spools from before there were several segments a stream hold the first alone and are read as they
//! are; agents from before then (no release among them) read only the first of a newer spool.
//!
//! # A full disk
//!
//! What does not fit makes room for itself. The reserve is given up to work with, then closed segments are written again, the oldest first, with
//! fewer samples: of each second about one value of each process stays (see [`thin`]); marks, processes, sessions, notices and events all stay. The new
//! file takes the name of the old by a rename, so that each is there whole at any instruction. Where all are thin, those that the server has
//! acknowledged lose the rest of their samples. Where others took the room that the reserve gave up, there is none for a new file beside the old, and nothing
//! is thinned until there is. What then still does not fit waits in the recorder's memory, by the same rule. The time that was
//! thinned before the server had it is counted, and told by the notice `samples_thinned`.
//!
//! A thinned batch keeps its number. Where the server has it whole, from before, it answers that something else is stored, and that is as good
//! as acknowledged.
//!
//! # A folder that is removed
//!
//! Before each batch the writer looks whether the running segment is still what its name leads to. Where it is not, the folder is made anew, in its
//! place or elsewhere, with the running segment under its old number and all that it held; see [`removed`]. What alone is gone beside the segment, `lock`, `job`
//! or `events/`, is made again too. A running segment that is shorter than what was written to it was cut by somebody; it is written again with what is whole of it. Where one of an agent
//! from before then goes on without its first bytes, it is read as one with a broken record.
//!
//! # Reading, recovering, deleting
//!
//! A torn record at the end of a segment is not there yet, and neither are zeros up to its end: after a loss of power a file may be longer than what
//! the disk has of it. A record whose CRC is wrong is skipped and counted; a length that
//! cannot be ends the segment. A segment whose first bytes are damaged, with a whole record behind them, counts one more as skipped; one of another version is
//! left out and told. A reader behind the writer holds no segment open, and goes on behind the batch it read last when it finds another
//! file under the name. What is no regular file, a pipe or a link, is none of the spool's. The folder goes as a whole, once the server has acknowledged everything and the summary is made.

mod handoff;
mod known;
mod read;
mod removed;
mod room;
mod segments;
mod thin;
mod write;

use std::path::{Path, PathBuf};

use highwater_wire::{
    codec,
    spool::{BLANK, HEAD_BYTES, Head, MAGIC},
    v1,
};
use uuid::Uuid;

use crate::regular;

pub use handoff::Handoff;
pub use highwater_wire::spool::{Kind, Record};
pub use known::{MarkIdentity, stream_counts};
pub use read::{
    ReadPlace, Recorded, SegmentReader, is_job, open_jobs, read, read_end, read_job, uuid_of,
};
pub use removed::Removed;
pub use segments::{Segment, path_of as segment_path, segments};
pub use thin::{Detail, thin};
pub use write::{Less, Spool, is_locked, lock, lock_of_gone, record_of, write_end};

/// What belongs into a spool and found no room there, as it would have been written.
#[derive(Debug, Clone, Default)]
pub struct Unwritten {
    /// Batches with their streams.
    pub batches: Vec<(Uuid, Record)>,
    /// How the job ended.
    pub end: Option<Vec<u8>>,
}

impl Unwritten {
    /// Batches of a stream with their numbers, and the end where it could not be written either.
    #[must_use]
    pub fn of(stream: Uuid, batches: &[(u64, v1::Batch)], end: Option<&v1::End>) -> Self {
        let records = batches
            .iter()
            .filter_map(|(seq, batch)| record_of(*seq, batch).ok());
        Self {
            batches: records.map(|record| (stream, record)).collect(),
            end: end.and_then(|end| codec::encode(end).ok()),
        }
    }
}

/// How long a stretch batches cover, seconds, rounded up.
#[must_use]
pub fn seconds_of(batches: &[(u64, v1::Batch)]) -> i64 {
    let us = batches
        .iter()
        .map(|(_, batch)| batch.to_us - batch.from_us)
        .sum::<i64>();
    (us + 999_999).div_euclid(1_000_000)
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A file or folder failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a spool file, of a version this agent does not read, or damaged in its first bytes with no whole record behind them.
    #[error("{}: no spool file of version 1, or its begin is damaged; if another version wrote it, read it with that", .0.display())]
    Foreign(PathBuf),
    /// Its folder was removed, and whoever did may still be at it.
    #[error("{} was removed while the recording went on", .0.display())]
    Removed(PathBuf),
    /// Another agent writes there.
    #[error("{}: a running agent records there", .0.display())]
    Busy(PathBuf),
    /// The job's own record is missing or broken.
    #[error("{}: {reason}", path.display())]
    Broken {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl SpoolError {
    /// Whether a file or folder is not there.
    #[must_use]
    pub fn is_not_there(&self) -> bool {
        matches!(self, Self::Io { source, .. } if regular::is_gone(source))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SpoolError {
    move |source| SpoolError::Io {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests;
