//! `highwater report`: the summary of a recording that is still in the spool.

use super::{CommandError, environment, working_folder};
use crate::{
    cli::ReportTask,
    exit_codes,
    settings::{default_spool, read_pyproject},
    spool,
    summary::{self, Look},
};

/// Prints the summary of a job to standard output.
///
/// # Errors
/// When there is no such recording or it cannot be read.
pub fn report(task: ReportTask) -> Result<u8, CommandError> {
    let file = read_pyproject(&working_folder())?;
    let root = task
        .spool
        .or(file.spool)
        .unwrap_or_else(|| default_spool(&environment()));
    let jobs = spool::open_jobs(&root)?;
    let wanted = match task.job {
        Some(uuid) => jobs
            .into_iter()
            .find(|folder| spool::uuid_of(folder).is_ok_and(|found| found == uuid)),
        None => jobs.into_iter().next_back(),
    };
    let folder = wanted.ok_or(CommandError::Nothing(root))?;
    let digest = summary::digest_of(&folder)?;
    print!(
        "{}",
        summary::terminal(&digest, None, &Look::of_stdout(&environment()))
    );
    Ok(exit_codes::OK)
}
