//! Everything that settling a job writes.

use highwater_analysis::{
    check,
    digest::{Digest, process_numbers},
};
use highwater_store::{Detail, DetailKind, FileFact, Finalised};
use highwater_wire::report::JobState;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use super::{FinaliseError, Loaded, columns};

/// First byte of stored rows. Raise it when a change of `highwater_wire::report` makes rows of before unreadable or wrong: jobs whose
/// rows begin with another byte are made again when somebody looks. Before there were versions the first byte was a bracket.
const VERSION: u8 = 11;

pub(crate) fn finalised(loaded: &Loaded, digest: Digest) -> Result<Finalised, FinaliseError> {
    let job = loaded.key.id;
    let (series, pages) = columns::pack(
        &loaded.recording,
        &digest.tree,
        &process_numbers(&loaded.recording),
    );
    let residue = loaded.recording.residue().encode_to_vec();
    let details = vec![
        rows(job, DetailKind::Report, &digest.job)?,
        rows(job, DetailKind::Processes, &digest.processes)?,
        rows(job, DetailKind::Files, &digest.files)?,
        rows(job, DetailKind::Tests, &digest.tests)?,
        rows(job, DetailKind::Fixtures, &digest.fixtures)?,
        rows(job, DetailKind::Visits, &digest.visits)?,
        rows(job, DetailKind::Collected, &digest.collected)?,
        Detail::pack(job, DetailKind::Residue, &residue)?,
    ];
    let report = &digest.job;
    let sum = |count: fn(&highwater_wire::report::SessionReport) -> u64| {
        report.sessions.iter().map(count).sum::<u64>().cast_signed()
    };
    Ok(Finalised {
        job,
        project: loaded.key.project_id,
        arrivals: loaded.key.arrivals,
        state: state_word(loaded.state).to_owned(),
        revision: report.revision,
        duration_us: report.duration_us,
        peak_bytes: report.peak_bytes.cast_signed(),
        peak_kind: report.peak_kind.as_str().to_owned(),
        headroom_bytes: report.headroom_bytes,
        verdict: report
            .ending
            .as_ref()
            .map(|ending| ending.verdict.as_str().to_owned()),
        confidence: report
            .ending
            .as_ref()
            .map(|ending| ending.confidence.as_str().to_owned()),
        tests: sum(|session| session.tests),
        failed: sum(|session| session.failed),
        comparable: check::comparable(report),
        ordered_unix_us: check::ordered_unix_us(report),
        diagnosed: report.diagnosis.is_some(),
        series,
        pages,
        details,
        facts: digest
            .files
            .iter()
            // What runs files of another job again is no part of their history; it says what those of that job are worth.
            .filter(|file| file.visits > 0)
            .filter(|_| report.confirms.is_none() || check::went_well(report))
            .map(FileFact::from)
            .collect(),
        news_since_unix_us: None,
        settled: loaded.fresh.clone(),
    })
}

fn rows<T: Serialize>(job: i64, kind: DetailKind, rows: &T) -> Result<Detail, FinaliseError> {
    let mut content = vec![VERSION];
    serde_json::to_writer(&mut content, rows)
        .map_err(|error| FinaliseError::damaged(job, "rows", error))?;
    Ok(Detail::pack(job, kind, &content)?)
}

/// Rows as they were stored.
#[derive(Debug)]
pub(crate) enum Rows<T> {
    /// By this version of the server.
    Current(T),
    /// By another, whose figures may mean something else.
    Older(T),
    /// In a form that this version does not know, or damaged.
    Unreadable,
}

pub(crate) fn read<T: DeserializeOwned>(detail: &Detail) -> Rows<T> {
    let content = detail.unpack().unwrap_or_default();
    let rows = match content.split_first() {
        Some((&VERSION, rows)) => {
            return serde_json::from_slice(rows).map_or(Rows::Unreadable, Rows::Current);
        }
        Some((b'{' | b'[', _)) => &content,
        Some((_, rows)) => rows,
        None => return Rows::Unreadable,
    };
    serde_json::from_slice(rows).map_or(Rows::Unreadable, Rows::Older)
}

fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Finished => "finished",
        JobState::Incomplete => "incomplete",
        JobState::Lost => "lost",
    }
}
