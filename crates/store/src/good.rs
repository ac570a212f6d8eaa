//! The job that another may be measured by.

use crate::{Detail, DetailKind, Snapshot, StoreError};

/// So many jobs of the name are looked at, the newest before it: a long history costs no more, whatever is in it.
const MOST_LOOKED_AT: u32 = 200;
pub(crate) const LAST_GOOD: &str = "SELECT before.id FROM (
        SELECT id, variant, shard_index, shard_total, comparable, started_unix_us FROM job
        WHERE project_id = $1 AND name = $2 AND started_unix_us < $3
        ORDER BY started_unix_us DESC, id DESC LIMIT $5) AS before JOIN job j ON j.id = $4
    WHERE before.comparable IS NOT NULL AND before.variant = j.variant
    AND before.shard_index = j.shard_index AND before.shard_total = j.shard_total
    ORDER BY before.started_unix_us DESC, before.id DESC LIMIT 1";
pub(crate) const WHICH: &str = "SELECT project_id, name, started_unix_us FROM job WHERE id = $1";

impl Snapshot {
    /// The report and the rows of the files of the newest job before this one that has the same name, variant and shard and went well; `None` where there
    /// is none, or they were removed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_good(&mut self, job: i64) -> Result<Option<(Detail, Detail)>, StoreError> {
        let which: Option<(i64, String, i64)> = sqlx::query_as(WHICH)
            .bind(job)
            .fetch_optional(self.connection())
            .await?;
        let Some((project, name, started_unix_us)) = which else {
            return Ok(None);
        };
        let good: Option<i64> = sqlx::query_scalar(LAST_GOOD)
            .bind(project)
            .bind(name)
            .bind(started_unix_us)
            .bind(job)
            .bind(MOST_LOOKED_AT)
            .fetch_optional(self.connection())
            .await?;
        let Some(good) = good else {
            return Ok(None);
        };
        let report = self.detail(good, DetailKind::Report).await?;
        let files = self.detail(good, DetailKind::Files).await?;
        Ok(report.zip(files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::*;

    #[tokio::test]
    async fn it_is_looked_for_in_the_order_of_an_index() {
        let (_folder, store) = store().await;
        let steps = plan_of(&store, LAST_GOOD).await;
        let is_bounded = |step: &String| step.contains("SEARCH job USING INDEX job_by_name");
        assert!(steps.iter().any(is_bounded), "{steps:?}");
    }
}
