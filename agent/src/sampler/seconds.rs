//! What is read each second, and when a process has ended: the cgroups of the job and the machine.

use std::sync::Arc;

use crate::{
    cgroup::{CgroupReading, Cgroups, Home},
    procfs::{MachineFiles, MachineReading, ProcError},
};

/// How often cgroups without a limit are read in full, µs: nothing is decided by how much of their usage is page cache. Where the kernel has killed they
/// are at once: what they reached at the most tells of that.
const IN_FULL_EVERY_US: i64 = 10_000_000;

/// Cgroups and machine at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecondReading {
    /// When, µs since the job's start.
    pub t_us: i64,
    /// The machine.
    pub machine: MachineReading,
    /// Each cgroup by its path.
    pub cgroups: Vec<(Arc<str>, CgroupReading)>,
}

/// The open files of cgroups and machine.
#[derive(Debug)]
pub struct Seconds {
    machine: MachineFiles,
    cgroups: Cgroups,
    read_us: i64,
    /// When they were last read in full.
    in_full_us: Option<i64>,
    /// The kernel's kills that each had counted when it was last read.
    kills: Vec<(Arc<str>, u64)>,
    buffer: Vec<u8>,
}

impl Seconds {
    /// Reads those.
    #[must_use]
    pub fn new(machine: MachineFiles, cgroups: Cgroups) -> Self {
        Self {
            machine,
            cgroups,
            read_us: i64::MIN,
            in_full_us: None,
            kills: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Watches the cgroup of a process too; see [`Cgroups::watch`].
    pub fn watch(&mut self, text: &[u8], matters: bool) -> Option<Home> {
        self.cgroups.watch(text, matters)
    }

    /// Reads all into a reading that was used before; what could not be read is missing there, and the last failure is the answer. Each reading
    /// is later than the one before, whoever asks.
    ///
    /// # Errors
    /// When a file that was opened cannot be read or understood.
    pub fn read(&mut self, t_us: i64, into: &mut SecondReading) -> Result<(), ProcError> {
        let mut result = Ok(());
        into.t_us = t_us.max(self.read_us.saturating_add(1));
        self.read_us = into.t_us;
        into.cgroups.clear();
        let mut has_removed = false;
        // The counters of all cgroups first: these may be removed at any moment, the machine stays.
        for level in self.cgroups.levels() {
            let reading = level.read_counts(&mut self.buffer).unwrap_or_else(|error| {
                result = Err(error);
                CgroupReading::default()
            });
            into.cgroups.push((level.shared_name(), reading));
        }
        let counted = || {
            let cgroups = into.cgroups.iter();
            cgroups.filter_map(|(name, it)| Some((name, it.oom_kills?)))
        };
        let has_more = |(name, kills): (&Arc<str>, u64)| {
            let known = self.kills.iter().find(|(known, _)| known == name);
            known.is_some_and(|(_, before)| kills > *before)
        };
        let has_killed = counted().any(has_more);
        self.kills.clear();
        let kept = counted().map(|(name, kills)| (Arc::clone(name), kills));
        self.kills.extend(kept);
        let is_recent = |before: i64| into.t_us - before < IN_FULL_EVERY_US;
        let in_full = has_killed || !self.in_full_us.is_some_and(is_recent);
        if in_full {
            self.in_full_us = Some(into.t_us);
        }
        for (level, (_, reading)) in self.cgroups.levels().iter().zip(&mut into.cgroups) {
            if let Err(error) = level.read_sizes(reading, in_full, &mut self.buffer) {
                result = Err(error);
            }
            has_removed |= reading.is_removed;
        }
        if has_removed {
            for (name, _) in into.cgroups.iter().filter(|(_, it)| it.is_removed) {
                self.cgroups.forget(name);
            }
        }
        into.machine = self.machine.read(&mut self.buffer).unwrap_or_else(|error| {
            result = Err(error);
            MachineReading::default()
        });
        result
    }
}

#[cfg(test)]
mod tests;
