//! What the job comes to by its end: the last session, on the job's curve, against the job's limits.

use highwater_wire::{
    report::{Ending, ForecastReport, LimitKind, LimitUse, SessionReport, Verdict},
    v1::{Metric, event::What},
};

use super::{collected, limits, parts::Parts, readings, visits::Visit};
use crate::{
    forecast::{Ended, Limit, Measured, Situation, Steps, report},
    recording::Subject,
    robust,
};

/// So many of the last readings say what counts against a limit beside the job.
const READINGS: usize = 30;

/// The exit statuses of a pytest that was not cut short: all passed, some failed, there were none.
const RAN_TO_ITS_END: [i32; 3] = [0, 1, 5];
/// What the agent says of a guard that told pytest to end.
const STOPPED: &str = "stopped";

/// `None` where nothing is to come: the session ran to its end, or the job did (`censored` is false then, and none while it runs).
pub(super) fn of_job(
    parts: &Parts<'_>,
    sessions: &[SessionReport],
    limits: &[LimitUse],
    ending: Option<&Ending>,
    censored: Option<bool>,
) -> Option<ForecastReport> {
    if parts.is_imported() || censored == Some(false) {
        return None;
    }
    let of_visits = parts.visits.iter().map(|visit| visit.session);
    let listed = parts.walks.iter().flat_map(|walk| &walk.collected);
    let session = of_visits.chain(listed.map(|list| list.session)).max()?;
    let told = sessions.iter().find(|it| it.ordinal == session);
    if told.is_some_and(ran_to_its_end) {
        return None;
    }
    let steps = steps(parts, session);
    let reached = reached(parts, limits, ending);
    let limits: Vec<Measured> = limits
        .iter()
        .filter_map(|limit| {
            let is_reached = reached.contains(&limit.path.as_str());
            measured(parts, limit, is_reached && limit.kind == LimitKind::Cgroup)
        })
        .collect();
    let ran = |process: &&super::processes::ProcessFacts| {
        parts
            .visits
            .iter()
            .any(|visit| visit.session == session && visit.process == process.number)
    };
    let workers = told.map_or(0, |session| session.numprocesses as usize);
    report(&Situation {
        session,
        steps: &steps,
        peak_bytes: parts.peak.bytes,
        held_bytes: parts.memory.tree().last().map_or(0, |point| point.bytes),
        workers: workers.max(parts.processes.iter().filter(ran).count()),
        limits: &limits,
        history: parts.history,
        asked: told.map_or(&[], |session| &session.args),
        goes_on: censored.is_none() && told.is_none_or(SessionReport::is_open),
    })
}

/// Of one that was sampled an end is told only where it was in order.
fn ran_to_its_end(session: &SessionReport) -> bool {
    let in_order = session.sampled && session.ended_us.is_some();
    match session.exit_status {
        Some(status) => RAN_TO_ITS_END.contains(&status),
        None => in_order,
    }
}

/// The cgroups whose limit the job reached, though no sample may have seen it there: the kernel killed in them. Of several around each other it counts
/// the kill in each.
fn reached<'a>(parts: &Parts<'_>, limits: &'a [LimitUse], ending: Option<&Ending>) -> Vec<&'a str> {
    let cgroups = || limits.iter().filter(|it| it.kind == LimitKind::Cgroup);
    let killed_in = |limit: &&LimitUse| {
        let subject = Subject::Cgroup(limit.path.clone());
        let kills = readings::rises(parts.recording, &subject, Metric::CgroupOomKills);
        kills.is_some_and(|kills| !kills.is_empty())
            && limits::was_full(parts.recording, &subject) == Some(true)
    };
    let mut reached: Vec<&str> = cgroups()
        .filter(killed_in)
        .map(|it| it.path.as_str())
        .collect();
    let by_cgroup = ending.is_some_and(|ending| ending.verdict == Verdict::OomCgroup);
    if reached.is_empty() && by_cgroup {
        let tightest = cgroups().min_by_key(|it| it.left_bytes());
        reached.extend(tightest.map(|it| it.path.as_str()));
    }
    reached
}

/// When the guard told pytest to end: what its tests do from then on is the interruption.
fn stopped_us(parts: &Parts<'_>) -> i64 {
    let events = parts.recording.events().iter();
    let stops = events.filter(|event| match &event.what {
        Some(What::Guard(action)) => action.action == STOPPED,
        _ => false,
    });
    stops.map(|event| event.t_us).min().unwrap_or(i64::MAX)
}

fn steps(parts: &Parts<'_>, session: u32) -> Steps {
    let stopped_us = stopped_us(parts);
    let mut steps = Steps::default();
    if let Some(list) = collected::of_session(parts.walks, session) {
        steps.collected(list);
    }
    let mut visits: Vec<(i64, &Visit)> = parts
        .visits
        .iter()
        .filter(|visit| visit.session == session)
        .filter_map(|visit| Some((visit.ended_us?, visit)))
        .filter(|(ended_us, _)| *ended_us < stopped_us)
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
fn measured(parts: &Parts<'_>, limit: &LimitUse, is_reached: bool) -> Option<Measured> {
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
        is_reached,
    })
}
