//! One cgroup: its open files and what they say.

use std::{path::Path, sync::Arc};

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
    /// How often an allocation met its limit.
    pub limit_met: Option<u64>,
    /// How often nothing could be freed then; version 1 does not count it.
    pub ooms: Option<u64>,
    /// 1 where the kernel kills all of it at once, else 0; version 2 alone can.
    pub oom_group: Option<u64>,
    /// How often the kernel killed all of it at once.
    pub oom_group_kills: Option<u64>,
    /// Whether it was removed while it was read.
    pub is_removed: bool,
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
    name: Arc<str>,
    version: Version,
    pub(super) matters: bool,
    inactive: &'static str,
    usage: HeldFile,
    stat: Option<HeldFile>,
    limit: Option<HeldFile>,
    peak: Option<HeldFile>,
    events: Option<HeldFile>,
    /// Of version 1 alone; version 2 has it among the events.
    limit_met: Option<HeldFile>,
    oom_group: Option<HeldFile>,
}

impl Level {
    /// Opens a cgroup; `None` when it has no memory controller.
    pub(super) fn open(version: Version, name: &str, folder: &Path, matters: bool) -> Option<Self> {
        let names = match version {
            Version::None => return None,
            Version::One => NAMES_ONE,
            Version::Two => NAMES_TWO,
        };
        let open = |file: &str| HeldFile::open(folder.join(file)).ok();
        // The root of version 2 has statistics but no usage and no limit: the machine's figures say the same.
        let usage = open(names.usage)?;
        Some(Self {
            name: Arc::from(name),
            version,
            matters,
            inactive: names.inactive,
            usage,
            stat: open("memory.stat"),
            limit: open(names.limit),
            peak: open(names.peak),
            events: open(names.events),
            limit_met: open("memory.failcnt").filter(|_| version == Version::One),
            oom_group: open("memory.oom.group").filter(|_| version == Version::Two),
        })
    }

    /// Its path, as `/proc/PID/cgroup` names it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path, to be kept.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Reads it. Where it is removed meanwhile, what was read until then is answered.
    ///
    /// # Errors
    /// When a file that was opened cannot be read or understood.
    pub fn read(&self, buffer: &mut Vec<u8>) -> Result<CgroupReading, ProcError> {
        let mut reading = self.read_counts(buffer)?;
        self.read_sizes(&mut reading, true, buffer)?;
        Ok(reading)
    }

    /// Reads what counts kills and meetings with the limit, which is gone soonest: a cgroup whose process was killed is often removed at once.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_counts(&self, buffer: &mut Vec<u8>) -> Result<CgroupReading, ProcError> {
        let mut reading = CgroupReading::default();
        let result = self.counts(&mut reading, buffer);
        reading.is_removed = while_it_is_there(result)?.is_none();
        Ok(reading)
    }

    /// Reads the rest. Where no limit is set its peak and its statistics, which take longest, are read only in full.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_sizes(
        &self,
        reading: &mut CgroupReading,
        in_full: bool,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ProcError> {
        let result = self.sizes(reading, in_full, buffer);
        reading.is_removed |= while_it_is_there(result)?.is_none();
        Ok(())
    }

    fn counts(&self, reading: &mut CgroupReading, buffer: &mut Vec<u8>) -> Result<(), ProcError> {
        if let Some(events) = &self.events {
            events.read(buffer)?;
            reading.oom_kills = events.value(buffer, "oom_kill")?;
            if self.version == Version::Two {
                reading.limit_met = events.value(buffer, "max")?;
                reading.ooms = events.value(buffer, "oom")?;
                reading.oom_group_kills = events.value(buffer, "oom_group_kill")?;
            }
        }
        if self.version == Version::One {
            reading.limit_met = number(self.limit_met.as_ref(), buffer)?;
        }
        Ok(())
    }

    fn sizes(
        &self,
        reading: &mut CgroupReading,
        in_full: bool,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ProcError> {
        reading.usage_bytes = number(Some(&self.usage), buffer)?;
        reading.limit_bytes =
            number(self.limit.as_ref(), buffer)?.filter(|limit| *limit < NO_LIMIT_BYTES);
        reading.oom_group = number(self.oom_group.as_ref(), buffer)?;
        if !in_full && reading.limit_bytes.is_none() {
            return Ok(());
        }
        reading.peak_bytes = number(self.peak.as_ref(), buffer)?;
        if let Some(stat) = &self.stat {
            stat.read(buffer)?;
            reading.working_set_bytes = reading
                .usage_bytes
                .zip(stat.value(buffer, self.inactive)?)
                .map(|(usage, inactive)| usage.saturating_sub(inactive));
        }
        Ok(())
    }
}

/// `None` once the cgroup was removed.
fn while_it_is_there(result: Result<(), ProcError>) -> Result<Option<()>, ProcError> {
    match result {
        Ok(()) => Ok(Some(())),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
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
