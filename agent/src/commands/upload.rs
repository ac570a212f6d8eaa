//! `highwater upload`: sends what is in the spool, also what a dead agent left.

use std::{path::Path, time::Duration};

use highwater_wire::{VERSION, v1};

use super::{CommandError, environment, tell, working_folder};
use crate::{
    cli::UploadTask,
    exit_codes, rescue,
    settings::{self, Given},
    shipper::{self, Client},
    spool::{self, SpoolError},
    terminal,
};

/// How long one recording may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Sends the recordings and removes what was acknowledged.
///
/// # Errors
/// When no server is named, the spool cannot be read, or not everything was sent.
pub fn upload(task: UploadTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        server: task.server,
        spool: task.spool,
        ..Given::default()
    };
    let places = settings::places(given, &env, &working_folder());
    tell(&places.problems);
    let root = places.spool;
    let server = places.server.ok_or(CommandError::NoServer)?;
    let token = places.token.map(|token| token.reveal().to_owned());
    let mut folders = spool::open_jobs(&root)?;
    if !task.jobs.is_empty() {
        folders.retain(|folder| spool::uuid_of(folder).is_ok_and(|uuid| task.jobs.contains(&uuid)));
    }
    let is_there = |job: &&uuid::Uuid| {
        let mut uuids = folders.iter().map(|folder| spool::uuid_of(folder));
        !uuids.any(|uuid| uuid.is_ok_and(|uuid| uuid == **job))
    };
    if let Some(job) = task.jobs.iter().find(is_there) {
        return Err(CommandError::NoSuchJob(*job, root));
    }
    if folders.is_empty() && !root.exists() {
        return Err(CommandError::Nothing(root));
    }
    let mut unsent = 0;
    for folder in &folders {
        match send(folder, &server, token.clone()) {
            Ok(line) => terminal::answer(&line),
            Err(SpoolError::Busy(_)) => {
                terminal::answer(&format!("{}: still recorded, left alone", folder.display()));
            }
            Err(error) => {
                unsent += 1;
                terminal::tell(&error);
            }
        }
    }
    if folders.is_empty() {
        terminal::answer(&format!("{}: nothing to send", root.display()));
    }
    if unsent > 0 {
        return Err(CommandError::NotSent(unsent, folders.len()));
    }
    Ok(exit_codes::OK)
}

fn send(folder: &Path, server: &str, token: Option<String>) -> Result<String, SpoolError> {
    let _lock = spool::lock(folder)?;
    let uuid = spool::uuid_of(folder)?;
    if spool::read_end(folder)?.is_none() {
        rescue::rescue(folder)?;
        spool::write_end(folder, &end_of_lost(folder)?)?;
    }
    let client = Client::new(server, token, uuid);
    let page = client.page();
    let outcome = shipper::send_whole(client, folder, PATIENCE);
    if outcome.complete {
        shipper::discard(folder).map_err(|source| SpoolError::Io {
            path: folder.to_path_buf(),
            source,
        })?;
        return Ok(format!(
            "{uuid}: sent ({} new): {page}",
            match outcome.batches {
                1 => "1 batch".to_owned(),
                batches => format!("{batches} batches"),
            }
        ));
    }
    let reason = outcome
        .refused
        .first()
        .cloned()
        .or(outcome.problem)
        .unwrap_or_default();
    Err(SpoolError::Broken {
        path: folder.to_path_buf(),
        reason: format!("not acknowledged by {server}: {reason}"),
    })
}

/// The end of a recording whose agent died: when it is known to have lived last, and what it left.
fn end_of_lost(folder: &Path) -> Result<v1::End, SpoolError> {
    let recorded = spool::read(folder)?;
    let mut end = v1::End {
        version: VERSION,
        agent_lost: true,
        ..v1::End::default()
    };
    for (stream, _) in spool::segments(folder)? {
        let own = recorded.batches.iter().filter(|(of, _, _)| *of == stream);
        end.streams.push(v1::StreamCount {
            stream: stream.to_string(),
            batches: own.clone().count() as u64,
        });
        let last = own.map(|(_, _, batch)| batch.to_us).max().unwrap_or(0);
        end.ended_us = end.ended_us.max(last);
    }
    Ok(end)
}
