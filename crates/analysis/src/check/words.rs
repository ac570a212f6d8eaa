//! A check in plain sentences.

use highwater_wire::report::{
    CheckFigure, CheckReport, CheckVerdict, Finding, FindingCause, JobReport, JobState, Refuted,
    SetLimit,
};

use crate::{
    figures::mebibytes,
    regression::{Compared, Course, LEAST_JOBS},
    time,
};

/// So many findings are told in the sentence of the whole, and so many files that were not compared.
const MOST_TOLD: usize = 2;

pub(super) fn of_report(report: &CheckReport, job: &JobReport) -> String {
    let jobs = report.baseline.jobs.len();
    let of = match report.baseline.branch.as_str() {
        "" => "without a branch".to_owned(),
        branch => format!("of {branch}"),
    };
    let beside = match jobs {
        1 => format!("1 job {of}"),
        jobs => format!("{jobs} jobs {of}"),
    };
    let is_running = job.state == JobState::Running;
    let cut_short = match (report.verdict, job.censored || is_running) {
        (CheckVerdict::Regression, true) => {
            " The job has not run to its end: only what ran of it is compared."
        }
        _ => "",
    };
    let text = match report.verdict {
        CheckVerdict::NotEnoughData if is_running => {
            "The job still runs: check it once it has ended.".to_owned()
        }
        CheckVerdict::NotEnoughData if report.compared > 0 && job.censored => {
            let told = report.findings.first().map_or_else(String::new, of_known);
            format!(
                "As far as the job ran nothing got worse beside {beside}; what it did not get to, or was at when it died, is not known.{told}"
            )
        }
        CheckVerdict::NotEnoughData if report.compared > 0 => {
            let told = report.findings.first().map_or_else(String::new, of_known);
            let figures = report.compared;
            format!(
                "Too little was compared to say that nothing got worse: in {figures} figures nothing did beside {beside}.{told}"
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
            let told = report.findings.first().map_or_else(String::new, of_known);
            format!("{what} beside {beside}.{told}")
        }
        CheckVerdict::Regression => {
            let fails = || {
                let findings = report.findings.iter();
                findings.filter(|it| it.fails())
            };
            let told: Vec<&str> = fails()
                .take(MOST_TOLD)
                .map(|it| it.sentence.as_str())
                .collect();
            let more = match fails().count().saturating_sub(MOST_TOLD) {
                0 => String::new(),
                1 => " And 1 more.".to_owned(),
                more => format!(" And {more} more."),
            };
            format!("{}{more}", told.join(" "))
        }
    };
    let left_out = match jobs < LEAST_JOBS || is_running {
        true => String::new(),
        false => of_left_out(&report.left_out, super::has_failed(job)),
    };
    text + &left_out + cut_short
}

/// What was not compared, and why. `is_job`: neither were the figures of the job itself.
fn of_left_out(files: &[String], is_job: bool) -> String {
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
    let with = match compared.course {
        Course::WorseBefore => " It came with an earlier job.",
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
