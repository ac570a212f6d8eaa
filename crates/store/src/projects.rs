//! Projects.

use sqlx::SqliteConnection;

use crate::{JobRow, Store, StoreError};

pub(crate) const INSERT: &str =
    "INSERT INTO project (slug) VALUES ($1) ON CONFLICT (slug) DO NOTHING";
pub(crate) const ID: &str = "SELECT id FROM project WHERE slug = $1";
pub(crate) const KEY: &str = "SELECT id, public FROM project WHERE slug = $1";
pub(crate) const PUBLISH: &str = "UPDATE project SET public = $2 WHERE id = $1";
/// Only projects with a job: one that has nothing but tokens so far is not listed.
pub(crate) const LIST: &str = "SELECT (SELECT COUNT(*) FROM job c WHERE c.project_id = q.id) AS jobs,
    j.id, j.uuid, q.slug AS project, r.id AS run_id, r.provider, r.provider_run_id, r.branch, r.pull_request, r.head_commit, j.name, j.variant,
    j.shard_index, j.shard_total, j.attempt, j.state, j.started_unix_us, j.duration_us, j.peak_bytes, j.peak_kind,
    j.headroom_bytes, j.verdict, j.confidence, j.tests, j.failed, j.pinned, j.confirms
    FROM project q JOIN job j ON j.id =
        (SELECT n.id FROM job n WHERE n.project_id = q.id ORDER BY n.started_unix_us DESC, n.id DESC LIMIT 1)
    JOIN run r ON r.id = j.run_id
    WHERE (j.started_unix_us < $1 OR (j.started_unix_us = $1 AND j.id < $2))
    AND ($4 = 1 OR q.public = 1 OR q.slug IN ($5, $6, $7, $8, $9, $10, $11, $12))
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

/// A project as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct ProjectKey {
    /// Number in the database.
    pub id: i64,
    /// Whether everybody may read it.
    pub public: bool,
}

/// Most projects, apart from the public ones, that one who does not see all of them may see.
pub const MOST_VISIBLE: usize = 8;

/// Which projects somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// All of them.
    All,
    /// Those that are public, and the first [`MOST_VISIBLE`] of these slugs.
    Some(Vec<String>),
}

impl Store {
    /// Projects that somebody may see, the one with the newest job first, from after a job (its start and number) on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn projects(
        &self,
        visible: &Visible,
        after: Option<[i64; 2]>,
        limit: u32,
    ) -> Result<Vec<ProjectRow>, StoreError> {
        let [started, id] = after.unwrap_or([i64::MAX; 2]);
        let (all, slugs): (bool, &[String]) = match visible {
            Visible::All => (true, &[]),
            Visible::Some(slugs) => (false, slugs),
        };
        let mut query = sqlx::query_as(LIST)
            .bind(started)
            .bind(id)
            .bind(limit)
            .bind(all);
        // No slug is empty.
        for place in 0..MOST_VISIBLE {
            query = query.bind(slugs.get(place).map_or("", String::as_str));
        }
        Ok(query.fetch_all(&self.readers).await?)
    }

    /// A project by its slug; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn project(&self, slug: &str) -> Result<Option<ProjectKey>, StoreError> {
        Ok(sqlx::query_as(KEY)
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
