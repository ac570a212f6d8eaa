//! One document for programs.

use highwater_wire::report::ReportDocument;

use serde::Serialize;

use crate::Source;

pub(crate) fn write(source: &Source<'_>) -> serde_json::Result<String> {
    let mut job = source.digest.job.clone();
    if let (Some(ending), Some(next)) = (&mut job.ending, &source.next_step) {
        ending.next_step.clone_from(next);
    }
    lines(&ReportDocument {
        job,
        remarks: source.remarks.clone(),
        files: source.digest.files.clone(),
        files_gone: source.files_gone.clone(),
    })
}

/// Something as JSON that people can read too, with the end of its last line.
pub(crate) fn lines(of: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(of)? + "\n")
}
