//! The command line. Only this file knows clap; what it reads becomes plain props before anything runs.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, builder::TypedValueParser, error::ErrorKind};

use crate::{
    backend::Backend,
    settings::{
        Given, parse_bytes, parse_commit, parse_duration, parse_interval, parse_name, parse_pair,
        parse_project, parse_server, parse_shard, parse_url, said,
    },
};

const VARIABLES: &str = "Each option has a variable, HIGHWATER_ and its name: HIGHWATER_SERVER, HIGHWATER_BASE_COMMIT; for --job it is \
HIGHWATER_JOB_NAME. An option goes before its variable, both before [tool.highwater] in pyproject.toml.";

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
    /// Show the summary of a recording that is still in the spool.
    Report(ReportArgs),
    /// Say what works on this machine, and how to mend what does not; ends with 2 where a recording could not be made.
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    recording: RecordingArgs,
    /// Write the summary as JSON to a file.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
struct StartArgs {
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

#[derive(Debug, Args)]
struct StopArgs {
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
    /// Say nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct StatusArgs {
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

#[derive(Debug, Args)]
struct BackgroundArgs {
    /// Ancestors of whoever started it; other agents read it here.
    #[arg(long, value_name = "CHAIN")]
    chain: String,
    /// Folder of the job.
    folder: PathBuf,
}

/// How a job is recorded.
#[derive(Debug, Args)]
struct RecordingArgs {
    #[command(flatten)]
    about: About,
    /// Address of the server, such as http://127.0.0.1:8080; without one the recording stays in the spool.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// Folder that holds what is not yet acknowledged.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Length of the sampling grid [default: 50ms].
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    interval: Option<Duration>,
    /// What reads processes and machine: `linux` the kernel's own files, `sysinfo` on any other system, and coarser.
    #[arg(long, value_name = "NAME")]
    backend: Option<Backend>,
    /// Memory that the job may use, such as 3GB; shown as a limit.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    budget: Option<u64>,
    /// Do not use the kernel's high-water mark: peaks are sampled, `ru_maxrss` of the tests stays untouched.
    #[arg(long, overrides_with = "exact")]
    no_exact: bool,
    /// Use the kernel's high-water mark, where pyproject.toml says not to.
    #[arg(long, overrides_with = "no_exact")]
    exact: bool,
    /// Say nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

/// What the job is called; read from the CI, else from git, where nothing is said.
#[derive(Debug, Args)]
struct About {
    /// The project, `owner/repo`.
    #[arg(long, value_name = "OWNER/REPO", value_parser = parse_project)]
    project: Option<String>,
    /// Name of the job.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    job: Option<String>,
    /// The matrix leg; may be given several times.
    #[arg(long, value_name = "K=V", value_delimiter = ',', value_parser = parse_pair)]
    variant: Vec<(String, String)>,
    /// Which part of a split suite this is, from 1/N.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<(u32, u32)>,
    /// Attempt, from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Name of the CI provider.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    provider: Option<String>,
    /// Id of the CI run; jobs of one run belong together.
    #[arg(long, value_name = "ID", value_parser = parse_name)]
    run_id: Option<String>,
    /// Branch.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    branch: Option<String>,
    /// Commit under test.
    #[arg(long, value_name = "SHA", value_parser = parse_commit)]
    commit: Option<String>,
    /// Commit it is compared with.
    #[arg(long, value_name = "SHA", value_parser = parse_commit)]
    base_commit: Option<String>,
    /// Number of the pull request.
    #[arg(long, value_name = "N", value_parser = parse_name)]
    pull_request: Option<String>,
    /// Whether the run belongs to a fork.
    #[arg(long, value_name = "BOOL")]
    fork: Option<bool>,
    /// What set the run off.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    event: Option<String>,
    /// Page of the job at its provider.
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    url: Option<String>,
}

#[derive(Debug, Args)]
struct UploadArgs {
    /// Address of the server.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// Folder that holds the recordings.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// The jobs to send, by uuid; all where none is named.
    #[arg(value_name = "JOB")]
    jobs: Vec<uuid::Uuid>,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// Folder that holds the recordings.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// The job, by uuid; the newest where none is named.
    #[arg(value_name = "JOB")]
    job: Option<uuid::Uuid>,
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// Address of the server.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// What would read processes and machine, `linux` or `sysinfo`.
    #[arg(long, value_name = "NAME")]
    backend: Option<Backend>,
    /// Folder that recordings would be kept in.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Write what was found as JSON.
    #[arg(long)]
    json: bool,
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
    /// Show a recording's summary.
    Report(ReportTask),
    /// Say what works here.
    Doctor(DoctorTask),
}

/// `highwater run`.
#[derive(Debug)]
pub struct RunTask {
    /// What was said of the job.
    pub given: Given,
    /// The command, as words.
    pub command: Vec<OsString>,
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
    /// Say nothing but errors.
    pub quiet: Option<bool>,
}

/// `highwater background`.
#[derive(Debug)]
pub struct BackgroundTask {
    /// Folder of the job.
    pub folder: PathBuf,
}

/// `highwater upload`.
#[derive(Debug)]
pub struct UploadTask {
    /// Address of the server.
    pub server: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// The jobs; all where empty.
    pub jobs: Vec<uuid::Uuid>,
}

/// `highwater report`.
#[derive(Debug)]
pub struct ReportTask {
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// The job; the newest where none.
    pub job: Option<uuid::Uuid>,
}

/// `highwater doctor`.
#[derive(Debug)]
pub struct DoctorTask {
    /// Address of the server.
    pub server: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// What would read processes and machine.
    pub backend: Option<Backend>,
    /// Whether the answer is for a program.
    pub json: bool,
}

impl Cli {
    /// The task, free of clap.
    #[must_use]
    pub fn into_task(self) -> Task {
        match self.command {
            Command::Run(args) => Task::Run(Box::new(args.into_task())),
            Command::Start(args) => Task::Start(Box::new(StartTask {
                given: args.recording.given(),
                print_env: args.print_env,
                max_age_us: u64::try_from(args.max_age.as_micros()).unwrap_or(u64::MAX),
                runner_pid: args.runner_pid,
            })),
            Command::Status(args) => Task::Status(StatusTask {
                job: args.job,
                spool: args.spool,
                json: args.json,
            }),
            Command::Stop(args) => Task::Stop(StopTask {
                exit_code: args.exit_code,
                status: args.status.and_then(said),
                job: args.job,
                spool: args.spool,
                summary: args.summary,
                quiet: args.quiet.then_some(true),
            }),
            Command::Background(args) => Task::Background(BackgroundTask {
                folder: args.folder,
            }),
            Command::Upload(args) => Task::Upload(UploadTask {
                server: args.server.and_then(said),
                spool: args.spool,
                jobs: args.jobs,
            }),
            Command::Report(args) => Task::Report(ReportTask {
                spool: args.spool,
                job: args.job,
            }),
            Command::Doctor(args) => Task::Doctor(DoctorTask {
                server: args.server.and_then(said),
                spool: args.spool,
                backend: args.backend,
                json: args.json,
            }),
        }
    }
}

impl RunArgs {
    fn into_task(self) -> RunTask {
        RunTask {
            given: Given {
                summary: self.summary,
                ..self.recording.given()
            },
            command: self.command,
        }
    }
}

impl RecordingArgs {
    fn given(self) -> Given {
        let about = self.about;
        let variant: BTreeMap<_, _> = about.variant.into_iter().collect();
        Given {
            server: self.server.and_then(said),
            project: about.project.and_then(said),
            job: about.job.and_then(said),
            variant,
            shard: about.shard,
            attempt: about.attempt,
            provider: about.provider.and_then(said),
            run_id: about.run_id.and_then(said),
            branch: about.branch.and_then(said),
            commit: about.commit.and_then(said),
            base_commit: about.base_commit.and_then(said),
            pull_request: about.pull_request.and_then(said),
            fork: about.fork,
            event: about.event.and_then(said),
            url: about.url.and_then(said),
            spool: self.spool,
            interval: self.interval,
            backend: self.backend,
            budget_bytes: self.budget,
            exact: match (self.exact, self.no_exact) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            summary: None,
            quiet: self.quiet.then_some(true),
            token: None,
        }
    }
}

/// Reads the address of a server; unlike clap's own way, an error does not repeat it, for there may be a password in it.
#[derive(Debug, Clone)]
struct ServerParser;

impl TypedValueParser for ServerParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        parse_server(&value.to_string_lossy()).map_err(|problem| {
            let mut command = command.clone();
            command.error(ErrorKind::ValueValidation, format!("--server: {problem}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_the_command_word_by_word() {
        let cli = Cli::try_parse_from([
            "highwater",
            "run",
            "--job",
            "unit",
            "--",
            "pytest",
            "--job",
            "x",
        ])
        .unwrap();
        let Task::Run(task) = cli.into_task() else {
            panic!("no run")
        };
        assert_eq!(task.command, ["pytest", "--job", "x"]);
        assert_eq!(task.given.job.as_deref(), Some("unit"));
        assert_eq!(task.given.exact, None);
    }

    fn refused(flags: &[&str]) -> String {
        let words = ["highwater", "run"].iter().chain(flags);
        let error = Cli::try_parse_from(words.chain(&["--", "pytest"])).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{flags:?}");
        error.to_string()
    }

    #[test]
    fn a_flag_that_cannot_be_is_an_error_that_names_it() {
        let long = "x".repeat(2_000);
        for (flag, value) in [
            ("--project", "a"),
            ("--project", "a/b c"),
            ("--url", "javascript:x"),
            ("--commit", long.as_str()),
            ("--base-commit", long.as_str()),
            ("--branch", "a\nb"),
            ("--job", long.as_str()),
            ("--run-id", long.as_str()),
            ("--variant", "python"),
            ("--shard", "4/3"),
            ("--attempt", "0"),
            ("--interval", "soon"),
            ("--budget", "3 apples"),
            ("--server", "ftp://x"),
        ] {
            let said = refused(&[flag, value]);
            assert!(said.contains(flag), "{said}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let said = refused(&["--server", "http://user:hunter2@127.0.0.1:8080"]);
        assert!(
            said.contains("HIGHWATER_TOKEN") && !said.contains("hunter2"),
            "{said}"
        );
    }

    #[test]
    fn a_flag_that_is_empty_says_nothing() {
        let names = [
            "server",
            "project",
            "job",
            "provider",
            "run-id",
            "branch",
            "commit",
            "base-commit",
            "pull-request",
            "event",
            "url",
        ];
        let flags = names.map(|name| format!("--{name}="));
        let words = ["highwater", "run"].map(str::to_owned).into_iter();
        let words = words
            .chain(flags)
            .chain(["--", "pytest"].map(str::to_owned));
        let Task::Run(task) = Cli::try_parse_from(words).unwrap().into_task() else {
            panic!("no run")
        };
        assert_eq!(task.given, Given::default());
    }
}
