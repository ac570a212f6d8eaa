//! `/proc/PID/status`: swap and the high-water mark. Costs ten times a `statm`, so it is read rarely.

use super::{ProcError, Procfs, bytes_of, number_after, read_into};

/// What of `status` is used, in bytes; 0 where the kernel does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// `VmHWM`: highest RSS since the program began or its mark was reset.
    pub high_water_bytes: u64,
    /// `VmSwap`.
    pub swap_bytes: u64,
    /// `VmPeak`: the largest its address space was.
    pub address_space_peak_bytes: u64,
}

/// A limit of so many bytes is none: no machine has them.
const AS_GOOD_AS_NONE: u64 = 1 << 60;

/// What of `limits` is used, in bytes; `None` where there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryLimits {
    /// `RLIMIT_AS`: of the address space.
    pub address_space_bytes: Option<u64>,
    /// `RLIMIT_DATA`: of the private memory that may be written to.
    pub data_bytes: Option<u64>,
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
            bytes_of(buffer, key)
                .map(|bytes| bytes.unwrap_or(0))
                .map_err(|line| {
                    ProcError::malformed(&path, line, format!("{key} has no number that fits"))
                })
        };
        Ok(Some(Status {
            high_water_bytes: bytes("VmHWM")?,
            swap_bytes: bytes("VmSwap")?,
            address_space_peak_bytes: bytes("VmPeak")?,
        }))
    }
}

impl Procfs {
    /// What the memory of a process may grow to (the soft limits); none of it when it is gone.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn memory_limits(&self, pid: u32, buffer: &mut Vec<u8>) -> Result<MemoryLimits, ProcError> {
        if read_into(&self.path_of(pid, "limits"), buffer)?.is_none() {
            return Ok(MemoryLimits::default());
        }
        let limit = |name: &[u8]| {
            let mut lines = buffer.split(|byte| *byte == b'\n');
            lines
                .find_map(|line| line.strip_prefix(name))
                .and_then(number_after)
                .filter(|bytes| *bytes < AS_GOOD_AS_NONE)
        };
        Ok(MemoryLimits {
            address_space_bytes: limit(b"Max address space"),
            data_bytes: limit(b"Max data size"),
        })
    }

    /// The number that a process has in the innermost PID namespace it is in, where that is not the one of this `/proc`; `None` also when
    /// it is gone.
    #[must_use]
    pub fn innermost_pid(&self, pid: u32, buffer: &mut Vec<u8>) -> Option<u32> {
        read_into(&self.path_of(pid, "status"), buffer).ok()??;
        let status = String::from_utf8_lossy(buffer);
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let mut numbers = numbers.split_ascii_whitespace();
        numbers.next()?;
        numbers.next_back()?.parse().ok()
    }
}

/// The signals that `status` says are ignored, as a mask whose lowest bit is signal 1; `None` where it does not say.
#[must_use]
pub fn ignored_signals(status: &str) -> Option<u64> {
    mask_of(status, "SigIgn:")
}

/// The capabilities that `status` says are effective, as a mask whose lowest bit is capability 0; `None` where it does not say.
#[must_use]
pub fn effective_capabilities(status: &str) -> Option<u64> {
    mask_of(status, "CapEff:")
}

fn mask_of(status: &str, key: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix(key))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
