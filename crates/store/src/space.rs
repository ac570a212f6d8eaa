//! The file of the database: how large it is, and how what is free in it goes back to the file system. Only SQLite needs this.

use sqlx::SqliteConnection;

use crate::{Put, Store, StoreError};

pub(crate) const VACUUM_KIND: &str = "PRAGMA auto_vacuum";
pub(crate) const PAGES: &str = "PRAGMA page_count";
pub(crate) const FREE_PAGES: &str = "PRAGMA freelist_count";
pub(crate) const PAGE_BYTES: &str = "PRAGMA page_size";
/// So many pages in one transaction (1 MiB) took 7 ms here where each had to be moved.
pub(crate) const GIVE_BACK: &str = "PRAGMA incremental_vacuum(256)";
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// What `PRAGMA auto_vacuum` says where pages can be given back one by one.
const INCREMENTAL: i64 = 2;
/// One page of so many may stay free: what comes next uses it, and need not make the file longer again.
const SLACK: i64 = 16;

/// The file of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// How large it is, bytes, without its write-ahead log.
    pub bytes: i64,
    /// Of which nothing lies in so many.
    pub free_bytes: i64,
    /// Whether it gets shorter when something is removed. One that was made before the server could do that does not.
    pub shrinks: bool,
}

impl Store {
    /// How large the file of the database is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn space(&self) -> Result<Space, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let page_bytes = number(&mut connection, PAGE_BYTES).await?;
        Ok(Space {
            bytes: number(&mut connection, PAGES).await? * page_bytes,
            free_bytes: number(&mut connection, FREE_PAGES).await? * page_bytes,
            shrinks: shrinks(&mut connection).await?,
        })
    }

    /// Moves what was committed into the file of the database, as far as no reader stands in the way.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        self.writer.checkpoint().await
    }
}

async fn number(
    connection: &mut SqliteConnection,
    pragma: &'static str,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(pragma).fetch_one(connection).await?)
}

pub(crate) async fn shrinks(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    Ok(number(connection, VACUUM_KIND).await? == INCREMENTAL)
}

/// Gives some of the free pages back; [`Put::New`] when more of them should go.
pub(crate) async fn give_back(connection: &mut SqliteConnection) -> Result<Put, StoreError> {
    if !shrinks(connection).await? || !has_surplus(connection).await? {
        return Ok(Put::Same);
    }
    sqlx::query(GIVE_BACK).execute(&mut *connection).await?;
    let is_left = has_surplus(connection).await?;
    Ok(if is_left { Put::New } else { Put::Same })
}

async fn has_surplus(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let free = number(connection, FREE_PAGES).await?;
    Ok(free > number(connection, PAGES).await? / SLACK)
}
