//! What the terminal says after a recording, and the same as JSON.

pub mod look;
mod status;

use std::path::Path;

use highwater_analysis::{
    digest::{Context, Digest, digest},
    recording::Recording,
};
use highwater_report::Source;
use highwater_wire::{
    report::{JobReport, JobState, NoticeReport},
    v1,
};

use uuid::Uuid;

use crate::{
    regular,
    spool::{self, Recorded, SpoolError},
};

pub use highwater_report::Look;
pub(crate) use highwater_report::fitted;
pub use status::{Live, status};

/// What is known of the end of a recording beside its spool.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Nothing: one without an end in its spool is lost.
    InSpool,
    /// Its agent still lives.
    NotYet,
    /// All of it, also where the disk was too full to write it.
    Known(v1::End),
}

/// Why a recording has no figures.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// The spool cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A fault of the analysis must not become one of the command that was recorded.
    #[error(
        "working out the figures broke off: {0}; the recording is as it was, and this is a fault of Highwater's that is worth a report"
    )]
    Fault(String),
}

/// Does what may panic, and tells of it as an error.
///
/// # Errors
/// When it panicked, with what that said.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, SummaryError> {
    // What it leaves behind half done is not looked at again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        SummaryError::Fault(text.unwrap_or("it panicked").to_owned())
    })
}

/// Reads a recording back from the spool and works out its figures; `beside` is what the spool had no room for.
///
/// # Errors
/// When the spool cannot be read, or the analysis has a fault.
pub fn digest_of(
    folder: &Path,
    beside: Vec<(Uuid, u64, v1::Batch)>,
    end: End,
) -> Result<Digest, SummaryError> {
    let mut recorded = spool::read(folder)?;
    recorded.batches.extend(beside);
    let agent_lives = end == End::NotYet;
    if let End::Known(end) = end {
        recorded.end.get_or_insert(end);
    }
    let shortfall = recorded
        .end
        .as_ref()
        .and_then(|end| shortfall(&recorded, end));
    let state = match (&recorded.end, agent_lives) {
        (Some(_), _) if shortfall.is_none() => JobState::Finished,
        (Some(_), _) => JobState::Incomplete,
        (None, true) => JobState::Running,
        (None, false) => JobState::Lost,
    };
    let mut recording = Recording::new(recorded.job);
    for (stream, seq, batch) in &recorded.batches {
        recording.add(*stream, *seq, batch);
    }
    if let Some(end) = recorded.end {
        recording.set_end(end);
    }
    let context = Context {
        uuid: recorded.uuid,
        state,
        revision: 1,
        clock_skew_us: None,
    };
    let mut digest = guarded(|| digest(&recording, &context))?;
    digest.job.notices.extend(shortfall);
    Ok(digest)
}

/// What of a recording is not there; none where all that was announced can be read.
fn shortfall(recorded: &Recorded, end: &v1::End) -> Option<NoticeReport> {
    let message = match (recorded.shortfall(end), recorded.skipped) {
        ((_, 0), 0) if recorded.left_out.is_empty() => return None,
        ((_, missing), _) if !recorded.left_out.is_empty() => format!(
            "{}; it was left out, and {missing} announced batches are missing or damaged",
            recorded.left_out.join("; ")
        ),
        ((_, 0), damaged) => format!(
            "the spool holds {damaged} damaged records; all that was announced could be read"
        ),
        ((announced, missing), _) => format!(
            "{missing} of {announced} announced batches are missing or damaged; the figures are of the rest"
        ),
    };
    Some(NoticeReport {
        code: "batches_missing".to_owned(),
        message,
        count: 1,
    })
}

/// The summary of a job for a terminal; `page` is the address of its page.
#[must_use]
pub fn terminal(digest: &Digest, page: Option<&str>, look: &Look) -> String {
    highwater_report::terminal(&Source {
        look: *look,
        ..Source::new(digest, page)
    })
}

/// Writes the report of a job as JSON so that it is there whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, report: &JobReport) -> std::io::Result<()> {
    let mut text = serde_json::to_string_pretty(report).map_err(std::io::Error::other)?;
    text.push('\n');
    regular::put(path, text.as_bytes()).map_err(|(_, error)| error)
}

#[cfg(test)]
mod tests;
