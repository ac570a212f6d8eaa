//! How large and how strange a message may be.

mod batch;

use std::fmt;

use uuid::Uuid;

use super::Problem;
use crate::{
    ids::ProjectSlug,
    v1::{CheckLimits, End, Environment, Job},
};

pub(super) use batch::check_batch;

/// Most bytes of a message after decompression.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// Most bytes of a request's body.
pub const MAX_COMPRESSED_BYTES: usize = 4 << 20;
/// Most bytes of a name: of a job, a branch, a key or value of a variant, a worker.
pub const MAX_NAME_BYTES: usize = 1_000;
/// Most bytes of a longer text: a node id, a path, a command line, a URL.
pub const MAX_TEXT_BYTES: usize = 16_000;
/// Most limits of files that a job brings along.
pub const MAX_FILE_LIMITS: usize = 100;
/// Most bytes of one of them.
pub const MAX_FILE_LIMIT_BYTES: usize = 200;
/// Most bytes of the list of collected files.
const MAX_FILES_BYTES: usize = 512 << 10;
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
/// Most types or lines that a diagnosis names of a kind; the plugin names ten.
const MAX_GROWN: usize = 100;
/// Most processes that a batch speaks of.
pub(super) const MAX_PROCESSES: usize = 1 << 14;
/// Most series of a batch.
pub(super) const MAX_SERIES: usize = 1 << 18;
/// Most sessions of a batch.
pub(super) const MAX_SESSIONS: usize = 1_000;
/// Most notices of a batch.
pub(super) const MAX_NOTICES: usize = 10_000;
/// Most events of a batch.
pub(super) const MAX_EVENTS: usize = 10_000;
/// Most [`weight`](super::weight) of all batches of a job together: about three million marks, or forty million samples.
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
/// No signal has a higher number.
const MAX_SIGNAL: i32 = 127;

fn text(field: impl fmt::Display, value: &str, most: usize) -> Result<(), Problem> {
    if value.len() > most {
        return Err(Problem::field(
            field.to_string(),
            format!("{} bytes are more than the {most} allowed", value.len()),
        ));
    }
    Ok(())
}

fn name(field: impl fmt::Display, value: &str) -> Result<(), Problem> {
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

fn signal(field: impl fmt::Display, value: Option<i32>) -> Result<(), Problem> {
    match value {
        Some(signal) if !(1..=MAX_SIGNAL).contains(&signal) => Err(Problem::field(
            field.to_string(),
            format!("{signal} is no signal"),
        )),
        _ => Ok(()),
    }
}

/// A list has no more entries than that.
pub(super) fn count(field: impl fmt::Display, entries: usize, most: usize) -> Result<(), Problem> {
    if entries > most {
        return Err(Problem::field(
            field.to_string(),
            format!("{entries} entries are more than the {most} allowed"),
        ));
    }
    Ok(())
}

fn time(field: impl fmt::Display, value: i64) -> Result<(), Problem> {
    if value.unsigned_abs() > MAX_TIME_US.unsigned_abs() {
        return Err(Problem::field(
            field.to_string(),
            format!("{value} µs is more than ten years from the job's start"),
        ));
    }
    Ok(())
}

fn size(field: impl fmt::Display, value: u64) -> Result<(), Problem> {
    if value > MAX_BYTES {
        return Err(Problem::field(
            field.to_string(),
            format!("{value} bytes cannot be"),
        ));
    }
    Ok(())
}

fn check_limits(limits: &CheckLimits) -> Result<(), Problem> {
    for (field, bytes) in [
        ("max_peak_bytes", limits.max_peak_bytes),
        ("min_headroom_bytes", limits.min_headroom_bytes),
        ("max_retained_bytes", limits.max_retained_bytes),
        ("max_spike_bytes", limits.max_spike_bytes),
    ] {
        size(format_args!("check_limits.{field}"), bytes.unwrap_or(0))?;
    }
    let field = "check_limits.files";
    count(field, limits.files.len(), MAX_FILE_LIMITS)?;
    for limit in &limits.files {
        text(field, limit, MAX_FILE_LIMIT_BYTES)?;
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
    if !job.confirms.is_empty() && uuid::Uuid::parse_str(&job.confirms).is_err() {
        return Err(Problem::field("confirms", "is no uuid of a job"));
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
    if let Some(limits) = &job.check_limits {
        check_limits(limits)?;
    }
    if job.started_monotonic_us > MAX_MONOTONIC_US {
        return Err(Problem::field(
            "started_monotonic_us",
            format!("{} µs is no time since boot", job.started_monotonic_us),
        ));
    }
    if job.ci_timeout_us > MAX_TIME_US.unsigned_abs() {
        return Err(Problem::field("ci_timeout_us", "is more than ten years"));
    }
    count("command", job.command.len(), MAX_WORDS)?;
    for word in &job.command {
        text("command", word, MAX_TEXT_BYTES)?;
    }
    // The last moment that can be written in every time zone.
    let year_9999_us = 253_402_207_200_000_000;
    for (field, unix_us) in [
        ("started_unix_us", job.started_unix_us),
        ("ci_started_unix_us", job.ci_started_unix_us),
    ] {
        if !(0..=year_9999_us).contains(&unix_us) {
            return Err(Problem::field(
                field,
                format!("{unix_us} is no time between 1970 and 9999"),
            ));
        }
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
    name("ci_status", &end.ci_status)?;
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
