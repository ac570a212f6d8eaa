//! `highwater check`: whether the memory of a job got worse.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use highwater_analysis::check::FileLimits;
use uuid::Uuid;

use super::server::ServerParser;
use crate::settings::{Judged, parse_bytes, said};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Branch of the jobs that it is compared with; where none is named main, else master, else the job's own.
    #[arg(long, value_name = "BRANCH")]
    baseline: Option<String>,
    /// What ends with 1: a figure that got worse or is over a limit, one over a limit alone, or nothing [default: worse].
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
    /// The job's peak at the most, as 3GB or 512MiB.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_peak: Option<u64>,
    /// The job's headroom at the least.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    min_headroom: Option<u64>,
    /// What each file retains at the most.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_retained: Option<u64>,
    /// What each file needs for a while at the most.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_spike: Option<u64>,
    /// Limits of the files that GLOB is like, which go before those of each: any of max-retained, max-spike and max-peak with a size or off, as tests/e2e/**=max-retained:5MB,max-spike:off. May be repeated; the last for a file counts.
    #[arg(long, value_name = "GLOB=LIMIT:SIZE", value_parser = FileLimits::from_str)]
    file_limit: Vec<FileLimits>,
    /// Run the files of findings again with CMD, 20 of them at the most, as a job of its own; what that does not show too does not fail the check.
    #[arg(long, requires = "command")]
    confirm: bool,
    /// How it is written: in words, or all of it as JSON.
    #[arg(long, value_enum, default_value_t = CheckForm::Text)]
    format: CheckForm,
    /// Address of the server that has the jobs.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// The job, by uuid or by the file that `--summary` wrote of it; that of HIGHWATER_JOB where none is named.
    #[arg(value_name = "JOB")]
    job: Option<JobWord>,
    /// With --confirm: what runs tests as the job did, without naming files, such as pytest -n 2. The files are added to it.
    #[arg(last = true, value_name = "CMD", requires = "confirm")]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct OneByOneArgs {
    /// A file; as often as there are files.
    #[arg(long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What runs for each of them, with the file behind it.
    #[arg(last = true, value_name = "CMD", required = true)]
    command: Vec<OsString>,
}

/// `highwater one-by-one`.
#[derive(Debug)]
pub struct OneByOneTask {
    /// What runs.
    pub program: OsString,
    /// Its arguments.
    pub words: Vec<OsString>,
    /// The files, each the last argument once.
    pub files: Vec<PathBuf>,
}

impl From<OneByOneArgs> for OneByOneTask {
    fn from(args: OneByOneArgs) -> Self {
        let mut words = args.command.into_iter();
        Self {
            // clap asks for one word at the least.
            program: words.next().unwrap_or_default(),
            words: words.collect(),
            files: args.files,
        }
    }
}

/// What fails a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A figure that got worse, or is over a limit.
    Worse,
    /// A figure over a limit.
    Limit,
    /// Nothing.
    Never,
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.trim() {
            "worse" => Ok(Self::Worse),
            "limit" => Ok(Self::Limit),
            "never" => Ok(Self::Never),
            word => Err(format!("{word:?} is none of worse, limit and never")),
        }
    }
}

/// How a check is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckForm {
    /// In words.
    Text,
    /// All of it.
    Json,
}

/// How a job is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobWord {
    /// By its uuid.
    Uuid(Uuid),
    /// By the file of its summary.
    Summary(PathBuf),
}

impl From<String> for JobWord {
    fn from(word: String) -> Self {
        match word.parse() {
            Ok(uuid) => Self::Uuid(uuid),
            Err(_) => Self::Summary(word.into()),
        }
    }
}

/// `highwater check`.
#[derive(Debug)]
pub struct CheckTask {
    /// What flags say it goes by.
    pub judged: Judged,
    /// The command that runs files again, where what is found is to be confirmed.
    pub confirm: Option<Vec<OsString>>,
    /// How it is written.
    pub form: CheckForm,
    /// Address of the server.
    pub server: Option<String>,
    /// The job; that of the environment where none.
    pub job: Option<JobWord>,
}

impl From<CheckArgs> for CheckTask {
    fn from(args: CheckArgs) -> Self {
        Self {
            judged: Judged {
                fail_on: args.fail_on,
                baseline: args.baseline.and_then(said),
                max_peak: args.max_peak,
                min_headroom: args.min_headroom,
                max_retained: args.max_retained,
                max_spike: args.max_spike,
                files: args.file_limit,
            },
            confirm: args.confirm.then_some(args.command),
            form: args.format,
            server: args.server.and_then(said),
            job: args.job,
        }
    }
}
