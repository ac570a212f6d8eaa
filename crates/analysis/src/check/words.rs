//! A check in plain sentences.

use highwater_wire::report::{
    CheckFigure, CheckReport, CheckVerdict, Finding, FindingCause, JobReport, JobState, MovedFile,
    Refuted, SetLimit,
};

use super::{has_failed, is_cut_short, ran_no_test};
use crate::{
    figures::{count, mebibytes},
    regression::{Compared, LEAST_JOBS, Standing},
    time,
};

/// So many findings are told in the sentence of the whole, and so many files that were not compared.
const MOST_TOLD: usize = 2;

/// What a check says as a whole: what it comes to, the worst that it found, what it left out.
pub(super) fn of_report(report: &CheckReport, job: &JobReport) -> String {
    let comes_to = comes_to(report, job);
    let told = match report.verdict {
        CheckVerdict::Regression => of_failing(report),
        _ if job.state == JobState::Running => String::new(),
        _ if report.compared > 0 => report.findings.first().map_or_else(String::new, of_known),
        _ => String::new(),
    };
    let cut_short = match (report.verdict, is_cut_short(job)) {
        (CheckVerdict::Regression, true) => {
            " The job has not run to its end: only what ran of it is compared."
        }
        _ => "",
    };
    comes_to + &told + &of_unsteady(report) + &of_left_out(report, job) + cut_short
}

/// What is to be said of a check beside its findings, where these are told one by one: what it comes to, and what it left out. Empty where there was no job to
/// compare with.
#[must_use]
pub fn beside_findings(report: &CheckReport, job: &JobReport) -> String {
    if report.baseline.jobs.is_empty() {
        return String::new();
    }
    let words = comes_to(report, job) + &of_unsteady(report) + &of_left_out(report, job);
    words.trim_start().to_owned()
}

/// What it comes to; nothing of a regression, which the findings tell.
fn comes_to(report: &CheckReport, job: &JobReport) -> String {
    let jobs = report.baseline.jobs.len();
    let of = match report.baseline.branch.as_str() {
        "" => "without a branch".to_owned(),
        branch => format!("of {branch}"),
    };
    let beside = format!("{} {of}", count(jobs, "job"));
    match report.verdict {
        CheckVerdict::NotEnoughData if job.state == JobState::Running => {
            "The job still runs: check it once it has ended.".to_owned()
        }
        CheckVerdict::NotEnoughData if ran_no_test(job) => {
            "No test ran in the job, so there is nothing to compare.".to_owned()
        }
        CheckVerdict::NotEnoughData if report.compared > 0 && job.censored => format!(
            "As far as the job ran nothing got worse beside {beside}; what it did not get to, or was at when it died, is not known."
        ),
        CheckVerdict::NotEnoughData if report.compared > 0 => {
            let figures = report.compared;
            format!(
                "Too little was compared to say that nothing got worse: in {figures} figures nothing did beside {beside}."
            )
        }
        CheckVerdict::NotEnoughData if jobs < LEAST_JOBS => format!(
            "There is not enough to compare with: {beside} went well and ran like this one (name, matrix leg, shard, workers, Python, diagnosed or not), and {LEAST_JOBS} are needed."
        ),
        CheckVerdict::NotEnoughData if !report.left_out.is_empty() => {
            format!("Nothing was compared with {beside}.")
        }
        CheckVerdict::NotEnoughData => format!(
            "There is not enough to compare with: none of the files ran in {LEAST_JOBS} of {beside}."
        ),
        CheckVerdict::Clean => {
            let is_known = report.findings.iter().any(|it| it.acknowledged.is_some());
            let what = match is_known {
                true => "Nothing that nobody knows of got worse",
                false => "Nothing got worse",
            };
            format!("{what} beside {beside}.")
        }
        CheckVerdict::Regression => String::new(),
    }
}

/// The first findings that fail the check.
fn of_failing(report: &CheckReport) -> String {
    let fails = || report.findings.iter().filter(|it| it.fails());
    let told: Vec<&str> = fails()
        .take(MOST_TOLD)
        .map(|it| it.sentence.as_str())
        .collect();
    let more = match fails().count().saturating_sub(MOST_TOLD) {
        0 => String::new(),
        more => format!(" And {more} more."),
    };
    told.join(" ") + &more
}

/// Of which figures a change that matters may have stayed untold.
fn of_unsteady(report: &CheckReport) -> String {
    let told = report.unsteady.iter().take(MOST_TOLD).map(|it| {
        let what = match (it.figure, &it.path) {
            (CheckFigure::Retained, Some(path)) => format!("what {path} retains"),
            (CheckFigure::Spike, Some(path)) => format!("what {path} needs for a while"),
            (figure, Some(path)) => format!("the {} of {path}", figure.as_str()),
            (figure, None) => format!("the {} of the job", figure.as_str()),
        };
        format!("{what} ({})", mebibytes(it.least_bytes))
    });
    let told = told.collect::<Vec<String>>().join(", ");
    let more = match report.unsteady.len().saturating_sub(MOST_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match told.is_empty() {
        true => String::new(),
        false => format!(
            " Some figures are so unsteady, in so few jobs, that only a change above this is told: {told}{more}."
        ),
    }
}

/// What was not compared, and why: files, and the figures of the job itself.
fn of_left_out(report: &CheckReport, job: &JobReport) -> String {
    if report.baseline.jobs.len() < LEAST_JOBS || job.state == JobState::Running {
        return String::new();
    }
    let (files, is_job) = (&report.left_out, has_failed(job) && !ran_no_test(job));
    let told = files.iter().take(MOST_TOLD).map(String::as_str);
    let told = told.collect::<Vec<&str>>().join(", ");
    let more = match files.len().saturating_sub(MOST_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match (files.is_empty(), is_job) {
        (true, false) => String::new(),
        (true, true) => " Not compared, as tests failed: the figures of the job itself.".to_owned(),
        (false, _) => {
            let job = match is_job {
                true => "; nor are the figures of the job itself",
                false => "",
            };
            format!(" Not compared, as tests of them failed or were cut short: {told}{more}{job}.")
        }
    }
}

/// A finding that does not fail the check.
fn of_known(finding: &Finding) -> String {
    match &finding.acknowledged {
        None if finding.cause == FindingCause::NearLimit => {
            format!(" Near its limit: {}", finding.sentence)
        }
        None if finding.again.is_some() => format!(" Unconfirmed: {}", finding.sentence),
        Some(known) => format!(
            " Acknowledged until {}: {}",
            time::day(&known.until),
            finding.sentence
        ),
        None => format!(" What came before this job: {}", finding.sentence),
    }
}

/// What confirming runs refuted of the jobs before; none where they refuted nothing.
#[must_use]
pub fn of_refuted(refuted: &[Refuted]) -> Option<String> {
    let one = |it: &Refuted| {
        let then = mebibytes(it.again.bytes);
        let first = mebibytes(it.bytes);
        format!("{} {then} and not {first}", what(it.figure, Some(&it.path)))
    };
    let told = refuted.iter().take(MOST_TOLD).map(one);
    let told = told.collect::<Vec<String>>().join(", ");
    let more = match refuted.len().saturating_sub(MOST_TOLD) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    (!refuted.is_empty()).then(|| {
        format!(
            "Refuted by a confirming run, in jobs before, and taken as it measured: {told}{more}."
        )
    })
}

/// A file that has another name now, with the old one.
#[must_use]
pub fn of_moved(moved: &MovedFile) -> String {
    format!("{} (was {})", moved.path, moved.moved_from)
}

/// What changed, with what it is judged by. `sign` is -1 for a figure of which less is worse.
pub(super) fn of_change(
    figure: CheckFigure,
    path: Option<&str>,
    bytes: i64,
    compared: &Compared,
    sign: f64,
) -> String {
    let before = (sign * compared.before_bytes) as i64;
    let than = if bytes > before { "more" } else { "less" };
    let by = mebibytes(bytes.saturating_sub(before).saturating_abs());
    let noise = mebibytes(compared.noise_bytes as i64);
    let with = match compared.standing {
        Standing::WorseBefore => " It came with an earlier job.",
        _ => "",
    };
    format!(
        "{} {}, {by} {than} than before ({}, give or take {noise}).{with}",
        what(figure, path),
        mebibytes(bytes),
        mebibytes(before),
    )
}

pub(super) fn of_limit(
    figure: CheckFigure,
    path: Option<&str>,
    bytes: i64,
    limit: i64,
    (cause, set): (FindingCause, &SetLimit),
) -> String {
    let is = match (cause, figure) {
        (FindingCause::NearLimit, _) => "near",
        (_, CheckFigure::Headroom) => "below",
        _ => "above",
    };
    let set = match &set.files {
        Some(files) => format!(" ({} of {files})", set.name.as_str()),
        None => String::new(),
    };
    format!(
        "{} {}, {is} the limit of {}{set}.",
        what(figure, path),
        mebibytes(bytes),
        mebibytes(limit),
    )
}

fn what(figure: CheckFigure, path: Option<&str>) -> String {
    let of = path.unwrap_or("The job");
    match figure {
        CheckFigure::Peak => format!("{of} peaks at"),
        CheckFigure::Headroom => "The job leaves a headroom of".to_owned(),
        CheckFigure::Imports => "The job's test files import modules of".to_owned(),
        CheckFigure::Retained => format!("{of} retains"),
        CheckFigure::Spike => format!("{of} needs for a while"),
    }
}
