//! Changes in plain sentences.

use highwater_wire::report::{
    BaselineJob, Change, ChangeKind, ChangesReport, CheckFigure, Confidence,
};

use super::LEAST_JOBS;
use crate::{figures::mebibytes, time};

/// Characters of a commit that are told.
const COMMIT_LETTERS: usize = 10;

/// A change of something that is called so where it is a file's.
#[must_use]
pub fn of_change(change: &Change, file: &str) -> String {
    match change.figure {
        CheckFigure::Peak | CheckFigure::Headroom | CheckFigure::Imports => {
            told(change, &format!("job {}", change.name))
        }
        CheckFigure::Retained | CheckFigure::Spike => told(change, file),
    }
}

/// Says in the sentences of which jobs each change is, where several kinds of them were looked at.
pub fn tell_apart(report: &mut ChangesReport) {
    let looked_at = &report.looked_at;
    if looked_at.len() < 2 {
        return;
    }
    for change in &mut report.changes {
        let of_name = looked_at.iter().filter(|it| it.name == change.name);
        let job = match of_name.count() > 1 {
            true => format!("job {} ({})", change.name, change.alike),
            false => format!("job {}", change.name),
        };
        let who = match &change.path {
            Some(path) => format!("{path} in {job}"),
            None => job,
        };
        change.sentence = told(change, &who);
    }
}

fn told(change: &Change, who: &str) -> String {
    let confidence = match change.confidence {
        Confidence::Certain => "certain",
        Confidence::Likely => "likely",
        Confidence::Possible => "possible",
    };
    let than = if change.change_bytes > 0 {
        "more"
    } else {
        "less"
    };
    let by = mebibytes(change.change_bytes.saturating_abs());
    let (since, until) = (named(&change.since), named(&change.until));
    match change.kind {
        ChangeKind::Step => {
            let (when, does) = match change.is_current {
                true => (format!("Since {since}"), does(change.figure).0),
                false => (format!("From {since} to {until}"), does(change.figure).1),
            };
            format!(
                "{when} {who} {does} {}, {by} {than} than in {} before; {confidence}.",
                mebibytes(change.bytes),
                jobs(change.jobs_before)
            )
        }
        ChangeKind::Creep => format!(
            "From {since} to {until} {who} came to {} {}, {by} {than} than {} before, about {} a job and with no single step{}; {confidence}.",
            does(change.figure).2,
            mebibytes(change.bytes),
            jobs(change.jobs.saturating_sub(1)).trim_start_matches("the "),
            mebibytes(change.per_job_bytes.unwrap_or_default().saturating_abs()),
            match (change.is_current, change.change_bytes > 0) {
                (false, _) => "",
                (true, true) => ", and still climbs",
                (true, false) => ", and still falls",
            },
        ),
    }
}

/// What came out of a history.
#[must_use]
pub fn of_report(report: &ChangesReport) -> String {
    let looked_at: u64 = report.looked_at.iter().map(|it| it.jobs).sum();
    let what = match &report.path {
        Some(path) => format!("of {path} "),
        None => String::new(),
    };
    let of_branch = match report.branch.as_str() {
        "" => "without a branch".to_owned(),
        branch => format!("of {branch}"),
    };
    let most = report.looked_at.iter().map(|it| it.jobs).max();
    match (report.changes.len() as u64 + report.left_out, looked_at) {
        (_, 0) if report.path.is_some() => {
            format!("Nothing is known {what}yet: no job {of_branch} that went well tells of it.")
        }
        (_, 0) => format!(
            "Nothing is known {what}yet: no job {of_branch} went well since the server keeps such histories."
        ),
        (0, _) if most.unwrap_or(0) < LEAST_JOBS as u64 && report.path.is_some() => format!(
            "There is not enough to tell changes {what}from noise: it ran whole, with no test that failed, in {} {of_branch} that went well and ran alike, and {LEAST_JOBS} are needed.",
            count(most.unwrap_or(0))
        ),
        (0, _) if most.unwrap_or(0) < LEAST_JOBS as u64 => format!(
            "There is not enough to tell changes {what}from noise: {} {of_branch} went well and ran alike, and {LEAST_JOBS} are needed.",
            count(most.unwrap_or(0))
        ),
        (0, jobs) => format!(
            "Nothing {what}changed for good in {} {of_branch}.",
            self::jobs(jobs)
        ),
        (1, jobs) => format!("1 change {what}in {} {of_branch}.", self::jobs(jobs)),
        (changes, jobs) => format!(
            "{changes} changes {what}in {} {of_branch}.",
            self::jobs(jobs)
        ),
    }
}

/// What a figure says of its file or job: now, then, and as a verb.
fn does(figure: CheckFigure) -> (&'static str, &'static str, &'static str) {
    match figure {
        CheckFigure::Peak => ("peaks at", "peaked at", "peak at"),
        CheckFigure::Headroom => ("leaves", "left", "leave"),
        CheckFigure::Imports => (
            "imports modules of",
            "imported modules of",
            "import modules of",
        ),
        CheckFigure::Retained => ("retains", "retained", "retain"),
        CheckFigure::Spike => (
            "needs for a while",
            "needed for a while",
            "need for a while",
        ),
    }
}

fn count(jobs: u64) -> String {
    match jobs {
        1 => "1 job".to_owned(),
        jobs => format!("{jobs} jobs"),
    }
}

fn jobs(jobs: u64) -> String {
    match jobs {
        1 => "the job".to_owned(),
        jobs => format!("the {jobs} jobs"),
    }
}

/// A job by its commit and day.
fn named(job: &BaselineJob) -> String {
    let day = time::day(&job.ordered_at);
    let commit: String = job.commit.chars().take(COMMIT_LETTERS).collect();
    match commit.as_str() {
        "" => format!("the job of {day}"),
        commit => format!("{commit} ({day})"),
    }
}
