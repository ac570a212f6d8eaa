//! The job that another may be measured by.

use crate::{Detail, DetailKind, Snapshot, StoreError};

/// Of so many jobs of the name it is looked whether they ended well, so that a long row of dead ones costs no more.
const MOST_JOBS: u32 = 200;
// An ending without a death: the figures of its files are whole.
pub(crate) const LAST_GOOD: &str = "SELECT id FROM (
        SELECT other.id, other.verdict, other.started_unix_us FROM job j JOIN job other ON other.project_id = j.project_id AND other.name = j.name
        WHERE j.id = $1 AND other.started_unix_us < j.started_unix_us AND other.variant = j.variant
        AND other.shard_index = j.shard_index AND other.shard_total = j.shard_total
        ORDER BY other.started_unix_us DESC, other.id DESC LIMIT $2) AS before
    WHERE verdict IN ('passed', 'tests_failed') ORDER BY started_unix_us DESC, id DESC LIMIT 1";

impl Snapshot {
    /// The rows of the files of the newest job before this one that has the same name, variant and shard and ran to its end; `None` where there is none,
    /// or they were removed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn files_of_last_good(&mut self, job: i64) -> Result<Option<Detail>, StoreError> {
        let good: Option<i64> = sqlx::query_scalar(LAST_GOOD)
            .bind(job)
            .bind(MOST_JOBS)
            .fetch_optional(self.connection())
            .await?;
        match good {
            Some(good) => self.detail(good, DetailKind::Files).await,
            None => Ok(None),
        }
    }
}
