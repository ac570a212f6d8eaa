//! `highwater run`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::recording::RecordingArgs;
use crate::settings::Given;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    recording: RecordingArgs,
    /// Let pytest run only the files of its shard (`--shard`) of a plan: a file that `highwater plan --write` wrote, or the id of one that the server keeps
    /// (`highwater plan --keep`). The plugin does that.
    #[arg(long, value_name = "FILE|ID", conflicts_with = "no_plugin")]
    plan: Option<PathBuf>,
    /// Write the summary as JSON to a file.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Add the report to the job summary of GitHub Actions, in `$GITHUB_STEP_SUMMARY`.
    #[arg(long)]
    step_summary: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// `highwater run`.
#[derive(Debug)]
pub struct RunTask {
    /// What was said of the job.
    pub given: Given,
    /// The command, as words.
    pub command: Vec<OsString>,
}

impl From<RunArgs> for RunTask {
    fn from(args: RunArgs) -> Self {
        Self {
            given: Given {
                plan: args.plan,
                summary: args.summary,
                step_summary: args.step_summary.then_some(true),
                ..args.recording.into()
            },
            command: args.command,
        }
    }
}
