//! Recordings that come as files: spools of our own agent, and what other recorders left.
//!
//! Rooms: `recording` puts batches together; `spool`, `mprof` and `pymon` each read one kind of file.
//!
//! A file is read to its end, and everything in it checked, before anything is kept; then each job is kept in one transaction. So a file that is
//! damaged leaves nothing behind. A job of another recorder's file has an identity that is made of what it holds: the same file again is the same job.

mod mprof;
mod pymon;
mod recording;
mod spool;

use std::{
    fmt, fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use highwater_store::Whole;
use highwater_wire::ids::ProjectSlug;
use uuid::Uuid;

/// Why something cannot be imported.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub(crate) struct ImportError {
    /// File, and where in it.
    place: String,
    reason: String,
}

impl ImportError {
    fn at(place: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self {
            place: place.to_string(),
            reason: reason.to_string(),
        }
    }

    fn of(path: &Path, reason: impl fmt::Display) -> Self {
        Self::at(path.display(), reason)
    }
}

/// What a file of another recorder does not say.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) project: Option<ProjectSlug>,
    pub(crate) job: Option<String>,
}

impl Named {
    fn project(&self, path: &Path) -> Result<&ProjectSlug, ImportError> {
        let missing =
            "this file does not say which project it is of; name it with --project owner/repo";
        let project = self.project.as_ref();
        project.ok_or_else(|| ImportError::of(path, missing))
    }

    fn job(&self, usual: &str) -> String {
        self.job.clone().unwrap_or_else(|| usual.to_owned())
    }
}

/// A job to be kept.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) uuid: Uuid,
    pub(crate) whole: Whole,
    /// What was passed over, in words; empty where nothing was.
    pub(crate) lacks: String,
}

/// Where recordings are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The folder of a job in a spool.
    Spool(PathBuf),
    /// A file of mprof.
    Mprof(PathBuf),
    /// A database of pytest-monitor.
    Pymon(PathBuf),
}

const SQLITE: &[u8] = b"SQLite format 3\0";

impl Source {
    /// What there is at a path: one thing, or each job of a spool.
    pub(crate) fn at(path: &Path) -> Result<Vec<Self>, ImportError> {
        let failed = |error: io::Error| ImportError::of(path, error);
        let about = fs::metadata(path).map_err(failed)?;
        if about.is_dir() {
            let jobs = spool::jobs(path)?;
            return Ok(jobs.into_iter().map(Self::Spool).collect());
        }
        if !about.is_file() {
            return Err(ImportError::of(path, "is no regular file and no folder"));
        }
        let mut head = Vec::new();
        let file = fs::File::open(path).map_err(failed)?;
        file.take(SQLITE.len() as u64)
            .read_to_end(&mut head)
            .map_err(failed)?;
        if head == SQLITE {
            return Ok(vec![Self::Pymon(path.to_path_buf())]);
        }
        if mprof::begins(&head) {
            return Ok(vec![Self::Mprof(path.to_path_buf())]);
        }
        let reason = "is neither a spool of highwater, nor a database of pytest-monitor (.pymon), nor a file of mprof (.dat)";
        Err(ImportError::of(path, reason))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Spool(path) | Self::Mprof(path) | Self::Pymon(path) => path,
        }
    }

    /// Reads its jobs.
    pub(crate) async fn read(&self, named: &Named) -> Result<Vec<Imported>, ImportError> {
        if let Self::Pymon(path) = self {
            return pymon::read(path, named).await;
        }
        let (source, named) = (self.clone(), named.clone());
        let read = tokio::task::spawn_blocking(move || match source {
            Self::Spool(folder) => spool::read(&folder, &named),
            Self::Mprof(path) | Self::Pymon(path) => mprof::read(&path, &named),
        });
        let read = read.await;
        let read = read.unwrap_or_else(|error| Err(ImportError::of(self.path(), error)))?;
        Ok(vec![read])
    }
}
