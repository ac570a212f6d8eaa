//! Projects.

use sqlx::SqliteConnection;

use crate::{Store, StoreError};

pub(crate) const INSERT: &str =
    "INSERT INTO project (slug) VALUES ($1) ON CONFLICT (slug) DO NOTHING";
pub(crate) const ID: &str = "SELECT id FROM project WHERE slug = $1";
pub(crate) const LIST: &str =
    "SELECT p.slug, COUNT(j.id) AS jobs, COALESCE(MAX(j.started_unix_us), 0) AS newest_unix_us
    FROM project p LEFT JOIN job j ON j.project_id = p.id
    GROUP BY p.id, p.slug ORDER BY newest_unix_us DESC, p.slug";

/// A project in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ProjectRow {
    /// `owner/repo`.
    pub slug: String,
    /// How many jobs it has.
    pub jobs: i64,
    /// When the newest began, µs since 1970.
    pub newest_unix_us: i64,
}

impl Store {
    /// All projects, the one with the newest job first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, StoreError> {
        Ok(sqlx::query_as(LIST).fetch_all(&self.readers).await?)
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
