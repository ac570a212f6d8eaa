//! The command line. Only this file knows clap; what it reads becomes plain props before anything runs.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::settings::{Given, parse_bytes, parse_duration, parse_pair, parse_shard};

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
    #[arg(long, env = "HIGHWATER_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Folder that holds what is not yet acknowledged.
    #[arg(long, env = "HIGHWATER_SPOOL", value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Length of the sampling grid [default: 50ms].
    #[arg(long, env = "HIGHWATER_INTERVAL", value_name = "TIME", value_parser = interval)]
    interval: Option<Duration>,
    /// Memory that the job may use, such as 3GB; shown as a limit.
    #[arg(long, env = "HIGHWATER_BUDGET", value_name = "SIZE", value_parser = parse_bytes)]
    budget: Option<u64>,
    /// Write the summary as JSON to a file.
    #[arg(long, env = "HIGHWATER_SUMMARY", value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Do not use the kernel's high-water mark: peaks are sampled, `ru_maxrss` of the tests stays untouched.
    #[arg(long, env = "HIGHWATER_NO_EXACT")]
    no_exact: bool,
    /// Say nothing but errors.
    #[arg(long, short, env = "HIGHWATER_QUIET")]
    quiet: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What the job is called; read from the CI, else from git, where nothing is said.
#[derive(Debug, Args)]
struct About {
    /// The project, `owner/repo`.
    #[arg(long, env = "HIGHWATER_PROJECT", value_name = "OWNER/REPO")]
    project: Option<String>,
    /// Name of the job.
    #[arg(long, env = "HIGHWATER_JOB_NAME", value_name = "NAME")]
    job: Option<String>,
    /// The matrix leg; may be given several times.
    #[arg(long, env = "HIGHWATER_VARIANT", value_name = "K=V", value_delimiter = ',', value_parser = parse_pair)]
    variant: Vec<(String, String)>,
    /// Which part of a split suite this is, from 1/N.
    #[arg(long, env = "HIGHWATER_SHARD", value_name = "I/N", value_parser = parse_shard)]
    shard: Option<(u32, u32)>,
    /// Attempt, from 1.
    #[arg(long, env = "HIGHWATER_ATTEMPT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Name of the CI provider.
    #[arg(long, env = "HIGHWATER_PROVIDER", value_name = "NAME")]
    provider: Option<String>,
    /// Id of the CI run; jobs of one run belong together.
    #[arg(long, env = "HIGHWATER_RUN_ID", value_name = "ID")]
    run_id: Option<String>,
    /// Branch.
    #[arg(long, env = "HIGHWATER_BRANCH", value_name = "NAME")]
    branch: Option<String>,
    /// Commit under test.
    #[arg(long, env = "HIGHWATER_COMMIT", value_name = "SHA")]
    commit: Option<String>,
    /// Commit it is compared with.
    #[arg(long, env = "HIGHWATER_BASE_COMMIT", value_name = "SHA")]
    base_commit: Option<String>,
    /// Number of the pull request.
    #[arg(long, env = "HIGHWATER_PULL_REQUEST", value_name = "N")]
    pull_request: Option<String>,
    /// Whether the run belongs to a fork.
    #[arg(long, env = "HIGHWATER_FORK", value_name = "BOOL")]
    fork: Option<bool>,
    /// What set the run off.
    #[arg(long, env = "HIGHWATER_EVENT", value_name = "NAME")]
    event: Option<String>,
    /// Page of the job at its provider.
    #[arg(long, env = "HIGHWATER_URL", value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Args)]
struct UploadArgs {
    /// Address of the server.
    #[arg(long, env = "HIGHWATER_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Folder that holds the recordings.
    #[arg(long, env = "HIGHWATER_SPOOL", value_name = "DIR")]
    spool: Option<PathBuf>,
    /// The jobs to send, by uuid; all where none is named.
    #[arg(value_name = "JOB")]
    jobs: Vec<uuid::Uuid>,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// Folder that holds the recordings.
    #[arg(long, env = "HIGHWATER_SPOOL", value_name = "DIR")]
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
    /// File for the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Say nothing but errors.
    pub quiet: bool,
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
                exact: !self.no_exact,
            },
            command: self.command,
            summary: self.summary,
            quiet: self.quiet,
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("{text:?} is not between 1ms and 1 hour"))
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
        assert!(task.given.exact);
    }
}
