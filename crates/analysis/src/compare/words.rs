//! A comparison in words.

use std::{collections::BTreeSet, fmt::Display};

use highwater_wire::report::{ComparedJob, ComparedSide, JobState, Verdict};

use super::{Side, beyond_noise};
use crate::figures::{count, mebibytes};

/// What became of peak, headroom and ending.
pub(super) fn sentence([before, after]: &[ComparedSide; 2]) -> String {
    let mut parts = vec![peak(before, after)];
    if let (Some(was), Some(is)) = (before.headroom_bytes, after.headroom_bytes) {
        let bound = |side: &ComparedSide| if side.censored { "at most " } else { "" };
        parts.push(format!(
            "headroom {}{} → {}{}",
            bound(before),
            mebibytes(was),
            bound(after),
            mebibytes(is)
        ));
    }
    let (was, is) = (ending(&before.jobs), ending(&after.jobs));
    parts.push(match was == is {
        true => format!("{is} before and after"),
        false => format!("{was} → {is}"),
    });
    let all = parts.join(", ");
    match cut(before.jobs.len(), after.jobs.len()) {
        Some(cut) => format!("{cut}: {all}."),
        None => format!("P{}.", all.trim_start_matches('p')),
    }
}

/// How the suite was cut.
fn cut(before: usize, after: usize) -> Option<String> {
    match (before, after) {
        (1, 1) => None,
        (1, jobs) => Some(format!("Split into {jobs} jobs")),
        (jobs, 1) => Some(format!("One job of what were {jobs}")),
        (before, after) if before == after => Some(format!("{after} jobs before and after")),
        (before, after) => Some(format!("{before} jobs → {after} jobs")),
    }
}

fn peak(before: &ComparedSide, after: &ComparedSide) -> String {
    let figure = |side: &ComparedSide| side.peak_bytes.cast_signed();
    let bound = |side: &ComparedSide| if side.censored { "at least " } else { "" };
    let noise = match beyond_noise(figure(before), figure(after), 0) {
        true => "",
        false => " (no more than noise)",
    };
    format!(
        "peak {}{} → {}{}{noise}",
        bound(before),
        mebibytes(figure(before)),
        bound(after),
        mebibytes(figure(after))
    )
}

/// How jobs ended: the worst of them, and how many did.
pub(super) fn ending(jobs: &[ComparedJob]) -> String {
    let words = |job: &ComparedJob| match (job.verdict, job.state) {
        (Some(verdict), _) => ending_words(verdict),
        (None, JobState::Running) => "still running",
        (None, _) => "ending not known",
    };
    let of_worst = |worst: &str| jobs.iter().filter(|job| words(job) == worst).count();
    let worst = match super::side::worst_job(jobs) {
        Some(job) => words(job),
        None => return "no job".to_owned(),
    };
    match (of_worst(worst), jobs.len()) {
        (some, all) if some == all => worst.to_owned(),
        (some, all) => format!("{some} of {all} {worst}"),
    }
}

/// An ending as a side of "died of memory → passed".
fn ending_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::TestsFailed => "tests failed",
        Verdict::UsageError => "wrong use of pytest",
        Verdict::NoTests => "no tests",
        Verdict::InternalError => "internal error of pytest",
        Verdict::Interrupted => "interrupted",
        Verdict::Crashed => "crashed",
        Verdict::WorkerCrashed => "a worker crashed",
        Verdict::OomChild => "a child died of memory",
        Verdict::OomCgroup
        | Verdict::OomMachine
        | Verdict::OomDaemon
        | Verdict::RunnerLostMemory => "died of memory",
        Verdict::RunnerLost => "runner lost",
        Verdict::MemoryError => "was refused memory",
        Verdict::GuardStopped => "stopped by the guard",
        Verdict::TimedOut => "timed out",
        Verdict::Cancelled => "cancelled",
        Verdict::Killed => "killed",
        Verdict::AgentLost => "agent lost",
        Verdict::NoSession => "no pytest seen",
    }
}

/// What is to be kept in mind with the figures.
pub(super) fn notes(before: &Side, after: &Side) -> Vec<String> {
    let sides = [(before, "before"), (after, "after")];
    let mut notes = Vec::new();
    for (side, when) in sides {
        let count = |is: fn(&&ComparedJob) -> bool| side.jobs.iter().filter(is).count();
        for (some, words) in [
            (
                count(|job| job.state == JobState::Running),
                "still running: its figures are of what has arrived",
            ),
            (
                count(|job| job.censored && job.state != JobState::Running),
                "cut short: peaks, tests and what was retained are lower bounds, headroom an upper one",
            ),
            (
                count(|job| job.state == JobState::Incomplete),
                "not complete: part of the recording never arrived",
            ),
        ] {
            let (is, all) = (if some == 1 { "is" } else { "are" }, side.jobs.len());
            match some {
                0 => {}
                _ if all == 1 => notes.push(format!("The job {when} is {words}.")),
                some => notes.push(format!("{some} of {all} jobs {when} {is} {words}.")),
            }
        }
    }
    let kinds = |side: &Side| side.told().peak_kind;
    if kinds(before) != kinds(after) {
        notes.push(format!(
            "The peak before is {}, that after {}: a sampled one may have been higher.",
            kinds(before).as_str(),
            kinds(after).as_str()
        ));
    }
    let (was, is) = (&before.around, &after.around);
    differ(&mut notes, "Versions differ", &was.versions, &is.versions);
    differ(&mut notes, "Workers differ", &was.workers, &is.workers);
    let sizes = |sizes: &BTreeSet<u64>| -> BTreeSet<String> {
        let size = |bytes: &u64| mebibytes(i64::try_from(*bytes).unwrap_or(i64::MAX));
        sizes.iter().map(size).collect()
    };
    let (was, is) = (sizes(&was.machines), sizes(&is.machines));
    differ(&mut notes, "Memory of the machines differs", &was, &is);
    notes.extend(diagnosed(before, after));
    notes
}

/// Jobs that were diagnosed beside others, on one side or on both: their figures differ for that alone.
fn diagnosed(before: &Side, after: &Side) -> Option<String> {
    let (was, is) = (&before.around.recorded, &after.around.recorded);
    let words = |all: &BTreeSet<&str>| all.iter().copied().collect::<Vec<_>>().join(", ");
    (was.union(is).count() > 1).then(|| {
        format!(
            "Diagnosis differs: {} → {}. After each file of a diagnosed job garbage is collected and free memory given back, so figures of it and of others differ by that too.",
            words(was),
            words(is)
        )
    })
}

fn differ<T: Display + Ord>(
    notes: &mut Vec<String>,
    what: &str,
    was: &BTreeSet<T>,
    is: &BTreeSet<T>,
) {
    let words = |all: &BTreeSet<T>| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        all.join(", ")
    };
    // Where nothing is known there is nothing to compare.
    if !was.is_empty() && !is.is_empty() && was != is {
        notes.push(format!("{what}: {} → {}.", words(was), words(is)));
    }
}

/// Why growth from file to file is not compared, where other processes ran the files.
pub(super) fn other_processes(before: &Side, after: &Side) -> Option<String> {
    let how = match [before, after].map(|side| side.jobs.len()) {
        [was, is] if was != is => format!(
            "the suite ran in {} before and in {} after",
            count(was, "job"),
            count(is, "job")
        ),
        _ if before.around.workers != after.around.workers => {
            "the suite was spread over other workers".to_owned()
        }
        _ => return None,
    };
    Some(format!(
        "Growth a file is left out: it is of one process over the files that it ran, and {how}."
    ))
}

/// Why files and fixtures are not compared.
pub(super) fn without_files(before: &Side, after: &Side) -> String {
    let jobs = before.without_files.iter().chain(&after.without_files);
    let jobs: Vec<String> = jobs.map(ToString::to_string).collect();
    format!(
        "Test files and fixtures are not compared: those of {} are not there any more (retention removed them).",
        jobs.join(", ")
    )
}
