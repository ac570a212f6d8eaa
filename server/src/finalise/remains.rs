//! The report of a job of which nothing but its row is left that this version can read.

use highwater_store::{JobFigures, JobKey};
use highwater_wire::report::{Confidence, Ending, JobReport, JobState, PeakKind, Verdict};
use uuid::Uuid;

use super::{FinaliseError, Stored};

/// What the job said when it began and ended, and the figures of its row.
pub(crate) fn report(
    uuid: Uuid,
    key: JobKey,
    figures: JobFigures,
) -> Result<JobReport, FinaliseError> {
    let state = match key.state.as_str() {
        "finished" => JobState::Finished,
        "incomplete" => JobState::Incomplete,
        _ => JobState::Lost,
    };
    let bare = Stored {
        key,
        uuid,
        state,
        residue: None,
        series: Vec::new(),
        pages: Vec::new(),
        batches: Vec::new(),
        before: None,
    };
    let mut report = bare.load()?.digest().job;
    report.duration_us = figures.duration_us;
    report.peak_bytes = figures.peak_bytes.cast_unsigned();
    report.peak_high_bytes = report.peak_bytes;
    report.peak_kind = if figures.peak_kind == PeakKind::Exact.as_str() {
        PeakKind::Exact
    } else {
        PeakKind::Sampled
    };
    report.headroom_bytes = figures.headroom_bytes;
    report.ending = ending(&figures);
    let is_early = |ending: &Ending| ending.verdict.is_early();
    report.censored = report.ending.as_ref().is_some_and(is_early);
    Ok(report)
}

/// A verdict of a version that knows others is not told.
fn ending(figures: &JobFigures) -> Option<Ending> {
    let verdict = figures.verdict.as_deref()?;
    let verdict = Verdict::ALL
        .into_iter()
        .find(|known| known.as_str() == verdict)?;
    let confidence = [Confidence::Certain, Confidence::Likely]
        .into_iter()
        .find(|known| Some(known.as_str()) == figures.confidence.as_deref());
    Some(Ending {
        verdict,
        confidence: confidence.unwrap_or(Confidence::Possible),
        sentence: "What led to this verdict is no longer kept.".to_owned(),
        evidence: Vec::new(),
        culprits: Vec::new(),
        victim: None,
        next_step: "Look at a newer job of this name.".to_owned(),
    })
}
