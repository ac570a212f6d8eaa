//! Every constraint on memory with its own measure of use.

use highwater_wire::{
    report::{LimitKind, LimitUse},
    v1::Metric,
};

use super::{
    cgroups::Cgroups,
    readings::{self, values},
};
use crate::recording::{Recording, Subject};

pub(super) fn of_job(recording: &Recording, cgroups: &Cgroups, peak_bytes: i64) -> Vec<LimitUse> {
    let mut limits = Vec::new();
    // In order of their paths.
    for path in readings::cgroups(recording) {
        if !cgroups.all().any(|bound| bound == path) {
            continue;
        }
        let subject = Subject::Cgroup(path.to_owned());
        let (Some(limit), Some(used)) = (
            values(recording, &subject, Metric::CgroupLimit).min(),
            values(recording, &subject, Metric::CgroupWorkingSet).max(),
        ) else {
            continue;
        };
        limits.push(LimitUse {
            kind: LimitKind::Cgroup,
            path: path.to_owned(),
            limit_bytes: limit.cast_unsigned(),
            worst_used_bytes: used.cast_unsigned(),
        });
    }
    let total = values(recording, &Subject::Machine, Metric::MachineTotal).max();
    let least = values(recording, &Subject::Machine, Metric::MachineAvailable).min();
    if let (Some(total), Some(least)) = (total, least) {
        limits.push(LimitUse {
            kind: LimitKind::Machine,
            path: String::new(),
            limit_bytes: total.cast_unsigned(),
            worst_used_bytes: (total - least).max(0).cast_unsigned(),
        });
    }
    if recording.job().budget_bytes > 0 {
        limits.push(LimitUse {
            kind: LimitKind::Budget,
            path: String::new(),
            limit_bytes: recording.job().budget_bytes,
            worst_used_bytes: peak_bytes.max(0).cast_unsigned(),
        });
    }
    limits
}

/// The smallest room left under any limit; negative where one was passed.
pub(crate) fn headroom(limits: &[LimitUse]) -> Option<i64> {
    LimitUse::tightest(limits).map(LimitUse::left_bytes)
}

/// A limit of which less than this part is left is full.
const FULL_PART: i64 = 20;

/// Whether next to nothing of a limit was left.
pub(super) fn is_full(used_bytes: i64, limit_bytes: i64) -> bool {
    used_bytes >= limit_bytes - limit_bytes / FULL_PART
}

/// Whether a cgroup came within a twentieth of its limit; `None` without a limit. Page cache fills any cgroup and gives way, so the
/// working set counts; between two readings the kernel's own mark does, where it rose during the job: it begins with the cgroup, which
/// may have served others before. Where the kernel counts how often the limit was met and never did, it was not full.
pub(super) fn was_full(recording: &Recording, cgroup: &Subject) -> Option<bool> {
    let limit = values(recording, cgroup, Metric::CgroupLimit).min()?;
    if readings::rises(recording, cgroup, Metric::CgroupLimitMet).is_some_and(|met| met.is_empty())
    {
        return Some(false);
    }
    let used = values(recording, cgroup, Metric::CgroupWorkingSet).max();
    let first_mark = values(recording, cgroup, Metric::CgroupPeak).next();
    let risen_mark = values(recording, cgroup, Metric::CgroupPeak)
        .max()
        .filter(|last| Some(*last) > first_mark);
    let most = used.max(risen_mark);
    Some(most.is_some_and(|most| is_full(most, limit)))
}

/// Whether the machine came within a twentieth of its memory.
pub(super) fn machine_was_full(recording: &Recording) -> bool {
    let total = values(recording, &Subject::Machine, Metric::MachineTotal).max();
    let least = values(recording, &Subject::Machine, Metric::MachineAvailable).min();
    total
        .zip(least)
        .is_some_and(|(total, least)| is_full(total - least, total))
}
