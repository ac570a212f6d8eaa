//! Every constraint on memory with its own measure of use.

use highwater_wire::{
    report::{LimitKind, LimitUse},
    v1::Metric,
};

use crate::recording::{Group, Rate, Recording, SeriesKey, Subject};

pub(super) fn of_job(recording: &Recording, peak_bytes: i64) -> Vec<LimitUse> {
    let empty = Group::default();
    let group = recording.groups().get(&Rate::Second).unwrap_or(&empty);
    let mut limits = Vec::new();
    for key in group
        .series
        .keys()
        .filter(|key| key.metric == Metric::CgroupLimit)
    {
        let Subject::Cgroup(path) = &key.subject else {
            continue;
        };
        let (Some(limit), Some(used)) = (
            values(group, &key.subject, Metric::CgroupLimit).min(),
            values(group, &key.subject, Metric::CgroupWorkingSet).max(),
        ) else {
            continue;
        };
        limits.push(LimitUse {
            kind: LimitKind::Cgroup,
            path: path.clone(),
            limit_bytes: limit.cast_unsigned(),
            worst_used_bytes: used.cast_unsigned(),
        });
    }
    let total = values(group, &Subject::Machine, Metric::MachineTotal).max();
    let least = values(group, &Subject::Machine, Metric::MachineAvailable).min();
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
pub(super) fn headroom(limits: &[LimitUse]) -> Option<i64> {
    limits
        .iter()
        .map(|limit| limit.limit_bytes.cast_signed() - limit.worst_used_bytes.cast_signed())
        .min()
}

/// How often a counter rose between its first and its last reading; `None` where it was not read.
pub(super) fn rise(recording: &Recording, subject: &Subject, metric: Metric) -> Option<i64> {
    let group = recording.groups().get(&Rate::Second)?;
    let first = values(group, subject, metric).next()?;
    let last = values(group, subject, metric).last()?;
    Some((last - first).max(0))
}

/// Whether a cgroup came within a twentieth of its limit; `None` without a limit. Page cache fills any cgroup and gives way, so the
/// working set counts; between two readings the kernel's own mark does, where it rose during the job: it begins with the cgroup, which
/// may have served others before.
pub(super) fn was_full(recording: &Recording, cgroup: &Subject) -> Option<bool> {
    let group = recording.groups().get(&Rate::Second)?;
    let limit = values(group, cgroup, Metric::CgroupLimit).min()?;
    let used = values(group, cgroup, Metric::CgroupWorkingSet).max();
    let first_mark = values(group, cgroup, Metric::CgroupPeak).next();
    let risen_mark = values(group, cgroup, Metric::CgroupPeak)
        .max()
        .filter(|last| Some(*last) > first_mark);
    let most = used.max(risen_mark)?;
    Some(most >= limit - limit / 20)
}

/// Whether the machine came within a twentieth of its memory.
pub(super) fn machine_was_full(recording: &Recording) -> bool {
    let Some(group) = recording.groups().get(&Rate::Second) else {
        return false;
    };
    let total = values(group, &Subject::Machine, Metric::MachineTotal).max();
    let least = values(group, &Subject::Machine, Metric::MachineAvailable).min();
    total
        .zip(least)
        .is_some_and(|(total, least)| least <= total / 20)
}

/// The cgroups that were read, from the innermost: the longest path first.
pub(super) fn cgroups(recording: &Recording) -> Vec<Subject> {
    let mut found: Vec<Subject> = recording
        .groups()
        .get(&Rate::Second)
        .into_iter()
        .flat_map(|group| group.series.keys())
        .filter(|key| matches!(key.subject, Subject::Cgroup(_)))
        .map(|key| key.subject.clone())
        .collect();
    found.dedup();
    found.sort_by_key(|subject| match subject {
        Subject::Cgroup(path) => usize::MAX - path.len(),
        _ => usize::MAX,
    });
    found
}

fn values<'a>(
    group: &'a Group,
    subject: &Subject,
    metric: Metric,
) -> impl Iterator<Item = i64> + 'a {
    let key = SeriesKey {
        subject: subject.clone(),
        metric,
    };
    let runs = group.series.get(&key).map_or(&[][..], Vec::as_slice);
    runs.iter().flat_map(|run| run.values.iter().copied())
}
