//! `highwater upload`: sends what is in the spool, also what a dead agent left.

use std::{path::Path, time::Duration};

use uuid::Uuid;

use super::{CommandError, environment, lost, tell, working_folder};
use crate::{
    cli::UploadTask,
    exit_codes,
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
    let places = settings::places(given, &env, &working_folder())?;
    tell(&places.problems);
    let root = places.spool;
    let server = places.server.ok_or(CommandError::NoServer)?;
    let mut folders = spool::open_jobs(&root)?;
    if !task.jobs.is_empty() {
        folders.retain(|folder| spool::uuid_of(folder).is_ok_and(|uuid| task.jobs.contains(&uuid)));
    }
    let is_missing = |job: &&Uuid| {
        let mut uuids = folders.iter().map(|folder| spool::uuid_of(folder));
        !uuids.any(|uuid| uuid.is_ok_and(|uuid| uuid == **job))
    };
    if let Some(job) = task.jobs.iter().find(is_missing) {
        return Err(CommandError::NoSuchJob(*job, root));
    }
    if folders.is_empty() && !root.exists() {
        return Err(CommandError::Nothing(root));
    }
    let token = places.token;
    let client = |uuid| Client::new(&server, token.as_ref(), &env, uuid);
    let mut unsent = 0;
    for (at, folder) in folders.iter().enumerate() {
        match send(folder, &client) {
            Ok(line) => terminal::answer(&line),
            Err(CommandError::Spool(SpoolError::Busy(_))) => {
                terminal::answer(&format!("{}: still recorded, left alone", folder.display()));
            }
            Err(error) => {
                unsent += 1;
                terminal::tell(&error);
                let others = folders.len() - at - 1;
                if others > 0
                    && matches!(
                        error,
                        CommandError::NotReached {
                            is_silent: true,
                            ..
                        }
                    )
                {
                    terminal::tell(format_args!(
                        "of the others ({others}) nothing was tried: the server takes nothing at the moment"
                    ));
                    unsent += others;
                    break;
                }
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

fn send(folder: &Path, client: &dyn Fn(Uuid) -> Client) -> Result<String, CommandError> {
    let _lock = spool::lock(folder)?;
    let uuid = spool::uuid_of(folder)?;
    let unwritten = match spool::read_end(folder)? {
        Some(_) => Unwritten::default(),
        None => lost::complete(folder, |end| lost::say_left(end, folder))?,
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
    Err(CommandError::NotReached {
        folder: folder.to_path_buf(),
        page,
        reason: outcome.reason(),
        is_silent: outcome.nothing_taken,
    })
}
