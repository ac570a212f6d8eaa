//! Figures of test files over jobs.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{Store, StoreError};

pub(crate) const DELETE: &str = "DELETE FROM file_fact WHERE job_id = $1";
pub(crate) const INSERT_FILE: &str =
    "INSERT INTO file (project_id, path) VALUES ($1, $2) ON CONFLICT (project_id, path) DO NOTHING";
pub(crate) const INSERT: &str = "INSERT INTO file_fact
    (project_id, file_id, job_id, session, start_bytes, peak_bytes, peak_kind, tree_peak_bytes, spike_bytes, retained_bytes,
     import_bytes, tests, failed, duration_us, censored)
    SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM file WHERE project_id = $1 AND path = $2";
pub(crate) const HISTORY: &str = "SELECT j.id AS job, j.uuid, j.name, j.started_unix_us, j.verdict, r.branch, r.head_commit, f.session,
    f.start_bytes, f.peak_bytes, f.peak_kind, f.tree_peak_bytes, f.spike_bytes, f.retained_bytes, f.import_bytes, f.tests,
    f.failed, f.duration_us, f.censored
    FROM file_fact f JOIN job j ON j.id = f.job_id JOIN run r ON r.id = j.run_id
    WHERE f.project_id = $1 AND f.file_id = (SELECT id FROM file WHERE project_id = $1 AND path = $2)
    AND (j.started_unix_us < $3 OR (j.started_unix_us = $3 AND (j.id < $4 OR (j.id = $4 AND f.session > $5))))
    ORDER BY j.started_unix_us DESC, j.id DESC, f.session LIMIT $6";

/// Figures of one test file in one session of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the same figures as `highwater_wire::report::FileRow`"
)]
pub struct FileFact {
    pub path: String,
    pub session: u32,
    pub start_bytes: i64,
    pub peak_bytes: i64,
    pub peak_kind: String,
    pub tree_peak_bytes: i64,
    pub spike_bytes: i64,
    pub retained_bytes: i64,
    pub import_bytes: i64,
    pub tests: i64,
    pub failed: i64,
    pub duration_us: i64,
    pub censored: bool,
}

/// Figures of a test file in one job of its history.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(
    missing_docs,
    reason = "the same figures as `highwater_wire::report::FileRow`, and whose they are"
)]
pub struct HistoryPoint {
    pub job: i64,
    pub uuid: Uuid,
    pub name: String,
    pub started_unix_us: i64,
    pub verdict: Option<String>,
    pub branch: String,
    pub head_commit: String,
    pub session: u32,
    pub start_bytes: i64,
    pub peak_bytes: i64,
    pub peak_kind: String,
    pub tree_peak_bytes: i64,
    pub spike_bytes: i64,
    pub retained_bytes: i64,
    pub import_bytes: i64,
    pub tests: i64,
    pub failed: i64,
    pub duration_us: i64,
    pub censored: bool,
}

impl Store {
    /// A test file over the jobs of its project, newest first, from after a point (its start, job and session) on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn file_history(
        &self,
        project: i64,
        path: &str,
        after: Option<[i64; 3]>,
        limit: u32,
    ) -> Result<Vec<HistoryPoint>, StoreError> {
        let [started, id, session] = after.unwrap_or([i64::MAX; 3]);
        Ok(sqlx::query_as(HISTORY)
            .bind(project)
            .bind(path)
            .bind(started)
            .bind(id)
            .bind(session)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }
}

pub(crate) async fn replace(
    connection: &mut SqliteConnection,
    project: i64,
    job: i64,
    facts: &[FileFact],
) -> Result<(), StoreError> {
    sqlx::query(DELETE)
        .bind(job)
        .execute(&mut *connection)
        .await?;
    for fact in facts {
        sqlx::query(INSERT_FILE)
            .bind(project)
            .bind(&fact.path)
            .execute(&mut *connection)
            .await?;
        sqlx::query(INSERT)
            .bind(project)
            .bind(&fact.path)
            .bind(job)
            .bind(fact.session)
            .bind(fact.start_bytes)
            .bind(fact.peak_bytes)
            .bind(&fact.peak_kind)
            .bind(fact.tree_peak_bytes)
            .bind(fact.spike_bytes)
            .bind(fact.retained_bytes)
            .bind(fact.import_bytes)
            .bind(fact.tests)
            .bind(fact.failed)
            .bind(fact.duration_us)
            .bind(fact.censored)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
