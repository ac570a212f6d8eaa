//! A plan as programs read it: lists of files, arguments, and what makes the jobs of GitHub and GitLab.

use std::fmt::Write;

use highwater_wire::report::{PlanReport, PlannedJob};
use serde_json::json;

/// The files of a job, a line each, as `pytest @FILE` reads them.
#[must_use]
pub fn selection(job: &PlannedJob) -> String {
    job.files.iter().map(|path| as_path(path) + "\n").collect()
}

/// Name of that file.
#[must_use]
pub fn selection_name(index: usize) -> String {
    format!("test_selection_{index}.txt")
}

/// A line a job: pytest's arguments, each quoted as a shell reads it.
#[must_use]
pub fn args(report: &PlanReport) -> String {
    let lines: Vec<String> = report.jobs.iter().map(|job| line(report, job)).collect();
    lines.join("\n")
}

fn line(report: &PlanReport, job: &PlannedJob) -> String {
    let words: Vec<String> = job.files.iter().map(|path| quoted(path)).collect();
    workers(report) + &words.join(" ")
}

/// How a job is run by the plan's file or id: pytest's command, with the workers of a job.
#[must_use]
pub fn command(report: &PlanReport, shard: &str, plan: &str) -> String {
    format!(
        "pytest {}--highwater-shard {shard} --highwater-plan={plan}",
        workers(report)
    )
}

/// How a job is run by its list of files: all there is for a plan of one shard, which knows no file of the others.
#[must_use]
pub fn by_list(report: &PlanReport, folder: &str, number: &str) -> String {
    format!(
        "pytest {}@{folder}test_selection_{number}.txt",
        workers(report)
    )
}

/// The same as [`command`] below the agent, which records it.
#[must_use]
pub fn recorded(report: &PlanReport, shard: &str, plan: &str) -> String {
    let command = format!(
        "highwater run --plan {plan} --shard {shard} -- pytest {}",
        workers(report)
    );
    command.trim_end().to_owned()
}

/// What the workers of a job are asked for with, with a space behind it; nothing where there is one process.
fn workers(report: &PlanReport) -> String {
    match report.workers {
        0 | 1 => String::new(),
        workers => format!("-n {workers} --dist loadfile "),
    }
}

/// What `strategy.matrix` of GitHub Actions takes by `fromJSON`: each leg has its number, how many there are, and its arguments for pytest.
#[must_use]
pub fn github(report: &PlanReport) -> String {
    let all = report.jobs.len();
    let leg =
        |job: &PlannedJob| json!({"shard": job.index, "shards": all, "args": line(report, job)});
    let legs: Vec<_> = report.jobs.iter().map(leg).collect();
    json!({"include": legs}).to_string()
}

/// What a script of GitLab runs.
#[must_use]
pub fn in_gitlab(report: &PlanReport, plan: &str) -> String {
    match report.shard {
        Some(_) => by_list(report, "DIR/", "${HIGHWATER_SHARD%/*}"),
        None => command(report, "$HIGHWATER_SHARD", plan),
    }
}

/// What a job of GitLab takes beside its script, which names the plan by its file or id: as many of it as the plan has jobs, each with the variable that
/// agent and plugin read.
#[must_use]
pub fn gitlab(report: &PlanReport, plan: &str) -> String {
    let all = report.jobs.len();
    let mut out = format!(
        "# Plan {} of job {}. In the script: {}\nparallel:\n  matrix:\n    - HIGHWATER_SHARD:\n",
        report.id,
        report.of,
        in_gitlab(report, plan)
    );
    for job in &report.jobs {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "        - \"{}/{all}\"", job.index);
    }
    out
}

/// A word that a POSIX shell reads as it is. What begins like a flag or like a file of arguments is no path to pytest, but behind `./`.
fn quoted(path: &str) -> String {
    let word = as_path(path);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+@%:,".contains(&byte);
    match word.bytes().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn as_path(path: &str) -> String {
    match path.starts_with(['-', '@']) {
        true => format!("./{path}"),
        false => path.to_owned(),
    }
}
