//! The job that another may be measured by.

use crate::{Detail, DetailKind, OfBranch, Snapshot, StoreError};

/// So many jobs of the name are looked at, the newest before it: a long history costs no more, whatever is in it.
const MOST_LOOKED_AT: u32 = 200;
/// A statement for the newest of some jobs that went well and ran alike. A diagnosis makes files begin lower.
macro_rules! last_good {
    ($of:literal) => {
        concat!(
            "SELECT before.id FROM (SELECT id, run_id, variant, shard_index, shard_total, comparable, diagnosed, started_unix_us FROM job ",
            $of,
            " AND started_unix_us < $3 ORDER BY started_unix_us DESC, id DESC LIMIT $5) AS before JOIN job j ON j.id = $4
            JOIN run r ON r.id = before.run_id
            WHERE before.comparable IS NOT NULL AND before.diagnosed = 0 AND before.variant = j.variant
            AND before.shard_index = j.shard_index AND before.shard_total = j.shard_total
            AND ($6 IS NULL OR r.pull_request = $6)
            ORDER BY before.started_unix_us DESC, before.id DESC LIMIT 1"
        )
    };
}
pub(crate) const LAST_GOOD: &str = last_good!("WHERE project_id = $1 AND name = $2");
pub(crate) const LAST_GOOD_OF_BRANCH: &str =
    last_good!("WHERE project_id = $1 AND name = $2 AND branch = $7");
pub(crate) const WHICH: &str =
    "SELECT j.project_id, j.name, j.started_unix_us, j.branch, r.pull_request
    FROM job j JOIN run r ON r.id = j.run_id WHERE j.id = $1";

/// Where a job stands among others.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Place {
    /// Number of its project.
    pub project_id: i64,
    /// Its name.
    pub name: String,
    /// When it began, µs since 1970.
    pub started_unix_us: i64,
    /// Its branch; empty where it is not known.
    pub branch: String,
    /// Number of its pull request; empty outside.
    pub pull_request: String,
}

impl Snapshot {
    /// Where a job stands among others; `None` where there is no such job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn place(&mut self, job: i64) -> Result<Option<Place>, StoreError> {
        Ok(sqlx::query_as(WHICH)
            .bind(job)
            .fetch_optional(self.connection())
            .await?)
    }

    /// The report and the rows of the files of the newest job before this one that has the same name, variant and shard and went well, of a branch or, where
    /// none is named, of any; `None` where there is none, or they were removed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_good(
        &mut self,
        job: i64,
        place: &Place,
        branch: Option<OfBranch<'_>>,
    ) -> Result<Option<(Detail, Detail)>, StoreError> {
        let statement = match branch {
            Some(_) => LAST_GOOD_OF_BRANCH,
            None => LAST_GOOD,
        };
        let mut query = sqlx::query_scalar(statement)
            .bind(place.project_id)
            .bind(&place.name)
            .bind(place.started_unix_us)
            .bind(job)
            .bind(MOST_LOOKED_AT)
            .bind(branch.map(|branch| branch.pull_request));
        if let Some(branch) = branch {
            query = query.bind(branch.name);
        }
        let good: Option<i64> = query.fetch_optional(self.connection()).await?;
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
        for (statement, index) in [
            (LAST_GOOD, "job_by_name"),
            (LAST_GOOD_OF_BRANCH, "job_by_branch_name"),
        ] {
            let steps = plan_of(&store, statement).await;
            let is_bounded =
                |step: &String| step.contains(&format!("SEARCH job USING INDEX {index} "));
            assert!(steps.iter().any(is_bounded), "{steps:?}");
        }
    }
}
