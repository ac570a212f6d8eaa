//! What the kernel's log says of the processes that it killed for want of memory.

use highwater_wire::{
    report::Role,
    v1::{Event, event::What},
};

use super::super::parts::Parts;

/// The log may be read this long after a process was gone.
const SLACK_US: i64 = 3_000_000;

/// A kill that the kernel's log tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::digest) struct LogKill {
    pub(in crate::digest) at_us: i64,
    pub(in crate::digest) pid: u32,
    pub(in crate::digest) comm: String,
    /// Its anonymous memory then, bytes; 0 when unknown.
    pub(in crate::digest) anon_bytes: u64,
    /// Whether a cgroup's limit was met; else the machine was short.
    pub(in crate::digest) of_cgroup: bool,
    /// Position of the process of the job that it was.
    pub(in crate::digest) process: Option<usize>,
}

pub(super) fn of(parts: &Parts<'_>) -> Vec<LogKill> {
    let kill = |event: &Event| match &event.what {
        Some(What::KernelOom(oom)) => Some(LogKill {
            at_us: event.t_us,
            pid: oom.pid,
            comm: oom.comm.clone(),
            anon_bytes: oom.anon_bytes,
            of_cgroup: !oom.cgroup.is_empty(),
            process: killed(parts, oom.pid, event.t_us),
        }),
        _ => None,
    };
    parts.recording.events().iter().filter_map(kill).collect()
}

/// The process of the job that had a number when the kernel killed it; of several the one that started last.
fn killed(parts: &Parts<'_>, pid: u32, at_us: i64) -> Option<usize> {
    parts.processes.iter().rposition(|process| {
        process.key.pid == pid
            && process.role != Role::Other
            && process.started_us <= at_us
            && process
                .ended_us
                .is_none_or(|ended| ended.saturating_add(SLACK_US) >= at_us)
    })
}
