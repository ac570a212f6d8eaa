use std::{
    io,
    path::{Path, PathBuf},
};

use sqlx::migrate::MigrateError;

use crate::Trouble;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored value that cannot be.
    #[error("job {job}: stored {what} cannot be read: {reason}")]
    Inconsistent {
        /// Whose.
        job: i64,
        /// What of it.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The address of the database is none.
    #[error("{url:?} is no database address; write sqlite://PATH")]
    Address {
        /// What was given.
        url: String,
    },
    /// A file could not be made or brought to disk.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A copy of the database does not pass SQLite's check.
    #[error("the copy is damaged, and so may be the database: {0}")]
    Damaged(String),
    /// What was to be written did not come to disk. The writer tells the log, once.
    #[error("{trouble} ({cause})")]
    Unwritten {
        /// What hinders it.
        trouble: Trouble,
        /// What the database said.
        cause: String,
    },
    /// The writer is gone: the server is stopping.
    #[error("the store is closing")]
    Closing,
}

impl StoreError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn unwritten(trouble: Trouble, cause: &Self) -> Self {
        Self::Unwritten {
            trouble,
            cause: cause.to_string(),
        }
    }

    pub(crate) fn inconsistent(job: i64, what: &'static str, reason: impl ToString) -> Self {
        Self::Inconsistent {
            job,
            what,
            reason: reason.to_string(),
        }
    }

    /// True when the disk is full or the database cannot be written for now: the sender shall come again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Closing | Self::Unwritten { .. } => true,
            Self::Database(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => true,
            // SQLITE_BUSY, SQLITE_IOERR and SQLITE_FULL.
            _ => matches!(self.primary_code(), Some(5 | 10 | 13)),
        }
    }

    /// SQLite's code without what extends it.
    pub(crate) fn primary_code(&self) -> Option<i32> {
        let error = match self {
            Self::Database(sqlx::Error::Database(error)) => error,
            Self::Migration(MigrateError::Execute(sqlx::Error::Database(error))) => error,
            Self::Migration(MigrateError::ExecuteMigration(sqlx::Error::Database(error), _)) => {
                error
            }
            _ => return None,
        };
        let code = error.code()?.parse::<i32>().ok()?;
        Some(code & 0xff)
    }
}
