//! A forecast in sentences.

use highwater_wire::report::{ForecastReport, LimitCrossing, LimitKind, Span};

use super::{LIKELY, Measured};
use crate::figures::mebibytes;

/// A chance below so many of a hundred is not worth a sentence.
const TOLD_FROM: u32 = 10;

/// A forecast in sentences; of a job that goes on, or of one that ended early.
pub(super) fn sentence(
    report: &ForecastReport,
    reached: Option<&Measured>,
    goes_on: bool,
) -> String {
    let ForecastReport {
        files_done, files, ..
    } = report;
    let peak = spanned(report.peak_bytes);
    let mut text = match (goes_on, files_done) {
        (true, 0) => format!(
            "By the last good job of this name memory comes to {peak} by the end of {files} files."
        ),
        (true, _) => format!(
            "If it goes on so, memory comes to {peak} by the end, after {files_done} of {files} files."
        ),
        (false, _) => format!(
            "Had it gone on so, memory would have come to {peak} by the end, after {files_done} of {files} files."
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

fn limit_name(kind: LimitKind) -> &'static str {
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
