//! Whom the guard tells: the processes that lead a session of pytest, never a worker, since whoever leads ends its workers and
//! writes the reports.

use std::collections::{HashMap, HashSet};

use super::Roster;
use crate::{
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
            // Below a runner that serves others too it may be a stranger's; a fork that a test left behind is no pytest.
            None => {
                member.is_sure
                    && !member.is_copy
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
}
