//! What sysinfo says of processes and of the machine.

use sysinfo::{
    MemoryRefreshKind, Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System,
    UpdateKind,
};

use crate::{procfs::MachineReading, tree::ProcessKey};

/// The processes of the machine as they were when last looked at.
pub struct Processes {
    system: System,
    /// Seconds since 1970 at which the machine was started: starts are told since then.
    boot_unix_s: u64,
    ticks_per_second: u64,
}

/// One living process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which. Its start is known to the second only, so a number used again within a second is not told apart.
    pub key: ProcessKey,
    /// Its parent, 0 where that is not told.
    pub parent_pid: u32,
    /// In memory, bytes.
    pub resident_bytes: u64,
}

impl std::fmt::Debug for Processes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processes")
            .field("boot_unix_s", &self.boot_unix_s)
            .finish_non_exhaustive()
    }
}

impl Processes {
    /// Nothing was looked at yet.
    ///
    /// # Errors
    /// When sysinfo does not know this system, in its words.
    pub fn new() -> Result<Self, String> {
        Ok(Self {
            system: System::new().map_err(|error| error.to_string())?,
            boot_unix_s: System::boot_time().unwrap_or(0),
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
        })
    }

    /// Looks at every process there is; costs milliseconds.
    pub fn look_at_all(&mut self) {
        self.look(ProcessesToUpdate::All, UpdateKind::OnlyIfNotSet);
    }

    /// Looks at some.
    pub fn look_at(&mut self, pids: &[Pid]) {
        self.look(ProcessesToUpdate::Some(pids), UpdateKind::Never);
    }

    /// Looks at one, its command included.
    pub fn look_at_command(&mut self, pid: u32) {
        let pids = [Pid::from_u32(pid)];
        self.look(ProcessesToUpdate::Some(&pids), UpdateKind::Always);
    }

    fn look(&mut self, which: ProcessesToUpdate<'_>, command: UpdateKind) {
        let what = ProcessRefreshKind::nothing()
            .with_memory()
            .with_cmd(command)
            .without_tasks();
        self.system.refresh_processes_specifics(which, true, what);
    }

    /// A process as it was when last looked at; `None` when it was gone, or dead and not reaped.
    #[must_use]
    pub fn seen(&self, pid: u32) -> Option<Seen> {
        self.told(self.system.process(Pid::from_u32(pid))?)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Seen> {
        self.system
            .processes()
            .values()
            .filter_map(|process| self.told(process))
    }

    fn told(&self, process: &Process) -> Option<Seen> {
        let is_dead = matches!(
            process.status(),
            ProcessStatus::Zombie | ProcessStatus::Dead
        );
        // On Linux threads may be listed among the processes.
        if is_dead || process.thread_kind().is_some() {
            return None;
        }
        let since_boot_s = process.start_time().saturating_sub(self.boot_unix_s);
        Some(Seen {
            key: ProcessKey {
                pid: process.pid().as_u32(),
                start_ticks: since_boot_s.saturating_mul(self.ticks_per_second),
            },
            parent_pid: process.parent().map_or(0, Pid::as_u32),
            resident_bytes: process.memory(),
        })
    }

    /// The words of a process's command; its bracketed name where it has none or keeps them to itself.
    #[must_use]
    pub fn words(&self, pid: u32) -> Vec<String> {
        let Some(process) = self.system.process(Pid::from_u32(pid)) else {
            return Vec::new();
        };
        let words: Vec<String> = process
            .cmd()
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        match words.is_empty() {
            true => vec![format!("[{}]", process.name().to_string_lossy())],
            false => words,
        }
    }

    /// The machine's memory and swap, now.
    pub fn machine(&mut self) -> MachineReading {
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::everything());
        let told = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
        MachineReading {
            total_bytes: told(self.system.total_memory()),
            available_bytes: told(self.system.available_memory()),
            swap_total_bytes: Some(self.system.total_swap()),
            swap_used_bytes: Some(self.system.used_swap()),
            ..MachineReading::default()
        }
    }
}
