//! `highwater upload`: what is still in the spool.

use std::path::PathBuf;

use clap::Args;

use super::server::ServerParser;
use crate::settings::said;

#[derive(Debug, Args)]
pub(super) struct UploadArgs {
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

impl From<UploadArgs> for UploadTask {
    fn from(args: UploadArgs) -> Self {
        Self {
            server: args.server.and_then(said),
            spool: args.spool,
            jobs: args.jobs,
        }
    }
}
