//! Which jobs retention passes by.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::{Access, Scope},
    error::{AppError, ErrorEnvelope},
    extract::Path,
    reading::Job,
    state::AppState,
};

/// Whether a job is pinned.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PinReport {
    /// True where retention passes it by.
    pinned: bool,
}

/// Pin a job: retention removes nothing of it.
///
/// Needs a token with the scope admin. What was removed before does not come back.
#[utoipa::path(put, path = "/api/v1/jobs/{uuid}/pin", tag = "jobs", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = PinReport), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "the job is being removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn pin(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
) -> Result<Json<PinReport>, AppError> {
    set(&state, &access, uuid, true).await
}

/// Let go of a pinned job: its time is counted as that of every other.
///
/// Needs a token with the scope admin.
#[utoipa::path(delete, path = "/api/v1/jobs/{uuid}/pin", tag = "jobs", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = PinReport), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "the job is being removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn unpin(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
) -> Result<Json<PinReport>, AppError> {
    set(&state, &access, uuid, false).await
}

async fn set(
    state: &AppState,
    access: &Access,
    uuid: Uuid,
    pinned: bool,
) -> Result<Json<PinReport>, AppError> {
    let job = Job::find(state, access, uuid).await?;
    if !access.may(job.project(), Scope::Admin) {
        return Err(access.refused(job.project(), Scope::Admin));
    }
    // Nobody keeps a connection of the store while the writer has others to serve.
    let project = job.project().to_owned();
    drop(job);
    if !state.store.pin(uuid, pinned).await? {
        return Err(AppError::removed(
            format!("job {uuid} is being removed by retention"),
            "pin a job before its time has come",
        ));
    }
    tracing::info!(target: "audit", %uuid, project, pinned, by = access.by(), "a pin changed");
    Ok(Json(PinReport { pinned }))
}
