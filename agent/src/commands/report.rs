//! `highwater report`: the summary of a recording that is still in the spool.

use super::{CommandError, environment, recorded::in_spool, tell, working_folder};
use crate::{
    cli::ReportTask,
    exit_codes,
    settings::{self, Given},
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
    let Some(found) = in_spool(task.job, &root)? else {
        return Err(match task.job {
            Some(uuid) => CommandError::NoSuchJob(uuid, root),
            None => CommandError::Nothing(root),
        });
    };
    let digest = summary::digest_of(&found.folder, Vec::new(), found.end)?;
    let look = Look::of_stdout(&environment());
    terminal::answer(&summary::terminal(&digest, None, &look));
    Ok(exit_codes::OK)
}
