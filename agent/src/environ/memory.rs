//! `/proc/PID/mem`, read without stopping the process.

use std::{fs::File, io, os::unix::fs::FileExt};

use crate::procfs::Procfs;

/// Bytes of a pointer.
pub(super) const WORD_BYTES: u64 = 8;

/// What a first read of a string takes: most are shorter.
const FIRST_BYTES: usize = 256;

/// What each further read of a string takes.
const MORE_BYTES: usize = 4096;

/// Why a place could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process has given its memory back: it ended, or runs another program.
    Gone,
    /// Nothing is there.
    NotMapped,
}

/// The memory of a process as it is. It stays that of the program it was opened on, also after exec.
#[derive(Debug)]
pub(super) struct Memory(File);

impl Memory {
    /// Opens it.
    ///
    /// # Errors
    /// When the process is gone or the kernel refuses.
    pub(super) fn open(procfs: &Procfs, pid: u32) -> io::Result<Self> {
        File::open(procfs.path_of(pid, "mem")).map(Self)
    }

    /// Reads up to the end of the buffer or of what is mapped.
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Fault> {
        match self.0.read_at(buffer, address) {
            Ok(0) => Err(Fault::Gone),
            Ok(length) => Ok(length),
            // Of an address that nothing can have, and of one where nothing is.
            Err(_) => Err(Fault::NotMapped),
        }
    }

    /// Reads the whole buffer.
    pub(super) fn fill(&self, address: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        if self.read(address, buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(Fault::NotMapped)
        }
    }

    /// Reads a pointer.
    pub(super) fn word(&self, address: u64) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.fill(address, &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Reads a string without its zero; `false` when it is longer than `longest`.
    pub(super) fn text(
        &self,
        address: u64,
        longest: usize,
        text: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        text.clear();
        let mut piece = FIRST_BYTES;
        while text.len() <= longest {
            let known = text.len();
            text.resize(known + piece, 0);
            let at = address.checked_add(known as u64).ok_or(Fault::NotMapped)?;
            let length = self.read(at, &mut text[known..])?;
            text.truncate(known + length);
            if let Some(zero) = text[known..].iter().position(|byte| *byte == 0) {
                text.truncate(known + zero);
                return Ok(text.len() <= longest);
            }
            piece = MORE_BYTES;
        }
        Ok(false)
    }
}
