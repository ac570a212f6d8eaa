//! One document for programs.

use highwater_wire::report::ReportDocument;

use crate::Source;

pub(crate) fn write(source: &Source<'_>) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&ReportDocument {
        job: source.digest.job.clone(),
        remarks: source.remarks.clone(),
        files: source.digest.files.clone(),
    })
}
