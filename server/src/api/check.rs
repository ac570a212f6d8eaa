//! Whether the memory of a job got worse.

use axum::{Json, extract::State};
use highwater_analysis::check::Limits;
use highwater_wire::report::CheckReport;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    reading::{Against, Job},
    state::AppState,
};

/// What a job is checked against.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckQuery {
    /// Branch of the jobs that it is compared with; where none is named main, else master, else its own.
    baseline: Option<String>,
    /// The job's peak at the most, bytes.
    max_peak: Option<i64>,
    /// The job's headroom at the least, bytes.
    min_headroom: Option<i64>,
    /// What each file retains at the most, bytes.
    max_retained: Option<i64>,
    /// What each file needs for a while at the most, bytes.
    max_spike: Option<i64>,
}

impl From<CheckQuery> for Against {
    fn from(query: CheckQuery) -> Self {
        Self {
            branch: query.baseline.filter(|branch| !branch.is_empty()),
            limits: Limits {
                peak_bytes: query.max_peak,
                headroom_bytes: query.min_headroom,
                retained_bytes: query.max_retained,
                spike_bytes: query.max_spike,
            },
        }
    }
}

/// Whether the memory of a job got worse, beside jobs of its name that went well and ran alike, and limits where they are given.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/check", tag = "jobs", params(("uuid" = Uuid, Path), CheckQuery),
    responses((status = 200, body = CheckReport), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn check(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(query): Query<CheckQuery>,
) -> Result<Json<CheckReport>, AppError> {
    let job = Job::find(&state, &access, uuid).await?;
    Ok(Json(job.check(query.into()).await?))
}
