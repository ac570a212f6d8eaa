//! Where the recording of a suite is: in the spool, or on the server.

use std::time::Duration;

use highwater_analysis::{
    branches::Branch,
    plan::{Facts, MOST_EARLIER, Ran},
};
use highwater_wire::{
    ids::ProjectSlug,
    report::{FileRow, FilesPage, FixtureRow, FixturesPage, JobReport},
};
use serde::{Deserialize, de::DeserializeOwned};
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
    summary, terminal,
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
    let mut facts = Facts::of(&report.sessions, &files, &fixtures);
    for path in facts.to_recall() {
        match history(&client, &report, &path) {
            Ok(history) => facts.recall(&path, report.uuid, &Branch::of(&report), &history),
            Err(why) => {
                // The plan stands without it, and tells which files are guessed.
                terminal::tell(format!(
                    "what other jobs saw of {path} and of those after it was not read: {why}"
                ));
                break;
            }
        }
    }
    Ok(Found { facts, job: report })
}

#[derive(Debug, Deserialize)]
struct History {
    history: Vec<Ran>,
}

/// A file in the newest jobs of the name, of those that tell most of this one.
fn history(client: &Client, job: &JobReport, path: &str) -> Result<Vec<Ran>, String> {
    // In a path a blank is no plus.
    let encoded: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
    let query = form_urlencoded::Serializer::new(String::new())
        // A server that does not know of what is near tells of all of the name.
        .append_pair("name", &job.name)
        .append_pair("near", &job.uuid.to_string())
        .append_pair("limit", &MOST_EARLIER.to_string())
        .finish();
    let address = format!(
        "/api/v1/projects/{}/files/{}?{query}",
        ProjectSlug::path_of(&job.project),
        encoded.replace('+', "%20")
    );
    // There is none before the server has settled the first job that ran the file.
    let Some(answer) = client.read_if_there(&address, PATIENCE, MOST_BYTES)? else {
        return Ok(Vec::new());
    };
    understood(&answer).map(|History { history }| history)
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
