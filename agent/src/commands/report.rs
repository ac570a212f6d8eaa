//! `highwater report`: tells of a job, of the spool or of a server, in the form that somebody reads.

mod comment;
mod found;

use std::path::Path;

use highwater_report::Format;

use super::{CommandError, environment, step_summary, tell, working_folder};
use crate::{
    ci::Env,
    cli::ReportTask,
    exit_codes, regular,
    settings::{self, Given},
    terminal,
};
use found::Found;

/// Writes the report of a job where it was asked for.
///
/// # Errors
/// When the job cannot be had, or something cannot be written.
pub fn report(task: &ReportTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        server: task.server.clone(),
        spool: task.spool.clone(),
        ..Given::default()
    };
    let places = settings::places(given, &env, &working_folder())?;
    tell(&places.problems);
    let found = found::find(task.job.as_ref(), places, &env)?;
    if let Some(format) = task.format {
        let text = found.written(format, &env)?;
        match &task.output {
            None => terminal::print(&text).map_err(CommandError::NotPrinted)?,
            Some(file) => put(file, &text)?,
        }
    }
    if task.step_summary {
        add_to_step_summary(&found, &env)?;
    }
    if task.comment {
        comment::comment(&found.document()?, found.page().as_deref(), &env)?;
    }
    Ok(exit_codes::OK)
}

fn put(file: &Path, text: &str) -> Result<(), CommandError> {
    regular::put(file, text.as_bytes())
        .map_err(|(path, error)| CommandError::ReportNotWritten(path, error))
}

fn add_to_step_summary(found: &Found, env: &Env) -> Result<(), CommandError> {
    let file = step_summary::file(env).ok_or_else(|| {
        let why = "GITHUB_STEP_SUMMARY is not set, which the runner of GitHub Actions does";
        CommandError::StepSummary(why.to_owned())
    })?;
    let text = found.written(Format::Markdown, env)?;
    step_summary::append(Path::new(file), &text).map_err(CommandError::StepSummary)
}
