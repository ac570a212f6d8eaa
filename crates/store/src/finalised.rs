//! What finalising a job writes, all of it in one transaction.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{
    Detail, FileFact, Put, SeriesRow, StoreError, StoredPage, batches, details, facts, jobs,
    series, webhooks,
};

/// Everything that finalising a job writes.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "columns of the job, named as in `highwater_wire::report::JobReport`"
)]
pub struct Finalised {
    pub job: i64,
    pub project: i64,
    /// `arrivals` of the job when its data was read: what arrived later leaves it unsettled.
    pub arrivals: i64,
    pub state: String,
    pub revision: u32,
    pub duration_us: i64,
    pub peak_bytes: i64,
    pub peak_kind: String,
    pub headroom_bytes: Option<i64>,
    pub verdict: Option<String>,
    pub confidence: Option<String>,
    pub tests: i64,
    pub failed: i64,
    /// What jobs must have the same to be compared with it; `None` where it did not go well.
    pub comparable: Option<String>,
    /// What it is ordered by among these, µs since 1970.
    pub ordered_unix_us: i64,
    pub diagnosed: bool,
    pub series: Vec<SeriesRow>,
    pub pages: Vec<StoredPage>,
    pub details: Vec<Detail>,
    pub facts: Vec<FileFact>,
    /// Webhooks are told of the job where it ended since then, µs since 1970; of `None` nobody is told.
    pub news_since_unix_us: Option<i64>,
    /// Batches that are now in the pages.
    pub settled: Vec<(Uuid, u64)>,
}

/// Writes it, unless somebody else finalised the job meanwhile or retention took what it rests on.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    done: &Finalised,
) -> Result<Put, StoreError> {
    let updated = sqlx::query(jobs::SETTLE)
        .bind(done.job)
        .bind(&done.state)
        .bind(done.revision)
        .bind(done.duration_us)
        .bind(done.peak_bytes)
        .bind(&done.peak_kind)
        .bind(done.headroom_bytes)
        .bind(&done.verdict)
        .bind(&done.confidence)
        .bind(done.tests)
        .bind(done.failed)
        .bind(done.arrivals)
        .bind(&done.comparable)
        .bind(done.ordered_unix_us)
        .bind(done.diagnosed)
        .execute(&mut *connection)
        .await?;
    if updated.rows_affected() == 0 {
        return Ok(Put::Conflict);
    }
    series::replace(connection, done.job, &done.series, &done.pages).await?;
    details::replace(connection, done.job, &done.details).await?;
    facts::replace(connection, done.project, done.job, &done.facts).await?;
    batches::drop_bodies(connection, done.job, &done.settled).await?;
    if let Some(since) = done.news_since_unix_us {
        sqlx::query(webhooks::INSERT_NEWS)
            .bind(done.job)
            .bind(done.revision)
            .bind(since)
            .execute(connection)
            .await?;
    }
    Ok(Put::New)
}
