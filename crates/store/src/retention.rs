//! What retention removes, and what it passes by.
//!
//! A job's time is counted from when it was last heard of, by the server's clock: what is uploaded late is kept as long as what came in time, and
//! no clock of a runner matters. Removing has two steps. [`Store::expire`] says what is to go, some jobs a transaction; from then on nobody reads it,
//! adds to it or finalises it again. [`Store::sweep`] deletes the rows, some a transaction, and goes on where it was interrupted. So neither holds up
//! what arrives, however much there is to remove.

pub(crate) mod survey;
pub(crate) mod sweep;

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{Put, Store, StoreError, jobs, space};

pub use survey::Expired;

pub(crate) const EXPIRE_PAGES: &str =
    "UPDATE job SET pages_removed_unix_us = $3, removing = 1 WHERE id IN
    (SELECT id FROM job WHERE project_id = $1 AND heard_unix_us <= $2 AND unsettled = 0 AND pinned = 0
    AND pages_removed_unix_us IS NULL ORDER BY heard_unix_us LIMIT $4)";
pub(crate) const EXPIRE_DETAIL: &str = "UPDATE job SET pages_removed_unix_us = COALESCE(pages_removed_unix_us, $3),
    detail_removed_unix_us = $3, removing = 2 WHERE id IN
    (SELECT id FROM job WHERE project_id = $1 AND heard_unix_us <= $2 AND unsettled = 0 AND pinned = 0
    AND detail_removed_unix_us IS NULL ORDER BY heard_unix_us LIMIT $4)";
pub(crate) const EXPIRE_JOBS: &str = "UPDATE job SET pages_removed_unix_us = COALESCE(pages_removed_unix_us, $3),
    detail_removed_unix_us = COALESCE(detail_removed_unix_us, $3), removing = 3 WHERE id IN
    (SELECT id FROM job WHERE project_id = $1 AND heard_unix_us <= $2 AND unsettled = 0 AND pinned = 0
    AND removing < 3 ORDER BY heard_unix_us LIMIT $4)";

/// Most jobs that expire in one transaction: 100 took 4 ms here.
const MOST_AT_ONCE: i64 = 100;

/// What is kept for a time of its own. Each kind rests on those after it: what goes takes those before it along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Samples, and what restores the recording with them.
    Pages,
    /// Rows within a job: processes, test files, tests, fixtures, visits.
    Detail,
    /// The job itself with its figures, and those of its test files.
    Facts,
}

impl Kind {
    /// Every kind, that which goes first first.
    pub const ALL: [Self; 3] = [Self::Pages, Self::Detail, Self::Facts];

    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Detail => "detail",
            Self::Facts => "facts",
        }
    }
}

/// What of a project has had its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Number of the project.
    pub project: i64,
    /// What of its jobs.
    pub kind: Kind,
    /// Of those last heard of by this time, µs since 1970.
    pub heard_unix_us: i64,
}

/// What changes about what is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Pin(Uuid, bool),
    Expire(Expiry, i64),
    Sweep,
    GiveBack,
}

pub(crate) async fn change(
    connection: &mut SqliteConnection,
    change: &Change,
) -> Result<Put, StoreError> {
    match change {
        Change::Pin(uuid, pinned) => {
            let query = sqlx::query(jobs::PIN).bind(uuid).bind(pinned);
            let known = query.execute(connection).await?.rows_affected() > 0;
            Ok(if known { Put::Same } else { Put::Unknown })
        }
        Change::Expire(expiry, now_unix_us) => expire(connection, expiry, *now_unix_us).await,
        Change::Sweep => sweep::sweep(connection).await,
        Change::GiveBack => space::give_back(connection).await,
    }
}

async fn expire(
    connection: &mut SqliteConnection,
    expiry: &Expiry,
    now_unix_us: i64,
) -> Result<Put, StoreError> {
    let statement = match expiry.kind {
        Kind::Pages => EXPIRE_PAGES,
        Kind::Detail => EXPIRE_DETAIL,
        Kind::Facts => EXPIRE_JOBS,
    };
    let expired = sqlx::query(statement)
        .bind(expiry.project)
        .bind(expiry.heard_unix_us)
        .bind(now_unix_us)
        .bind(MOST_AT_ONCE)
        .execute(connection)
        .await?;
    let is_full = expired.rows_affected() >= MOST_AT_ONCE.cast_unsigned();
    Ok(if is_full { Put::New } else { Put::Same })
}

impl Store {
    /// Pins a job, so that retention passes it by, or lets go of it; false when it is not known. What was removed does not come back.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn pin(&self, uuid: Uuid, pinned: bool) -> Result<bool, StoreError> {
        let put = self.writer.keep(Change::Pin(uuid, pinned)).await?;
        Ok(put != Put::Unknown)
    }

    /// Says of some jobs what is to go, those longest silent first; true when more may be left. Jobs that are pinned, or not settled, are passed by.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn expire(&self, expiry: Expiry, now_unix_us: i64) -> Result<bool, StoreError> {
        let put = self.writer.keep(Change::Expire(expiry, now_unix_us));
        Ok(put.await? == Put::New)
    }

    /// Deletes some of the rows that are to go; true when more are left.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn sweep(&self) -> Result<bool, StoreError> {
        Ok(self.writer.keep(Change::Sweep).await? == Put::New)
    }

    /// Gives some of the space in which nothing lies back to the file system; true when more should go.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn give_back(&self) -> Result<bool, StoreError> {
        Ok(self.writer.keep(Change::GiveBack).await? == Put::New)
    }
}

#[cfg(test)]
mod tests;
