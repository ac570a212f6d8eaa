//! `/proc/PID/statm`: the memory of a process, read on each tick.

use std::{fs::File, path::PathBuf};

use rustix::io::pread;

use super::{ProcError, Procfs, number_after, still_there};

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statm {
    /// The address space.
    pub size_bytes: u64,
    /// In memory.
    pub resident_bytes: u64,
    /// In memory and of the process alone: resident minus shared (files and shared memory).
    pub anon_bytes: u64,
    /// Size of the program's code; another one after exec of another program.
    pub text_bytes: u64,
}

/// An open `statm`.
#[derive(Debug)]
pub struct StatmFile {
    file: File,
    path: PathBuf,
    page_bytes: u64,
}

impl Procfs {
    /// Opens `statm` of a process; `None` when it is gone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_statm(&self, pid: u32, page_bytes: u64) -> Result<Option<StatmFile>, ProcError> {
        let path = self.path_of(pid, "statm");
        let file = still_there(File::open(&path)).map_err(|source| ProcError::io(&path, source))?;
        Ok(file.map(|file| StatmFile {
            file,
            path,
            page_bytes,
        }))
    }
}

impl StatmFile {
    /// Reads it into the stack; `None` once the process has ended, reaped or not.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn read(&self) -> Result<Option<Statm>, ProcError> {
        let mut buffer = [0_u8; 160];
        let read = pread(&self.file, &mut buffer, 0).map_err(Into::into);
        let read = still_there(read).map_err(|source| ProcError::io(&self.path, source))?;
        let Some(length) = read else {
            return Ok(None);
        };
        let mut fields = buffer[..length]
            .split(|byte| *byte == b' ')
            .map(|field| number_after(field)?.checked_mul(self.page_bytes));
        let mut bytes = || fields.next().flatten();
        let (Some(size), Some(resident), Some(shared), Some(text)) =
            (bytes(), bytes(), bytes(), bytes())
        else {
            return Err(ProcError::malformed(
                &self.path,
                1,
                "has no four numbers that fit",
            ));
        };
        // A process without any address space has given it back: it is a zombie.
        Ok((size > 0).then(|| Statm {
            size_bytes: size,
            resident_bytes: resident,
            anon_bytes: resident.saturating_sub(shared),
            text_bytes: text,
        }))
    }
}
