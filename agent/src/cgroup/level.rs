//! One cgroup of the path: its open files and what they say.

use std::path::Path;

use super::Version;
use crate::procfs::{HeldFile, ProcError, number_after};

/// A limit this high stands for none: version 1 writes the largest multiple of the page size that fits.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// What a cgroup said at one instant. `None` where it does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CgroupReading {
    /// All memory charged to it, page cache included, bytes.
    pub usage_bytes: Option<u64>,
    /// Usage minus inactive file pages, bytes.
    pub working_set_bytes: Option<u64>,
    /// Its limit, bytes; `None` where there is none.
    pub limit_bytes: Option<u64>,
    /// Highest usage since its creation or reset, bytes.
    pub peak_bytes: Option<u64>,
    /// Processes killed for want of memory in it, or, in version 2, below it.
    pub oom_kills: Option<u64>,
}

/// The names of the files of a version.
struct Names {
    usage: &'static str,
    limit: &'static str,
    peak: &'static str,
    events: &'static str,
    /// Key of the inactive file pages, of the cgroup and all below it, in `memory.stat`.
    inactive: &'static str,
}

const NAMES_ONE: Names = Names {
    usage: "memory.usage_in_bytes",
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
    inactive: "total_inactive_file",
};

const NAMES_TWO: Names = Names {
    usage: "memory.current",
    limit: "memory.max",
    peak: "memory.peak",
    events: "memory.events",
    inactive: "inactive_file",
};

/// The open files of one cgroup; each is missing on some kernel or at some level.
#[derive(Debug)]
pub struct Level {
    name: String,
    inactive: &'static str,
    usage: Option<HeldFile>,
    stat: Option<HeldFile>,
    limit: Option<HeldFile>,
    peak: Option<HeldFile>,
    events: Option<HeldFile>,
}

impl Level {
    /// Opens a cgroup; `None` when it has no memory controller.
    pub(super) fn open(version: Version, name: String, folder: &Path) -> Option<Self> {
        let names = match version {
            Version::None => return None,
            Version::One => NAMES_ONE,
            Version::Two => NAMES_TWO,
        };
        let open = |file: &str| HeldFile::open(folder.join(file)).ok();
        let level = Self {
            name,
            inactive: names.inactive,
            usage: open(names.usage),
            stat: open("memory.stat"),
            limit: open(names.limit),
            peak: open(names.peak),
            events: open(names.events),
        };
        // The root of version 2 has statistics but no usage and no limit: the machine's figures say the same.
        level.usage.is_some().then_some(level)
    }

    /// Its path, as `/proc/PID/cgroup` names it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads it.
    ///
    /// # Errors
    /// When a file that was opened cannot be read (the cgroup may have been removed) or understood.
    pub fn read(&self, buffer: &mut Vec<u8>) -> Result<CgroupReading, ProcError> {
        let usage_bytes = number(self.usage.as_ref(), buffer)?;
        let inactive = keyed(self.stat.as_ref(), self.inactive, buffer)?;
        Ok(CgroupReading {
            usage_bytes,
            working_set_bytes: usage_bytes
                .zip(inactive)
                .map(|(usage, inactive)| usage.saturating_sub(inactive)),
            limit_bytes: number(self.limit.as_ref(), buffer)?
                .filter(|limit| *limit < NO_LIMIT_BYTES),
            peak_bytes: number(self.peak.as_ref(), buffer)?,
            oom_kills: keyed(self.events.as_ref(), "oom_kill", buffer)?,
        })
    }
}

fn keyed(
    file: Option<&HeldFile>,
    key: &str,
    buffer: &mut Vec<u8>,
) -> Result<Option<u64>, ProcError> {
    let Some(file) = file else {
        return Ok(None);
    };
    file.read(buffer)?;
    file.value(buffer, key)
}

/// A file of one number, or of the word `max`.
fn number(file: Option<&HeldFile>, buffer: &mut Vec<u8>) -> Result<Option<u64>, ProcError> {
    let Some(file) = file else {
        return Ok(None);
    };
    file.read(buffer)?;
    if buffer.starts_with(b"max") {
        return Ok(None);
    }
    let number = number_after(buffer).ok_or_else(|| file.wrong(1, "is no number and not `max`"))?;
    Ok(Some(number))
}
