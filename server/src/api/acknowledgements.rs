//! Figures that somebody knows of.

use axum::{Json, extract::State, http::StatusCode};
use highwater_store::AcknowledgedRow;
use highwater_wire::report::{Acknowledgement, AcknowledgementsPage, NewAcknowledgement};
use uuid::Uuid;

use super::{
    page::{PageQuery, next_after},
    projects::find,
};
use crate::{
    access::Access,
    acknowledging::{Project, of_row},
    error::{AppError, ErrorEnvelope},
    extract::{Json as Given, Path, Query},
    state::AppState,
};

/// Acknowledged figures of a project, those that ended or were withdrawn included; the newest first.
#[utoipa::path(get, path = "/api/v1/projects/{project}/acknowledgements", tag = "projects", params(("project" = String, Path), PageQuery),
    responses((status = 200, body = AcknowledgementsPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn acknowledgements(
    State(state): State<AppState>,
    access: Access,
    Path(project): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<AcknowledgementsPage>, AppError> {
    let (id, _) = find(&state, &access, &project).await?;
    let limit = page.limit()?;
    let rows = state.store.acknowledgements(id, page.numbers()?, limit);
    let rows = rows.await?;
    let next = next_after(&rows, limit, |row: &AcknowledgedRow| {
        [row.created_unix_us, row.id]
    });
    let now = state.wall_unix_us();
    let rows = rows.into_iter().map(|row| of_row(row, now));
    Ok(Json(AcknowledgementsPage {
        acknowledgements: rows.collect::<Result<Vec<Acknowledgement>, AppError>>()?,
        next,
    }))
}

/// Acknowledge a figure of a job: as much of it fails no check of the jobs of its name until then, unless there is clearly more.
///
/// Needs a token with the scope admin. It takes the place of one of the same figure that counts.
#[utoipa::path(post, path = "/api/v1/projects/{project}/acknowledgements", tag = "projects", params(("project" = String, Path)),
    request_body = NewAcknowledgement,
    responses((status = 201, description = "it counts", body = Acknowledgement), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn acknowledge(
    State(state): State<AppState>,
    access: Access,
    Path(project): Path<String>,
    Given(new): Given<NewAcknowledgement>,
) -> Result<(StatusCode, Json<Acknowledgement>), AppError> {
    let (id, slug) = find(&state, &access, &project).await?;
    let project = Project {
        state: &state,
        access: &access,
        id,
        slug: slug.as_str(),
    };
    let made = project.acknowledge(new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Withdraw an acknowledgement: what it was of fails checks again.
///
/// Needs a token with the scope admin. Twice is as once.
#[utoipa::path(delete, path = "/api/v1/projects/{project}/acknowledgements/{id}", tag = "projects",
    params(("project" = String, Path), ("id" = Uuid, Path)),
    responses((status = 200, body = Acknowledgement), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    access: Access,
    Path((project, acknowledgement)): Path<(String, Uuid)>,
) -> Result<Json<Acknowledgement>, AppError> {
    let (id, slug) = find(&state, &access, &project).await?;
    let project = Project {
        state: &state,
        access: &access,
        id,
        slug: slug.as_str(),
    };
    Ok(Json(project.withdraw(acknowledgement).await?))
}
