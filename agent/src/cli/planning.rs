//! `highwater plan`: how to cut a suite into jobs that fit a budget.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{checking::JobWord, server::ServerParser};
use crate::settings::{parse_bytes, said};

/// No runner has room for more.
const MOST_WORKERS: i64 = 1_024;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// What a job may take at its peak, as 3GB or 512MiB; 85 % of what the limit of the recorded job leaves it (cgroup, machine or budget, whichever has least
    /// left) where it is not given, or as much of that as the file needs that needs most.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    budget: Option<u64>,
    /// How many jobs; the fewest that fit where it is not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// How many workers of xdist run the tests of each job, each with a base of its own (`-n N --dist loadfile`); one process without xdist where it is not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS))]
    workers: Option<u32>,
    /// Files that stay in one job: those whose path looks like this, where `*` stands for any characters and `?` for one; may be repeated.
    #[arg(long, value_name = "GLOB")]
    together: Vec<String>,
    /// How the plan is written: a table, all of it as JSON, a line of pytest's arguments a job, a matrix of GitHub Actions, or of GitLab.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Folder for `plan.json`, which `pytest --highwater-plan=FILE` reads, and for a file a job that names its test files, as
    /// `pytest @test_selection_1.txt` reads it (from pytest 8.2 on).
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Have the server that has the recording make the plan and keep it, so that shards find it by its id. Takes a token with the scope admin.
    #[arg(long, requires = "job")]
    keep: bool,
    /// Take a plan that the server keeps, by its id, instead of making one.
    #[arg(long, value_name = "ID", conflicts_with_all = ["budget", "jobs", "workers", "together", "keep", "spool", "job"])]
    kept: Option<uuid::Uuid>,
    /// Address of the server that has the recording, or keeps the plan.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// Folder that holds the recordings that are not sent.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// The job whose recording the plan rests on, by uuid or by the file that `--summary` wrote; HIGHWATER_JOB where it is not named, else the
    /// newest that is not sent.
    #[arg(value_name = "JOB")]
    job: Option<JobWord>,
}

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A table.
    Text,
    /// All of it.
    Json,
    /// A line of pytest's arguments a job.
    Args,
    /// A matrix for `strategy.matrix` of GitHub Actions.
    Github,
    /// A matrix for `parallel` of GitLab.
    Gitlab,
}

/// `highwater plan`.
#[derive(Debug)]
pub struct PlanTask {
    /// Which plan.
    pub which: Which,
    /// How it is written.
    pub form: Form,
    /// Folder for the plan and a file a job.
    pub write: Option<PathBuf>,
    /// Address of the server.
    pub server: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
}

/// Which plan is wanted.
#[derive(Debug)]
pub enum Which {
    /// One that is made.
    Made {
        /// What a job may take at its peak, bytes; what the job's limit bears where none.
        budget_bytes: Option<u64>,
        /// How many jobs; the fewest where none.
        jobs: Option<u32>,
        /// Workers of each job; none of xdist where none.
        workers: Option<u32>,
        /// Globs of files that stay together.
        together: Vec<String>,
        /// The job; the newest in the spool where none.
        job: Option<JobWord>,
        /// Whether the server makes and keeps it.
        keep: bool,
    },
    /// One that the server keeps.
    Kept(uuid::Uuid),
}

impl From<PlanArgs> for PlanTask {
    fn from(args: PlanArgs) -> Self {
        let which = match args.kept {
            Some(id) => Which::Kept(id),
            None => Which::Made {
                budget_bytes: args.budget,
                jobs: args.jobs,
                workers: args.workers,
                together: args.together,
                job: args.job,
                keep: args.keep,
            },
        };
        Self {
            which,
            form: args.format,
            write: args.write,
            server: args.server.and_then(said),
            spool: args.spool,
        }
    }
}
