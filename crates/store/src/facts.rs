//! Figures of test files over jobs.

use highwater_wire::report::FileRow;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{
    Store, StoreError,
    rows::{self, Statement},
};

pub(crate) const DELETE: &str = "DELETE FROM file_fact WHERE job_id = $1";
const INSERT_FILES: Statement = Statement {
    before: "INSERT INTO file (project_id, path) ",
    after: " ON CONFLICT (project_id, path) DO NOTHING",
};
const INSERT: Statement = Statement {
    before: "WITH fact (project_id, path, job_id, session, start_bytes, peak_bytes, peak_kind, tree_peak_bytes, spike_bytes, tree_spike_bytes,
        retained_bytes, children_retained_bytes, import_bytes, late_import_bytes, tests, failed, duration_us, censored) AS (",
    after: ") INSERT INTO file_fact
        (project_id, file_id, started_unix_us, job_id, session, start_bytes, peak_bytes, peak_kind, tree_peak_bytes, spike_bytes, tree_spike_bytes,
         retained_bytes, children_retained_bytes, import_bytes, late_import_bytes, tests, failed, duration_us, censored)
        SELECT fact.project_id, file.id, job.started_unix_us, job_id, session, start_bytes, fact.peak_bytes, fact.peak_kind, tree_peak_bytes,
        spike_bytes, tree_spike_bytes, retained_bytes, children_retained_bytes, import_bytes, late_import_bytes, fact.tests, fact.failed, fact.duration_us, censored
        FROM fact JOIN job ON job.id = fact.job_id
        JOIN file ON file.project_id = fact.project_id AND file.path = fact.path",
};
/// The figures of a file in a job, as they are selected. Where a job was settled before there was a spike with children, it is what was taken for it then.
macro_rules! figures {
    () => {
        "f.session, f.start_bytes, f.peak_bytes, f.peak_kind, f.tree_peak_bytes, f.spike_bytes,
        COALESCE(f.tree_spike_bytes, f.spike_bytes + MAX(0, f.tree_peak_bytes - f.peak_bytes)) AS tree_spike_bytes, f.retained_bytes,
        f.children_retained_bytes, f.import_bytes, f.late_import_bytes, f.tests, f.failed, f.duration_us, f.censored"
    };
}
pub(crate) use figures;

/// A statement for the history of a file, from where its rows come on. What ran files of another job again is no part of it.
macro_rules! history {
    ($from:literal) => {
        concat!(
            "SELECT j.id AS job, j.uuid, j.name, j.variant, j.shard_index, j.shard_total, j.attempt, j.started_unix_us, j.verdict, j.diagnosed, r.branch,
            r.pull_request, r.head_commit, ",
            crate::facts::figures!(),
            " ",
            $from
        )
    };
}

pub(crate) const HISTORY: &str = history!(
    "FROM file_fact f JOIN job j ON j.id = f.job_id JOIN run r ON r.id = j.run_id
    WHERE f.project_id = $1 AND f.file_id = (SELECT id FROM file WHERE project_id = $1 AND path = $2)
    AND f.started_unix_us <= $3
    AND (f.started_unix_us < $3 OR (f.started_unix_us = $3 AND (f.job_id < $4 OR (f.job_id = $4 AND f.session > $5))))
    AND j.confirms IS NULL
    ORDER BY f.started_unix_us DESC, f.job_id DESC, f.session LIMIT $6"
);
// From the jobs of the name, which an index holds in this order, to what the file did in each of them. For the span of time alone another index
// looks as good to the planner, which would go through the jobs of every name.
pub(crate) const HISTORY_OF_NAME: &str = history!(
    "FROM job j INDEXED BY job_by_name CROSS JOIN file_fact f JOIN run r ON r.id = j.run_id
    WHERE j.project_id = $1 AND j.name = $7 AND j.started_unix_us <= $3 AND j.started_unix_us >= $8
    AND f.project_id = $1 AND f.file_id = (SELECT id FROM file WHERE project_id = $1 AND path = $2)
    AND f.started_unix_us = j.started_unix_us AND f.job_id = j.id
    AND (j.started_unix_us < $3 OR (j.started_unix_us = $3 AND (j.id < $4 OR (j.id = $4 AND f.session > $5))))
    AND j.confirms IS NULL
    ORDER BY j.started_unix_us DESC, j.id DESC, f.session LIMIT $6"
);
// The same of jobs of one branch, or one pull request from it, that were diagnosed, or were not.
pub(crate) const HISTORY_OF_BRANCH: &str = history!(
    "FROM (SELECT id FROM job INDEXED BY job_by_branch_name WHERE project_id = $1 AND branch = $3 AND name = $4 AND confirms IS NULL
    ORDER BY started_unix_us DESC, id DESC LIMIT $7) AS newest CROSS JOIN job j ON j.id = newest.id
    CROSS JOIN run r ON r.id = j.run_id CROSS JOIN file_fact f
    WHERE r.pull_request = $5 AND j.diagnosed = $8 AND f.project_id = $1 AND f.file_id = (SELECT id FROM file WHERE project_id = $1 AND path = $2)
    AND f.started_unix_us = j.started_unix_us AND f.job_id = j.id
    ORDER BY j.started_unix_us DESC, j.id DESC, f.session LIMIT $6"
);
pub(crate) const NEWEST: &str = "SELECT started_unix_us FROM file_fact
    WHERE project_id = $1 AND file_id = (SELECT id FROM file WHERE project_id = $1 AND path = $2)
    ORDER BY started_unix_us DESC LIMIT 1";
pub(crate) const JOB_OF_NAME: &str =
    "SELECT started_unix_us FROM job WHERE project_id = $1 AND name = $2 AND started_unix_us <= $3
    ORDER BY started_unix_us DESC LIMIT 1 OFFSET $4";
/// Of so many jobs of a name and a branch it is looked whether they tell of a file, the newest first.
const MOST_OF_BRANCH: u32 = 200;
/// Of so many jobs of a name it is looked whether they ran a file, so that a long history costs no more where few or none did.
const MOST_GONE_THROUGH: u32 = 20_000;
// The newest rows only, so that a long history costs no more.
pub(crate) const JOB_NAMES: &str = "SELECT name FROM (SELECT j.name, f.started_unix_us FROM file_fact f JOIN job j ON j.id = f.job_id
    WHERE f.project_id = $1 AND f.file_id = (SELECT id FROM file WHERE project_id = $1 AND path = $2) AND j.confirms IS NULL
    ORDER BY f.started_unix_us DESC LIMIT $3) AS newest GROUP BY name ORDER BY MAX(started_unix_us) DESC, name";

/// Figures of one test file in one session of a job.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
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
    pub tree_spike_bytes: i64,
    pub retained_bytes: i64,
    pub children_retained_bytes: i64,
    pub import_bytes: i64,
    pub late_import_bytes: i64,
    pub tests: i64,
    pub failed: i64,
    pub duration_us: i64,
    pub censored: bool,
}

impl From<&FileRow> for FileFact {
    fn from(file: &FileRow) -> Self {
        Self {
            path: file.path.clone(),
            session: file.session,
            start_bytes: file.start_bytes,
            peak_bytes: file.peak_bytes,
            peak_kind: file.peak_kind.as_str().to_owned(),
            tree_peak_bytes: file.tree_peak_bytes,
            spike_bytes: file.spike_bytes,
            tree_spike_bytes: file.tree_spike_bytes,
            retained_bytes: file.retained_bytes,
            children_retained_bytes: file.children_retained_bytes,
            import_bytes: file.import_bytes,
            late_import_bytes: file.late_import_bytes,
            tests: file.tests.cast_signed(),
            failed: file.failed.cast_signed(),
            duration_us: file.duration_us,
            censored: file.censored,
        }
    }
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
    pub variant: String,
    pub shard_index: u32,
    pub shard_total: u32,
    pub attempt: u32,
    pub started_unix_us: i64,
    pub verdict: Option<String>,
    pub diagnosed: bool,
    pub branch: String,
    pub pull_request: String,
    pub head_commit: String,
    pub session: u32,
    pub start_bytes: i64,
    pub peak_bytes: i64,
    pub peak_kind: String,
    pub tree_peak_bytes: i64,
    pub spike_bytes: i64,
    pub tree_spike_bytes: i64,
    pub retained_bytes: i64,
    pub children_retained_bytes: i64,
    pub import_bytes: i64,
    pub late_import_bytes: i64,
    pub tests: i64,
    pub failed: i64,
    pub duration_us: i64,
    pub censored: bool,
}

impl HistoryPoint {
    /// What the file retained with what children hold that it left running, bytes.
    #[must_use]
    pub fn tree_retained_bytes(&self) -> i64 {
        self.retained_bytes
            .saturating_add(self.children_retained_bytes)
    }
}

/// Jobs of a branch itself, or of a pull request from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfBranch<'a> {
    /// Its name.
    pub name: &'a str,
    /// Number of the pull request; empty for the branch itself.
    pub pull_request: &'a str,
}

impl Store {
    /// A test file over the jobs of its project, or those of one name, newest first, from after a point (its start, job and session) on. Of one
    /// name no more than [`MOST_GONE_THROUGH`] jobs are gone through, from the newest that ran the file.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn file_history(
        &self,
        project: i64,
        path: &str,
        name: Option<&str>,
        after: Option<[i64; 3]>,
        limit: u32,
    ) -> Result<Vec<HistoryPoint>, StoreError> {
        let after = after.unwrap_or([i64::MAX; 3]);
        if let Some(name) = name {
            let jobs = (name, MOST_GONE_THROUGH);
            return self
                .history_of_name(project, path, jobs, after, limit)
                .await;
        }
        let [started, id, session] = after;
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

    /// A test file in the newest jobs of a name that are of one branch itself, or of one pull request from it, and were `diagnosed` or were not; newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn file_history_of_branch(
        &self,
        project: i64,
        path: &str,
        name: &str,
        branch: OfBranch<'_>,
        diagnosed: bool,
        limit: u32,
    ) -> Result<Vec<HistoryPoint>, StoreError> {
        Ok(sqlx::query_as(HISTORY_OF_BRANCH)
            .bind(project)
            .bind(path)
            .bind(branch.name)
            .bind(name)
            .bind(branch.pull_request)
            .bind(limit)
            .bind(MOST_OF_BRANCH)
            .bind(diagnosed)
            .fetch_all(&self.readers)
            .await?)
    }

    /// The same over jobs of one name, so many of them at most.
    async fn history_of_name(
        &self,
        project: i64,
        path: &str,
        (name, most_jobs): (&str, u32),
        after: [i64; 3],
        limit: u32,
    ) -> Result<Vec<HistoryPoint>, StoreError> {
        let newest = sqlx::query_scalar(NEWEST).bind(project).bind(path);
        let Some(newest) = newest.fetch_optional(&self.readers).await? else {
            return Ok(Vec::new());
        };
        // A file that left the suite has no row in all the jobs since.
        let [started, id, session] = after.min([newest, i64::MAX, i64::MAX]);
        let oldest: Option<i64> = sqlx::query_scalar(JOB_OF_NAME)
            .bind(project)
            .bind(name)
            .bind(started)
            .bind(most_jobs.saturating_sub(1))
            .fetch_optional(&self.readers)
            .await?;
        Ok(sqlx::query_as(HISTORY_OF_NAME)
            .bind(project)
            .bind(path)
            .bind(started)
            .bind(id)
            .bind(session)
            .bind(limit)
            .bind(name)
            .bind(oldest.unwrap_or(i64::MIN))
            .fetch_all(&self.readers)
            .await?)
    }

    /// Names of the jobs that the newest rows of a file's history are of, so many rows at most; that of the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_names_of_file(
        &self,
        project: i64,
        path: &str,
        rows: u32,
    ) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(JOB_NAMES)
            .bind(project)
            .bind(path)
            .bind(rows)
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
    rows::write(connection, INSERT_FILES, facts, |mut row, fact| {
        row.push_bind(project).push_bind(fact.path.as_str());
    })
    .await?;
    rows::write(connection, INSERT, facts, |mut row, fact| {
        row.push_bind(project)
            .push_bind(fact.path.as_str())
            .push_bind(job)
            .push_bind(fact.session)
            .push_bind(fact.start_bytes)
            .push_bind(fact.peak_bytes)
            .push_bind(fact.peak_kind.as_str())
            .push_bind(fact.tree_peak_bytes)
            .push_bind(fact.spike_bytes)
            .push_bind(fact.tree_spike_bytes)
            .push_bind(fact.retained_bytes)
            .push_bind(fact.children_retained_bytes)
            .push_bind(fact.import_bytes)
            .push_bind(fact.late_import_bytes)
            .push_bind(fact.tests)
            .push_bind(fact.failed)
            .push_bind(fact.duration_us)
            .push_bind(fact.censored);
    })
    .await
}

#[cfg(test)]
mod tests;
