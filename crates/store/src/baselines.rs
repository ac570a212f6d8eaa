//! The jobs that a job is compared with.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{FileFact, Snapshot, StoreError};

// In the order of an index, newest commit first, each with the last job that ran files of it again.
pub(crate) const BASELINE: &str = "SELECT j.id, j.uuid, j.revision, r.head_commit, j.ordered_unix_us, j.peak_bytes, j.headroom_bytes, j.failed,
    c.id AS again, c.uuid AS again_uuid, c.revision AS again_revision
    FROM job j JOIN run r ON r.id = j.run_id LEFT JOIN job c ON c.id =
    (SELECT n.id FROM job n WHERE n.project_id = j.project_id AND n.confirms = j.uuid AND n.run_id = j.run_id
    AND n.name = j.name AND n.variant = j.variant AND n.shard_index = j.shard_index AND n.shard_total = j.shard_total
    AND n.revision > 0 AND n.unsettled = 0 AND n.verdict IN ('passed', 'tests_failed') ORDER BY n.id DESC LIMIT 1)
    WHERE j.project_id = $1 AND j.name = $2 AND j.branch = $3 AND j.comparable = $4 AND j.comparable IS NOT NULL
    AND r.pull_request = '' AND j.ordered_unix_us <= $5 AND j.id != $6 AND (r.head_commit != $7 OR $7 = '')
    ORDER BY j.ordered_unix_us DESC, j.id DESC LIMIT $8";
pub(crate) const FILES: &str = concat!(
    "SELECT file.path, ",
    crate::facts::figures!(),
    " FROM file_fact f JOIN file ON file.id = f.file_id WHERE f.job_id = $1 LIMIT $2"
);
pub(crate) const COUNT_FILES: &str = "SELECT COUNT(*) FROM file_fact WHERE job_id = $1";

/// Which jobs may be compared with a job.
#[derive(Debug, Clone, Copy)]
pub struct Alike<'a> {
    /// Number of the job.
    pub job: i64,
    /// Number of its project.
    pub project: i64,
    /// Their name.
    pub name: &'a str,
    /// Their branch.
    pub branch: &'a str,
    /// What they must have the same.
    pub comparable: &'a str,
    /// Their commits are no newer, µs since 1970.
    pub until_unix_us: i64,
    /// Their commit is not this one; empty where that does not matter.
    pub other_than: &'a str,
}

/// A job that another may be compared with.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct BaselineRow {
    /// Number in the database.
    pub id: i64,
    /// Identity.
    pub uuid: Uuid,
    /// How often it was finalised: its figures change with that alone.
    pub revision: u32,
    /// Its commit; empty when not known.
    pub head_commit: String,
    /// What it is ordered by, µs since 1970.
    pub ordered_unix_us: i64,
    /// Its peak, bytes.
    pub peak_bytes: i64,
    /// Its headroom, bytes.
    pub headroom_bytes: Option<i64>,
    /// Tests of it that failed.
    pub failed: i64,
    /// Number of the job that ran files of it again to confirm what was found of them, as [`Snapshot::confirming`] has it.
    pub again: Option<i64>,
    /// Identity of that.
    pub again_uuid: Option<Uuid>,
    /// How often that was finalised.
    pub again_revision: Option<u32>,
}

impl Snapshot {
    /// The jobs that may be compared with a job, the one with the newest commit first, so many at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn baseline(
        &mut self,
        alike: Alike<'_>,
        limit: u32,
    ) -> Result<Vec<BaselineRow>, StoreError> {
        Ok(sqlx::query_as(BASELINE)
            .bind(alike.project)
            .bind(alike.name)
            .bind(alike.branch)
            .bind(alike.comparable)
            .bind(alike.until_unix_us)
            .bind(alike.job)
            .bind(alike.other_than)
            .bind(limit)
            .fetch_all(self.connection())
            .await?)
    }

    /// How many rows [`Self::file_facts`] has of a job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_file_facts(&mut self, job: i64) -> Result<u32, StoreError> {
        let connection: &mut SqliteConnection = self.connection();
        Ok(sqlx::query_scalar(COUNT_FILES)
            .bind(job)
            .fetch_one(connection)
            .await?)
    }

    /// The figures of the test files of a job, so many rows at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn file_facts(&mut self, job: i64, limit: u32) -> Result<Vec<FileFact>, StoreError> {
        let connection: &mut SqliteConnection = self.connection();
        Ok(sqlx::query_as(FILES)
            .bind(job)
            .bind(limit)
            .fetch_all(connection)
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Finalised, Moment, Store, tests::*};

    async fn settled(
        store: &Store,
        commit: &str,
        ordered_unix_us: i64,
        comparable: Option<&str>,
    ) -> i64 {
        let uuid = Uuid::now_v7();
        let mut job = job("unit");
        if let Some(run) = &mut job.run {
            run.id = uuid.to_string();
            run.branch = "main".to_owned();
            run.head_commit = commit.to_owned();
        }
        let moment = Moment {
            started_unix_us: 5,
            ..at(9)
        };
        store.put_job(uuid, job, moment).await.unwrap();
        store
            .put_batch(uuid, batch(Uuid::from_u128(1), 0, 1, 1), 9)
            .await
            .unwrap();
        let key = key_of(store, uuid).await;
        let done = Finalised {
            comparable: comparable.map(str::to_owned),
            ordered_unix_us,
            peak_bytes: ordered_unix_us,
            ..finalised(&key, 1, key.arrivals, Vec::new())
        };
        store.put_finalised(done).await.unwrap();
        key.id
    }

    #[tokio::test]
    async fn jobs_alike_come_by_their_commits_and_not_as_they_were_recorded() {
        let (_folder, store) = store().await;
        let late = settled(&store, "c3", 30, Some("x")).await;
        let early = settled(&store, "c1", 10, Some("x")).await;
        settled(&store, "c2", 20, Some("y")).await;
        settled(&store, "c2", 20, None).await;
        let same = settled(&store, "c4", 40, Some("x")).await;
        let checked = settled(&store, "c4", 40, Some("x")).await;
        settled(&store, "c5", 50, Some("x")).await;
        let alike = Alike {
            job: checked,
            project: 1,
            name: "unit",
            branch: "main",
            comparable: "x",
            until_unix_us: 40,
            other_than: "c4",
        };
        let mut snapshot = store.snapshot().await.unwrap();
        let mut ids = async |alike, limit| {
            let rows = snapshot.baseline(alike, limit).await.unwrap();
            rows.iter().map(|row| row.id).collect::<Vec<i64>>()
        };
        assert_eq!(ids(alike, 9).await, [late, early]);
        assert_eq!(ids(alike, 1).await, [late]);
        let any = Alike {
            other_than: "",
            ..alike
        };
        assert_eq!(ids(any, 9).await, [same, late, early]);
        let other = Alike {
            branch: "other",
            ..alike
        };
        assert_eq!(ids(other, 9).await, [0_i64; 0]);
    }

    /// What ran files of a job again, in its run or another, and ended so.
    async fn ran_again(store: &Store, first: Uuid, run: Uuid, verdict: &str) -> Uuid {
        let uuid = Uuid::now_v7();
        let mut job = job("unit");
        if let Some(of) = &mut job.run {
            of.id = run.to_string();
            of.branch = "main".to_owned();
        }
        job.confirms = first.to_string();
        store.put_job(uuid, job, at(9)).await.unwrap();
        let key = key_of(store, uuid).await;
        let done = Finalised {
            verdict: Some(verdict.to_owned()),
            ..finalised(&key, 1, key.arrivals, Vec::new())
        };
        store.put_finalised(done).await.unwrap();
        uuid
    }

    #[tokio::test]
    async fn each_comes_with_the_last_job_that_went_well_and_ran_files_of_it_again() {
        let (_folder, store) = store().await;
        let id = settled(&store, "c1", 10, Some("x")).await;
        let other = settled(&store, "c2", 20, Some("x")).await;
        let alike = Alike {
            job: 0,
            project: 1,
            name: "unit",
            branch: "main",
            comparable: "x",
            until_unix_us: 40,
            other_than: "",
        };
        let first = async || {
            let mut snapshot = store.snapshot().await.unwrap();
            let rows = snapshot.baseline(alike, 9).await.unwrap();
            assert_eq!((rows.len(), rows[0].id, rows[0].again), (2, other, None));
            rows[1].clone()
        };
        let uuid = first().await.uuid;
        assert_eq!((first().await.id, first().await.again), (id, None));
        // The run of a job has its name here.
        let early = ran_again(&store, uuid, uuid, "passed").await;
        assert_eq!(first().await.again_uuid, Some(early));
        let last = ran_again(&store, uuid, uuid, "tests_failed").await;
        ran_again(&store, uuid, Uuid::now_v7(), "passed").await;
        ran_again(&store, uuid, uuid, "oom_cgroup").await;
        let row = first().await;
        assert_eq!((row.again_uuid, row.again_revision), (Some(last), Some(1)));
        let confirming = store.snapshot().await.unwrap().confirming(1, uuid).await;
        assert_eq!(confirming.unwrap(), Some(last));
    }

    #[tokio::test]
    async fn they_are_read_in_the_order_of_an_index() {
        let (_folder, store) = store().await;
        for (statement, index) in [
            (BASELINE, "job_by_baseline"),
            (BASELINE, "job_by_confirms"),
            (FILES, "file_fact_by_job"),
            (COUNT_FILES, "file_fact_by_job"),
        ] {
            let steps = plan_of(&store, statement).await;
            assert!(steps.iter().any(|step| step.contains(index)), "{steps:?}");
            let is_slow = |step: &String| step.contains("SCAN") || step.contains("TEMP B-TREE");
            assert!(!steps.iter().any(is_slow), "{steps:?}");
        }
    }
}
