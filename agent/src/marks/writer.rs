//! Who writes an events file, where pytest runs in a PID namespace of its own (`unshare --pid`, bubblewrap, a sandbox).
//!
//! There the plugin knows its process by the number it has inside, everybody else by the one it has outside. Both know when it started, and the kernel
//! lists its numbers in `NSpid`.

use std::collections::HashSet;

use crate::{
    procfs::{ProcError, Procfs},
    tree::ProcessKey,
};

/// The first process that is there, a zombie too, and calls itself by one of these names: number and start. `None` where none is.
///
/// One that may not be read is not found.
///
/// # Errors
/// When the processes cannot be listed.
pub fn find_writer(
    procfs: &Procfs,
    inside: &HashSet<ProcessKey>,
) -> Result<Option<ProcessKey>, ProcError> {
    find(procfs, inside, |_| true)
}

/// Whether a process that calls itself by one of these names lives, and may write on.
///
/// # Errors
/// When the processes cannot be listed.
pub fn writer_lives(procfs: &Procfs, inside: &HashSet<ProcessKey>) -> Result<bool, ProcError> {
    Ok(find(procfs, inside, |is_dead| !is_dead)?.is_some())
}

fn find(
    procfs: &Procfs,
    inside: &HashSet<ProcessKey>,
    wanted: impl Fn(bool) -> bool,
) -> Result<Option<ProcessKey>, ProcError> {
    // Most processes are none of them, and are passed over by when they started.
    let starts: HashSet<u64> = inside.iter().map(|key| key.start_ticks).collect();
    let mut buffer = Vec::new();
    let mut is_writer = |pid: &u32| -> Option<ProcessKey> {
        let stat = procfs.stat(*pid, &mut buffer).ok()??;
        if !starts.contains(&stat.start_ticks) || !wanted(stat.is_dead()) {
            return None;
        }
        let named = |pid| ProcessKey {
            pid,
            start_ticks: stat.start_ticks,
        };
        let outside = named(*pid);
        let mut innermost = || procfs.innermost_pid(*pid, &mut buffer).map(named);
        let is_one =
            inside.contains(&outside) || innermost().is_some_and(|key| inside.contains(&key));
        is_one.then_some(outside)
    };
    Ok(match inside.is_empty() {
        true => None,
        false => procfs.pids()?.iter().find_map(&mut is_writer),
    })
}
