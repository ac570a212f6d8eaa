//! The command line. Only this room knows clap; what it reads becomes plain props before anything runs.

mod about;
mod acknowledging;
mod beside;
mod blaming;
mod checking;
mod comparing;
mod doctor;
mod guarding;
mod kept;
mod planning;
mod recording;
mod report;
mod run;
mod server;

use clap::{Parser, Subcommand};

use acknowledging::AcknowledgeArgs;
use beside::{BackgroundArgs, StartArgs, StatusArgs, StopArgs};
use blaming::BlameArgs;
use checking::{CheckArgs, OneByOneArgs};
use comparing::CompareArgs;
use doctor::DoctorArgs;
use kept::UploadArgs;
use planning::PlanArgs;
use report::ReportArgs;
use run::RunArgs;

pub use acknowledging::{AcknowledgeTask, Acknowledging};
pub use beside::{BackgroundTask, StartTask, StatusTask, StopTask};
pub use blaming::BlameTask;
pub use checking::{CheckForm, CheckTask, FailOn, JobWord, OneByOneTask};
pub use comparing::{CompareForm, CompareTask};
pub use doctor::DoctorTask;
pub use kept::UploadTask;
pub use planning::{Form, PlanTask, Which};
pub use report::ReportTask;
pub use run::RunTask;

const VARIABLES: &str = "Each option has a variable, HIGHWATER_ and its name: HIGHWATER_SERVER, HIGHWATER_BASE_COMMIT; for --job it is \
HIGHWATER_JOB_NAME. An option goes before its variable, both before [tool.highwater] in pyproject.toml.";

const JUDGED: &str = "--fail-on, --baseline and the limits have a variable each, such as HIGHWATER_MAX_PEAK, and a key in [tool.highwater.check] of \
pyproject.toml, such as max-peak; a flag goes before its variable, both before the file.";

/// Records the memory of pytest runs and says where it went.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command and record the memory of every pytest below it; ends with the command's exit code.
    #[command(after_help = VARIABLES, args_override_self = true)]
    Run(Box<RunArgs>),
    /// Begin to record beside the steps of a CI job, and return.
    #[command(after_help = VARIABLES, args_override_self = true)]
    Start(Box<StartArgs>),
    /// Show what the agent that was started sees.
    Status(StatusArgs),
    /// End what was started, send what is left and show the summary.
    Stop(StopArgs),
    /// The agent that `start` leaves behind.
    #[command(hide = true)]
    Background(BackgroundArgs),
    /// Send recordings that no server has acknowledged yet.
    Upload(UploadArgs),
    /// Tell of a job in the form that somebody reads: here, in a job summary, on a pull request, in a file for a CI.
    Report(ReportArgs),
    /// Cut a suite that was recorded into jobs that fit a budget.
    Plan(PlanArgs),
    /// Say whether the memory of a job got worse; ends with 1 where it did, with 3 where there is too little to compare with.
    #[command(after_help = JUDGED)]
    Check(CheckArgs),
    /// Run a command once for each of some files; what `check --confirm` records.
    #[command(hide = true)]
    OneByOne(OneByOneArgs),
    /// Say of a figure that it is known, why and until when: as much of it fails no check; or list what was said, or take it back.
    Acknowledge(AcknowledgeArgs),
    /// Show jobs before and after: peak, headroom, ending, and what became of each test file.
    Compare(CompareArgs),
    /// Say with which commits the memory of a test file, or of the whole suite, changed for good.
    Blame(BlameArgs),
    /// Say what works on this machine, and how to mend what does not; ends with 2 where a recording could not be made.
    Doctor(DoctorArgs),
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Record a command.
    Run(Box<RunTask>),
    /// Begin to record beside the steps of a CI job.
    Start(Box<StartTask>),
    /// Show what is recorded there.
    Status(StatusTask),
    /// End it.
    Stop(StopTask),
    /// Be the agent that records there.
    Background(BackgroundTask),
    /// Send what is in the spool.
    Upload(UploadTask),
    /// Tell of a job.
    Report(ReportTask),
    /// Cut a suite into jobs.
    Plan(PlanTask),
    /// Say whether a job got worse.
    Check(CheckTask),
    /// Run a command for each of some files.
    OneByOne(OneByOneTask),
    /// Say that a figure is known.
    Acknowledge(AcknowledgeTask),
    /// Show jobs before and after.
    Compare(CompareTask),
    /// Say with which commits memory changed.
    Blame(BlameTask),
    /// Say what works here.
    Doctor(DoctorTask),
}

impl Cli {
    /// The task, free of clap.
    #[must_use]
    pub fn into_task(self) -> Task {
        match self.command {
            Command::Run(args) => Task::Run(Box::new((*args).into())),
            Command::Start(args) => Task::Start(Box::new((*args).into())),
            Command::Status(args) => Task::Status(args.into()),
            Command::Stop(args) => Task::Stop(args.into()),
            Command::Background(args) => Task::Background(args.into()),
            Command::Upload(args) => Task::Upload(args.into()),
            Command::Report(args) => Task::Report(args.into()),
            Command::Plan(args) => Task::Plan(args.into()),
            Command::Check(args) => Task::Check(args.into()),
            Command::OneByOne(args) => Task::OneByOne(args.into()),
            Command::Acknowledge(args) => Task::Acknowledge(args.into()),
            Command::Compare(args) => Task::Compare(args.into()),
            Command::Blame(args) => Task::Blame(args.into()),
            Command::Doctor(args) => Task::Doctor(args.into()),
        }
    }
}

#[cfg(test)]
mod tests;
