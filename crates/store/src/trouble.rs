//! Whether what is written comes to disk. The writer says once that it does not, and once that it does again: whoever asks is answered, and
//! a log that grows with each refusal would fill the disk that is full.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::SqliteConnection;

use crate::{Store, StoreError, writer};

/// The number is of no use to anybody: writing it again writes one page.
pub(crate) const TRY: &str = "PRAGMA user_version = 0";

/// How often the writer tries by itself whether it can write again.
pub(crate) const TRIES: Duration = Duration::from_secs(1);
/// How long nothing may have failed before it is over.
const QUIET: Duration = Duration::from_secs(2);
/// A disk with less free room is full, bytes: what is small may still find a place where the next batch finds none.
const LEAST_ROOM: u64 = 1 << 20;

/// Why nothing can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no room on the disk of the database.
    #[error("the disk is full")]
    DiskFull,
    /// Something else, of which the log tells.
    #[error("the database cannot be written")]
    Failing,
}

/// What became of the last writes.
#[derive(Debug)]
pub(crate) struct Health {
    folder: PathBuf,
    failing: Mutex<Option<Failing>>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    why: Trouble,
    since: Instant,
    last: Instant,
    times: u64,
}

impl Health {
    /// Of a database in this folder.
    pub(crate) fn of(database: &Path) -> Self {
        Self {
            folder: folder_of(database),
            failing: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.lock().map(|failing| failing.why)
    }

    /// A transaction could not be committed. Says what to tell those who asked for it.
    pub(crate) fn failed(&self, error: &StoreError) -> Trouble {
        let why = why(error, &self.folder);
        let now = Instant::now();
        let mut failing = self.lock();
        let known = failing.filter(|known| known.why == why);
        if known.is_none() {
            tracing::error!(%error, folder = %self.folder.display(), "{why}: senders are told to come again, and nothing acknowledged is lost");
        } else {
            tracing::debug!(%error, "{why}");
        }
        let known = known.unwrap_or(Failing {
            why,
            since: now,
            last: now,
            times: 0,
        });
        *failing = Some(Failing {
            last: now,
            times: known.times + 1,
            ..known
        });
        why
    }

    /// A transaction was committed.
    pub(crate) fn succeeded(&self) {
        let mut failing = self.lock();
        let Some(known) = *failing else {
            return;
        };
        let has_room = known.why != Trouble::DiskFull || has_room(&self.folder);
        if known.last.elapsed() >= QUIET && has_room {
            *failing = None;
            let seconds = known.since.elapsed().as_secs();
            tracing::info!(seconds, failures = known.times, "it can be written again");
        }
    }
}

/// Whether the disk is full, by what SQLite says, and where that leaves it open by the disk itself.
pub(crate) fn why(error: &StoreError, folder: &Path) -> Trouble {
    match error.primary_code() {
        // SQLITE_FULL.
        Some(13) => Trouble::DiskFull,
        // SQLITE_IOERR and SQLITE_CANTOPEN: so it says when the log's index finds no room.
        Some(10 | 14) if !has_room(folder) => Trouble::DiskFull,
        _ => Trouble::Failing,
    }
}

fn has_room(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).map_or(true, |disk| {
        disk.f_bavail.saturating_mul(disk.f_frsize) >= LEAST_ROOM
    })
}

pub(crate) fn folder_of(database: &Path) -> PathBuf {
    let folder = database
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_path_buf()
}

/// Writes something that changes nothing.
pub(crate) async fn try_to_write(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    for statement in [writer::BEGIN, TRY, writer::COMMIT] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

impl Store {
    /// Why nothing can be written now; `None` while the last writes came to disk.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.writer.trouble()
    }

    /// Looks whether something can be written, so that [`Store::trouble`] knows it.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        self.writer.try_to_write().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As SQLite refuses when a database may have no more pages.
    async fn full() -> (tempfile::TempDir, SqliteConnection, StoreError) {
        use sqlx::Connection;
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!(
            "sqlite://{}?mode=rwc",
            folder.path().join("full.db").display()
        );
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        for made in ["CREATE TABLE t (x BLOB)", "PRAGMA max_page_count = 2"] {
            sqlx::query(made).execute(&mut connection).await.unwrap();
        }
        let filled = sqlx::query("INSERT INTO t VALUES (zeroblob(1000000))");
        let error = filled.execute(&mut connection).await.unwrap_err();
        (folder, connection, error.into())
    }

    #[tokio::test]
    async fn it_is_over_only_when_nothing_failed_for_a_while() {
        let (folder, mut connection, error) = full().await;
        let health = Health::of(&folder.path().join("full.db"));
        assert_eq!(health.trouble(), None);
        assert_eq!(health.failed(&error), Trouble::DiskFull);
        assert_eq!(health.failed(&error), Trouble::DiskFull);
        assert!(error.is_passing(), "{error}");
        try_to_write(&mut connection).await.unwrap();
        health.succeeded();
        assert_eq!(health.trouble(), Some(Trouble::DiskFull), "it just failed");
        if let Some(failing) = health.lock().as_mut() {
            assert_eq!(failing.times, 2);
            failing.last -= QUIET;
        }
        health.succeeded();
        assert_eq!(health.trouble(), None);
        assert_eq!(health.failed(&StoreError::Closing), Trouble::Failing);
    }
}
