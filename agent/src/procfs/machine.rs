//! The machine: `meminfo`, `vmstat`, `pressure/memory`, each second on open descriptors.

use std::{fs::File, path::PathBuf};

use rustix::io::{Errno, pread};

use super::{ProcError, Procfs, bytes_of, value_of};

/// Key of `vmstat` of the processes killed for want of memory.
const OOM_KILLS: &str = "oom_kill";
/// Of `vmstat` so much is asked for at once: that key stands at 2.6 kB of 4.1 kB on Linux 6.18.
const PIECE_BYTES: usize = 3 << 10;

/// What the machine said at one instant. `None` where this kernel does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MachineReading {
    /// `MemTotal`, bytes.
    pub total_bytes: Option<u64>,
    /// `MemAvailable`, bytes.
    pub available_bytes: Option<u64>,
    /// `SwapTotal`, bytes.
    pub swap_total_bytes: Option<u64>,
    /// `SwapTotal` minus `SwapFree`, bytes.
    pub swap_used_bytes: Option<u64>,
    /// Processes killed for want of memory since boot.
    pub oom_kills: Option<u64>,
    /// Share of the last 10 s in which some task waited for memory, hundredths of a percent.
    pub psi_some: Option<u64>,
    /// Share of the last 10 s in which all tasks waited for memory, hundredths of a percent.
    pub psi_full: Option<u64>,
}

/// The open files of the machine.
#[derive(Debug)]
pub struct MachineFiles {
    meminfo: HeldFile,
    vmstat: Option<HeldFile>,
    pressure: Option<HeldFile>,
}

impl Procfs {
    /// Opens the machine's files; only `meminfo` must be there.
    ///
    /// # Errors
    /// When `meminfo` cannot be opened.
    pub fn open_machine(&self) -> Result<MachineFiles, ProcError> {
        Ok(MachineFiles {
            meminfo: HeldFile::open(self.path("meminfo"))?,
            vmstat: HeldFile::open(self.path("vmstat")).ok(),
            pressure: HeldFile::open(self.path("pressure/memory")).ok(),
        })
    }
}

impl MachineFiles {
    /// Reads them all.
    ///
    /// # Errors
    /// When a file that was opened cannot be read or understood.
    pub fn read(&self, buffer: &mut Vec<u8>) -> Result<MachineReading, ProcError> {
        let mut reading = MachineReading::default();
        self.meminfo.read(buffer)?;
        let bytes = |key| self.meminfo.bytes(buffer, key);
        reading.total_bytes = bytes("MemTotal")?;
        reading.available_bytes = bytes("MemAvailable")?;
        reading.swap_total_bytes = bytes("SwapTotal")?;
        reading.swap_used_bytes = match (reading.swap_total_bytes, bytes("SwapFree")?) {
            (Some(total), Some(free)) => Some(total.saturating_sub(free)),
            _ => None,
        };
        if let Some(vmstat) = &self.vmstat {
            vmstat.read_to(OOM_KILLS, buffer)?;
            reading.oom_kills = vmstat.value(buffer, OOM_KILLS)?;
        }
        if let Some(pressure) = &self.pressure
            // The file opens but answers EOPNOTSUPP where PSI is compiled in and switched off.
            && pressure.read(buffer).is_ok()
        {
            reading.psi_some = average(buffer, b"some ");
            reading.psi_full = average(buffer, b"full ");
        }
        Ok(reading)
    }
}

/// `avg10` of a line of a pressure file, in hundredths of a percent.
fn average(text: &[u8], line: &[u8]) -> Option<u64> {
    let line = text
        .split(|byte| *byte == b'\n')
        .find_map(|whole| whole.strip_prefix(line))?;
    let value = std::str::from_utf8(line)
        .ok()?
        .strip_prefix("avg10=")?
        .split(' ')
        .next()?;
    let (whole, hundredths) = value.split_once('.')?;
    let hundredths = hundredths.get(..2)?.parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(100)?.checked_add(hundredths)
}

/// A file of the kernel that stays open and is read again from its begin.
#[derive(Debug)]
pub(crate) struct HeldFile {
    file: File,
    path: PathBuf,
}

impl HeldFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, ProcError> {
        match File::open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(ProcError::Io { path, source }),
        }
    }

    /// Reads the whole of a file that the kernel makes at once (`single_open`, and all of a cgroup) into a buffer that grows once and is used again.
    pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> Result<(), ProcError> {
        let mut length = 0;
        loop {
            if buffer.len() < length + 2048 {
                buffer.resize(length + 4096, 0);
            }
            let room = buffer.len() - length;
            let more = self.read_at(&mut buffer[length..], length)?;
            length += more;
            if more < room {
                break;
            }
        }
        buffer.truncate(length);
        Ok(())
    }

    /// Reads a file that the kernel makes line by line, but no further than the line of a key: each line costs about 80 ns.
    fn read_to(&self, key: &str, buffer: &mut Vec<u8>) -> Result<(), ProcError> {
        let mut length = 0;
        loop {
            buffer.resize(length + PIECE_BYTES, 0);
            let more = self.read_at(&mut buffer[length..], length)?;
            length += more;
            // The last line of a piece may be cut off.
            let whole = buffer[..length].iter().rposition(|byte| *byte == b'\n');
            let is_there = self.value(&buffer[..whole.unwrap_or(0)], key)?.is_some();
            if is_there || more == 0 {
                break;
            }
        }
        buffer.truncate(length);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], at: usize) -> Result<usize, ProcError> {
        loop {
            match pread(&self.file, &mut *buffer, at as u64) {
                Err(Errno::INTR) => {}
                read => return read.map_err(|error| ProcError::io(&self.path, error.into())),
            }
        }
    }

    /// The number after a key in what was read.
    pub(crate) fn value(&self, text: &[u8], key: &str) -> Result<Option<u64>, ProcError> {
        value_of(text, key)
            .map_err(|line| ProcError::malformed(&self.path, line, format!("{key} has no number")))
    }

    /// The size after a key in what was read, in bytes; there it is in kB.
    fn bytes(&self, text: &[u8], key: &str) -> Result<Option<u64>, ProcError> {
        bytes_of(text, key).map_err(|line| {
            ProcError::malformed(&self.path, line, format!("{key} has no number that fits"))
        })
    }

    pub(crate) fn wrong(&self, line: usize, reason: impl Into<String>) -> ProcError {
        ProcError::malformed(&self.path, line, reason)
    }
}
