//! One document for programs.

use highwater_wire::report::ReportDocument;

use serde::Serialize;

use crate::Source;

pub(crate) fn write(source: &Source<'_>) -> serde_json::Result<String> {
    lines(&ReportDocument {
        job: source.digest.job.clone(),
        remarks: source.remarks.clone(),
        files: source.digest.files.clone(),
        files_gone: source.files_gone.clone(),
    })
}

/// Something as JSON that people can read too, with the end of its last line.
pub(crate) fn lines(of: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(of)? + "\n")
}
