//! The last field of `/proc/loadavg`: the number given to the newest process or thread of this pid namespace.
//!
//! While it stands still nothing was born, so one small read replaces a scan of `/proc` on most ticks; and when it moved a
//! little, only the numbers it passed need a look. Emulations of `/proc` (gVisor, lxcfs) may show a constant or the
//! host's number, so whoever uses it first tries it on a process of known number.

use std::{fs::File, path::PathBuf};

use rustix::io::pread;

use super::{ProcError, Procfs};

/// An open `loadavg`.
#[derive(Debug)]
pub struct BirthCounter {
    file: File,
    path: PathBuf,
}

impl Procfs {
    /// Opens the counter.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_births(&self) -> Result<BirthCounter, ProcError> {
        let path = self.path("loadavg");
        let file = File::open(&path).map_err(|source| ProcError::io(&path, source))?;
        Ok(BirthCounter { file, path })
    }
}

impl BirthCounter {
    /// The newest number.
    ///
    /// # Errors
    /// When it cannot be read or has no such field.
    pub fn newest(&self) -> Result<u32, ProcError> {
        let mut buffer = [0_u8; 128];
        let length = pread(&self.file, &mut buffer, 0)
            .map_err(|error| ProcError::io(&self.path, error.into()))?;
        buffer[..length]
            .trim_ascii_end()
            .rsplit(|byte| *byte == b' ')
            .next()
            .and_then(|field| std::str::from_utf8(field).ok()?.parse().ok())
            .ok_or_else(|| ProcError::malformed(&self.path, 1, "ends with no process number"))
    }
}
