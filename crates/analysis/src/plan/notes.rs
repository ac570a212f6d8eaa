//! What is to be known of a plan beside its figures.

use highwater_wire::report::{BudgetLimit, PlanReport};

use super::{hint, is_like};
use crate::{
    figures::{mebibytes, shown},
    forecast::limit_name,
};

/// What whoever runs the plan should know, what matters most first: each begins small and ends without a stop.
#[must_use]
pub fn notes(report: &PlanReport) -> Vec<String> {
    [of_plan(report), of_files(report), of_groups(report)].concat()
}

/// Which limit, and how much of it, the budget of a plan is; `None` where it was named.
#[must_use]
pub fn of_budget(report: &PlanReport) -> Option<String> {
    let limit = report.limit?;
    let percent = 100.0 * report.budget_bytes as f64 / limit.left_bytes.max(1) as f64;
    let why = match report.budget_bytes > hint::usual_bytes(&limit) {
        true => ", which the file that needs most takes",
        false => "",
    };
    Some(format!("{percent:.0} % of {}{why}", of_limit(&limit)))
}

/// All that a limit leaves a job, in words.
pub(super) fn of_limit(limit: &BudgetLimit) -> String {
    let bytes = |bytes: u64| mebibytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let all = format!("{}, {}", limit_name(limit.kind), bytes(limit.limit_bytes));
    match limit.left_bytes < limit.limit_bytes {
        true => format!("the {} that others leave of {all}", bytes(limit.left_bytes)),
        false => all,
    }
}

/// The same as whole sentences; names of files stay as they are.
#[must_use]
pub fn sentences(report: &PlanReport) -> Vec<String> {
    let begun = |notes: Vec<String>| notes.into_iter().map(|note| capitalised(&note));
    let notes = begun(of_plan(report))
        .chain(of_files(report))
        .chain(begun(of_groups(report)));
    notes.map(|note| note + ".").collect()
}

/// Words that begin small, as a sentence begins.
#[must_use]
pub fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

fn of_plan(report: &PlanReport) -> Vec<String> {
    let mut notes = Vec::new();
    if report.is_partial {
        notes.push(
            "the recorded job did not run to its end: what it had not even imported is not in this plan"
                .to_owned(),
        );
    }
    if report.is_diagnosed {
        notes.push(
            "the recorded job was diagnosed: garbage was collected and free memory given back after each file, so without that the jobs will take more than is predicted; plan from one that was not"
                .to_owned(),
        );
    }
    notes.extend(fewer(report));
    notes.extend(of_shard(report));
    notes
}

/// Each begins with the name of a file.
fn of_files(report: &PlanReport) -> Vec<String> {
    let mut notes = Vec::new();
    let of_files = [
        (
            &report.not_run,
            "did not run in that recording, and no other job was found to tell: the figures are guessed, as those of the file in the middle of those that did",
        ),
        (
            &report.cut_short,
            "did not finish in that recording, and nothing else is known: planned with what was seen to be needed until then, more may be",
        ),
        (
            &report.recalled,
            "did not run in that recording, or not to the end: planned with the most that was needed in other jobs",
        ),
        (
            &report.elsewhere,
            "ran to the end in no other job of its own branch or of the baseline's (main, else master): what was needed there is of other branches or pull requests, whose code may be another",
        ),
        (
            &report.no_tests,
            "had no test to run in that recording, or none that -k, -m or a node id left, and is in none of these jobs: a new file to them once it has one",
        ),
        (
            &report.left_out,
            "cannot stand in a plan, by a name that is empty or has a control character: where jobs run by the plan's file or id it runs in one of them as a new file, beside what is predicted, and by lists of files in none",
        ),
    ];
    for (files, what) in of_files {
        if let [first, others @ ..] = &files[..] {
            let more = match others.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            notes.push(format!("{}{more} {what}", shown(first)));
        }
    }
    notes
}

fn of_groups(report: &PlanReport) -> Vec<String> {
    let words = report.together.iter().map(|group| {
        format!(
            "what looks like {} is in job {}, new files too",
            group.globs.join(" or "),
            group.job
        )
    });
    words.collect()
}

/// What is to be known of a plan whose recorded job was one shard of several; `None` of another.
#[must_use]
pub fn of_shard(report: &PlanReport) -> Option<String> {
    let shard = report.shard?;
    Some(format!(
        "the recorded job was shard {} of {}: files of the other shards are in none of these jobs, which would take them for new ones where they are run by the plan's file or id; run them by their lists of files (pytest @FILE, or the form args), or plan from a recording of the whole suite",
        shard.index, shard.total
    ))
}

/// Why there are fewer jobs than were asked for; `None` where there are as many.
pub(super) fn fewer(report: &PlanReport) -> Option<String> {
    let jobs = report.jobs.len();
    let asked = report.jobs_asked.filter(|asked| *asked > jobs)?;
    let files = || report.jobs.iter().flat_map(|job| &job.files);
    let kept: usize = report
        .together
        .iter()
        .map(|group| {
            let is_of_it = |path: &&String| group.globs.iter().any(|glob| is_like(glob, path));
            files().filter(is_of_it).count().saturating_sub(1)
        })
        .sum();
    let why = match files().count().saturating_sub(kept) {
        apart if apart > jobs => "no cut into more was found that has a file in each",
        _ if report.together.is_empty() => "each has a test file at least, and there are no more",
        _ => "each has a test file at least, and there are no more that need not stay together",
    };
    Some(format!(
        "{asked} jobs were asked for and {jobs} made: {why}"
    ))
}
