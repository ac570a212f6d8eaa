//! What a job is called.

use clap::Args;

use crate::settings::{
    parse_commit, parse_name, parse_pair, parse_project, parse_shard, parse_url,
};

/// What the job is called; read from the CI, else from git, where nothing is said.
#[derive(Debug, Args)]
pub(super) struct About {
    /// The project, `owner/repo`.
    #[arg(long, value_name = "OWNER/REPO", value_parser = parse_project)]
    pub(super) project: Option<String>,
    /// Name of the job; that of the CI's job, else `pytest`, where none is given.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) job: Option<String>,
    /// The matrix leg; may be given several times.
    #[arg(long, value_name = "K=V", value_delimiter = ',', value_parser = parse_pair)]
    pub(super) variant: Vec<(String, String)>,
    /// Which part of a split suite this is, from 1/N.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(super) shard: Option<(u32, u32)>,
    /// Attempt, from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) attempt: Option<u32>,
    /// Name of the CI provider.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) provider: Option<String>,
    /// Id of the CI run; jobs of one run belong together.
    #[arg(long, value_name = "ID", value_parser = parse_name)]
    pub(super) run_id: Option<String>,
    /// Branch.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) branch: Option<String>,
    /// Commit under test.
    #[arg(long, value_name = "SHA", value_parser = parse_commit)]
    pub(super) commit: Option<String>,
    /// Commit it is compared with.
    #[arg(long, value_name = "SHA", value_parser = parse_commit)]
    pub(super) base_commit: Option<String>,
    /// Number of the pull request.
    #[arg(long, value_name = "N", value_parser = parse_name)]
    pub(super) pull_request: Option<String>,
    /// Whether the run belongs to a fork.
    #[arg(long, value_name = "BOOL")]
    pub(super) fork: Option<bool>,
    /// What set the run off.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) event: Option<String>,
    /// Page of the job at its provider.
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub(super) url: Option<String>,
}
