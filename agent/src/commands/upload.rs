//! `highwater upload`: sends what is in the spool, also what a dead agent left.

use std::{collections::BTreeMap, path::Path, time::Duration};

use highwater_wire::{VERSION, codec, v1};
use uuid::Uuid;

use super::{CommandError, environment, tell, working_folder};
use crate::{
    cli::UploadTask,
    exit_codes, rescue,
    settings::{self, Given},
    shipper::{self, Client},
    spool::{self, SpoolError, Unwritten},
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
    let mut folders = spool::open_jobs(&root)?;
    if !task.jobs.is_empty() {
        folders.retain(|folder| spool::uuid_of(folder).is_ok_and(|uuid| task.jobs.contains(&uuid)));
    }
    let is_there = |job: &&Uuid| {
        let mut uuids = folders.iter().map(|folder| spool::uuid_of(folder));
        !uuids.any(|uuid| uuid.is_ok_and(|uuid| uuid == **job))
    };
    if let Some(job) = task.jobs.iter().find(is_there) {
        return Err(CommandError::NoSuchJob(*job, root));
    }
    if folders.is_empty() && !root.exists() {
        return Err(CommandError::Nothing(root));
    }
    let token = places.token;
    let client = |uuid| Client::new(&server, token.as_ref(), &env, uuid);
    let mut unsent = 0;
    for folder in &folders {
        match send(folder, &client) {
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

fn send(folder: &Path, client: &dyn Fn(Uuid) -> Client) -> Result<String, SpoolError> {
    let _lock = spool::lock(folder)?;
    let uuid = spool::uuid_of(folder)?;
    let unwritten = match spool::read_end(folder)? {
        Some(_) => Unwritten::default(),
        None => rest_of_lost(folder)?,
    };
    let client = client(uuid);
    let page = client.page();
    let outcome = shipper::send_whole(client, folder, unwritten, PATIENCE);
    if outcome.complete {
        shipper::discard(folder).map_err(|source| SpoolError::Io {
            path: folder.to_path_buf(),
            source,
        })?;
        let lost = match outcome.missing {
            0 => String::new(),
            missing => format!(
                ", but {missing} of {} announced batches were not in the spool and are lost",
                outcome.announced
            ),
        };
        return Ok(format!(
            "{uuid}: sent ({}){lost}: {page}",
            match outcome.batches {
                1 => "1 batch".to_owned(),
                batches => format!("{batches} batches"),
            }
        ));
    }
    let reason = outcome.reason();
    Err(SpoolError::Broken {
        path: folder.to_path_buf(),
        reason: format!("not all of it reached {page}: {reason}"),
    })
}

/// Completes the spool of an agent that died. Answers what the disk has no room for: it is sent all the same, since sending is what makes room.
fn rest_of_lost(folder: &Path) -> Result<Unwritten, SpoolError> {
    let mut unwritten = rescue::rescue(folder)?;
    let end = end_of_lost(folder, &unwritten)?;
    // An end in the spool would be taken for the whole of it, so it is written only where all before it was.
    if !unwritten.batches.is_empty() || spool::write_end(folder, &end).is_err() {
        unwritten.end = Some(codec::encode(&end).map_err(|source| SpoolError::Io {
            path: folder.to_path_buf(),
            source,
        })?);
    }
    Ok(unwritten)
}

/// The end of a recording whose agent died: when it is known to have lived last, and what it left.
fn end_of_lost(folder: &Path, unwritten: &Unwritten) -> Result<v1::End, SpoolError> {
    let recorded = spool::read(folder)?;
    let mut end = v1::End {
        version: VERSION,
        agent_lost: true,
        ..v1::End::default()
    };
    // Numbers count from 0, so the highest tells how many there were, also where some cannot be read any more.
    let mut counts: BTreeMap<Uuid, u64> = BTreeMap::new();
    let mut count = |stream, seq: u64| {
        let batches = counts.entry(stream).or_default();
        *batches = seq.saturating_add(1).max(*batches);
    };
    for (stream, seq, batch) in &recorded.batches {
        count(*stream, *seq);
        end.ended_us = end.ended_us.max(batch.to_us);
    }
    for (stream, record) in &unwritten.batches {
        count(*stream, record.seq);
        let batch: v1::Batch =
            codec::decode(&record.payload).map_err(|problem| SpoolError::Broken {
                path: folder.to_path_buf(),
                reason: problem.to_string(),
            })?;
        end.ended_us = end.ended_us.max(batch.to_us);
    }
    let counts = counts.into_iter().map(|(stream, batches)| v1::StreamCount {
        stream: stream.to_string(),
        batches,
    });
    end.streams.extend(counts);
    Ok(end)
}
