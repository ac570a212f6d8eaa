//! What a batch may hold.

use std::fmt;

use super::{
    MAX_BYTES, MAX_FILES_BYTES, MAX_GROWN, MAX_TEXT_BYTES, MAX_WORDS, count, name, signal, size,
    text, time,
};
use crate::{
    codec::{Problem, parts::Parts},
    v1::{
        Batch, Diagnosis, Event, Mark, Metric, Samples, Series, event::What as Happened, mark::What,
    },
};

/// A cgroup's limit can be set to more than any machine has.
const MAX_READING: u64 = 1 << 60;

/// Where in a batch a field is; made text only when something is wrong with it, since the agent checks what it records each second.
struct Part(&'static str, usize, &'static str);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}].{}", self.0, self.1, self.2)
    }
}

pub(in crate::codec) fn check_batch(batch: &Batch) -> Result<(), Problem> {
    Parts::of(batch).check()?;
    time("from_us", batch.from_us)?;
    time("to_us", batch.to_us)?;
    if batch.to_us < batch.from_us {
        return Err(Problem::field("to_us", "lies before from_us"));
    }
    for (at, process) in batch.processes.iter().enumerate() {
        let field = |part| Part("processes", at, part);
        if process.pid == 0 {
            return Err(Problem::field(field("pid").to_string(), "is 0"));
        }
        text(field("command"), &process.command, MAX_TEXT_BYTES)?;
        text(field("exact_reason"), &process.exact_reason, MAX_TEXT_BYTES)?;
        name(field("worker"), &process.worker)?;
        for (part, value) in [
            ("session", &process.session),
            ("python", &process.python),
            ("pytest", &process.pytest),
            ("plugin", &process.plugin),
        ] {
            name(field(part), value)?;
        }
        time(field("seen_us"), process.seen_us)?;
        size(
            field("peak_error_bytes"),
            process.peak_error_bytes.unwrap_or(0),
        )?;
        time(field("started_us"), process.started_us.unwrap_or(0))?;
        time(field("ended_us"), process.ended_us.unwrap_or(0))?;
        signal(field("signal"), process.signal)?;
        text(field("cgroup"), &process.cgroup, MAX_TEXT_BYTES)?;
        // What is allowed may be more than any machine has.
        for (name, limit) in [
            (
                "address_space_limit_bytes",
                process.address_space_limit_bytes,
            ),
            ("data_limit_bytes", process.data_limit_bytes),
        ] {
            if limit.unwrap_or(0) > MAX_READING {
                let reason = "is more than there can be";
                return Err(Problem::field(field(name).to_string(), reason));
            }
        }
        if !(-1000..=1000).contains(&process.oom_score_adj.unwrap_or(0)) {
            let reason = "is not between -1000 and 1000";
            return Err(Problem::field(field("oom_score_adj").to_string(), reason));
        }
        size(
            field("address_space_peak_bytes"),
            process.address_space_peak_bytes.unwrap_or(0),
        )?;
    }
    for (at, session) in batch.sessions.iter().enumerate() {
        let field = |part| Part("sessions", at, part);
        name(field("id"), &session.id)?;
        if session.id.is_empty() {
            return Err(Problem::field(field("id").to_string(), "is empty"));
        }
        text(field("root"), &session.root, MAX_TEXT_BYTES)?;
        name(field("dist"), &session.dist)?;
        time(field("began_us"), session.began_us.unwrap_or(0))?;
        time(field("ended_us"), session.ended_us.unwrap_or(0))?;
        count(field("args"), session.args.len(), MAX_WORDS)?;
        for word in &session.args {
            text(field("args"), word, MAX_TEXT_BYTES)?;
        }
    }
    for (at, samples) in batch.samples.iter().enumerate() {
        check_samples(at, samples, batch.processes.len())?;
    }
    for (at, mark) in batch.marks.iter().enumerate() {
        check_mark(mark, batch.processes.len())
            .map_err(|(part, reason)| Problem::field(format!("marks[{at}].{part}"), reason))?;
    }
    for (at, notice) in batch.notices.iter().enumerate() {
        name(Part("notices", at, "code"), &notice.code)?;
        text(
            Part("notices", at, "message"),
            &notice.message,
            MAX_TEXT_BYTES,
        )?;
        time(Part("notices", at, "t_us"), notice.t_us)?;
    }
    for (at, event) in batch.events.iter().enumerate() {
        check_event(event).map_err(|problem| problem.within(&format!("events[{at}]")))?;
    }
    Ok(())
}

fn check_event(event: &Event) -> Result<(), Problem> {
    time("t_us", event.t_us)?;
    match &event.what {
        // Of a kind that a later agent knows.
        None => Ok(()),
        Some(Happened::Signal(taken)) => {
            signal("signal", Some(taken.signal))?;
            text("sender", &taken.sender, MAX_TEXT_BYTES)
        }
        Some(Happened::KernelOom(oom)) => {
            name("comm", &oom.comm)?;
            size("anon_bytes", oom.anon_bytes)?;
            text("cgroup", &oom.cgroup, MAX_TEXT_BYTES)
        }
        Some(Happened::RunnerGone(runner)) => text("command", &runner.command, MAX_TEXT_BYTES),
        Some(Happened::Guard(guard)) => {
            name("action", &guard.action)?;
            name("limit", &guard.limit)?;
            size("used_bytes", guard.used_bytes)?;
            size("limit_bytes", guard.limit_bytes)
        }
        Some(Happened::AgentGap(gap)) => time("from_us", gap.from_us),
    }
}

fn check_samples(at: usize, samples: &Samples, processes: usize) -> Result<(), Problem> {
    let field = |part| Part("samples", at, part);
    let ticks = samples.t_us_delta.len();
    let mut t_us = 0_i64;
    for (tick, delta) in samples.t_us_delta.iter().enumerate() {
        if tick > 0 && *delta < 0 {
            return Err(Problem::field(
                field("t_us_delta").to_string(),
                "time runs backwards",
            ));
        }
        t_us = t_us.saturating_add(*delta);
        if tick == 0 {
            time(field("t_us_delta"), t_us)?;
        }
    }
    time(field("t_us_delta"), t_us)?;
    if !samples.lateness_us.is_empty() && samples.lateness_us.len() != ticks {
        return Err(Problem::field(
            field("lateness_us").to_string(),
            "is neither empty nor as long as the ticks",
        ));
    }
    for lateness in &samples.lateness_us {
        time(
            field("lateness_us"),
            i64::try_from(*lateness).unwrap_or(i64::MAX),
        )?;
    }
    for (number, series) in samples.series.iter().enumerate() {
        check_series(series, ticks, processes)
            .map_err(|reason| Problem::field(format!("samples[{at}].series[{number}]"), reason))?;
    }
    Ok(())
}

fn check_series(series: &Series, ticks: usize, processes: usize) -> Result<(), String> {
    let metric = Metric::try_from(series.metric)
        .ok()
        .filter(|metric| *metric != Metric::Unspecified)
        .ok_or_else(|| format!("metric {} is not known", series.metric))?;
    let of_process = matches!(
        metric,
        Metric::Rss | Metric::Anon | Metric::Swap | Metric::Pss | Metric::OtherRss
    );
    match series.process {
        None if of_process => return Err("a metric of a process names no process".to_owned()),
        Some(_) if !of_process => return Err("names a process but is no metric of one".to_owned()),
        Some(process) if process as usize >= processes => {
            return Err(format!(
                "process {process} is not in the table of {processes}"
            ));
        }
        _ => {}
    }
    if series.cgroup.len() > MAX_TEXT_BYTES {
        return Err("the cgroup's path is too long".to_owned());
    }
    let end = series.first as usize + series.value_delta.len();
    if end > ticks {
        return Err(format!("has values up to tick {end} of {ticks}"));
    }
    let most = if of_process { MAX_BYTES } else { MAX_READING };
    let mut value = 0_i64;
    for delta in &series.value_delta {
        value = value
            .checked_add(*delta)
            .filter(|value| (0..=most.cast_signed()).contains(value))
            .ok_or("has a negative or impossible value")?;
    }
    Ok(())
}

type MarkProblem = (&'static str, String);

fn check_mark(mark: &Mark, processes: usize) -> Result<(), MarkProblem> {
    let as_part = |part| move |problem: Problem| (part, problem.to_string());
    if mark.process as usize >= processes {
        return Err((
            "process",
            format!("{} is not in the table of {processes}", mark.process),
        ));
    }
    time("t_us", mark.t_us).map_err(as_part("t_us"))?;
    size("rss_bytes", mark.rss_bytes).map_err(as_part("rss_bytes"))?;
    size("peak_bytes", mark.peak_bytes.unwrap_or(0)).map_err(as_part("peak_bytes"))?;
    let texts: &[&str] = match &mark.what {
        None => return Err(("what", "is missing or not known".to_owned())),
        Some(What::ImportBegin(import)) => &[&import.path],
        Some(What::ModuleBegin(import)) => &[&import.module],
        Some(What::ModuleGone(gone)) => &[&gone.module],
        Some(What::TestBegin(test)) => &[&test.path, &test.nodeid],
        Some(What::FixtureBegin(fixture)) => {
            &[&fixture.name, &fixture.scope, &fixture.path, &fixture.base]
        }
        Some(What::TestEnd(test)) => &[
            &test.outcome,
            &test.setup,
            &test.call,
            &test.teardown,
            &test.cause,
        ],
        Some(What::ImportEnd(import)) => &[&import.outcome, &import.cause],
        Some(What::FixtureEnd(fixture)) => &[&fixture.outcome],
        Some(What::TestPhase(phase)) => &[&phase.phase],
        Some(_) => &[],
    };
    if let Some(What::DiagnosisEnd(end)) = &mark.what {
        check_diagnosis(end).map_err(as_part("diagnosis_end"))?;
    }
    if let Some(What::Leave(leave)) = &mark.what {
        size("true_peak_bytes", leave.true_peak_bytes.unwrap_or(0)).map_err(as_part("leave"))?;
    }
    if let Some(What::CollectEnd(end)) = &mark.what {
        text("files", &end.files, MAX_FILES_BYTES).map_err(as_part("what"))?;
    }
    for value in texts {
        text("text", value, MAX_TEXT_BYTES).map_err(as_part("what"))?;
    }
    Ok(())
}

fn check_diagnosis(end: &Diagnosis) -> Result<(), Problem> {
    for (field, value) in [
        ("trimmed_bytes", end.trimmed_bytes.unwrap_or(0)),
        ("collected_bytes", end.collected_bytes),
    ] {
        size(field, value)?;
    }
    time("cost_us", i64::try_from(end.cost_us).unwrap_or(i64::MAX))?;
    for (field, growth) in [
        ("kept_bytes", end.kept_bytes),
        ("pinned_bytes", end.pinned_bytes),
        ("freed_bytes", end.freed_bytes),
        ("live_bytes", end.live_bytes),
        ("tracing_bytes", end.tracing_bytes),
    ] {
        size(field, growth.unsigned_abs())?;
    }
    for (field, rows) in [
        ("garbage", &end.garbage),
        ("types", &end.types),
        ("lines", &end.lines),
        ("pytest", &end.pytest),
    ] {
        count(field, rows.len(), MAX_GROWN)?;
        for row in rows {
            text(field, &row.name, MAX_TEXT_BYTES)?;
            size(field, row.bytes.unsigned_abs())?;
        }
    }
    Ok(())
}
