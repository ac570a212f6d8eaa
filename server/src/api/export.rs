//! A job as a file for other programs.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    export::{self, Form, Format, What},
    extract::{Path, Query},
    reading::Job,
    state::AppState,
};

/// What to write.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `json` for everything in one document, `csv` and `parquet` for one table, `perfetto` for a trace that https://ui.perfetto.dev opens.
    #[param(inline)]
    format: Format,
    /// Which table, for csv and parquet; `series` where nothing is said.
    #[param(inline)]
    what: Option<What>,
}

/// A job as a file for other programs, whole and at full resolution.
///
/// It is made while it is read: where the job is finalised again meanwhile, the connection breaks off.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/export", tag = "jobs", params(("uuid" = Uuid, Path), ExportQuery),
    responses((status = 200, description = "the file", content((String = "application/json"), (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"), (Vec<u8> = "application/octet-stream"))),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope),
        (status = 409, description = "the job is not settled", body = ErrorEnvelope),
        (status = 410, description = "retention removed its samples", body = ErrorEnvelope)))]
pub(crate) async fn export(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, AppError> {
    // First whether it may be seen: nobody learns more by asking for what cannot be.
    let job = Job::find(&state, &access, uuid).await?;
    let form = Form::new(query.format, query.what)
        .map_err(|reason| AppError::bad_request(reason, "leave `what` out, or ask for a table"))?;
    let job = job.settled().await?;
    let disposition = format!("attachment; filename=\"{}\"", form.file_name(uuid));
    let headers = [
        (header::CONTENT_TYPE, form.content_type().to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, export::body(&state, job, form)).into_response())
}
