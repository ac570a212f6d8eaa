//! The kernel's log, `/dev/kmsg`: whom the kernel killed for want of memory.
//!
//! Readable for root, and for everybody where `kernel.dmesg_restrict` is 0. Only what is written from now on is read. The kernel's own records
//! count, not those that programs write into its log.

mod line;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use highwater_wire::v1::KernelOom;
use rustix::{fs::OFlags, io::Errno};

use crate::procfs::Procfs;
use line::Parser;

/// Longest record that the kernel hands out.
const RECORD_BYTES: usize = 8 << 10;
/// So many records are read at once; the rest waits in the kernel's ring.
const MOST_RECORDS: usize = 4_000;

/// The log, read from its end on.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
    parser: Parser,
    /// Whether the numbers of processes in the log are those that are seen here.
    has_our_pids: bool,
    buffer: Vec<u8>,
}

impl KernelLog {
    /// Opens the log of the machine and goes to its end.
    ///
    /// # Errors
    /// When it is not there or may not be read.
    pub fn open(procfs: &Procfs) -> io::Result<Self> {
        Self::open_at(Path::new("/dev/kmsg"), procfs)
    }

    /// The same of another path.
    ///
    /// # Errors
    /// When it is not there or may not be read.
    pub fn open_at(path: &Path, procfs: &Procfs) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            parser: Parser::default(),
            has_our_pids: procfs.is_in_first_pid_namespace().unwrap_or(false),
            buffer: vec![0; RECORD_BYTES],
        })
    }

    /// Whether the numbers of processes in the log are those that are seen here: in a container they are not.
    #[must_use]
    pub fn has_our_pids(&self) -> bool {
        self.has_our_pids
    }

    /// What is readable when there is something new.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn readable(&self) -> io::Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from)
    }

    /// Reads what was written since the last call, and answers whom it tells of.
    ///
    /// # Errors
    /// When the log cannot be read any more.
    pub fn read(&mut self) -> io::Result<Vec<KernelOom>> {
        let mut killed = Vec::new();
        for _ in 0..MOST_RECORDS {
            let length = match self.file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => break,
                    // What was next has been overwritten; the one after it follows. Or a record is longer than any should be.
                    Some(Errno::PIPE | Errno::INVAL | Errno::INTR) => continue,
                    _ => return Err(error),
                },
            };
            let record = String::from_utf8_lossy(&self.buffer[..length]);
            let oom = self.parser.take(&record);
            killed.extend(oom.map(|oom| KernelOom {
                pid: if self.has_our_pids { oom.pid } else { 0 },
                ..oom
            }));
        }
        Ok(killed)
    }
}

/// Whom records of a log tell of, wherever they come from.
pub fn kills_in<'a>(records: impl Iterator<Item = &'a str>) -> Vec<KernelOom> {
    let mut parser = Parser::default();
    records.filter_map(|record| parser.take(record)).collect()
}

#[cfg(test)]
mod tests;
