//! The job that is told of: worked out of the spool, or asked of the server, which writes the same forms.

use std::time::Duration;

use highwater_analysis::digest::Digest;
use highwater_report::{Curve, Format, Source};
use highwater_wire::report::ReportDocument;
use uuid::Uuid;

use crate::{
    ci::Env,
    cli::JobWord,
    commands::{CommandError, answers::understood, named, recorded::in_spool},
    settings::Places,
    shipper::Client,
    summary::{self, look},
};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest report is the document of a suite with many files and workers.
const MOST_BYTES: u64 = 256 << 20;

/// A job to tell of.
pub(super) enum Found {
    /// In the spool.
    Here(Box<Digest>),
    /// On the server.
    There(Uuid, Box<Client>),
}

/// Finds a job: in the spool, else on the server.
pub(super) fn find(
    word: Option<&JobWord>,
    places: Places,
    env: &Env,
) -> Result<Found, CommandError> {
    let named = named::job(word, env)?;
    if let Some(found) = in_spool(named, &places.spool)? {
        let digest = summary::digest_of(&found.folder, Vec::new(), found.end)?;
        return Ok(Found::Here(Box::new(digest)));
    }
    let Some(job) = named else {
        return Err(CommandError::NoJobToPlan(places.spool));
    };
    let Some(server) = &places.server else {
        return Err(named::no_server(word, job, &places.spool));
    };
    let client = Client::new(server, places.token.as_ref(), env, job);
    Ok(Found::There(job, Box::new(client)))
}

impl Found {
    /// The report in a form.
    pub(super) fn written(&self, format: Format, env: &Env) -> Result<String, CommandError> {
        match self {
            Self::Here(digest) => {
                let source = Source {
                    curves: vec![Curve::of_tree(&digest.tree)],
                    look: look::of_stdout(env),
                    ..Source::new(digest, None)
                };
                Ok(highwater_report::write(format, &source)?)
            }
            Self::There(job, client) => ask(client, *job, format),
        }
    }

    /// The job and what is to be said of it.
    pub(super) fn document(&self) -> Result<ReportDocument, CommandError> {
        match self {
            Self::Here(digest) => Ok(highwater_report::document(&Source::new(digest, None))),
            Self::There(job, client) => {
                let text = ask(client, *job, Format::Json)?;
                understood(&text).map_err(|why| CommandError::NotRead(*job, why))
            }
        }
    }

    /// Address of its page.
    pub(super) fn page(&self) -> Option<String> {
        match self {
            Self::Here(_) => None,
            Self::There(_, client) => Some(client.page()),
        }
    }
}

fn ask(client: &Client, job: Uuid, format: Format) -> Result<String, CommandError> {
    let path = format!("/api/v1/jobs/{job}/report?format={}", format.as_str());
    client
        .read_report(&path, PATIENCE, MOST_BYTES)
        .map_err(|why| CommandError::NotRead(job, why))
}
