//! Projects.

use sqlx::SqliteConnection;

use crate::{JobRow, Store, StoreError};

pub(crate) const INSERT: &str =
    "INSERT INTO project (slug) VALUES ($1) ON CONFLICT (slug) DO NOTHING";
pub(crate) const ID: &str = "SELECT id FROM project WHERE slug = $1";
/// A project has at least one job: it comes into being with its first.
pub(crate) const LIST: &str = "SELECT (SELECT COUNT(*) FROM job c WHERE c.project_id = q.id) AS jobs,
    j.id, j.uuid, q.slug AS project, r.id AS run_id, r.provider, r.provider_run_id, r.branch, r.head_commit, j.name, j.variant,
    j.shard_index, j.shard_total, j.attempt, j.state, j.started_unix_us, j.duration_us, j.peak_bytes, j.peak_kind,
    j.headroom_bytes, j.verdict, j.confidence, j.tests, j.failed
    FROM project q JOIN job j ON j.id =
        (SELECT n.id FROM job n WHERE n.project_id = q.id ORDER BY n.started_unix_us DESC, n.id DESC LIMIT 1)
    JOIN run r ON r.id = j.run_id
    WHERE j.started_unix_us < $1 OR (j.started_unix_us = $1 AND j.id < $2)
    ORDER BY j.started_unix_us DESC, j.id DESC LIMIT $3";

/// A project in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ProjectRow {
    /// How many jobs it has.
    pub jobs: i64,
    /// The newest of them.
    #[sqlx(flatten)]
    pub newest: JobRow,
}

impl Store {
    /// Projects, the one with the newest job first, from after a job (its start and number) on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn projects(
        &self,
        after: Option<[i64; 2]>,
        limit: u32,
    ) -> Result<Vec<ProjectRow>, StoreError> {
        let [started, id] = after.unwrap_or([i64::MAX; 2]);
        Ok(sqlx::query_as(LIST)
            .bind(started)
            .bind(id)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }

    /// Number of a project; `None` when there is none of that slug.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn project_id(&self, slug: &str) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(ID)
            .bind(slug)
            .fetch_optional(&self.readers)
            .await?)
    }
}

pub(crate) async fn ensure(
    connection: &mut SqliteConnection,
    slug: &str,
) -> Result<i64, StoreError> {
    sqlx::query(INSERT)
        .bind(slug)
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_scalar(ID)
        .bind(slug)
        .fetch_one(connection)
        .await?)
}
