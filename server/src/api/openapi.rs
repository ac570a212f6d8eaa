//! The OpenAPI document.

use axum::Json;
use utoipa::OpenApi;

use super::{jobs, projects, series};
use crate::ingest;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater",
        description = "Memory of pytest runs: recordings in, answers out. Sizes are bytes, durations microseconds."
    ),
    paths(
        ingest::put_job,
        ingest::put_batch,
        ingest::put_end,
        projects::projects,
        projects::runs,
        projects::jobs,
        projects::file_history,
        jobs::job,
        jobs::processes,
        jobs::files,
        jobs::tests,
        jobs::fixtures,
        series::series,
    )
)]
struct Document;

/// The OpenAPI 3.1 document of this server.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}
