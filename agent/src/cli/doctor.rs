//! `highwater doctor`.

use std::path::PathBuf;

use clap::Args;

use super::server::ServerParser;
use crate::{backend::Backend, settings::said};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
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

impl From<DoctorArgs> for DoctorTask {
    fn from(args: DoctorArgs) -> Self {
        Self {
            server: args.server.and_then(said),
            spool: args.spool,
            backend: args.backend,
            json: args.json,
        }
    }
}
