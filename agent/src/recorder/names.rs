//! What a process is called that knows itself by another number than the sampler, in a PID namespace of its own; see [`find_writer`]. Without this one
//! process would be two, and its memory would count twice.
//!
//! Under sysinfo, which tells starts to the second, the two agree on the number alone: who has it now is the writer.

use std::collections::{HashMap, HashSet};

use highwater_wire::marks::Header;

use super::table::Table;
use crate::{
    budget::Budget, clock::monotonic_us, marks::find_writer, portable::Processes, procfs::Procfs,
    pytest::is_pytest, tree::ProcessKey,
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
        let ProcessKey { pid, start_ticks } = inside;
        let named = self.procfs.stat_of(pid, start_ticks, &mut Vec::new());
        if named.is_ok_and(|stat| stat.is_some()) {
            // It is what it says, and the tree has not come across it yet.
            return None;
        }
        let began_us = monotonic_us();
        let mut outside = None;
        if self.budget.allows(began_us) {
            outside = find_writer(&self.procfs, &HashSet::from([inside])).ok()?;
            self.budget.spend(began_us, monotonic_us() - began_us);
        }
        // It may have ended before its file was read.
        outside.or_else(|| table.silent(inside.start_ticks, is_pytest))
    }
}
