//! Workflow commands of GitHub Actions: each remark as an annotation of its file.

use std::fmt::Write;

use highwater_wire::report::Remark;

use crate::{Source, escape, names::fitted, rank};

/// GitHub shows ten of a kind a step.
const MOST_OF_A_KIND: usize = 10;
/// Of a message; GitHub cuts longer ones.
const MOST_COLUMNS: usize = 3_000;

pub(crate) fn write(source: &Source<'_>) -> String {
    let mut out = String::new();
    let title = format!("Memory of {}", rank::job_name(&source.digest.job));
    let severities = source.remarks.chunk_by(|a, b| a.severity == b.severity);
    for remark in severities.flat_map(|kind| kind.iter().take(MOST_OF_A_KIND)) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line(remark, &title));
    }
    out
}

fn line(remark: &Remark, title: &str) -> String {
    let file = remark.path.as_deref().map_or_else(String::new, |path| {
        format!("file={},line=1,", escape::property(path))
    });
    format!(
        "::{} {file}title={}::{}",
        remark.severity.as_str(),
        escape::property(&fitted(title, 200)),
        escape::message(&fitted(&remark.sentence, MOST_COLUMNS))
    )
}
