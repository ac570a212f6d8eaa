//! How reading the kernel's files fails, and how it does not.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// Why a file of the kernel could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    /// It could not be opened or read.
    #[error("failed to read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was read and not understood.
    #[error("failed to understand {}, line {line}: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

impl ProcError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn malformed(path: &Path, line: usize, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            line,
            reason: reason.into(),
        }
    }

    /// Whether the kernel forbade it, as for a process of another user.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether it is not there any more: a process that was reaped, a cgroup that was removed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_gone(source))
    }
}

/// Takes "gone" out of the errors: a process may end between any two looks at it.
///
/// # Errors
/// Every other error.
pub fn still_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::SRCH | Errno::NOENT | Errno::NODEV)
    )
}
