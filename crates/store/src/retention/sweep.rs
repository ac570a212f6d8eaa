//! Deletes the rows of what expired, some a transaction.

use sqlx::SqliteConnection;

use crate::{Put, Store, StoreError};

pub(crate) const LEFT: &str = "SELECT COUNT(*) FROM job WHERE removing > 0";
pub(crate) const NEXT: &str =
    "SELECT id, run_id, removing FROM job WHERE removing > 0 ORDER BY id LIMIT 1";
pub(crate) const DELETE_PAGES: &str =
    "DELETE FROM page WHERE job_id = $1 AND (column_no, level, first_index) IN
    (SELECT column_no, level, first_index FROM page WHERE job_id = $1 LIMIT $2)";
pub(crate) const DELETE_SERIES: &str = "DELETE FROM series WHERE job_id = $1 AND column_no IN
    (SELECT column_no FROM series WHERE job_id = $1 LIMIT $2)";
pub(crate) const DELETE_FACTS: &str =
    "DELETE FROM file_fact WHERE (project_id, file_id, started_unix_us, job_id, session) IN
    (SELECT project_id, file_id, started_unix_us, job_id, session FROM file_fact WHERE job_id = $1 LIMIT $2)";
pub(crate) const DELETE_BATCHES: &str =
    "DELETE FROM batch WHERE job_id = $1 AND (stream_no, seq) IN
    (SELECT stream_no, seq FROM batch WHERE job_id = $1 LIMIT $2)";
pub(crate) const DELETE_BODIES: &str = "DELETE FROM body WHERE job_id = $1 AND (stream_no, seq) IN
    (SELECT stream_no, seq FROM body WHERE job_id = $1 LIMIT $2)";
pub(crate) const DELETE_STREAMS: &str = "DELETE FROM stream WHERE job_id = $1 AND stream_no IN
    (SELECT stream_no FROM stream WHERE job_id = $1 LIMIT $2)";
pub(crate) const DETAILS: &str = "SELECT kind, LENGTH(content) FROM detail WHERE job_id = $1";
pub(crate) const DELETE_DETAIL: &str = "DELETE FROM detail WHERE job_id = $1 AND kind = $2";
pub(crate) const DONE: &str = "UPDATE job SET removing = 0 WHERE id = $1";
pub(crate) const DELETE_JOB: &str = "DELETE FROM job WHERE id = $1";
pub(crate) const DELETE_RUN: &str =
    "DELETE FROM run WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM job WHERE run_id = $1)";

/// Most rows that go in one transaction. 500 pages of 2 kB, most of them in two pages of the database, took 14 ms here, 500
/// batches 2 ms.
const ROWS: u64 = 500;
/// What a row of a page holds, about; a blob as large as so many counts as so many rows.
const BYTES_A_ROW: u64 = 2_048;

/// Deletes some rows; [`Put::New`] when there are more.
pub(super) async fn sweep(connection: &mut SqliteConnection) -> Result<Put, StoreError> {
    let mut room = ROWS;
    while room > 0 {
        let next: Option<(i64, i64, i64)> = sqlx::query_as(NEXT)
            .fetch_optional(&mut *connection)
            .await?;
        let Some((job, run, level)) = next else {
            return Ok(Put::Same);
        };
        delete_rows(connection, job, level, &mut room).await?;
        if room > 0 {
            finish(connection, job, run, level).await?;
            room -= 1;
        }
    }
    Ok(Put::New)
}

/// Deletes what goes at a level, as long as there is room.
async fn delete_rows(
    connection: &mut SqliteConnection,
    job: i64,
    level: i64,
    room: &mut u64,
) -> Result<(), StoreError> {
    delete(connection, DELETE_PAGES, job, room).await?;
    delete(connection, DELETE_SERIES, job, room).await?;
    let details: Vec<(String, i64)> = sqlx::query_as(DETAILS)
        .bind(job)
        .fetch_all(&mut *connection)
        .await?;
    for (kind, bytes) in details {
        let goes_at = match kind.as_str() {
            "residue" => 1,
            "report" => 3,
            _ => 2,
        };
        if level < goes_at || *room == 0 {
            continue;
        }
        sqlx::query(DELETE_DETAIL)
            .bind(job)
            .bind(kind)
            .execute(&mut *connection)
            .await?;
        *room = room.saturating_sub(1 + bytes.cast_unsigned() / BYTES_A_ROW);
    }
    if level >= 3 {
        delete(connection, DELETE_FACTS, job, room).await?;
        delete(connection, DELETE_BODIES, job, room).await?;
        delete(connection, DELETE_BATCHES, job, room).await?;
        delete(connection, DELETE_STREAMS, job, room).await?;
    }
    Ok(())
}

async fn delete(
    connection: &mut SqliteConnection,
    statement: &'static str,
    job: i64,
    room: &mut u64,
) -> Result<(), StoreError> {
    if *room == 0 {
        return Ok(());
    }
    let deleted = sqlx::query(statement)
        .bind(job)
        .bind(room.cast_signed())
        .execute(connection)
        .await?;
    *room = room.saturating_sub(deleted.rows_affected());
    Ok(())
}

/// Nothing of what was to go is left. Files and projects stay: their names are few.
async fn finish(
    connection: &mut SqliteConnection,
    job: i64,
    run: i64,
    level: i64,
) -> Result<(), StoreError> {
    if level < 3 {
        sqlx::query(DONE).bind(job).execute(connection).await?;
        return Ok(());
    }
    sqlx::query(DELETE_JOB)
        .bind(job)
        .execute(&mut *connection)
        .await?;
    sqlx::query(DELETE_RUN)
        .bind(run)
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// Of how many jobs rows are left that are to go.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn to_be_swept(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(LEFT).fetch_one(&self.readers).await?)
    }
}
