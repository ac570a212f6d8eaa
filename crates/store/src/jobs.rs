//! Runs and jobs.

use highwater_wire::v1;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::{Put, Snapshot, Store, StoreError, rows::Statement};

pub(crate) const INSERT_RUN: &str = "INSERT INTO run
    (project_id, provider, provider_run_id, branch, head_commit, pull_request, event, url, started_unix_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (project_id, provider, provider_run_id) DO NOTHING";
pub(crate) const RUN_ID: &str =
    "SELECT id FROM run WHERE project_id = $1 AND provider = $2 AND provider_run_id = $3";
pub(crate) const INSERT: &str = "INSERT INTO job
    (uuid, project_id, run_id, name, variant, shard_index, shard_total, attempt, state, revision, begin_body,
     started_unix_us, heard_unix_us, clock_skew_us, unsettled, duration_us, peak_bytes, peak_kind, tests, failed, branch, confirms)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, 'running', 0, $9, $10, $11, $12, 1, 0, 0, 'sampled', 0, 0, branch, $13 FROM run WHERE id = $3";
pub(crate) const ID: &str = "SELECT id FROM job WHERE uuid = $1";
pub(crate) const BEGIN_BODY: &str = "SELECT id, begin_body FROM job WHERE uuid = $1";
// A job that was given up runs again as soon as it is heard of: its ending was none.
pub(crate) const HEARD: Statement = Statement {
    before: "WITH heard (id, at, n, bytes) AS (",
    after: ") UPDATE job SET heard_unix_us = heard.at, unsettled = 1, arrivals = arrivals + heard.n, weight = weight + heard.bytes,
        verdict = CASE WHEN state IN ('lost', 'incomplete') THEN NULL ELSE verdict END,
        confidence = CASE WHEN state IN ('lost', 'incomplete') THEN NULL ELSE confidence END,
        state = CASE WHEN state IN ('lost', 'incomplete') THEN 'running' ELSE state END
        FROM heard WHERE job.id = heard.id",
};
pub(crate) const END_BODY: &str =
    "SELECT end_body, pages_removed_unix_us IS NOT NULL FROM job WHERE id = $1";
pub(crate) const SET_END: &str = "UPDATE job SET end_body = $2 WHERE id = $1";
// What cannot be restored cannot be finalised again.
pub(crate) const REOPEN: &str =
    "UPDATE job SET unsettled = 1 WHERE uuid = $1 AND pages_removed_unix_us IS NULL";
pub(crate) const KEY: &str = "SELECT j.id, j.project_id, j.run_id, p.slug AS project, p.public, j.state, j.revision, j.begin_body, j.end_body,
    j.started_unix_us, j.heard_unix_us, j.unsettled, j.arrivals, j.weight, j.clock_skew_us, j.pinned, j.pages_removed_unix_us, j.detail_removed_unix_us FROM job j JOIN project p ON p.id = j.project_id WHERE j.uuid = $1";
pub(crate) const NAMED: &str = "SELECT id FROM job WHERE project_id = $1 AND name = $2 LIMIT 1";
pub(crate) const PROJECT: &str =
    "SELECT p.slug FROM job j JOIN project p ON p.id = j.project_id WHERE j.uuid = $1";
// As the index on them says it: the live ones are not looked at.
pub(crate) const UNSETTLED: &str = "SELECT uuid, arrivals FROM
    (SELECT id, uuid, arrivals, heard_unix_us FROM job WHERE unsettled = 1 AND (end_body IS NOT NULL OR state IN ('lost', 'incomplete'))
    UNION SELECT id, uuid, arrivals, heard_unix_us FROM job WHERE unsettled = 1 AND heard_unix_us <= $1)
    ORDER BY heard_unix_us, id";
pub(crate) const JUST_ENDED: &str = "SELECT EXISTS (SELECT 1 FROM job WHERE project_id = $1 AND heard_unix_us >= $2 AND unsettled = 1 AND end_body IS NOT NULL)";
pub(crate) const SETTLE: &str =
    "UPDATE job SET state = $2, revision = $3, duration_us = $4, peak_bytes = $5, peak_kind = $6,
    headroom_bytes = $7, verdict = $8, confidence = $9, tests = $10, failed = $11, comparable = $13, ordered_unix_us = $14, diagnosed = $15,
    unsettled = CASE WHEN arrivals = $12 THEN 0 ELSE 1 END WHERE id = $1 AND revision = $3 - 1
    AND pages_removed_unix_us IS NULL";
pub(crate) const LIST: &str = "SELECT j.id, j.uuid, p.slug AS project, r.id AS run_id, r.provider, r.provider_run_id, j.branch,
    r.pull_request, r.head_commit, j.name, j.variant, j.shard_index, j.shard_total, j.attempt, j.state, j.started_unix_us, j.duration_us,
    j.peak_bytes, j.peak_kind, j.headroom_bytes, j.verdict, j.confidence, j.tests, j.failed, j.pinned, j.confirms
    FROM job j JOIN run r ON r.id = j.run_id JOIN project p ON p.id = j.project_id
    WHERE j.project_id = ";
// For each set of filters there is an index that holds the jobs in this order.
const BEFORE: [&str; 3] = [
    " AND (j.started_unix_us, j.id) < (",
    ", ",
    ") ORDER BY j.started_unix_us DESC, j.id DESC LIMIT ",
];
const OF_BRANCH: &str = " AND j.branch = ";
const OF_NAME: &str = " AND j.name = ";
const OF_VERDICT: &str = " AND j.verdict = ";
/// What runs files of another job again stands for nothing by itself.
const ALONE: &str = " AND j.confirms IS NULL";
/// Of the branch itself.
const OF_NO_PULL_REQUEST: &str = " AND r.pull_request = ''";
const OF_RUN: &str = " AND j.run_id = ";
// The last word counts.
pub(crate) const CONFIRMING: &str =
    "SELECT c.uuid FROM job f JOIN job c ON c.project_id = f.project_id AND c.confirms = f.uuid AND c.run_id = f.run_id
    AND c.name = f.name AND c.variant = f.variant AND c.shard_index = f.shard_index AND c.shard_total = f.shard_total
    WHERE f.uuid = $2 AND f.project_id = $1 AND c.revision > 0 AND c.unsettled = 0
    AND c.verdict IN ('passed', 'tests_failed') ORDER BY c.id DESC LIMIT 1";
pub(crate) const RUNS: &str = "SELECT id, provider, provider_run_id, branch, head_commit, pull_request, event, url, started_unix_us
    FROM run WHERE project_id = $1 AND (started_unix_us, id) < ($2, $3)
    ORDER BY started_unix_us DESC, id DESC LIMIT $4";
pub(crate) const RUN: &str = "SELECT id, provider, provider_run_id, branch, head_commit, pull_request, event, url, started_unix_us
    FROM run WHERE project_id = $1 AND id = $2";
pub(crate) const FIGURES: &str = "SELECT duration_us, peak_bytes, peak_kind, headroom_bytes, verdict, confidence FROM job WHERE id = $1";
pub(crate) const PIN: &str = "UPDATE job SET pinned = $2 WHERE uuid = $1 AND removing < 3";
pub(crate) const IMPORTED: &str = "UPDATE job SET imported = 1 WHERE id = $1";
pub(crate) const COUNTS: &str =
    "SELECT (SELECT COUNT(*) FROM job), (SELECT COUNT(*) FROM job WHERE unsettled = 1)";

/// A job as ingest and finalising see it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobKey {
    /// Number in the database.
    pub id: i64,
    /// Number of its project.
    pub project_id: i64,
    /// Number of its run.
    pub run_id: i64,
    /// Slug of its project.
    pub project: String,
    /// Whether everybody may read that.
    pub public: bool,
    /// Where it is in its life, as the API writes it.
    pub state: String,
    /// How often it was finalised.
    pub revision: u32,
    /// How it began: protobuf.
    pub begin_body: Vec<u8>,
    /// How it ended: protobuf.
    pub end_body: Option<Vec<u8>>,
    /// When it began, by the server's clock as far as that is known, µs since 1970.
    pub started_unix_us: i64,
    /// When it was last heard of, by the server's clock, µs since 1970.
    pub heard_unix_us: i64,
    /// Whether something arrived that is not in the pages.
    pub unsettled: bool,
    /// How often something new arrived.
    pub arrivals: i64,
    /// About what its batches take in memory, bytes.
    pub weight: i64,
    /// How far the machine's clock was ahead of the server's, µs; `None` where nobody compared them.
    pub clock_skew_us: Option<i64>,
    /// Whether retention passes it by.
    pub pinned: bool,
    /// When retention removed its samples and what restores the recording, µs since 1970.
    pub pages_removed_unix_us: Option<i64>,
    /// When retention removed the rows within it, µs since 1970.
    pub detail_removed_unix_us: Option<i64>,
}

/// The figures of a finalised job that its row holds.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(
    missing_docs,
    reason = "the same words as `highwater_wire::report::JobReport`"
)]
pub struct JobFigures {
    pub duration_us: i64,
    pub peak_bytes: i64,
    pub peak_kind: String,
    pub headroom_bytes: Option<i64>,
    pub verdict: Option<String>,
    pub confidence: Option<String>,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobRow {
    /// Number in the database.
    pub id: i64,
    /// Identity.
    pub uuid: Uuid,
    /// Slug of the project.
    pub project: String,
    /// Number of its run.
    pub run_id: i64,
    /// CI provider.
    pub provider: String,
    /// The provider's id of the run.
    pub provider_run_id: String,
    /// Branch of the run.
    pub branch: String,
    /// Number of the pull request; empty outside.
    pub pull_request: String,
    /// Commit under test.
    pub head_commit: String,
    /// Name.
    pub name: String,
    /// Matrix leg, as JSON.
    pub variant: String,
    /// From 1; 0 when not sharded.
    pub shard_index: u32,
    /// How many shards; 0 when not sharded.
    pub shard_total: u32,
    /// From 1.
    pub attempt: u32,
    /// Where it is in its life.
    pub state: String,
    /// When it began, µs since 1970.
    pub started_unix_us: i64,
    /// How long it took.
    pub duration_us: i64,
    /// Its peak.
    pub peak_bytes: i64,
    /// Where that comes from.
    pub peak_kind: String,
    /// Room left under the tightest limit.
    pub headroom_bytes: Option<i64>,
    /// How it ended.
    pub verdict: Option<String>,
    /// How sure that is.
    pub confidence: Option<String>,
    /// Executions of tests.
    pub tests: i64,
    /// Of them failed.
    pub failed: i64,
    /// Whether retention passes it by.
    pub pinned: bool,
    /// The job of which it runs files again.
    pub confirms: Option<Uuid>,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(
    missing_docs,
    reason = "the same words as `highwater_wire::report::RunReport`"
)]
pub struct RunRow {
    pub id: i64,
    pub provider: String,
    pub provider_run_id: String,
    pub branch: String,
    pub head_commit: String,
    pub pull_request: String,
    pub event: String,
    pub url: String,
    pub started_unix_us: i64,
}

/// Which jobs of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this branch only.
    pub branch: Option<String>,
    /// Of no pull request: in a fork its branch may be called as any is here.
    pub is_itself: bool,
    /// Of this name only.
    pub name: Option<String>,
    /// With this ending only.
    pub verdict: Option<String>,
    /// Of this run only, by its number.
    pub run: Option<i64>,
    /// Also those that run files of another again.
    pub confirming: bool,
    /// Those that began before this job: its start and number.
    pub before: Option<[i64; 2]>,
}

impl Store {
    /// Whether a project has a job of a name, in whatever state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_job_named(&self, project: i64, name: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(NAMED)
            .bind(project)
            .bind(name)
            .fetch_optional(&self.readers)
            .await?;
        Ok(found.is_some())
    }
}

impl Snapshot {
    /// A job by its identity; `None` when it is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job(&mut self, uuid: Uuid) -> Result<Option<JobKey>, StoreError> {
        Ok(sqlx::query_as(KEY)
            .bind(uuid)
            .fetch_optional(self.connection())
            .await?)
    }

    /// The newest job that ran files of another again and came to its end; `None` where none did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirming(
        &mut self,
        project: i64,
        job: Uuid,
    ) -> Result<Option<Uuid>, StoreError> {
        Ok(sqlx::query_scalar(CONFIRMING)
            .bind(project)
            .bind(job)
            .fetch_optional(self.connection())
            .await?)
    }

    /// The figures that the row of a job holds.
    ///
    /// # Errors
    /// When the database fails, or there is no such job.
    pub async fn job_figures(&mut self, job: i64) -> Result<JobFigures, StoreError> {
        Ok(sqlx::query_as(FIGURES)
            .bind(job)
            .fetch_one(self.connection())
            .await?)
    }
}

impl Store {
    /// Slug of the project of a job; `None` when the job is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn project_of(&self, uuid: Uuid) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(PROJECT)
            .bind(uuid)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Jobs that may be settled, the longest silent first, each with its arrivals: of which something is not in the pages, and which
    /// ended, were given up, or were last heard of by `silent_unix_us`, µs since 1970.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unsettled(&self, silent_unix_us: i64) -> Result<Vec<(Uuid, i64)>, StoreError> {
        Ok(sqlx::query_as(UNSETTLED)
            .bind(silent_unix_us)
            .fetch_all(&self.readers)
            .await?)
    }

    /// Whether a job of a project that was heard of since then, µs since 1970, has ended and is not settled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_just_ended(
        &self,
        project: i64,
        since_unix_us: i64,
    ) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(JUST_ENDED)
            .bind(project)
            .bind(since_unix_us)
            .fetch_one(&self.readers)
            .await?)
    }

    /// Jobs of a project, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(
        &self,
        project: i64,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError> {
        let mut query = list(LIST, project, filter, limit);
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// Runs of a project, newest first, from before a run (its start and number) on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs(
        &self,
        project: i64,
        before: Option<[i64; 2]>,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let [started, id] = before.unwrap_or([i64::MAX; 2]);
        Ok(sqlx::query_as(RUNS)
            .bind(project)
            .bind(started)
            .bind(id)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }

    /// A run of a project by its number; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, project: i64, run: i64) -> Result<Option<RunRow>, StoreError> {
        Ok(sqlx::query_as(RUN)
            .bind(project)
            .bind(run)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// How many jobs there are, and how many of them are not settled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_counts(&self) -> Result<(i64, i64), StoreError> {
        Ok(sqlx::query_as(COUNTS).fetch_one(&self.readers).await?)
    }
}

/// The statement of a list.
pub(crate) fn list(
    select: &str,
    project: i64,
    filter: &JobFilter,
    limit: u32,
) -> QueryBuilder<Sqlite> {
    let [started, id] = filter.before.unwrap_or([i64::MAX; 2]);
    let mut query = QueryBuilder::new(select);
    query.push_bind(project);
    let words = [
        (OF_BRANCH, &filter.branch),
        (OF_NAME, &filter.name),
        (OF_VERDICT, &filter.verdict),
    ];
    for (of, word) in words {
        if let Some(word) = word {
            query.push(of).push_bind(word.as_str());
        }
    }
    if filter.is_itself {
        query.push(OF_NO_PULL_REQUEST);
    }
    if !filter.confirming {
        query.push(ALONE);
    }
    if let Some(run) = filter.run {
        query.push(OF_RUN).push_bind(run);
    }
    let [before, and, limited] = BEFORE;
    query
        .push(before)
        .push_bind(started)
        .push(and)
        .push_bind(id);
    query.push(limited).push_bind(limit);
    query
}

/// When a job began and was heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When it began, by the server's clock as far as that is known, µs since 1970.
    pub started_unix_us: i64,
    /// When the server heard of it, µs since 1970.
    pub heard_unix_us: i64,
    /// How far the machine's clock was ahead of the server's, µs; `None` where nobody compared them.
    pub clock_skew_us: Option<i64>,
}

/// Begins a job.
pub(crate) async fn begin(
    connection: &mut SqliteConnection,
    uuid: Uuid,
    job: &v1::Job,
    body: &[u8],
    at: Moment,
) -> Result<Put, StoreError> {
    let known: Option<(i64, Vec<u8>)> = sqlx::query_as(BEGIN_BODY)
        .bind(uuid)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some((_, known)) = known {
        let same = known == body;
        return Ok(if same { Put::Same } else { Put::Conflict });
    }
    let run = job.run.clone().unwrap_or_default();
    let project = crate::projects::ensure(connection, &job.project).await?;
    sqlx::query(INSERT_RUN)
        .bind(project)
        .bind(&run.provider)
        .bind(&run.id)
        .bind(&run.branch)
        .bind(&run.head_commit)
        .bind(&run.pull_request)
        .bind(&run.event)
        .bind(&run.url)
        .bind(at.started_unix_us)
        .execute(&mut *connection)
        .await?;
    let run_id: i64 = sqlx::query_scalar(RUN_ID)
        .bind(project)
        .bind(&run.provider)
        .bind(&run.id)
        .fetch_one(&mut *connection)
        .await?;
    let variant = serde_json::to_string(&job.variant)
        .map_err(|error| StoreError::inconsistent(0, "variant", error))?;
    let shard = job.shard.unwrap_or_default();
    sqlx::query(INSERT)
        .bind(uuid)
        .bind(project)
        .bind(run_id)
        .bind(&job.name)
        .bind(variant)
        .bind(shard.index)
        .bind(shard.total)
        .bind(job.attempt)
        .bind(body)
        .bind(at.started_unix_us)
        .bind(at.heard_unix_us)
        .bind(at.clock_skew_us)
        .bind(Uuid::parse_str(&job.confirms).ok())
        .execute(connection)
        .await?;
    Ok(Put::New)
}
