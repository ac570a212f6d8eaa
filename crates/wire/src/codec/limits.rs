//! How large and how strange a message may be.

use uuid::Uuid;

use super::{Problem, parts::Parts};
use crate::{
    ids::ProjectSlug,
    v1::{Batch, End, Environment, Job, Mark, Metric, Samples, Series, mark::What},
};

/// Most bytes of a message after decompression.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// Most bytes of a request's body.
pub const MAX_COMPRESSED_BYTES: usize = 4 << 20;
/// Most bytes of a name: of a job, a branch, a key or value of a variant, a worker.
pub const MAX_NAME_BYTES: usize = 1_000;
/// Most bytes of a longer text: a node id, a path, a command line, a URL.
pub const MAX_TEXT_BYTES: usize = 16_000;
/// Most bytes of a line of an events file.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// Most bytes of a batch in JSON, and most objects in it: it is for people and small scripts.
pub(super) const MAX_JSON_BYTES: usize = 4 << 20;
pub(super) const MAX_JSON_OBJECTS: usize = 100_000;
/// Most bytes of a `Job` or an `End` after decompression.
pub(super) const MAX_FRAME_BYTES: usize = 4 << 20;
/// Most values in one batch, over all series; and most ticks.
pub const MAX_SAMPLES: usize = 1 << 20;
/// Most marks of a batch. The agent closes one at 512 KiB of marks, of which none takes less than 16 bytes.
pub(super) const MAX_MARKS: usize = 1 << 17;
/// Most processes that a batch speaks of.
pub(super) const MAX_PROCESSES: usize = 1 << 14;
/// Most series of a batch.
pub(super) const MAX_SERIES: usize = 1 << 18;
/// Most sessions of a batch.
pub(super) const MAX_SESSIONS: usize = 1_000;
/// Most notices of a batch.
pub(super) const MAX_NOTICES: usize = 10_000;
/// Most [`weight`](super::weight) of all batches of a job together: about seven million marks, or a hundred million samples.
pub const MAX_JOB_WEIGHT: u64 = 4 << 30;
/// Most versions in an environment.
const MAX_VERSIONS: usize = 100;
/// Most words of a command or a session.
const MAX_WORDS: usize = 1_000;
/// Most streams of a job: starts of an agent.
const MAX_STREAMS: usize = 10_000;
/// Most batches of a stream: they count one a second.
pub const MAX_BATCHES: u64 = 1 << 40;
/// Ten years: no time in a job lies further from its start.
pub const MAX_TIME_US: i64 = 10 * 366 * 86_400 * 1_000_000;
/// A machine that has run for thirty thousand years.
const MAX_MONOTONIC_US: u64 = 1 << 60;
/// No process and no machine holds more: 2^48 bytes, so that the sum over all processes of a batch is a number still.
pub const MAX_BYTES: u64 = 1 << 48;
/// A cgroup's limit can be set to more than any machine has.
const MAX_READING: u64 = 1 << 60;
/// No signal has a higher number.
const MAX_SIGNAL: i32 = 127;

fn text(field: &str, value: &str, most: usize) -> Result<(), Problem> {
    if value.len() > most {
        return Err(Problem::field(
            field,
            format!("{} bytes are more than the {most} allowed", value.len()),
        ));
    }
    Ok(())
}

fn name(field: &str, value: &str) -> Result<(), Problem> {
    text(field, value, MAX_NAME_BYTES)
}

/// A name that people can see, or they could not follow a link of that name.
fn seen(field: &str, value: &str) -> Result<(), Problem> {
    name(field, value)?;
    if value.chars().all(|c| c.is_whitespace() || c.is_control()) {
        return Err(Problem::field(field, "is blank; give it a name"));
    }
    Ok(())
}

fn signal(field: &str, value: Option<i32>) -> Result<(), Problem> {
    match value {
        Some(signal) if !(1..=MAX_SIGNAL).contains(&signal) => {
            Err(Problem::field(field, format!("{signal} is no signal")))
        }
        _ => Ok(()),
    }
}

/// A list has no more entries than that.
pub(super) fn count(field: &str, entries: usize, most: usize) -> Result<(), Problem> {
    if entries > most {
        return Err(Problem::field(
            field,
            format!("{entries} entries are more than the {most} allowed"),
        ));
    }
    Ok(())
}

fn time(field: &str, value: i64) -> Result<(), Problem> {
    if value.unsigned_abs() > MAX_TIME_US.unsigned_abs() {
        return Err(Problem::field(
            field,
            format!("{value} µs is more than ten years from the job's start"),
        ));
    }
    Ok(())
}

fn size(field: &str, value: u64) -> Result<(), Problem> {
    if value > MAX_BYTES {
        return Err(Problem::field(field, format!("{value} bytes cannot be")));
    }
    Ok(())
}

pub(super) fn check_job(job: &Job) -> Result<(), Problem> {
    ProjectSlug::new(job.project.as_str())
        .map_err(|error| Problem::field("project", error.to_string()))?;
    seen("name", &job.name)?;
    if job.attempt == 0 {
        return Err(Problem::field("attempt", "counts from 1"));
    }
    let Some(run) = &job.run else {
        return Err(Problem::field("run", "is missing"));
    };
    seen("run.provider", &run.provider)?;
    seen("run.id", &run.id)?;
    for (field, value) in [
        ("run.branch", &run.branch),
        ("run.head_commit", &run.head_commit),
        ("run.base_commit", &run.base_commit),
        ("run.pull_request", &run.pull_request),
        ("run.event", &run.event),
        ("boot_id", &job.boot_id),
        ("agent_version", &job.agent_version),
    ] {
        name(field, value)?;
    }
    for (field, url) in [("url", &job.url), ("run.url", &run.url)] {
        text(field, url, MAX_TEXT_BYTES)?;
        if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(Problem::field(field, "is no http or https address"));
        }
    }
    if job.variant.len() > 32 {
        return Err(Problem::field("variant", "has more than 32 keys"));
    }
    for (key, value) in &job.variant {
        seen("variant", key)?;
        name("variant", value)?;
    }
    if let Some(shard) = &job.shard
        && (shard.index == 0 || shard.index > shard.total)
    {
        return Err(Problem::field(
            "shard",
            format!("{}/{} is not within 1/n to n/n", shard.index, shard.total),
        ));
    }
    if let Some(environment) = &job.environment {
        check_environment(environment)?;
    }
    size("budget_bytes", job.budget_bytes)?;
    if job.started_monotonic_us > MAX_MONOTONIC_US {
        return Err(Problem::field(
            "started_monotonic_us",
            format!("{} µs is no time since boot", job.started_monotonic_us),
        ));
    }
    count("command", job.command.len(), MAX_WORDS)?;
    for word in &job.command {
        text("command", word, MAX_TEXT_BYTES)?;
    }
    let year_9999_us = 253_402_300_799_000_000;
    if !(0..=year_9999_us).contains(&job.started_unix_us) {
        return Err(Problem::field(
            "started_unix_us",
            format!("{} is no time between 1970 and 9999", job.started_unix_us),
        ));
    }
    if !(1_000..=3_600_000_000).contains(&job.interval_us) {
        return Err(Problem::field(
            "interval_us",
            format!("{} is not between 1 ms and 1 hour", job.interval_us),
        ));
    }
    Ok(())
}

fn check_environment(environment: &Environment) -> Result<(), Problem> {
    for (field, value) in [
        ("environment.os", &environment.os),
        ("environment.arch", &environment.arch),
        ("environment.kernel", &environment.kernel),
        ("environment.hostname_hash", &environment.hostname_hash),
    ] {
        name(field, value)?;
    }
    for (field, bytes) in [
        (
            "environment.memory_total_bytes",
            environment.memory_total_bytes,
        ),
        ("environment.swap_total_bytes", environment.swap_total_bytes),
        ("environment.page_bytes", environment.page_bytes),
    ] {
        size(field, bytes)?;
    }
    count(
        "environment.versions",
        environment.versions.len(),
        MAX_VERSIONS,
    )?;
    for (key, value) in &environment.versions {
        name("environment.versions", key)?;
        name("environment.versions", value)?;
    }
    Ok(())
}

pub(super) fn check_end(end: &End) -> Result<(), Problem> {
    time("ended_us", end.ended_us)?;
    if end.ended_us < 0 {
        return Err(Problem::field("ended_us", "lies before the job's start"));
    }
    signal("signal", end.signal)?;
    signal("forwarded_signal", end.forwarded_signal)?;
    count("streams", end.streams.len(), MAX_STREAMS)?;
    for stream in &end.streams {
        if stream.batches > MAX_BATCHES {
            return Err(Problem::field(
                "streams.batches",
                format!(
                    "{} are more than the {MAX_BATCHES} there can be",
                    stream.batches
                ),
            ));
        }
        Uuid::parse_str(&stream.stream).map_err(|error| {
            Problem::field("streams.stream", format!("{:?}: {error}", stream.stream))
        })?;
    }
    Ok(())
}

pub(super) fn check_batch(batch: &Batch) -> Result<(), Problem> {
    Parts::of(batch).check()?;
    time("from_us", batch.from_us)?;
    time("to_us", batch.to_us)?;
    if batch.to_us < batch.from_us {
        return Err(Problem::field("to_us", "lies before from_us"));
    }
    for (at, process) in batch.processes.iter().enumerate() {
        let field = |part: &str| format!("processes[{at}].{part}");
        if process.pid == 0 {
            return Err(Problem::field(field("pid"), "is 0"));
        }
        text(&field("command"), &process.command, MAX_TEXT_BYTES)?;
        text(
            &field("exact_reason"),
            &process.exact_reason,
            MAX_TEXT_BYTES,
        )?;
        name(&field("worker"), &process.worker)?;
        for (part, value) in [
            ("session", &process.session),
            ("python", &process.python),
            ("pytest", &process.pytest),
            ("plugin", &process.plugin),
        ] {
            name(&field(part), value)?;
        }
        time(&field("seen_us"), process.seen_us)?;
        size(
            &field("peak_error_bytes"),
            process.peak_error_bytes.unwrap_or(0),
        )?;
        time(&field("started_us"), process.started_us.unwrap_or(0))?;
        time(&field("ended_us"), process.ended_us.unwrap_or(0))?;
        signal(&field("signal"), process.signal)?;
    }
    for (at, session) in batch.sessions.iter().enumerate() {
        let field = |part: &str| format!("sessions[{at}].{part}");
        name(&field("id"), &session.id)?;
        if session.id.is_empty() {
            return Err(Problem::field(field("id"), "is empty"));
        }
        text(&field("root"), &session.root, MAX_TEXT_BYTES)?;
        name(&field("dist"), &session.dist)?;
        time(&field("began_us"), session.began_us.unwrap_or(0))?;
        time(&field("ended_us"), session.ended_us.unwrap_or(0))?;
        count(&field("args"), session.args.len(), MAX_WORDS)?;
        for word in &session.args {
            text(&field("args"), word, MAX_TEXT_BYTES)?;
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
        name(&format!("notices[{at}].code"), &notice.code)?;
        text(
            &format!("notices[{at}].message"),
            &notice.message,
            MAX_TEXT_BYTES,
        )?;
        time(&format!("notices[{at}].t_us"), notice.t_us)?;
    }
    Ok(())
}

fn check_samples(at: usize, samples: &Samples, processes: usize) -> Result<(), Problem> {
    let field = |part: &str| format!("samples[{at}].{part}");
    let ticks = samples.t_us_delta.len();
    let mut t_us = 0_i64;
    for (tick, delta) in samples.t_us_delta.iter().enumerate() {
        if tick > 0 && *delta < 0 {
            return Err(Problem::field(field("t_us_delta"), "time runs backwards"));
        }
        t_us = t_us.saturating_add(*delta);
        if tick == 0 {
            time(&field("t_us_delta"), t_us)?;
        }
    }
    time(&field("t_us_delta"), t_us)?;
    if !samples.lateness_us.is_empty() && samples.lateness_us.len() != ticks {
        return Err(Problem::field(
            field("lateness_us"),
            "is neither empty nor as long as the ticks",
        ));
    }
    for lateness in &samples.lateness_us {
        time(
            &field("lateness_us"),
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
        Metric::Rss | Metric::Anon | Metric::Swap | Metric::Pss
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
        Some(What::TestBegin(test)) => &[&test.path, &test.nodeid],
        Some(What::FixtureBegin(fixture)) => {
            &[&fixture.name, &fixture.scope, &fixture.path, &fixture.base]
        }
        Some(What::TestEnd(test)) => &[&test.outcome, &test.setup, &test.call, &test.teardown],
        Some(What::ImportEnd(import)) => &[&import.outcome],
        Some(What::FixtureEnd(fixture)) => &[&fixture.outcome],
        Some(What::TestPhase(phase)) => &[&phase.phase],
        Some(_) => &[],
    };
    if let Some(What::Leave(leave)) = &mark.what {
        size("true_peak_bytes", leave.true_peak_bytes.unwrap_or(0)).map_err(as_part("leave"))?;
    }
    for value in texts {
        text("text", value, MAX_TEXT_BYTES).map_err(as_part("what"))?;
    }
    Ok(())
}
