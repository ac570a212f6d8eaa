//! Where the recording of a suite is: in the spool, or on the server.

use std::time::Duration;

use highwater_analysis::plan::Facts;
use highwater_wire::report::{FileRow, FilesPage, FixtureRow, FixturesPage, JobReport};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    ci::Env,
    commands::{
        CommandError,
        recorded::{InSpool, in_spool},
    },
    settings::Places,
    shipper::Client,
    summary,
};

/// How long the server may take for a page.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows of a page, and what it may weigh, bytes: a row with many workers has some kilobytes.
const ROWS: usize = 200;
const MOST_PAGE_BYTES: u64 = 16 << 20;
/// No suite has more files.
const MOST_ROWS: usize = 200_000;

/// A recording to plan by.
pub(super) struct Found {
    pub(super) job: JobReport,
    pub(super) facts: Facts,
}

/// The recording of a job, by its uuid; of the newest in the spool where none is named.
pub(super) fn find(job: Option<Uuid>, places: &Places, env: &Env) -> Result<Found, CommandError> {
    if let Some(found) = in_spool(job, &places.spool)? {
        return read(&found);
    }
    let job = job.ok_or_else(|| CommandError::NoJobToPlan(places.spool.clone()))?;
    let server = places
        .server
        .as_ref()
        .ok_or_else(|| CommandError::NoSuchJob(job, places.spool.clone()))?;
    let client = Client::new(server, places.token.as_ref(), env, job);
    let files: Vec<FileRow> = all(&client, job, "files", |page: FilesPage| {
        (page.files, page.next)
    })?;
    let fixtures: Vec<FixtureRow> = all(&client, job, "fixtures", |page: FixturesPage| {
        (page.fixtures, page.next)
    })?;
    let report: JobReport = one(&client, job, "")?;
    Ok(Found {
        facts: Facts::of(&report.sessions, &files, &fixtures),
        job: report,
    })
}

fn read(found: &InSpool) -> Result<Found, CommandError> {
    let digest = summary::digest_of(&found.folder, Vec::new(), found.end.clone())?;
    Ok(Found {
        facts: Facts::of(&digest.job.sessions, &digest.files, &digest.fixtures),
        job: digest.job,
    })
}

/// What the server says of a job.
fn one<T: DeserializeOwned>(client: &Client, job: Uuid, what: &str) -> Result<T, CommandError> {
    let path = format!("/api/v1/jobs/{job}{what}");
    let answer = client
        .read(&path, PATIENCE, MOST_PAGE_BYTES)
        .map_err(|why| CommandError::NotRead(job, why))?;
    serde_json::from_str(&answer).map_err(|error| {
        CommandError::NotRead(job, format!("what it answers is not understood: {error}"))
    })
}

/// All rows of a kind, page by page.
fn all<P: DeserializeOwned, R>(
    client: &Client,
    job: Uuid,
    kind: &str,
    open: impl Fn(P) -> (Vec<R>, Option<String>),
) -> Result<Vec<R>, CommandError> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let page: P = one(client, job, &format!("/{kind}?limit={ROWS}{after}"))?;
        let (more, next) = open(page);
        let has_more = !more.is_empty();
        rows.extend(more);
        let Some(next) = next else {
            return Ok(rows);
        };
        let is_key = next
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte));
        let next = format!("&after={next}");
        if !has_more || !is_key || next == after || rows.len() >= MOST_ROWS {
            let why = format!("its list of {kind} has no end that can be reached");
            return Err(CommandError::NotRead(job, why));
        }
        after = next;
    }
}
