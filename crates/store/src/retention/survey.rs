//! What would go.

use super::{Expiry, Kind};
use crate::{Store, StoreError};

pub(crate) const PROJECTS: &str = "SELECT id, slug FROM project ORDER BY slug";
pub(crate) const JOBS: &str = "SELECT
    COALESCE(SUM(CASE WHEN pages_removed_unix_us IS NULL THEN 1 ELSE 0 END), 0),
    COALESCE(SUM(CASE WHEN detail_removed_unix_us IS NULL THEN 1 ELSE 0 END), 0),
    COALESCE(SUM(CASE WHEN removing < 3 THEN 1 ELSE 0 END), 0)
    FROM job WHERE project_id = $1 AND heard_unix_us <= $2 AND unsettled = 0 AND pinned = 0";
pub(crate) const PAGES: &str = "SELECT COALESCE(SUM(
    (SELECT COALESCE(SUM(LENGTH(p.content)), 0) FROM page p WHERE p.job_id = j.id)
    + (SELECT COALESCE(SUM(LENGTH(d.content)), 0) FROM detail d WHERE d.job_id = j.id AND d.kind = 'residue')), 0)
    FROM job j WHERE j.project_id = $1 AND j.heard_unix_us <= $2 AND j.unsettled = 0 AND j.pinned = 0
    AND j.pages_removed_unix_us IS NULL";
pub(crate) const DETAIL: &str = "SELECT COALESCE(SUM(LENGTH(d.content)), 0)
    FROM job j JOIN detail d ON d.job_id = j.id
    WHERE j.project_id = $1 AND j.heard_unix_us <= $2 AND j.unsettled = 0 AND j.pinned = 0
    AND j.detail_removed_unix_us IS NULL AND d.kind NOT IN ('residue', 'report')";
// Rows of files, and of batches whose bodies are gone, are all about as long: 75 and 52 bytes with their index were measured.
pub(crate) const FACTS: &str = "SELECT COALESCE(SUM(LENGTH(j.begin_body) + COALESCE(LENGTH(j.end_body), 0)
    + (SELECT COALESCE(SUM(LENGTH(d.content)), 0) FROM detail d WHERE d.job_id = j.id AND d.kind = 'report')
    + 75 * (SELECT COUNT(*) FROM file_fact f WHERE f.job_id = j.id)
    + 52 * (SELECT COUNT(*) FROM batch b WHERE b.job_id = j.id)), 0)
    FROM job j WHERE j.project_id = $1 AND j.heard_unix_us <= $2 AND j.unsettled = 0 AND j.pinned = 0 AND j.removing < 3";

/// What of a project and kind has had its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Of how many jobs.
    pub jobs: i64,
    /// About how much content, bytes.
    pub bytes: i64,
}

impl Store {
    /// Number and slug of every project.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn project_slugs(&self) -> Result<Vec<(i64, String)>, StoreError> {
        Ok(sqlx::query_as(PROJECTS).fetch_all(&self.readers).await?)
    }

    /// Of how many jobs something is to go; quick.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expired_jobs(&self, expiry: &Expiry) -> Result<i64, StoreError> {
        let (pages, detail, facts): (i64, i64, i64) = sqlx::query_as(JOBS)
            .bind(expiry.project)
            .bind(expiry.heard_unix_us)
            .fetch_one(&self.readers)
            .await?;
        Ok(match expiry.kind {
            Kind::Pages => pages,
            Kind::Detail => detail,
            Kind::Facts => facts,
        })
    }

    /// What is to go, with how much that is: reads the head of each page of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expired(&self, expiry: &Expiry) -> Result<Expired, StoreError> {
        let statement = match expiry.kind {
            Kind::Pages => PAGES,
            Kind::Detail => DETAIL,
            Kind::Facts => FACTS,
        };
        Ok(Expired {
            jobs: self.expired_jobs(expiry).await?,
            bytes: sqlx::query_scalar(statement)
                .bind(expiry.project)
                .bind(expiry.heard_unix_us)
                .fetch_one(&self.readers)
                .await?,
        })
    }
}
