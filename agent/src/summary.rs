//! What the terminal says after a recording, and the same as JSON.

mod chart;
mod look;
mod table;
mod text;

use std::path::Path;

use highwater_analysis::{
    digest::{Context, Digest, digest},
    recording::Recording,
};
use highwater_wire::report::{JobReport, JobState};

use crate::spool::{self, SpoolError};

pub use look::Look;
pub use text::terminal;

/// Reads a recording back from the spool and works out its figures; one without an end is lost, unless its agent still lives.
///
/// # Errors
/// When the spool cannot be read.
pub fn digest_of(folder: &Path, agent_lives: bool) -> Result<Digest, SpoolError> {
    let recorded = spool::read(folder)?;
    let mut recording = Recording::new(recorded.job);
    for (stream, seq, batch) in &recorded.batches {
        recording.add(*stream, *seq, batch);
    }
    let state = match (&recorded.end, agent_lives) {
        (Some(_), _) => JobState::Finished,
        (None, true) => JobState::Running,
        (None, false) => JobState::Lost,
    };
    if let Some(end) = recorded.end {
        recording.set_end(end);
    }
    let context = Context {
        uuid: recorded.uuid,
        state,
        revision: 1,
    };
    Ok(digest(&recording, &context))
}

/// Writes the report of a job as JSON so that it is there whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, report: &JobReport) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut text = serde_json::to_string_pretty(report).map_err(std::io::Error::other)?;
    text.push('\n');
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests;
