//! Who writes an events file, where pytest runs in a PID namespace of its own (`unshare --pid`, bubblewrap, a sandbox).
//!
//! There the plugin knows its process by the number it has inside, the sampler by the one it has outside. Both know when it started, and
//! the kernel lists its numbers in `NSpid`. Without this one process would be two, and its memory would count twice.
//!
//! Under sysinfo, which tells starts to the second, the two agree on the number alone: who has it now is the writer.

use std::collections::HashMap;

use highwater_wire::marks::Header;

use super::table::Table;
use crate::{
    budget::Budget, clock::monotonic_us, portable::Processes, procfs::Procfs, pytest::is_pytest,
    tree::ProcessKey,
};

/// Looking for a process means looking at all: at most this share of a core.
const SHARE: f64 = 0.005;
/// What was not used of it in so many µs may be used at once.
const SAVED_US: i64 = 20_000_000;

#[derive(Debug)]
pub(super) struct Names {
    procfs: Procfs,
    budget: Budget,
    outside: HashMap<ProcessKey, ProcessKey>,
    sysinfo: Option<Processes>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            procfs: Procfs::system(),
            budget: Budget::saving(SHARE, SAVED_US),
            outside: HashMap::new(),
            sysinfo: None,
        }
    }
}

impl Names {
    pub(super) fn use_sysinfo(&mut self, processes: Processes) {
        self.sysinfo = Some(processes);
    }

    /// The process as everybody else knows it.
    pub(super) fn outside(&self, inside: ProcessKey) -> ProcessKey {
        self.outside.get(&inside).copied().unwrap_or(inside)
    }

    /// Finds out who wrote a header, and makes the header say so.
    pub(super) fn learn(&mut self, header: &mut Header, table: &Table) {
        let inside = ProcessKey {
            pid: header.pid,
            start_ticks: header.start_ticks,
        };
        if !table.was_born(inside)
            && let Some(outside) = self.find(inside, table)
        {
            self.outside.insert(inside, outside);
        }
        let outside = self.outside(inside);
        (header.pid, header.start_ticks) = (outside.pid, outside.start_ticks);
        if header.forked_from != 0 {
            let parent =
                |(inside, _): &(&ProcessKey, &ProcessKey)| inside.pid == header.forked_from;
            if let Some((_, outside)) = self.outside.iter().find(parent) {
                header.forked_from = outside.pid;
            }
        }
    }

    fn find(&mut self, inside: ProcessKey, table: &Table) -> Option<ProcessKey> {
        if let Some(processes) = &mut self.sysinfo {
            let known = table.newest(inside.pid);
            return known.or_else(|| {
                processes.look_at_command(inside.pid);
                processes.seen(inside.pid).map(|seen| seen.key)
            });
        }
        let mut buffer = Vec::new();
        let started = |pid, buffer: &mut Vec<u8>| {
            let stat = self.procfs.stat(pid, buffer).ok().flatten();
            stat.map(|stat| stat.start_ticks)
        };
        if started(inside.pid, &mut buffer) == Some(inside.start_ticks) {
            // It is what it says, and the tree has not come across it yet.
            return None;
        }
        let began_us = monotonic_us();
        let mut found = None;
        if self.budget.allows(began_us) {
            let is_writer = |pid: &u32| {
                started(*pid, &mut buffer) == Some(inside.start_ticks)
                    && self.procfs.innermost_pid(*pid, &mut buffer) == Some(inside.pid)
            };
            found = self.procfs.pids().ok()?.into_iter().find(is_writer);
            self.budget.spend(began_us, monotonic_us() - began_us);
        }
        let outside = found.map(|pid| ProcessKey {
            pid,
            start_ticks: inside.start_ticks,
        });
        // It may have ended before its file was read.
        outside.or_else(|| table.silent(inside.start_ticks, is_pytest))
    }
}
