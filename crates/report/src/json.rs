//! One document for programs.

use highwater_wire::report::ReportDocument;

use serde::Serialize;

use crate::Source;

/// What is told of a job, for programs.
#[must_use]
pub fn document(source: &Source<'_>) -> ReportDocument {
    let mut job = source.digest.job.clone();
    if let (Some(ending), Some(next)) = (&mut job.ending, &source.next_step) {
        ending.next_step.clone_from(next);
    }
    ReportDocument {
        job,
        remarks: source.remarks.clone(),
        plan_hint: source.plan_hint.clone(),
        files: source.digest.files.clone(),
        files_gone: source.files_gone.clone(),
    }
}

pub(crate) fn write(source: &Source<'_>) -> serde_json::Result<String> {
    lines(&document(source))
}

/// Something as JSON that people can read too, with the end of its last line.
pub(crate) fn lines(of: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(of)? + "\n")
}
