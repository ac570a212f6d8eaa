//! `highwater blame`: with which commits memory changed.

use clap::Args;

use super::{checking::CheckForm, server::ServerParser};
use crate::settings::{parse_project, said};

#[derive(Debug, Args)]
pub(super) struct BlameArgs {
    /// Project of the jobs, as owner/repo; that of this folder where none is named.
    #[arg(long, value_name = "OWNER/REPO", value_parser = parse_project)]
    project: Option<String>,
    /// Name of the jobs; all where none is given, and with a file that of the newest job that ran it.
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Branch of the jobs; where none is named main, else master, else that of the newest job.
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// How it is written: in words, or all of it as JSON.
    #[arg(long, value_enum, default_value_t = CheckForm::Text)]
    format: CheckForm,
    /// Address of the server that has the jobs.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// The test file; the whole suite where none is named.
    #[arg(value_name = "FILE")]
    file: Option<String>,
}

/// `highwater blame`.
#[derive(Debug)]
pub struct BlameTask {
    /// Project of the jobs; that of the folder where none.
    pub project: Option<String>,
    /// Name of the jobs.
    pub job: Option<String>,
    /// Branch of the jobs.
    pub branch: Option<String>,
    /// How it is written.
    pub form: CheckForm,
    /// Address of the server.
    pub server: Option<String>,
    /// The test file; the whole suite where none.
    pub file: Option<String>,
}

impl From<BlameArgs> for BlameTask {
    fn from(args: BlameArgs) -> Self {
        Self {
            project: args.project.and_then(said),
            job: args.job.and_then(said),
            branch: args.branch.and_then(said),
            form: args.format,
            server: args.server.and_then(said),
            file: args.file.and_then(said),
        }
    }
}
