//! `/proc/PID/smaps_rollup`: PSS. Walks the whole address space under its lock, so its rate follows its cost.

use super::{ProcError, Procfs, bytes_of, read_into};

/// What of `smaps_rollup` is used, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollup {
    /// Resident memory, shared pages whole; 0 where the kernel does not say.
    pub rss_bytes: u64,
    /// Resident memory, shared pages divided by the number of their users.
    pub pss_bytes: u64,
    /// Swapped out; 0 where the kernel does not say.
    pub swap_bytes: u64,
}

impl Procfs {
    /// Reads `smaps_rollup`; `None` when the process is gone or has no address space.
    ///
    /// # Errors
    /// When the file cannot be read (a process of another user is forbidden) or understood.
    pub fn rollup(&self, pid: u32, buffer: &mut Vec<u8>) -> Result<Option<Rollup>, ProcError> {
        let path = self.path_of(pid, "smaps_rollup");
        if read_into(&path, buffer)?.is_none() || buffer.is_empty() {
            return Ok(None);
        }
        let bytes = |key| {
            bytes_of(buffer, key).map_err(|line| {
                ProcError::malformed(&path, line, format!("{key} has no number that fits"))
            })
        };
        Ok(Some(Rollup {
            rss_bytes: bytes("Rss")?.unwrap_or(0),
            pss_bytes: bytes("Pss")?
                .ok_or_else(|| ProcError::malformed(&path, 1, "no line says Pss"))?,
            swap_bytes: bytes("Swap")?.unwrap_or(0),
        }))
    }
}
