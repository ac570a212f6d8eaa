//! A forecast in sentences.

use highwater_wire::report::{ForecastReport, LimitCrossing, LimitKind, Span};

use super::{LIKELY, Measured};
use crate::figures::{count, mebibytes};

/// A chance below so many of a hundred is not worth a sentence.
const TOLD_FROM: u32 = 10;

/// A forecast in sentences; of a job that goes on, or of one that ended early. Where it `rests_on_history`, that is said: one that knows none comes to
/// something else.
pub(super) fn sentence(
    report: &ForecastReport,
    rests_on_history: bool,
    reached: Option<&Measured>,
    goes_on: bool,
) -> String {
    let ForecastReport {
        files_done, files, ..
    } = report;
    let peak = spanned(report.peak_bytes);
    let as_then = match rests_on_history {
        true => as_then(report),
        false => String::new(),
    };
    let mut text = match (goes_on, files_done) {
        (true, 0) => format!(
            "By {} memory comes to {peak} by the end of {}.",
            last_good(report),
            count(usize::try_from(*files).unwrap_or(usize::MAX), "file")
        ),
        (true, _) => format!(
            "If it goes on so{as_then}, memory comes to {peak} by the end, after {files_done} of {files} files."
        ),
        (false, _) => format!(
            "Had it gone on so{as_then}, memory would have come to {peak} by the end, after {files_done} of {files} files."
        ),
    };
    if let Some(reached) = reached {
        let limit = limit_name(reached.kind);
        let size = mebibytes(reached.limit.limit_bytes);
        let has = if goes_on { "has" } else { "had" };
        text.push_str(&format!(" It {has} reached {limit}, {size}."));
    }
    if let Some(first) = report.crossings.first() {
        text.push_str(&crossing(first, *files, goes_on));
    }
    text
}

/// Which of the files to come are taken to be as a job before had them.
fn as_then(report: &ForecastReport) -> String {
    let ahead = report.files.saturating_sub(report.files_done);
    let which = match (report.files_known, ahead) {
        (known, ahead) if known < ahead => format!("{known} of the {ahead} files to come"),
        (_, 1) => "the file to come".to_owned(),
        _ => "the files to come".to_owned(),
    };
    format!(", with {which} as in {}", last_good(report))
}

fn last_good(report: &ForecastReport) -> String {
    let of = match &report.elsewhere {
        Some(branch) => {
            format!(" (of {branch}, as none of its own branch or of the baseline's is known)")
        }
        None => String::new(),
    };
    format!("the last good job of this name{of}")
}

/// A limit as people call it.
pub(crate) fn limit_name(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Cgroup => "the limit of the cgroup",
        LimitKind::Machine => "the memory of the machine",
        LimitKind::Budget => "the budget",
    }
}

fn crossing(it: &LimitCrossing, files: u64, goes_on: bool) -> String {
    let limit = limit_name(it.kind);
    let size = mebibytes(it.limit_bytes.cast_signed());
    let does = match goes_on {
        true => "crosses",
        false => "would have crossed",
    };
    let percent = it.percent;
    match it.file {
        Some(file) if percent >= LIKELY => {
            let within = match (it.file_low, it.file_high) {
                (Some(low), Some(high)) if low == high => String::new(),
                (Some(low), Some(high)) => format!(" ({low} to {high})"),
                (Some(low), None) => format!(" ({low} at the earliest, perhaps not at all)"),
                (None, _) => String::new(),
            };
            let named = match it.test_file.as_str() {
                "" => String::new(),
                path => format!(", {path}"),
            };
            format!(" It {does} {limit}, {size}, at file {file} of {files}{within}{named}.")
        }
        _ if percent >= TOLD_FROM => {
            format!(" With a chance of {percent} % it {does} {limit}, {size}.")
        }
        _ => String::new(),
    }
}

fn spanned(span: Span) -> String {
    let [value, low, high] = [span.value, span.low, span.high].map(mebibytes);
    match low == high {
        true => value,
        false => format!("{value} ({low} to {high})"),
    }
}
