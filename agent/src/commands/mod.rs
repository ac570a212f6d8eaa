//! What each subcommand does.

pub mod doctor;
pub mod record;
pub mod report;
pub mod run;
pub mod upload;

use std::path::PathBuf;

use crate::{ci::Env, spool::SpoolError, terminal};

/// Why a subcommand could not do its work. `highwater: ` is written before it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The spool cannot be used.
    #[error("spool: {0}")]
    Spool(#[from] SpoolError),
    /// No server was named.
    #[error("no server is named; give --server URL or set HIGHWATER_SERVER")]
    NoServer,
    /// The folder holds no recording.
    #[error("{}: no recording is here; name the folder with --spool", .0.display())]
    Nothing(PathBuf),
    /// The folder holds no recording of this job.
    #[error("{}: no recording of job {} is here: it was sent, or is in another folder (--spool)", .1.display(), .0)]
    NoSuchJob(uuid::Uuid, PathBuf),
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
