//! What is read each second: the cgroups of the command and the machine.

use std::sync::Arc;

use crate::{
    cgroup::{CgroupReading, Cgroups, Level},
    procfs::{MachineFiles, MachineReading, ProcError},
};

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
    names: Vec<Arc<str>>,
    buffer: Vec<u8>,
}

impl Seconds {
    /// Reads those.
    #[must_use]
    pub fn new(machine: MachineFiles, cgroups: Cgroups) -> Self {
        let names = cgroups
            .levels()
            .iter()
            .map(Level::name)
            .map(Arc::from)
            .collect();
        Self {
            machine,
            cgroups,
            names,
            buffer: Vec::new(),
        }
    }

    /// Reads all into a reading that was used before; what could not be read is missing there, and the last failure is the answer.
    ///
    /// # Errors
    /// When a file that was opened cannot be read or understood.
    pub fn read(&mut self, t_us: i64, into: &mut SecondReading) -> Result<(), ProcError> {
        let mut result = Ok(());
        into.t_us = t_us;
        into.machine = self.machine.read(&mut self.buffer).unwrap_or_else(|error| {
            result = Err(error);
            MachineReading::default()
        });
        into.cgroups.clear();
        for (name, level) in self.names.iter().zip(self.cgroups.levels()) {
            match level.read(&mut self.buffer) {
                Ok(reading) => into.cgroups.push((Arc::clone(name), reading)),
                Err(error) => result = Err(error),
            }
        }
        result
    }
}
