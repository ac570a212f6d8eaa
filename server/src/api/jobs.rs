//! One job and the rows within it.

use axum::{Json, extract::State};
use highwater_wire::report::{FilesPage, FixturesPage, JobReport, ProcessesPage, TestsPage};
use uuid::Uuid;

use super::page::PageQuery;
use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    reading::Job,
    state::AppState,
};

/// A job: what it was, what it used, how it ended.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}", tag = "jobs", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = JobReport), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn job(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
) -> Result<Json<JobReport>, AppError> {
    Ok(Json(
        Job::find(&state, &access, uuid).await?.report().await?,
    ))
}

/// The processes of a job, in the order they started.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/processes", tag = "jobs", params(("uuid" = Uuid, Path), PageQuery),
    responses((status = 200, body = ProcessesPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn processes(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(page): Query<PageQuery>,
) -> Result<Json<ProcessesPage>, AppError> {
    let (processes, next) = page.cut(Job::find(&state, &access, uuid).await?.processes().await?)?;
    Ok(Json(ProcessesPage { processes, next }))
}

/// The test files of a job, in the order they first ran.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/files", tag = "jobs", params(("uuid" = Uuid, Path), PageQuery),
    responses((status = 200, body = FilesPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn files(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(page): Query<PageQuery>,
) -> Result<Json<FilesPage>, AppError> {
    let (files, next) = page.cut(Job::find(&state, &access, uuid).await?.files().await?)?;
    Ok(Json(FilesPage { files, next }))
}

/// Executions of the tests of a job, in order of time.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/tests", tag = "jobs", params(("uuid" = Uuid, Path), PageQuery),
    responses((status = 200, body = TestsPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn tests(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(page): Query<PageQuery>,
) -> Result<Json<TestsPage>, AppError> {
    let (tests, next) = page.cut(Job::find(&state, &access, uuid).await?.tests().await?)?;
    Ok(Json(TestsPage { tests, next }))
}

/// The fixtures of a job, one row for each test file they were set up for.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/fixtures", tag = "jobs", params(("uuid" = Uuid, Path), PageQuery),
    responses((status = 200, body = FixturesPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn fixtures(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(page): Query<PageQuery>,
) -> Result<Json<FixturesPage>, AppError> {
    let (fixtures, next) = page.cut(Job::find(&state, &access, uuid).await?.fixtures().await?)?;
    Ok(Json(FixturesPage { fixtures, next }))
}
