//! What each subcommand does.

pub mod acknowledge;
mod answers;
pub mod background;
pub mod blame;
pub mod check;
pub mod compare;
pub mod doctor;
mod kept;
mod lost;
mod named;
pub mod one_by_one;
mod others;
pub mod plan;
mod planned;
pub mod record;
mod recorded;
pub mod report;
pub mod run;
pub mod start;
pub mod status;
mod step_summary;
pub mod stop;
mod told;
pub mod upload;

use std::path::PathBuf;

use crate::{ci::Env, spool::SpoolError, summary::SummaryError, terminal, tree::ProcessKey};

/// Why a subcommand could not do its work. `highwater: ` is written before it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The spool cannot be used.
    #[error("spool: {0}")]
    Spool(#[from] SpoolError),
    /// A recording has no figures.
    #[error(transparent)]
    Summary(#[from] SummaryError),
    /// No server was named.
    #[error("no server is named; give --server URL or set HIGHWATER_SERVER")]
    NoServer,
    /// The folder holds no recording.
    #[error("{}: no recording is here; name the folder with --spool", .0.display())]
    Nothing(PathBuf),
    /// The folder holds no recording of this job.
    #[error("{}: no recording of job {} is here: it was sent, or is in another folder (--spool)", .1.display(), .0)]
    NoSuchJob(uuid::Uuid, PathBuf),
    /// Nor was a server named that might have it.
    #[error("{}: no recording of job {job} is here: it was sent (name the server: {server}), or is in another folder (--spool)", spool.display())]
    SentAway {
        /// The job.
        job: uuid::Uuid,
        /// The folder.
        spool: PathBuf,
        /// How to name it.
        server: String,
    },
    /// A job of the same name is recorded below the same runner.
    #[error(
        "job {job} ({uuid}) is recorded already by process {pid}; `highwater status` shows it, `highwater stop` ends it, and another --job NAME begins another"
    )]
    Started {
        /// Name of the job.
        job: String,
        /// Its identity.
        uuid: uuid::Uuid,
        /// Its agent.
        pid: u32,
    },
    /// `highwater run` around this command records it.
    #[error("this command runs below `highwater run`, which records it already (job {0})")]
    BelowRun(String),
    /// The runner that was named is none.
    #[error(
        "--runner-pid: there is no process {0} that a job could belong to; name the one that lives as long as the job, or none"
    )]
    NoRunner(u32),
    /// No job was started here.
    #[error("no recording that was started here is in {}: `highwater start` was not run, or could not record (the log of its step says why), or it has ended and was sent; another folder is named with --spool", .0.display())]
    NotStarted(PathBuf),
    /// Its agent records, and its folder tells nothing of it any more.
    #[error("the agent (process {}) records, but its folder {} was removed and could not be made anew; `highwater stop` ends it", agent.pid, folder.display())]
    WithoutFolder {
        /// Its process.
        agent: ProcessKey,
        /// Where it records.
        folder: PathBuf,
    },
    /// None of those that were is called so.
    #[error("--job: no recording called {job} was started here, but {others}")]
    NoneCalled {
        /// What was asked for.
        job: String,
        /// Those that were.
        others: String,
    },
    /// Several were.
    #[error("several recordings were started here: {0}; name one with --job")]
    Several(String),
    /// The agent does not end.
    #[error("the agent (process {pid}) has not ended within {seconds} s; its log is {}", log.display())]
    DoesNotEnd {
        /// Its process.
        pid: u32,
        /// How long it was waited for.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// A signal could not be sent.
    #[error("the agent (process {pid}) cannot be told to end: {source}")]
    NotTold {
        /// Its process.
        pid: u32,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the job's folder.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The kernel's files.
    #[error("{0}")]
    Proc(#[from] crate::procfs::ProcError),
    /// The jobs that were started cannot be looked for.
    #[error("{0}")]
    Find(#[from] crate::background::find::FindError),
    /// Part of a recording was not taken.
    #[error("{}: not all of it reached {page}: {reason}", folder.display())]
    NotReached {
        /// Where it lies.
        folder: PathBuf,
        /// Its page on the server.
        page: String,
        /// Why.
        reason: String,
        /// The server neither took nor refused anything.
        is_silent: bool,
    },
    /// No job was named, and none is in the spool.
    #[error("{}: no recording is here that is not sent; name the job: its uuid stands in the address of its page, and the server before it is named with --server or HIGHWATER_SERVER", .0.display())]
    NoJobToPlan(PathBuf),
    /// The server did not show a job.
    #[error("job {0} cannot be read from the server: {1}")]
    NotRead(uuid::Uuid, String),
    /// Nobody has the answer.
    #[error("standard output: the answer cannot be written: {0}")]
    NotPrinted(std::io::Error),
    /// No job was named.
    #[error(
        "no job is named: give its uuid, which stands in the address of its page, or the file that --summary wrote of it"
    )]
    NoJobToCheck,
    /// What the check would go by cannot be.
    #[error("{0}")]
    NotJudged(String),
    /// The variable that names a job names none.
    #[error("{0} is no uuid of a job; name the job, or unset it")]
    NoJobInVariable(&'static str),
    /// What was named is neither a job nor its summary.
    #[error("{}: this is neither the uuid of a job nor a summary of one: {}", .0.display(), .1)]
    NoSummary(PathBuf, String),
    /// No server was named to ask.
    #[error(
        "the jobs of before are needed, which a server has: name it with --server or HIGHWATER_SERVER"
    )]
    NoServerToAsk,
    /// The server did not take or show what is acknowledged.
    #[error("what is acknowledged: {0}")]
    NotAcknowledged(String),
    /// There is no plan of it.
    #[error("job {0}: {1}")]
    Unplannable(uuid::Uuid, Box<highwater_analysis::plan::Refusal>),
    /// Nothing is known that the budget of its plan could be taken of.
    #[error("job {0}: {1}; say what a job may take at its peak: --budget 3GB")]
    NoBudget(uuid::Uuid, Box<highwater_analysis::plan::Refusal>),
    /// A plan is named by its id, and no server.
    #[error(
        "plan {0}: a server keeps it, and none is named; give --server URL or set HIGHWATER_SERVER"
    )]
    NoServerForPlan(uuid::Uuid),
    /// The server did not show a plan.
    #[error("plan {0} cannot be fetched from the server: {1}")]
    PlanNotFetched(uuid::Uuid, String),
    /// A plan of which a shard was to run cannot be had, or has no such shard.
    #[error("plan {}: {}", .0.display(), .1)]
    NoShard(PathBuf, String),
    /// The server did not keep a plan.
    #[error("the plan of job {0} is not kept: {1}")]
    PlanNotKept(uuid::Uuid, String),
    /// The server did not show a comparison.
    #[error("these jobs cannot be compared: {0}")]
    NotCompared(String),
    /// The server did not tell what changed.
    #[error(
        "what changed of {0} cannot be read from the server: {1} (another project is named with --project OWNER/REPO)"
    )]
    ChangesNotRead(String, String),
    /// The settings make no job.
    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),
    /// A file of the plan.
    #[error("{}: the plan cannot be written: {}", .0.display(), .1)]
    NotWritten(PathBuf, std::io::Error),
    /// A report.
    #[error("the report cannot be written: {0}")]
    Report(#[from] highwater_report::WriteError),
    /// The file of a report.
    #[error("{}: the report cannot be written: {}", .0.display(), .1)]
    ReportNotWritten(PathBuf, std::io::Error),
    /// The job summary of GitHub Actions.
    #[error("--step-summary: {0}")]
    StepSummary(String),
    /// A comment on a pull request.
    #[error("--comment: {0}")]
    Comment(#[from] crate::github::CommentError),
    /// Part of the recordings was not taken.
    #[error("{0} of {1} recordings were not sent; they stay in the spool")]
    NotSent(usize, usize),
}

/// Tells what is wrong and does not stop anything, a line each.
fn tell(problems: &[String]) {
    for problem in problems {
        terminal::tell(format_args!("settings: {problem}"));
    }
}

/// The environment, without what is no Unicode.
fn environment() -> Env {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The working folder, or `.` where it is gone.
fn working_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}
