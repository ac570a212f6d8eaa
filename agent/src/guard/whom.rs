//! Whom the guard tells: the processes that lead a session of pytest, never a worker, since whoever leads ends its workers and
//! writes the reports.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use super::Roster;
use crate::{
    pidfd,
    procfs::Procfs,
    pytest::is_pytest,
    tree::{Member, ProcessKey},
};

/// The processes that lead sessions: by what the plugin told; where none spoke, by their command. What a test started is none.
pub(super) fn leaders(procfs: &Procfs, members: &[Member], roster: &Roster) -> Vec<ProcessKey> {
    let mut buffer = Vec::new();
    let mut parents = HashMap::new();
    let (mut leaders, mut above) = (Vec::new(), HashSet::new());
    for member in members {
        let key = member.key;
        if let Ok(Some(stat)) = procfs.stat(key.pid, &mut buffer) {
            parents.insert(key.pid, stat.parent_pid);
        }
        let player = roster.of(key);
        let leads = match &player {
            Some(player) => player.leads,
            // Below a runner that serves others too it may be a stranger's.
            None => {
                member.is_sure
                    && procfs
                        .words(key.pid, &mut buffer)
                        .is_ok_and(|words| is_pytest(&words))
            }
        };
        if leads {
            leaders.push(key);
        }
        if leads || player.is_some() {
            above.insert(key.pid);
        }
    }
    leaders.retain(|key| !has_one_above(key.pid, &parents, &above));
    leaders
}

/// A process and everything below it, among the members.
pub(super) fn with_descendants(
    procfs: &Procfs,
    members: &[Member],
    tops: &[ProcessKey],
) -> Vec<ProcessKey> {
    let mut buffer = Vec::new();
    let tops: HashSet<u32> = tops.iter().map(|key| key.pid).collect();
    let parents: HashMap<u32, u32> = members
        .iter()
        .filter_map(|member| {
            let stat = procfs.stat(member.key.pid, &mut buffer).ok().flatten()?;
            Some((member.key.pid, stat.parent_pid))
        })
        .collect();
    members
        .iter()
        .map(|member| member.key)
        .filter(|key| tops.contains(&key.pid) || has_one_above(key.pid, &parents, &tops))
        .collect()
}

fn has_one_above(pid: u32, parents: &HashMap<u32, u32>, above: &HashSet<u32>) -> bool {
    let mut at = pid;
    // Numbers are used again, so what was read may seem to form a circle.
    for _ in 0..=parents.len() {
        match parents.get(&at) {
            Some(parent) if above.contains(parent) => return true,
            Some(parent) => at = *parent,
            None => return false,
        }
    }
    false
}

/// Sends a signal to a process, and to no other that has its number by now.
///
/// # Errors
/// When it is gone, or the kernel refuses.
pub(super) fn send(procfs: &Procfs, key: ProcessKey, signal: i32) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let pid = Pid::from_raw(key.pid.cast_signed()).ok_or_else(invalid)?;
    let signal = Signal::from_named_raw(signal).ok_or_else(invalid)?;
    let handle = pidfd::open(key.pid);
    // The handle stands for whoever had the number when it was opened: what is read now is of that process, or of none.
    let stat = procfs
        .stat(key.pid, &mut Vec::new())
        .map_err(io::Error::other)?;
    if stat.is_none_or(|stat| stat.start_ticks != key.start_ticks) {
        return Err(Errno::SRCH.into());
    }
    match handle {
        Ok(handle) => pidfd::send(&handle, signal)?,
        // Before Linux 5.3, and where a sandbox forbids it.
        Err(Errno::NOSYS | Errno::PERM) => kill_process(pid, signal)?,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_is_found_over_several_steps() {
        let parents = HashMap::from([(4, 3), (3, 2), (2, 1), (9, 8), (8, 9)]);
        let above = HashSet::from([2]);
        assert!(has_one_above(4, &parents, &above));
        assert!(has_one_above(3, &parents, &above));
        assert!(!has_one_above(2, &parents, &above));
        assert!(!has_one_above(9, &parents, &above));
    }

    #[test]
    fn a_number_that_is_anothers_by_now_is_not_signalled() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let procfs = Procfs::system();
        let stat = procfs.stat(child.id(), &mut Vec::new()).unwrap().unwrap();
        let mut key = ProcessKey {
            pid: child.id(),
            start_ticks: stat.start_ticks + 1,
        };
        let error = send(&procfs, key, 15).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::SRCH));
        assert!(child.try_wait().unwrap().is_none());
        key.start_ticks = stat.start_ticks;
        send(&procfs, key, 15).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(15)
        );
    }
}
