//! What the counters of the kernel's out-of-memory killer say, and whether they tell how the job ended.

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::Metric,
};

use crate::{
    digest::limits,
    recording::{Recording, Subject},
};

/// Each counter by how much it rose during the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::digest) struct OomKills {
    /// In the job's own cgroup, the innermost.
    pub(in crate::digest) own_kills: i64,
    /// Whether that was read at all.
    pub(in crate::digest) own_read: bool,
    /// In the cgroups above, without those of the job's own.
    pub(in crate::digest) above_kills: i64,
    pub(in crate::digest) machine_kills: i64,
    /// A cgroup has a limit.
    pub(in crate::digest) cgroup_limited: bool,
    /// A cgroup was at its limit.
    pub(in crate::digest) cgroup_full: bool,
    /// The machine had next to nothing left.
    pub(in crate::digest) machine_full: bool,
}

impl OomKills {
    pub(super) fn of(recording: &Recording) -> Self {
        let cgroups = limits::cgroups(recording);
        let kills: Vec<Option<i64>> = cgroups
            .iter()
            .map(|cgroup| limits::rise(recording, cgroup, Metric::CgroupOomKills))
            .collect();
        let own = kills.first().copied().flatten();
        let above = kills.iter().skip(1).flatten().copied().max().unwrap_or(0);
        let fullness: Vec<bool> = cgroups
            .iter()
            .filter_map(|cgroup| limits::was_full(recording, cgroup))
            .collect();
        Self {
            own_kills: own.unwrap_or(0),
            own_read: own.is_some(),
            above_kills: (above - own.unwrap_or(0)).max(0),
            machine_kills: limits::rise(recording, &Subject::Machine, Metric::MachineOomKills)
                .unwrap_or(0),
            cgroup_limited: !fullness.is_empty(),
            cgroup_full: fullness.contains(&true),
            machine_full: limits::machine_was_full(recording),
        }
    }

    /// Whether the kernel took the job, or a worker of it, for its memory. A kill is counted in the cgroup of whoever was killed and, by
    /// version 2, in all above it, whether a cgroup or the whole machine was short; so the job's own counter must have risen, and what was
    /// short is whatever was full. Above it, and in the machine's counter, the kills of neighbours count too.
    ///
    /// `by_kill`: the command itself died of SIGKILL, so nothing but a kill of it is to be told.
    pub(super) fn verdict(&self, by_kill: bool) -> Option<(Verdict, Confidence)> {
        use Confidence::{Certain, Likely, Possible};
        if self.own_kills > 0 {
            return Some(match (self.cgroup_full, self.machine_full) {
                (true, false) if by_kill => (Verdict::OomCgroup, Certain),
                (false, true) if by_kill => (Verdict::OomMachine, Certain),
                // Both full: either may have been the one that could give no more.
                (true, _) => (Verdict::OomCgroup, Likely),
                (false, true) => (Verdict::OomMachine, Likely),
                (false, false) if self.machine_kills > 0 && !self.cgroup_limited => {
                    (Verdict::OomMachine, Likely)
                }
                (false, false) => (Verdict::OomCgroup, Likely),
            });
        }
        if self.above_kills > 0 && self.cgroup_full {
            return Some((Verdict::OomCgroup, Likely));
        }
        // Where the job's own counter was read and stood still, the machine's rose for somebody else.
        (self.machine_kills > 0 && !self.own_read).then_some((
            Verdict::OomMachine,
            if self.machine_full { Likely } else { Possible },
        ))
    }
}
