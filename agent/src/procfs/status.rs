//! `/proc/PID/status`: swap and the high-water mark. Costs ten times a `statm`, so it is read rarely.

use super::{ProcError, Procfs, read_into, value_of};

/// What of `status` is used, in bytes; 0 where the kernel does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// `VmHWM`: highest RSS since the program began or its mark was reset.
    pub high_water_bytes: u64,
    /// `VmSwap`.
    pub swap_bytes: u64,
}

impl Procfs {
    /// Reads `status` of a process; `None` when it is gone.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn status(&self, pid: u32, buffer: &mut Vec<u8>) -> Result<Option<Status>, ProcError> {
        let path = self.path_of(pid, "status");
        if read_into(&path, buffer)?.is_none() {
            return Ok(None);
        }
        let bytes = |key| {
            value_of(buffer, key)
                .map(|kib| kib.unwrap_or(0) * 1024)
                .map_err(|line| ProcError::malformed(&path, line, format!("{key} has no number")))
        };
        Ok(Some(Status {
            high_water_bytes: bytes("VmHWM")?,
            swap_bytes: bytes("VmSwap")?,
        }))
    }
}

/// The signals that `status` says are ignored, as a mask whose lowest bit is signal 1; `None` where it does not say.
#[must_use]
pub fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
