//! Which jobs of a project are alike, so that their figures make series.

use crate::{FileFact, Snapshot, StoreError};

/// Kinds among the newest jobs of a project on a branch, so many jobs at most, however long its history; those of enough jobs first, of these the newest.
macro_rules! kinds {
    ($and_name:literal) => {
        concat!(
            "SELECT name, branch, comparable FROM (SELECT j.name, j.branch, j.comparable, j.started_unix_us FROM job j
            WHERE j.project_id = $1 AND j.branch = $2",
            $and_name,
            " ORDER BY j.started_unix_us DESC, j.id DESC LIMIT $3) AS newest WHERE comparable IS NOT NULL
            GROUP BY name, branch, comparable ORDER BY COUNT(*) >= $4 DESC, MAX(started_unix_us) DESC, name, comparable"
        )
    };
}
/// The branch of the newest job that went well.
macro_rules! branch {
    ($and_name:literal) => {
        concat!(
            "SELECT branch FROM (SELECT j.branch, j.comparable, j.started_unix_us FROM job j WHERE j.project_id = $1",
            $and_name,
            " ORDER BY j.started_unix_us DESC, j.id DESC LIMIT $2) AS newest WHERE comparable IS NOT NULL
            ORDER BY started_unix_us DESC LIMIT 1"
        )
    };
}

pub(crate) const KINDS: &str = kinds!("");
pub(crate) const KINDS_OF_NAME: &str = kinds!(" AND j.name = $5");
pub(crate) const BRANCH: &str = branch!("");
pub(crate) const BRANCH_OF_NAME: &str = branch!(" AND j.name = $3");
// The newest rows only, so that a long history costs no more.
pub(crate) const KINDS_OF_FILE: &str = "SELECT name, branch, comparable FROM (SELECT j.name, j.branch, j.comparable, f.started_unix_us
    FROM file_fact f JOIN job j ON j.id = f.job_id
    WHERE f.project_id = $1 AND f.file_id = (SELECT id FROM file WHERE project_id = $1 AND path = $2) AND j.confirms IS NULL
    ORDER BY f.started_unix_us DESC LIMIT $3) AS newest
    GROUP BY name, branch, comparable ORDER BY MAX(started_unix_us) DESC, name, branch, comparable";
pub(crate) const FILE: &str = concat!(
    "SELECT file.path, ",
    crate::facts::figures!(),
    " FROM file_fact f JOIN file ON file.id = f.file_id WHERE f.job_id = $1 AND f.project_id = $2
    AND f.file_id = (SELECT id FROM file WHERE project_id = $2 AND path = $3) LIMIT $4"
);
/// So many of the newest jobs are looked at.
const MOST_LOOKED_AT: u32 = 1_000;

/// Jobs of which the figures make series.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobKind {
    /// Their name.
    pub name: String,
    /// Their branch.
    pub branch: String,
    /// What they have the same; none of jobs that did not go well.
    pub comparable: Option<String>,
}

impl Snapshot {
    /// The kinds of jobs that went well among the newest of a project on a branch, or of those the ones of a name; those of enough jobs first, that of
    /// the newest job before others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kinds(
        &mut self,
        project: i64,
        branch: &str,
        name: Option<&str>,
        enough: u32,
    ) -> Result<Vec<JobKind>, StoreError> {
        let query = match name {
            None => sqlx::query_as(KINDS),
            Some(_) => sqlx::query_as(KINDS_OF_NAME),
        };
        let query = query.bind(project).bind(branch);
        let mut query = query.bind(MOST_LOOKED_AT).bind(enough);
        if let Some(name) = name {
            query = query.bind(name);
        }
        Ok(query.fetch_all(self.connection()).await?)
    }

    /// The branch of the newest job of a project that went well, or of those of a name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_branch(
        &mut self,
        project: i64,
        name: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let query = match name {
            None => sqlx::query_scalar(BRANCH),
            Some(_) => sqlx::query_scalar(BRANCH_OF_NAME),
        };
        let mut query = query.bind(project).bind(MOST_LOOKED_AT);
        if let Some(name) = name {
            query = query.bind(name);
        }
        Ok(query.fetch_optional(self.connection()).await?)
    }

    /// The kinds of jobs among the newest that ran a file, however they ended; that of the newest first. None where no job ran it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kinds_of_file(
        &mut self,
        project: i64,
        path: &str,
    ) -> Result<Vec<JobKind>, StoreError> {
        Ok(sqlx::query_as(KINDS_OF_FILE)
            .bind(project)
            .bind(path)
            .bind(MOST_LOOKED_AT)
            .fetch_all(self.connection())
            .await?)
    }

    /// The figures of a test file in a job, one row a session, so many at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn facts_of_file(
        &mut self,
        job: i64,
        project: i64,
        path: &str,
        limit: u32,
    ) -> Result<Vec<FileFact>, StoreError> {
        Ok(sqlx::query_as(FILE)
            .bind(job)
            .bind(project)
            .bind(path)
            .bind(limit)
            .fetch_all(self.connection())
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{Finalised, Moment, Store, tests::*};

    async fn settled(store: &Store, words: (&str, &str, Option<&str>), day: i64) -> i64 {
        let (name, branch, comparable) = words;
        let uuid = Uuid::now_v7();
        let mut job = job(name);
        if let Some(run) = &mut job.run {
            run.id = uuid.to_string();
            run.branch = branch.to_owned();
        }
        let moment = Moment {
            started_unix_us: day,
            ..at(9)
        };
        store.put_job(uuid, job, moment).await.unwrap();
        let sent = batch(Uuid::from_u128(1), 0, 1, 1);
        store.put_batch(uuid, sent, 9).await.unwrap();
        let key = key_of(store, uuid).await;
        let done = Finalised {
            comparable: comparable.map(str::to_owned),
            facts: vec![fact("a.py", 1), fact("b.py", 1)],
            ..finalised(&key, 1, key.arrivals, Vec::new())
        };
        store.put_finalised(done).await.unwrap();
        key.id
    }

    #[tokio::test]
    async fn kinds_come_newest_first_and_only_of_jobs_that_went_well() {
        let (_folder, store) = store().await;
        settled(&store, ("unit", "main", Some("x")), 1).await;
        settled(&store, ("e2e", "main", Some("x")), 2).await;
        settled(&store, ("unit", "main", Some("y")), 3).await;
        settled(&store, ("unit", "main", Some("x")), 4).await;
        settled(&store, ("unit", "main", None), 5).await;
        let last = settled(&store, ("unit", "feature", Some("x")), 6).await;
        let mut snapshot = store.snapshot().await.unwrap();
        let told = |kinds: Vec<JobKind>| -> Vec<(String, String)> {
            let of = |kind: JobKind| (kind.name, kind.comparable.unwrap_or_default());
            kinds.into_iter().map(of).collect()
        };
        let pair = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
        let all = snapshot.kinds(1, "main", None, 1).await.unwrap();
        assert_eq!(
            told(all),
            [pair("unit", "x"), pair("unit", "y"), pair("e2e", "x")]
        );
        let named = snapshot.kinds(1, "main", Some("e2e"), 1).await.unwrap();
        assert_eq!(told(named), [pair("e2e", "x")]);
        assert_eq!(snapshot.kinds(1, "other", None, 1).await.unwrap(), []);
        let branch = snapshot.newest_branch(1, None).await.unwrap();
        assert_eq!(branch.as_deref(), Some("feature"));
        let branch = snapshot.newest_branch(1, Some("e2e")).await.unwrap();
        assert_eq!(branch.as_deref(), Some("main"));
        assert_eq!(snapshot.newest_branch(1, Some("no")).await.unwrap(), None);
        let of_file = snapshot.kinds_of_file(1, "a.py").await.unwrap();
        assert_eq!(of_file.len(), 5, "{of_file:?}");
        assert_eq!(
            (of_file[0].branch.as_str(), &of_file[1].comparable),
            ("feature", &None)
        );
        assert_eq!(snapshot.kinds_of_file(1, "c.py").await.unwrap(), []);
        let facts = snapshot.facts_of_file(last, 1, "b.py", 9).await.unwrap();
        let paths: Vec<&str> = facts.iter().map(|fact| fact.path.as_str()).collect();
        assert_eq!(paths, ["b.py"]);
    }

    #[tokio::test]
    async fn they_are_read_in_the_order_of_an_index() {
        let (_folder, store) = store().await;
        for (statement, index) in [
            (KINDS, "job_by_branch"),
            (KINDS_OF_NAME, "job_by_branch_name"),
            (BRANCH, "job_by_project"),
            (BRANCH_OF_NAME, "job_by_name"),
            (FILE, "file_fact_by_job"),
        ] {
            let steps = plan_of(&store, statement).await;
            let is_used = |step: &String| step.contains(&format!("INDEX {index} "));
            assert!(steps.iter().any(is_used), "{steps:?}");
        }
        let steps = plan_of(&store, KINDS_OF_FILE).await;
        assert!(
            !steps.iter().any(|step| step.contains("SCAN f")),
            "{steps:?}"
        );
    }
}
