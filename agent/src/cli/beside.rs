//! `highwater start`, `status` and `stop`, and the agent between them.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::recording::RecordingArgs;
use crate::settings::{Given, parse_duration, parse_name, said};

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    recording: RecordingArgs,
    /// Write the variables for the next commands to standard output, for `eval "$(highwater start --print-env)"`.
    #[arg(long)]
    print_env: bool,
    /// End by itself after so long.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_duration)]
    max_age: Duration,
    /// The process that the job ends with, and whose descendants belong to it; found among the ancestors where it is not named.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    runner_pid: Option<u32>,
}

/// `highwater start`.
#[derive(Debug)]
pub struct StartTask {
    /// What was said of the job.
    pub given: Given,
    /// Whether the variables go to standard output.
    pub print_env: bool,
    /// The age that the agent may reach, µs.
    pub max_age_us: u64,
    /// The runner's process, where it was named.
    pub runner_pid: Option<u32>,
}

impl From<StartArgs> for StartTask {
    fn from(args: StartArgs) -> Self {
        Self {
            given: args.recording.into(),
            print_env: args.print_env,
            max_age_us: u64::try_from(args.max_age.as_micros()).unwrap_or(u64::MAX),
            runner_pid: args.runner_pid,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The job, by name or uuid; the one that was started here where none is named.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Folder that holds the recordings.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Write it as JSON.
    #[arg(long)]
    json: bool,
}

/// `highwater status`.
#[derive(Debug)]
pub struct StatusTask {
    /// Name or uuid of the job.
    pub job: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// Whether the answer is for a program.
    pub json: bool,
}

impl From<StatusArgs> for StatusTask {
    fn from(args: StatusArgs) -> Self {
        Self {
            job: args.job,
            spool: args.spool,
            json: args.json,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct StopArgs {
    /// Exit code of what ran.
    #[arg(long, value_name = "N")]
    exit_code: Option<i32>,
    /// The CI's own word on the job, such as success, failure or cancelled [default: CI_JOB_STATUS].
    #[arg(long, value_name = "WORD", value_parser = parse_name)]
    status: Option<String>,
    /// The job, by name or uuid; the one that was started here where none is named.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Folder that holds the recordings.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Write the summary as JSON to a file.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Add the report to the job summary of GitHub Actions, in `$GITHUB_STEP_SUMMARY`.
    #[arg(long)]
    step_summary: bool,
    /// Say nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

/// `highwater stop`.
#[derive(Debug)]
pub struct StopTask {
    /// Exit code of what ran.
    pub exit_code: Option<i32>,
    /// The CI's own word.
    pub status: Option<String>,
    /// Name or uuid of the job.
    pub job: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// File for the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Whether the report goes into the job summary of GitHub Actions.
    pub step_summary: Option<bool>,
    /// Say nothing but errors.
    pub quiet: Option<bool>,
}

impl From<StopArgs> for StopTask {
    fn from(args: StopArgs) -> Self {
        Self {
            exit_code: args.exit_code,
            status: args.status.and_then(said),
            job: args.job,
            spool: args.spool,
            summary: args.summary,
            step_summary: args.step_summary.then_some(true),
            quiet: args.quiet.then_some(true),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct BackgroundArgs {
    /// Ancestors of whoever started it; other agents read it here.
    #[arg(long, value_name = "CHAIN")]
    chain: String,
    /// Folder of the job.
    folder: PathBuf,
}

/// `highwater background`.
#[derive(Debug)]
pub struct BackgroundTask {
    /// Folder of the job.
    pub folder: PathBuf,
}

impl From<BackgroundArgs> for BackgroundTask {
    fn from(args: BackgroundArgs) -> Self {
        Self {
            folder: args.folder,
        }
    }
}
