//! What the job comes to by its end: the last session, on the job's curve, against the job's limits.

use highwater_wire::{
    report::{ForecastReport, LimitKind, LimitUse},
    v1::Metric,
};

use super::{parts::Parts, readings, visits::Visit};
use crate::{
    forecast::{Ended, Limit, Measured, Situation, Steps, report},
    recording::Subject,
    robust,
};

/// So many of the last readings say what counts against a limit beside the job.
const READINGS: usize = 30;

pub(super) fn of_job(
    parts: &Parts<'_>,
    limits: &[LimitUse],
    goes_on: bool,
) -> Option<ForecastReport> {
    let of_visits = parts.visits.iter().map(|visit| visit.session);
    let listed = parts.walks.iter().flat_map(|walk| &walk.collected);
    let session = of_visits.chain(listed.map(|list| list.session)).max()?;
    let steps = steps(parts, session);
    let limits: Vec<Measured> = limits
        .iter()
        .filter_map(|limit| measured(parts, limit))
        .collect();
    let ran = |process: &&super::processes::ProcessFacts| {
        parts
            .visits
            .iter()
            .any(|visit| visit.session == session && visit.process == process.number)
    };
    let ordered = parts.sessions.ordered();
    let told = ordered.get((session as usize).saturating_sub(1));
    let workers = told.map_or(0, |session| session.numprocesses as usize);
    report(&Situation {
        session,
        steps: &steps,
        peak_bytes: parts.peak.bytes,
        held_bytes: parts.memory.tree().last().map_or(0, |point| point.bytes),
        workers: workers.max(parts.processes.iter().filter(ran).count()),
        limits: &limits,
        history: parts.history,
        goes_on,
    })
}

fn steps(parts: &Parts<'_>, session: u32) -> Steps {
    let mut steps = Steps::default();
    let mut lists = parts.walks.iter().flat_map(|walk| &walk.collected);
    if let Some(list) = lists.rfind(|list| list.session == session) {
        steps.collected(list.files);
    }
    let mut visits: Vec<(i64, &Visit)> = parts
        .visits
        .iter()
        .filter(|visit| visit.session == session)
        .filter_map(|visit| Some((visit.ended_us?, visit)))
        .collect();
    visits.sort_by_key(|(ended_us, visit)| (*ended_us, visit.process));
    let mut gone: Vec<(i64, u32)> = parts
        .processes
        .iter()
        .filter_map(|process| Some((process.ended_us?, process.number)))
        .collect();
    gone.sort_unstable();
    let mut gone = gone.into_iter().peekable();
    let mut from_us = visits.first().map_or(0, |(_, visit)| visit.began_us);
    for (ended_us, visit) in visits {
        while let Some((_, process)) = gone.next_if(|(gone_us, _)| *gone_us < ended_us) {
            steps.gone(process);
        }
        if let Some(point) = parts.memory.highest_of_tree_in(from_us, ended_us) {
            steps.holds(point.bytes);
        }
        from_us = ended_us.saturating_add(1);
        steps.ended(&Ended {
            process: visit.process,
            path: &visit.path,
            start_bytes: visit.start_bytes,
            end_bytes: visit.end_bytes,
            peak_bytes: visit.tree_peak_bytes,
            tests: visit.tests,
        });
    }
    steps
}

/// What counts against a limit beside the job's processes: what was used of it less what they held, at the last readings. `None` where nothing was read.
fn measured(parts: &Parts<'_>, limit: &LimitUse) -> Option<Measured> {
    let beside = |used: &mut dyn Iterator<Item = (i64, i64)>| {
        let apart = used.filter_map(|(t_us, used)| {
            let held = parts.memory.tree_at(t_us)?;
            Some((used - held.bytes) as f64)
        });
        robust::median(&mut apart.take(READINGS).collect::<Vec<_>>())
    };
    let beside_bytes = match limit.kind {
        LimitKind::Budget => Some(0.0),
        LimitKind::Cgroup => {
            let subject = Subject::Cgroup(limit.path.clone());
            let used = readings::points(parts.recording, &subject, Metric::CgroupWorkingSet);
            beside(&mut used.rev())
        }
        LimitKind::Machine => {
            let total = limit.limit_bytes.cast_signed();
            let left =
                readings::points(parts.recording, &Subject::Machine, Metric::MachineAvailable);
            beside(&mut left.rev().map(|(t_us, left)| (t_us, total - left)))
        }
    };
    Some(Measured {
        kind: limit.kind,
        path: limit.path.clone(),
        limit: Limit {
            limit_bytes: limit.limit_bytes.cast_signed(),
            beside_bytes: beside_bytes? as i64,
        },
    })
}
