//! The command line. Only this file knows clap; what it reads becomes plain props before anything runs.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::settings::{Given, parse_bytes, parse_interval, parse_pair, parse_shard};

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
    /// Send recordings that no server has acknowledged yet.
    Upload(UploadArgs),
    /// Show the summary of a recording that is still in the spool.
    Report(ReportArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    about: About,
    /// Address of the server, such as http://127.0.0.1:8080; without one the recording stays in the spool.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Folder that holds what is not yet acknowledged.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Length of the sampling grid [default: 50ms].
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    interval: Option<Duration>,
    /// Memory that the job may use, such as 3GB; shown as a limit.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    budget: Option<u64>,
    /// Write the summary as JSON to a file.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Do not use the kernel's high-water mark: peaks are sampled, `ru_maxrss` of the tests stays untouched.
    #[arg(long, overrides_with = "exact")]
    no_exact: bool,
    /// Use the kernel's high-water mark, where pyproject.toml says not to.
    #[arg(long, overrides_with = "no_exact")]
    exact: bool,
    /// Say nothing but errors.
    #[arg(long, short)]
    quiet: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What the job is called; read from the CI, else from git, where nothing is said.
#[derive(Debug, Args)]
struct About {
    /// The project, `owner/repo`.
    #[arg(long, value_name = "OWNER/REPO")]
    project: Option<String>,
    /// Name of the job.
    #[arg(long, value_name = "NAME")]
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
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Id of the CI run; jobs of one run belong together.
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
    /// Branch.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Commit under test.
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Commit it is compared with.
    #[arg(long, value_name = "SHA")]
    base_commit: Option<String>,
    /// Number of the pull request.
    #[arg(long, value_name = "N")]
    pull_request: Option<String>,
    /// Whether the run belongs to a fork.
    #[arg(long, value_name = "BOOL")]
    fork: Option<bool>,
    /// What set the run off.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Page of the job at its provider.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Args)]
struct UploadArgs {
    /// Address of the server.
    #[arg(long, value_name = "URL")]
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

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Record a command.
    Run(Box<RunTask>),
    /// Send what is in the spool.
    Upload(UploadTask),
    /// Show a recording's summary.
    Report(ReportTask),
}

/// `highwater run`.
#[derive(Debug)]
pub struct RunTask {
    /// What was said of the job.
    pub given: Given,
    /// The command, as words.
    pub command: Vec<OsString>,
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

impl Cli {
    /// The task, free of clap.
    #[must_use]
    pub fn into_task(self) -> Task {
        match self.command {
            Command::Run(args) => Task::Run(Box::new(args.into_task())),
            Command::Upload(args) => Task::Upload(UploadTask {
                server: args.server,
                spool: args.spool,
                jobs: args.jobs,
            }),
            Command::Report(args) => Task::Report(ReportTask {
                spool: args.spool,
                job: args.job,
            }),
        }
    }
}

impl RunArgs {
    fn into_task(self) -> RunTask {
        let about = self.about;
        let variant: BTreeMap<_, _> = about.variant.into_iter().collect();
        RunTask {
            given: Given {
                server: self.server,
                project: about.project,
                job: about.job,
                variant,
                shard: about.shard,
                attempt: about.attempt,
                provider: about.provider,
                run_id: about.run_id,
                branch: about.branch,
                commit: about.commit,
                base_commit: about.base_commit,
                pull_request: about.pull_request,
                fork: about.fork,
                event: about.event,
                url: about.url,
                spool: self.spool,
                interval: self.interval,
                budget_bytes: self.budget,
                exact: match (self.exact, self.no_exact) {
                    (true, _) => Some(true),
                    (_, true) => Some(false),
                    _ => None,
                },
                summary: self.summary,
                quiet: self.quiet.then_some(true),
            },
            command: self.command,
        }
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
}
