//! The samples of a job.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    finalise::{Column, Span},
    reading::Job,
    state::AppState,
};

/// Most points of a series.
pub(crate) const MOST_POINTS: usize = 5000;

/// Which samples.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesQuery {
    /// From this time on, µs since the job's start; from the beginning where nothing is said.
    from: Option<i64>,
    /// Up to this time; to the end where nothing is said.
    to: Option<i64>,
    /// Most points of a series.
    points: Option<usize>,
}

/// The series of a job in a span of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesPage {
    /// One entry a metric and process, cgroup or machine; `tree` is the job's curve.
    series: Vec<SeriesRow>,
}

/// One series. A point stands for what was sampled from its time to that of the next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesRow {
    /// Number of the series in its job.
    id: i64,
    /// Number of the process it is of.
    process: Option<u32>,
    /// Path of the cgroup it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<String>,
    /// `rss`, `pss`, `tree`, `cgroup_working_set`, …
    metric: &'static str,
    /// `bytes`, `count` or `hundredths of a percent`.
    unit: &'static str,
    /// µs since the job's start.
    t_us: Vec<i64>,
    /// Least value of each point.
    min: Vec<i64>,
    /// Greatest.
    max: Vec<i64>,
    /// Last.
    last: Vec<i64>,
}

impl From<Column> for SeriesRow {
    fn from(column: Column) -> Self {
        Self {
            id: column.id,
            process: column.process,
            cgroup: column.cgroup,
            metric: column.metric,
            unit: column.unit,
            t_us: column.t_us,
            min: column.min,
            max: column.max,
            last: column.last,
        }
    }
}

/// The samples of a job at the resolution that is asked for.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/series", tag = "jobs", params(("uuid" = Uuid, Path), SeriesQuery),
    responses((status = 200, body = SeriesPage), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 410, description = "removed by retention", body = ErrorEnvelope)))]
pub(crate) async fn series(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(query): Query<SeriesQuery>,
) -> Result<Json<SeriesPage>, AppError> {
    let mut job = Job::find(&state, &access, uuid).await?;
    let whole = Span::default();
    let points = query.points.unwrap_or(whole.points);
    if !(1..=MOST_POINTS).contains(&points) {
        return Err(AppError::bad_request(
            format!("points {points} is not between 1 and {MOST_POINTS}"),
            "ask for fewer points, or for a shorter span",
        ));
    }
    let from = query.from.unwrap_or(whole.from_us);
    let to = query.to.unwrap_or(whole.to_us);
    if from > to {
        return Err(AppError::bad_request(
            format!("from {from} lies after to {to}"),
            "swap them",
        ));
    }
    let columns = job
        .series(Span {
            from_us: from,
            to_us: to,
            points,
        })
        .await?;
    Ok(Json(SeriesPage {
        series: columns.into_iter().map(SeriesRow::from).collect(),
    }))
}
