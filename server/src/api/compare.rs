//! Jobs side by side.

use axum::{Json, extract::State};
use highwater_wire::report::ComparisonReport;

use super::projects;
use crate::{
    access::Access,
    comparing::{self, CompareQuery},
    error::{AppError, ErrorEnvelope},
    extract::Query,
    state::AppState,
};

/// Jobs, runs or branches before and after: totals, test files (those that changed most first) and fixtures. Several `before` or `after` are the
/// shards of one suite: of peaks the largest counts, of durations the longest and the sum, and files are those of all. Whoever asks must be allowed to
/// read every job. What is not settled is compared as it stands.
#[utoipa::path(get, path = "/api/v1/compare", tag = "projects", params(CompareQuery),
    responses((status = 200, body = ComparisonReport), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn compare(
    State(state): State<AppState>,
    access: Access,
    Query(query): Query<CompareQuery>,
) -> Result<Json<ComparisonReport>, AppError> {
    let limit = query.limit()?;
    compared(&state, &access, &query, limit).await.map(Json)
}

/// What was asked for, with so many test files at most.
pub(crate) async fn compared(
    state: &AppState,
    access: &Access,
    query: &CompareQuery,
    most_files: usize,
) -> Result<ComparisonReport, AppError> {
    let project = match &query.project {
        Some(project) => Some(projects::find(state, access, project).await?),
        None => None,
    };
    let jobs = comparing::jobs(state, access, query, project).await?;
    comparing::compare(state, access, &jobs, most_files).await
}
