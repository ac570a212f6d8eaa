//! `highwater check`: whether the memory of a job got worse, as the server tells it.

mod confirm;

use std::{fmt::Write as _, time::Duration};

use highwater_analysis::{
    check::{of_moved, of_refuted},
    figures::shown,
    time,
};
use highwater_wire::report::{CheckReport, CheckVerdict, Finding, FindingCause};
use uuid::Uuid;

use confirm::Again;

use super::{CommandError, environment, named, tell, working_folder};
use crate::{
    cli::{CheckForm, CheckTask, FailOn},
    exit_codes,
    settings::{self, Given, Judged},
    shipper::Client,
    terminal,
};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What its answer may weigh, bytes: a finding has some hundred.
const MOST_BYTES: u64 = 64 << 20;
/// Names of files in a row; the rest is counted.
const MOST_NAMES: usize = 5;

/// Prints what the server says, and ends with what that means.
///
/// # Errors
/// When there is no job, or the server does not tell.
pub fn check(task: &CheckTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        server: task.server.clone(),
        ..Given::default()
    };
    let folder = working_folder();
    let places = settings::places(given, &env, &folder)?;
    tell(&places.problems);
    let judged = task.judged.clone().resolve(&env, &folder);
    let judged = judged.map_err(CommandError::NotJudged)?;
    let job = named::job(task.job.as_ref(), &env)?.ok_or(CommandError::NoJobToCheck)?;
    let server = places.server.as_ref().ok_or(CommandError::NoServerToAsk)?;
    let client = Client::new(server, places.token.as_ref(), &env, job);
    let mut report = ask(job, &judged, &client)?;
    if let Some(command) = &task.confirm {
        let again = Again {
            job,
            client: &client,
            server,
            folder: &folder,
            command,
        };
        if again.measure(&report)? {
            report = ask(job, &judged, &client)?;
        }
    }
    let answer = match task.form {
        CheckForm::Text => text(&report),
        CheckForm::Json => serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?,
    };
    terminal::print(&answer).map_err(CommandError::NotPrinted)?;
    Ok(code(&report, judged.fail_on.unwrap_or(FailOn::Worse)))
}

fn ask(job: Uuid, judged: &Judged, client: &Client) -> Result<CheckReport, CommandError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(branch) = &judged.baseline {
        query.append_pair("baseline", branch);
    }
    for (name, limit) in judged.limits() {
        if let Some(limit) = limit {
            query.append_pair(name, &limit.to_string());
        }
    }
    for limits in &judged.files {
        query.append_pair("file_limit", &limits.to_string());
    }
    let path = format!("/api/v1/jobs/{job}/check?{}", query.finish());
    let unread = |why| CommandError::NotRead(job, why);
    let answer = client.read(&path, PATIENCE, MOST_BYTES).map_err(unread)?;
    serde_json::from_str(&answer)
        .map_err(|error| unread(format!("what it answers is not understood: {error}")))
}

fn code(report: &CheckReport, fail_on: FailOn) -> u8 {
    let is_over = |finding: &Finding| match fail_on {
        FailOn::Worse => finding.fails(),
        FailOn::Limit => finding.fails() && finding.cause == FindingCause::Limit,
        FailOn::Never => false,
    };
    if report.findings.iter().any(is_over) {
        exit_codes::REGRESSION
    } else if report.verdict == CheckVerdict::NotEnoughData && fail_on == FailOn::Worse {
        exit_codes::NOT_ENOUGH_DATA
    } else {
        exit_codes::OK
    }
}

fn text(report: &CheckReport) -> String {
    let verdict = match report.verdict {
        CheckVerdict::Clean => "clean",
        CheckVerdict::Regression => "regression",
        CheckVerdict::NotEnoughData => "not enough data",
    };
    // Writing into a string cannot fail.
    let mut text = format!("{verdict}: {}\n", shown(&report.sentence));
    let findings = report.findings.iter().map(|finding| {
        let mark = match finding.cause {
            _ if finding.acknowledged.is_some() => "acknowledged",
            _ if finding.again.is_some_and(|again| !again.confirms) => "unconfirmed",
            FindingCause::Changed => "worse",
            FindingCause::ChangedBefore => "worse before",
            FindingCause::Limit => "limit",
            FindingCause::NearLimit => "near limit",
        };
        (mark, finding)
    });
    let better = report.better.iter().map(|finding| ("better", finding));
    for (mark, finding) in findings.chain(better) {
        let tests = finding.tests.filter(|tests| tests.now != tests.before);
        let tests = tests.map_or_else(String::new, |tests| {
            format!(" It has {} tests now and had {}.", tests.now, tests.before)
        });
        let known = finding
            .acknowledged
            .as_ref()
            .map_or_else(String::new, |it| {
                format!(
                    " Until {}, by {}: {}",
                    time::day(&it.until),
                    shown(&it.by),
                    shown(&it.reason)
                )
            });
        let sentence = shown(&finding.sentence);
        let _ = writeln!(text, "  {mark:<12} {sentence}{tests}{known}");
    }
    let moved: Vec<String> = report.moved_files.iter().map(of_moved).collect();
    for (what, names) in [
        ("Files new, not compared", &report.new_files),
        ("Files gone", &report.gone_files),
        (
            "Files compared with what they were under another name",
            &moved,
        ),
        ("Files with too few jobs before", &report.too_few),
        (
            "Files left out, as tests failed or were cut short",
            &report.left_out,
        ),
        (
            "Limits for files that the job did not run",
            &report.unmatched_limits,
        ),
    ] {
        if !names.is_empty() {
            let told: Vec<String> = names.iter().take(MOST_NAMES).map(|it| shown(it)).collect();
            let more = match names.len().saturating_sub(MOST_NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let _ = writeln!(text, "{what}: {}{more}", told.join(", "));
        }
    }
    let _ = writeln!(
        text,
        "{} figures compared with {} jobs{}.",
        report.compared,
        report.baseline.jobs.len(),
        match report.baseline.branch.as_str() {
            "" => String::new(),
            branch => format!(" of {}", shown(branch)),
        }
    );
    if let Some(refuted) = of_refuted(&report.baseline.refuted) {
        let _ = writeln!(text, "{}", shown(&refuted));
    }
    text
}
