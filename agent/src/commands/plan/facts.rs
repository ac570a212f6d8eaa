//! Where the recording of a suite is: in the spool, or on the server.

use std::time::Duration;

use highwater_analysis::plan::Facts;
use highwater_wire::report::{FileRow, FilesPage, FixtureRow, FixturesPage, JobReport};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    ci::Env,
    cli::JobWord,
    commands::{
        CommandError,
        answers::{Pages, understood},
        named,
        recorded::{InSpool, in_spool},
    },
    settings::Places,
    shipper::Client,
    summary,
};

/// How long the server may take for a page.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an answer may weigh, bytes.
const MOST_BYTES: u64 = 16 << 20;
/// A row with many workers has some kilobytes.
const PAGES: Pages = Pages {
    rows: 200,
    patience: PATIENCE,
    most_bytes: MOST_BYTES,
};

/// A recording to plan by.
pub(super) struct Found {
    pub(super) job: JobReport,
    pub(super) facts: Facts,
}

/// The recording of a job, by its uuid, which a word named; of the newest in the spool where none is named.
pub(super) fn find(
    job: Option<Uuid>,
    word: Option<&JobWord>,
    places: &Places,
    env: &Env,
) -> Result<Found, CommandError> {
    if let Some(found) = in_spool(job, &places.spool)? {
        return read(&found);
    }
    let job = job.ok_or_else(|| CommandError::NoJobToPlan(places.spool.clone()))?;
    let server = places
        .server
        .as_ref()
        .ok_or_else(|| named::no_server(word, job, &places.spool))?;
    let client = Client::new(server, places.token.as_ref(), env, job);
    let unread = |why| CommandError::NotRead(job, why);
    let path = format!("/api/v1/jobs/{job}");
    let files = PAGES.all(&client, &format!("{path}/files"), |page: FilesPage| {
        (page.files, page.next)
    });
    let files: Vec<FileRow> = files.map_err(unread)?;
    let fixtures = PAGES.all(
        &client,
        &format!("{path}/fixtures"),
        |page: FixturesPage| (page.fixtures, page.next),
    );
    let fixtures: Vec<FixtureRow> = fixtures.map_err(unread)?;
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
pub(super) fn one<T: DeserializeOwned>(
    client: &Client,
    job: Uuid,
    what: &str,
) -> Result<T, CommandError> {
    let path = format!("/api/v1/jobs/{job}{what}");
    let answer = client
        .read(&path, PATIENCE, MOST_BYTES)
        .map_err(|why| CommandError::NotRead(job, why))?;
    understood(&answer).map_err(|why| CommandError::NotRead(job, why))
}
