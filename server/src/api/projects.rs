//! Projects, and what is asked across their jobs.

use axum::{Json, extract::State};
use highwater_analysis::time::rfc3339;
use highwater_store::{HistoryPoint, JobFilter, JobRow, RunRow};
use highwater_wire::{ids::ProjectSlug, report::Verdict};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{PageQuery, next_after};
use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    planning,
    reading::Job,
    state::AppState,
};

/// All projects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectsPage {
    projects: Vec<ProjectItem>,
    next: Option<String>,
}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectItem {
    /// `owner/repo`.
    project: String,
    jobs: i64,
    newest_at: String,
}

/// Runs of a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunsPage {
    runs: Vec<RunItem>,
    next: Option<String>,
}

/// A run of a project.
#[derive(Debug, Serialize, ToSchema)]
struct RunItem {
    /// Number of the run here.
    run: i64,
    provider: String,
    /// The provider's id.
    id: String,
    branch: String,
    commit: String,
    pull_request: String,
    event: String,
    url: String,
    started_at: String,
}

impl From<RunRow> for RunItem {
    fn from(row: RunRow) -> Self {
        Self {
            run: row.id,
            provider: row.provider,
            id: row.provider_run_id,
            branch: row.branch,
            commit: row.head_commit,
            pull_request: row.pull_request,
            event: row.event,
            url: row.url,
            started_at: rfc3339(row.started_unix_us),
        }
    }
}

/// Jobs of a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobsPage {
    jobs: Vec<JobItem>,
    next: Option<String>,
}

/// A job in a list.
#[derive(Debug, Serialize, ToSchema)]
struct JobItem {
    uuid: Uuid,
    run: i64,
    name: String,
    /// The matrix leg.
    variant: serde_json::Value,
    /// `i/n`; empty when not sharded.
    shard: String,
    attempt: u32,
    branch: String,
    commit: String,
    state: String,
    started_at: String,
    duration_us: i64,
    peak_bytes: i64,
    peak_kind: String,
    headroom_bytes: Option<i64>,
    verdict: Option<String>,
    confidence: Option<String>,
    tests: i64,
    failed: i64,
    /// Whether retention passes it by.
    pinned: bool,
    /// The job of which it runs files again; none for every other job.
    confirms: Option<Uuid>,
}

/// `i/n`; nothing for a job that is not sharded.
fn shard(index: u32, total: u32) -> String {
    match total {
        0 => String::new(),
        total => format!("{index}/{total}"),
    }
}

impl From<JobRow> for JobItem {
    fn from(row: JobRow) -> Self {
        Self {
            uuid: row.uuid,
            run: row.run_id,
            name: row.name,
            variant: serde_json::from_str(&row.variant).unwrap_or_default(),
            shard: shard(row.shard_index, row.shard_total),
            attempt: row.attempt,
            branch: row.branch,
            commit: row.head_commit,
            state: row.state,
            started_at: rfc3339(row.started_unix_us),
            duration_us: row.duration_us,
            peak_bytes: row.peak_bytes,
            peak_kind: row.peak_kind,
            headroom_bytes: row.headroom_bytes,
            verdict: row.verdict,
            confidence: row.confidence,
            tests: row.tests,
            failed: row.failed,
            pinned: row.pinned,
            confirms: row.confirms,
        }
    }
}

/// A test file over the jobs of its project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPage {
    path: String,
    /// Newest first.
    history: Vec<HistoryItem>,
    next: Option<String>,
}

/// A test file in one job.
#[derive(Debug, Serialize, ToSchema)]
struct HistoryItem {
    job: Uuid,
    name: String,
    /// The matrix leg.
    variant: serde_json::Value,
    /// `i/n`; empty when not sharded.
    shard: String,
    attempt: u32,
    started_at: String,
    branch: String,
    /// Number of the pull request; empty outside.
    pull_request: String,
    commit: String,
    verdict: Option<String>,
    /// Whether it was diagnosed, which changes its figures.
    diagnosed: bool,
    session: u32,
    start_bytes: i64,
    peak_bytes: i64,
    peak_kind: String,
    tree_peak_bytes: i64,
    spike_bytes: i64,
    tree_spike_bytes: i64,
    retained_bytes: i64,
    children_retained_bytes: i64,
    import_bytes: i64,
    late_import_bytes: i64,
    tests: i64,
    failed: i64,
    duration_us: i64,
    censored: bool,
}

impl From<HistoryPoint> for HistoryItem {
    fn from(point: HistoryPoint) -> Self {
        Self {
            job: point.uuid,
            name: point.name,
            variant: serde_json::from_str(&point.variant).unwrap_or_default(),
            shard: shard(point.shard_index, point.shard_total),
            attempt: point.attempt,
            started_at: rfc3339(point.started_unix_us),
            branch: point.branch,
            pull_request: point.pull_request,
            commit: point.head_commit,
            verdict: point.verdict,
            diagnosed: point.diagnosed,
            session: point.session,
            start_bytes: point.start_bytes,
            peak_bytes: point.peak_bytes,
            peak_kind: point.peak_kind,
            tree_peak_bytes: point.tree_peak_bytes,
            spike_bytes: point.spike_bytes,
            tree_spike_bytes: point.tree_spike_bytes,
            retained_bytes: point.retained_bytes,
            children_retained_bytes: point.children_retained_bytes,
            import_bytes: point.import_bytes,
            late_import_bytes: point.late_import_bytes,
            tests: point.tests,
            failed: point.failed,
            duration_us: point.duration_us,
            censored: point.censored,
        }
    }
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobsQuery {
    /// Of this branch only.
    branch: Option<String>,
    /// Of this name only.
    name: Option<String>,
    /// With this ending only.
    verdict: Option<Verdict>,
}

/// Which jobs of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Of this name only.
    name: Option<String>,
    /// What tells of this job of the project: rows of jobs of its name, and of the nearest branch of which one ran the file to its end; of its own branch or pull request, else of main, else
    /// master, and of all others where none of these has any. So many of the newest as `limit` says, on one page; behind it is nothing, and of another name neither.
    near: Option<Uuid>,
}

/// Number of the project that a path names, if it may be seen; one that may not is not found.
pub(crate) async fn find(
    state: &AppState,
    access: &Access,
    project: &str,
) -> Result<(i64, ProjectSlug), AppError> {
    let unknown = || {
        access.hidden(AppError::not_found(
            format!("there is no project {project:?}"),
            "projects are written owner~repo in paths",
        ))
    };
    let slug = ProjectSlug::from_path(project).map_err(|_| unknown())?;
    let found = state.store.project(slug.as_str()).await?;
    let found = found.filter(|found| access.may_read(slug.as_str(), found.public));
    Ok((found.ok_or_else(unknown)?.id, slug))
}

/// All projects, the one with the newest job first.
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", params(PageQuery),
    responses((status = 200, body = ProjectsPage), (status = 400, body = ErrorEnvelope)))]
pub(crate) async fn projects(
    State(state): State<AppState>,
    access: Access,
    Query(page): Query<PageQuery>,
) -> Result<Json<ProjectsPage>, AppError> {
    let limit = page.limit()?;
    let rows = state
        .store
        .projects(&access.visible(), page.numbers()?, limit)
        .await?;
    if rows.is_empty() && access.is_nobody() {
        let why = "there is no project here that everybody may see";
        return Err(AppError::unauthorised(why));
    }
    let next = next_after(&rows, limit, |row| {
        [row.newest.started_unix_us, row.newest.id]
    });
    let projects = rows.into_iter().map(|row| ProjectItem {
        project: row.newest.project,
        jobs: row.jobs,
        newest_at: rfc3339(row.newest.started_unix_us),
    });
    Ok(Json(ProjectsPage {
        projects: projects.collect(),
        next,
    }))
}

/// Runs of a project, newest first.
#[utoipa::path(get, path = "/api/v1/projects/{project}/runs", tag = "projects", params(("project" = String, Path), PageQuery),
    responses((status = 200, body = RunsPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn runs(
    State(state): State<AppState>,
    access: Access,
    Path(project): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<RunsPage>, AppError> {
    let (id, _) = find(&state, &access, &project).await?;
    let limit = page.limit()?;
    let rows = state.store.runs(id, page.numbers()?, limit).await?;
    let next = next_after(&rows, limit, |row| [row.started_unix_us, row.id]);
    Ok(Json(RunsPage {
        runs: rows.into_iter().map(RunItem::from).collect(),
        next,
    }))
}

/// Jobs of a project, newest first.
#[utoipa::path(get, path = "/api/v1/projects/{project}/jobs", tag = "projects", params(("project" = String, Path), PageQuery, JobsQuery),
    responses((status = 200, body = JobsPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn jobs(
    State(state): State<AppState>,
    access: Access,
    Path(project): Path<String>,
    Query(page): Query<PageQuery>,
    Query(query): Query<JobsQuery>,
) -> Result<Json<JobsPage>, AppError> {
    let (id, _) = find(&state, &access, &project).await?;
    let limit = page.limit()?;
    let filter = JobFilter {
        branch: query.branch,
        is_itself: false,
        name: query.name,
        verdict: query.verdict.map(|verdict| verdict.as_str().to_owned()),
        run: None,
        confirming: true,
        before: page.numbers()?,
    };
    let rows = state.store.jobs(id, &filter, limit).await?;
    let next = next_after(&rows, limit, |row| [row.started_unix_us, row.id]);
    Ok(Json(JobsPage {
        jobs: rows.into_iter().map(JobItem::from).collect(),
        next,
    }))
}

/// A test file over the jobs of its project, newest first; one row a job and session. Jobs of different names run different parts of a suite:
/// `name` asks for those of one, and 20,000 of them are looked at for a page: from `after`, or from the file's newest job.
#[utoipa::path(get, path = "/api/v1/projects/{project}/files/{path}", tag = "projects",
    params(("project" = String, Path), ("path" = String, Path), PageQuery, HistoryQuery),
    responses((status = 200, body = HistoryPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn file_history(
    State(state): State<AppState>,
    access: Access,
    Path((project, path)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, AppError> {
    let (id, slug) = find(&state, &access, &project).await?;
    let limit = page.limit()?;
    let before = page.numbers()?;
    let name = query.name.as_deref();
    if let Some(uuid) = query.near {
        // All of it is on one page, and behind that is nothing.
        let limit = Some(limit).filter(|_| before.is_none());
        let asked = (path.as_str(), name, uuid);
        return near(&state, &access, (id, &slug), asked, limit).await;
    }
    let history = state.store.file_history(id, &path, name, before, limit);
    let history = history.await?;
    if history.is_empty() && before.is_none() {
        return Err(no_history(&slug, name, &path));
    }
    let key = |point: &HistoryPoint| [point.started_unix_us, point.job, point.session.into()];
    Ok(Json(HistoryPage {
        next: next_after(&history, limit, key),
        path,
        history: history.into_iter().map(HistoryItem::from).collect(),
    }))
}

/// The same of what tells of one job.
async fn near(
    state: &AppState,
    access: &Access,
    (project, slug): (i64, &ProjectSlug),
    (path, name, uuid): (&str, Option<&str>, Uuid),
    limit: Option<u32>,
) -> Result<Json<HistoryPage>, AppError> {
    let mut job = Job::find(state, access, uuid).await?;
    if job.run().0 != project {
        return Err(access.hidden(AppError::no_job(uuid)));
    }
    let report = job.report().await?;
    // Nobody keeps a connection of the store while they ask for another.
    drop(job);
    if name.is_some_and(|name| !name.is_empty() && name != report.name) {
        return Err(no_history(slug, name, path));
    }
    let history = match limit {
        Some(limit) => planning::history(state, project, &report, path, limit).await?,
        None => Vec::new(),
    };
    if history.is_empty() && limit.is_some() {
        return Err(no_history(slug, Some(&report.name), path));
    }
    Ok(Json(HistoryPage {
        next: None,
        path: path.to_owned(),
        history: history.into_iter().map(HistoryItem::from).collect(),
    }))
}

fn no_history(slug: &ProjectSlug, name: Option<&str>, path: &str) -> AppError {
    let named = name.map_or_else(String::new, |name| format!(" named {name:?}"));
    AppError::not_found(
        format!("{slug} has no finished job{named} with the test file {path:?}"),
        "see the files of one of its jobs for their paths",
    )
}
