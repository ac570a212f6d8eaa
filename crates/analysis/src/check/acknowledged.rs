//! What somebody knows of: a figure that was acknowledged at a size fails no check as long as it is not clearly more than that.

use highwater_wire::report::{
    Acknowledged, Acknowledgement, CheckFigure, CheckReport, FileRow, Finding, FindingCause,
    JobReport,
};

use super::{FileFigures, by_path, imports, judge};
use crate::regression::least_change;

/// Marks the findings of which somebody knows, and says anew what the rest comes to. `known` are the acknowledgements that count for jobs of this name, the newest
/// first: of several of one figure the newest counts.
pub fn acknowledge(report: &mut CheckReport, job: &JobReport, known: &[Acknowledgement]) {
    for finding in &mut report.findings {
        let of_it = known.iter().find(|it| it.is_of(finding, job));
        let covers = of_it.filter(|it| !is_more(finding, it.bytes));
        finding.acknowledged = covers.map(Acknowledged::from);
    }
    judge(report, job);
}

/// Whether a finding is clearly beyond so many bytes: by the change that would be told of it, and of a limit, which knows no noise, by the floor of a figure of that size.
fn is_more(finding: &Finding, bytes: i64) -> bool {
    let beyond = match finding.figure {
        // Of headroom less is worse.
        CheckFigure::Headroom => bytes.saturating_sub(finding.bytes),
        _ => finding.bytes.saturating_sub(bytes),
    };
    let allowed = match finding.cause {
        FindingCause::Changed | FindingCause::ChangedBefore => finding.least_bytes,
        FindingCause::Limit | FindingCause::NearLimit => least_change(bytes.max(0) as f64) as i64,
    };
    beyond > allowed
}

/// A figure of a job as a check sees it, bytes; none where the job has no such file, or no limit that leaves headroom. A figure of a file has a path, one of the job has none.
#[must_use]
pub fn figure_of(
    job: &JobReport,
    files: &[FileRow],
    path: Option<&str>,
    figure: CheckFigure,
) -> Option<i64> {
    let Some(path) = path else {
        return match figure {
            CheckFigure::Peak => Some(job.peak_bytes.cast_signed()),
            CheckFigure::Headroom => job.headroom_bytes,
            CheckFigure::Imports => Some(imports(&ran(files))),
            CheckFigure::Retained | CheckFigure::Spike => None,
        };
    };
    let file = ran(files).into_iter().find(|file| file.path == path)?;
    match figure {
        CheckFigure::Retained => Some(file.retained_bytes),
        CheckFigure::Spike => Some(file.spike_bytes),
        CheckFigure::Peak => Some(file.tree_peak_bytes),
        CheckFigure::Headroom | CheckFigure::Imports => None,
    }
}

fn ran(files: &[FileRow]) -> Vec<FileFigures> {
    let ran = files.iter().filter(|row| row.visits > 0);
    by_path(ran.map(FileFigures::from)).into_values().collect()
}

#[cfg(test)]
mod tests;
