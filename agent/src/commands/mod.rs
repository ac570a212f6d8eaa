//! What each subcommand does.

pub mod record;
pub mod report;
pub mod run;
pub mod upload;

use std::path::PathBuf;

use crate::{ci::Env, settings::SettingsError, spool::SpoolError};

/// Why a subcommand could not do its work. `highwater: ` is written before it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting cannot be.
    #[error("settings: {0}")]
    Settings(#[from] SettingsError),
    /// The spool cannot be used.
    #[error("spool: {0}")]
    Spool(#[from] SpoolError),
    /// No server was named.
    #[error("no server is named; give --server URL or set HIGHWATER_SERVER")]
    NoServer,
    /// The folder holds no recording.
    #[error("{}: no recording is here; name the folder with --spool", .0.display())]
    Nothing(PathBuf),
    /// Part of the recordings was not taken.
    #[error("{0} of {1} recordings were not sent; they stay in the spool")]
    NotSent(usize, usize),
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
