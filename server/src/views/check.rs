//! The section of a job's page that sets it beside the jobs before it.

use highwater_analysis::{
    check::{of_moved, of_refuted},
    time,
};
use highwater_wire::report::{CheckReport, CheckVerdict, Finding, FindingCause, JobReport};
use uuid::Uuid;

use super::{
    format,
    jobs::{file_href, project_href},
};

const MOST_FINDINGS: usize = 30;
/// Of a kind of files that are not compared so many are named.
const MOST_NAMES: usize = 10;

/// What the section shows.
pub(crate) struct CheckSection {
    pub(crate) heading: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) sentence: String,
    pub(crate) beside: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) rows_left: usize,
    /// What is said of files that were not compared.
    pub(crate) notes: Vec<String>,
    pub(crate) json: String,
    /// For whoever may say that a finding is known.
    pub(crate) acknowledge: Option<AcknowledgeForm>,
}

/// What the form to acknowledge a finding holds.
pub(crate) struct AcknowledgeForm {
    pub(crate) action: String,
    /// Each finding that fails the check: what is sent for it, and words.
    pub(crate) choices: Vec<(String, String)>,
    /// Whether the job is of a matrix leg.
    pub(crate) has_variant: bool,
}

/// What a row says of a finding that somebody knows of.
pub(crate) struct Known {
    pub(crate) words: String,
    /// Where it is withdrawn; none for whoever may not.
    pub(crate) withdraw: Option<String>,
}

/// What a row says of a second measurement.
pub(crate) struct AgainWords {
    pub(crate) bytes: String,
    /// Address of the job that made it.
    pub(crate) href: String,
    /// Whether it takes the finding back.
    pub(crate) is_refuted: bool,
}

pub(crate) struct Row {
    pub(crate) tone: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) path: String,
    pub(crate) href: String,
    pub(crate) now: String,
    pub(crate) before: String,
    pub(crate) change: String,
    pub(crate) noise: String,
    /// The job that has it already: words and address.
    pub(crate) since: Option<(String, String)>,
    pub(crate) known: Option<Known>,
    /// What it was when its file ran again.
    pub(crate) again: Option<AgainWords>,
}

/// The section; none where there is nothing to compare with at all.
pub(crate) fn section(
    of: &JobReport,
    check: CheckReport,
    may_acknowledge: bool,
) -> Option<CheckSection> {
    let CheckReport {
        job,
        verdict,
        sentence,
        baseline,
        compared,
        findings,
        better,
        new_files,
        gone_files,
        moved_files,
        too_few,
        left_out,
        // The sentence has those that matter most.
        unsteady: _,
        // The job may be one shard of many.
        unmatched_limits: _,
    } = check;
    let newest = baseline.jobs.last();
    if newest.is_none() && findings.is_empty() {
        return None;
    }
    let jobs = match baseline.jobs.len() {
        1 => "1 job".to_owned(),
        jobs => format!("{jobs} jobs"),
    };
    let commit = newest.map_or_else(String::new, |newest| format::commit(&newest.commit));
    let until = if commit.is_empty() {
        String::new()
    } else {
        format!(", the newest of commit {commit}")
    };
    let refuted = of_refuted(&baseline.refuted);
    let moved: Vec<String> = moved_files.iter().map(of_moved).collect();
    let moved = note("Compared with what they were under another name", &moved);
    let told_beside = [refuted, moved].into_iter().flatten();
    let told_beside: String = told_beside.map(|words| format!(" {words}")).collect();
    let beside = match newest {
        None => "There is no job before to compare it with.".to_owned(),
        Some(_) => format!(
            "{compared} figures beside {jobs} {}{until}.{told_beside}",
            match baseline.branch.as_str() {
                "" => "without a branch".to_owned(),
                branch => format!("of {branch}"),
            },
        ),
    };
    let project_href = project_href(&of.project);
    let files = |path: &str| file_href(&project_href, path, &of.name);
    let rows: Vec<Row> = findings
        .iter()
        .map(|finding| Row {
            known: known(job, finding, may_acknowledge),
            ..row(&files, finding, false)
        })
        .chain(better.iter().map(|finding| row(&files, finding, true)))
        .collect();
    let notes = [
        ("New files, with nothing to compare them with", new_files),
        (
            "Files that the newest of them ran and this job did not",
            gone_files,
        ),
        ("Files with too few jobs before", too_few),
        (
            "Files left out, as tests of them failed or were cut short",
            left_out,
        ),
    ];
    let open = findings.iter().filter(|finding| finding.fails());
    let open: Vec<(String, String)> = open.take(MOST_FINDINGS).map(choice).collect();
    Some(CheckSection {
        heading: match newest {
            Some(_) => "Beside the jobs before",
            None => "Beside its limits",
        },
        acknowledge: match may_acknowledge && !open.is_empty() {
            true => Some(AcknowledgeForm {
                action: format!("/jobs/{job}/acknowledgements"),
                choices: open,
                has_variant: !of.variant.is_empty(),
            }),
            false => None,
        },
        tone: match verdict {
            CheckVerdict::Clean => "good",
            CheckVerdict::Regression => "bad",
            CheckVerdict::NotEnoughData => "",
        },
        sentence,
        beside,
        rows_left: rows.len().saturating_sub(MOST_FINDINGS),
        rows: rows.into_iter().take(MOST_FINDINGS).collect(),
        notes: notes
            .into_iter()
            .filter_map(|(what, files)| note(what, &files))
            .collect(),
        json: json(of),
    })
}

/// The same from the API, which holds a job to the limits that it is given alone.
fn json(job: &JobReport) -> String {
    let path = format!("/api/v1/jobs/{}/check", job.uuid);
    let Some(limits) = &job.check_limits else {
        return path;
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, limit) in [
        ("max_peak", limits.max_peak_bytes),
        ("min_headroom", limits.min_headroom_bytes),
        ("max_retained", limits.max_retained_bytes),
        ("max_spike", limits.max_spike_bytes),
    ] {
        if let Some(limit) = limit {
            query.append_pair(name, &limit.to_string());
        }
    }
    for limit in &limits.files {
        query.append_pair("file_limit", limit);
    }
    format!("{path}?{}", query.finish())
}

fn row(href: &impl Fn(&str) -> String, finding: &Finding, is_better: bool) -> Row {
    let (tone, mark) = match finding.cause {
        _ if is_better => ("good", "better"),
        _ if finding.acknowledged.is_some() => ("", "acknowledged"),
        _ if finding.again.is_some_and(|again| !again.confirms) => ("", "unconfirmed"),
        FindingCause::Changed => ("bad", "worse"),
        FindingCause::ChangedBefore => ("warn", "worse before"),
        FindingCause::Limit => ("bad", "over the limit"),
        FindingCause::NearLimit => ("warn", "near the limit"),
    };
    let before = finding.before_bytes;
    let change = before.map(|before| finding.bytes.saturating_sub(before));
    let sign = |bytes: i64| if bytes > 0 { "+" } else { "" };
    let path = finding.path.clone().unwrap_or_default();
    Row {
        tone,
        mark,
        figure: finding.figure.as_str(),
        href: href(&path),
        path,
        now: format::mebibytes(finding.bytes),
        before: before.map_or_else(
            || format!("limit {}", format::mebibytes(finding.least_bytes)),
            format::mebibytes,
        ),
        change: change.map_or_else(String::new, |by| {
            format!("{}{}", sign(by), format::mebibytes(by))
        }),
        noise: finding
            .noise_bytes
            .map_or_else(String::new, format::mebibytes),
        since: finding.since.as_ref().map(|job| {
            let commit = format::commit(&job.commit);
            let words = if commit.is_empty() {
                "that job".to_owned()
            } else {
                commit
            };
            (words, format!("/jobs/{}", job.uuid))
        }),
        known: None,
        again: finding.again.map(|again| AgainWords {
            bytes: format::mebibytes(again.bytes),
            href: format!("/jobs/{}", again.job),
            is_refuted: !again.confirms,
        }),
    }
}

fn known(job: Uuid, finding: &Finding, may_withdraw: bool) -> Option<Known> {
    let known = finding.acknowledged.as_ref()?;
    let withdraw = format!("/jobs/{job}/acknowledgements/{}/withdraw", known.id);
    Some(Known {
        words: format!(
            "until {} up to about {}, by {}: {}",
            time::day(&known.until),
            format::mebibytes(known.bytes),
            known.by,
            known.reason
        ),
        withdraw: may_withdraw.then_some(withdraw),
    })
}

/// A finding in the form: what is sent, and words.
fn choice(finding: &Finding) -> (String, String) {
    let figure = finding.figure.as_str();
    let now = format::mebibytes(finding.bytes);
    match &finding.path {
        Some(path) => (
            format!("{figure} {path}"),
            format!("{path}: {figure} {now}"),
        ),
        None => (figure.to_owned(), format!("the job: {figure} {now}")),
    }
}

fn note(what: &str, files: &[String]) -> Option<String> {
    let named = files.iter().take(MOST_NAMES).map(String::as_str);
    let named = named.collect::<Vec<&str>>().join(", ");
    let more = match files.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!files.is_empty()).then(|| format!("{what}: {named}{more}."))
}

/// What the page of a job says that runs files of another again.
pub(crate) fn runs_again(job: &JobReport) -> Option<(&'static str, String)> {
    let words = |of| format!("files of job {of}, to confirm what was found of them");
    Some(("Runs again", words(job.confirms?)))
}
