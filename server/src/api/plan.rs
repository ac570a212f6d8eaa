//! The suite of a job, cut into jobs that fit a budget.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use highwater_analysis::plan::forms;
use highwater_wire::report::PlanReport;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    fresh,
    planning::{self, PlanQuery, kept},
    reading::Job,
    state::AppState,
};

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlanFormat {
    /// All of it.
    #[default]
    Json,
    /// A line of pytest's arguments a job.
    Args,
    /// A matrix for `strategy.matrix` of GitHub Actions.
    Github,
    /// A matrix for `parallel` of GitLab.
    Gitlab,
    /// The files of one job, a line each.
    Selection,
}

/// How it is written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormQuery {
    /// `json` for all of it, which `pytest --highwater-plan=FILE` reads; `args` for a line of pytest's arguments a job, `github` and `gitlab` for the
    /// matrix of these, `selection` for the files of one job.
    #[serde(default)]
    #[param(inline, required = false)]
    format: PlanFormat,
    /// Which job, for `selection`; from 1.
    shard: Option<usize>,
}

/// The suite of a job cut into the fewest jobs found that stay inside a budget.
///
/// Where no such jobs are possible the answer is an error that names the file and the least budget that bears it, or how many jobs do.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/plan", tag = "jobs", params(("uuid" = Uuid, Path), PlanQuery, FormQuery),
    responses((status = 200, description = "the plan", content((PlanReport = "application/json"), (String = "text/plain"))),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope),
        (status = 422, description = "there is no such plan", body = ErrorEnvelope)))]
pub(crate) async fn plan(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(query): Query<PlanQuery>,
    Query(form): Query<FormQuery>,
) -> Result<Response, AppError> {
    let mut job = Job::find(&state, &access, uuid).await?;
    let report = planning::plan(&state, &mut job, &query).await?;
    written(report, &form, "plan.json")
}

/// Keep such a plan, so that shards which start apart find it by its id.
///
/// Needs a token with the scope admin. It outlives what retention removes of its job. What is kept already stays as it was kept first. Where a project
/// keeps as many as it may, the one that was not used for longest makes room.
#[utoipa::path(post, path = "/api/v1/jobs/{uuid}/plan", tag = "jobs", params(("uuid" = Uuid, Path), PlanQuery),
    responses((status = 200, description = "it is kept already", body = PlanReport), (status = 201, description = "it is kept", body = PlanReport),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope),
        (status = 422, description = "there is no such plan", body = ErrorEnvelope)))]
pub(crate) async fn keep_plan(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(query): Query<PlanQuery>,
) -> Result<(StatusCode, Json<PlanReport>), AppError> {
    let (report, is_new) = kept::keep(&state, &access, uuid, &query).await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(report)))
}

/// A plan that is kept, by its id, which is a digest of its jobs.
///
/// It is there whatever became of its job.
#[utoipa::path(get, path = "/api/v1/plans/{id}", tag = "plans", params(("id" = Uuid, Path), FormQuery),
    responses((status = 200, description = "the plan", content((PlanReport = "application/json"), (String = "text/plain"))),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn kept_plan(
    State(state): State<AppState>,
    access: Access,
    Path(id): Path<Uuid>,
    Query(form): Query<FormQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let kept = kept::find(&state, &access, id).await?;
    let tag = fresh::of_kept(&uri, id, kept.created_unix_us);
    let tag = tag.map(|tag| [(header::ETAG, tag)]);
    if let Some([(_, tag)]) = &tag
        && fresh::is_known(&headers, tag)
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.clone())]).into_response());
    }
    let answer = written(kept.report, &form, &id.to_string())?;
    Ok((tag, answer).into_response())
}

/// A plan as it was asked for; `named` is how its own commands name it.
fn written(report: PlanReport, form: &FormQuery, named: &str) -> Result<Response, AppError> {
    let (shard, all) = (form.shard, report.jobs.len());
    if let Some(shard) = shard.filter(|shard| !(1..=all).contains(shard)) {
        return Err(no_shard(shard, all));
    }
    let (kind, name, text) = match form.format {
        PlanFormat::Json => {
            let name = (header::CONTENT_DISPOSITION, disposition("plan.json"));
            return Ok(([name], Json(report)).into_response());
        }
        PlanFormat::Args => (
            "text/plain",
            "plan.txt".to_owned(),
            forms::args(&report) + "\n",
        ),
        PlanFormat::Github => (
            "application/json",
            "matrix.json".to_owned(),
            forms::github(&report),
        ),
        PlanFormat::Gitlab => (
            "text/plain",
            "matrix.yml".to_owned(),
            forms::gitlab(&report, named),
        ),
        PlanFormat::Selection => {
            let shard = shard.unwrap_or(0);
            let job = report.jobs.iter().find(|job| job.index == shard);
            let job = job.ok_or_else(|| no_shard(shard, all))?;
            (
                "text/plain",
                forms::selection_name(job.index),
                forms::selection(job),
            )
        }
    };
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (header::CONTENT_DISPOSITION, disposition(&name)),
    ];
    Ok((headers, text).into_response())
}

fn no_shard(shard: usize, all: usize) -> AppError {
    AppError::bad_request(
        format!("shard {shard} is not between 1 and {all}"),
        "name one of the plan's jobs, by its index",
    )
}

fn disposition(name: &str) -> String {
    format!("attachment; filename=\"{name}\"")
}
