//! `highwater report`: the summary of a recording that is still in the spool.

use super::{CommandError, environment, tell, working_folder};
use crate::{
    cli::ReportTask,
    exit_codes,
    settings::{self, Given},
    spool::{self, SpoolError},
    summary::{self, Look},
    terminal,
};

/// Prints the summary of a job to standard output.
///
/// # Errors
/// When there is no such recording or it cannot be read.
pub fn report(task: ReportTask) -> Result<u8, CommandError> {
    let given = Given {
        spool: task.spool,
        ..Given::default()
    };
    let places = settings::places(given, &environment(), &working_folder());
    tell(&places.problems);
    let root = places.spool;
    let jobs = spool::open_jobs(&root)?;
    let wanted = match task.job {
        Some(uuid) => jobs
            .into_iter()
            .find(|folder| spool::uuid_of(folder).is_ok_and(|found| found == uuid)),
        None => jobs.into_iter().next_back(),
    };
    let folder = wanted.ok_or(match task.job {
        Some(uuid) => CommandError::NoSuchJob(uuid, root),
        None => CommandError::Nothing(root),
    })?;
    let end = match spool::lock(&folder) {
        Err(SpoolError::Busy(_)) => summary::End::NotYet,
        _ => summary::End::InSpool,
    };
    let digest = summary::digest_of(&folder, Vec::new(), end)?;
    let look = Look::of_stdout(&environment());
    terminal::answer(&summary::terminal(&digest, None, &look));
    Ok(exit_codes::OK)
}
