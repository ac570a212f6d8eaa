//! What is told of a job, in the form that somebody reads.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use highwater_analysis::digest::{Digest, TreePoint};
use highwater_report::{Format, Source};
use highwater_wire::{
    receipt::{JOB_HEADER, JobTold},
    report::{JobReport, ReportDocument},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    finalise::{Column, Span},
    planning,
    reading::{Job, Within},
    state::AppState,
    views::curves,
};

/// A report brings its style with it; it has no script and asks for nothing, wherever it is opened.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportQuery {
    /// `terminal` for text, `markdown` for a job summary of GitHub Actions, `json` for one document, `junit` for a case a test file, `html` for one file
    /// with its chart, `prometheus` for its text, `github` for annotations, `gitlab` for a code quality report, `badge` for a picture.
    #[param(inline)]
    format: Format,
}

/// A job as a report, in the form that is asked for.
#[utoipa::path(get, path = "/api/v1/jobs/{uuid}/report", tag = "jobs", params(("uuid" = Uuid, Path), ReportQuery),
    responses((status = 200, description = "the report",
        headers(("highwater-job" = String, description = "which job it tells of, as of which revision: `UUID; revision=N`")),
        content((ReportDocument = "application/json"),
            (String = "text/plain"), (String = "text/markdown"), (String = "text/html"), (String = "application/xml"), (String = "image/svg+xml"))),
        (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn report(
    State(state): State<AppState>,
    access: Access,
    Path(uuid): Path<Uuid>,
    Query(query): Query<ReportQuery>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let format = query.format;
    let mut job = Job::find(&state, &access, uuid).await?;
    let removed = job.removed();
    let report = job.report().await?;
    let told = JobTold {
        job: uuid,
        revision: report.revision,
    };
    let within = job.within().await?;
    let files_gone = match within {
        Some(_) => String::new(),
        None => removed.detail_words(),
    };
    let within = within.unwrap_or_default();
    let is_drawn = matches!(format, Format::Html | Format::Terminal);
    let columns = match is_drawn && !removed.has_no_samples() {
        true => job.series(Span::default()).await?,
        false => Vec::new(),
    };
    let page = page(&state, &headers, uuid);
    job.let_go();
    let of = (&report, &within.files[..], &within.fixtures[..]);
    let plan_hint = match format.tells_of_plans() {
        true => planning::hint(&state, job.run().0, of, page.as_deref()).await?,
        false => None,
    };
    let check = job.beside_where_quick(&report, &within.files).await?;
    let write = move || {
        let digest = digest(report, within, &columns);
        let source = Source {
            curves: curves::of(&columns),
            samples_gone: removed.samples_words(),
            files_gone,
            plan_hint,
            ..Source::beside(&digest, page.as_deref(), check.as_ref())
        };
        highwater_report::write(format, &source)
    };
    // Thousands of rows are put in order, and a chart is drawn.
    let written = state.reading.run(0, write).await;
    let written = written.map_err(|error| AppError::internal(&error))?;
    let text = written.map_err(|error| AppError::internal(&error))?;
    let told =
        HeaderValue::try_from(told.to_string()).map_err(|error| AppError::internal(&error))?;
    let kind = (header::CONTENT_TYPE, format.media_type());
    let mut answer = match format {
        Format::Html => (
            [kind, (header::CONTENT_SECURITY_POLICY, REPORT_POLICY)],
            text,
        )
            .into_response(),
        _ => ([kind], text).into_response(),
    };
    answer.headers_mut().insert(JOB_HEADER, told);
    Ok(answer)
}

/// Every figure of a job, as far as they are there.
fn digest(job: JobReport, within: Within, columns: &[Column]) -> Digest {
    let tree = columns.iter().find(|column| column.metric == "tree");
    let points = tree
        .into_iter()
        .flat_map(|column| column.t_us.iter().zip(&column.max));
    let points = points.map(|(t_us, bytes)| TreePoint {
        t_us: *t_us,
        bytes: *bytes,
    });
    Digest {
        job,
        processes: within.processes,
        files: within.files,
        tests: within.tests,
        fixtures: within.fixtures,
        visits: within.visits,
        collected: Vec::new(),
        tree: points.collect(),
    }
}

/// Address of the job's page.
fn page(state: &AppState, headers: &HeaderMap, uuid: Uuid) -> Option<String> {
    let origin = state.guard.origin(headers)?;
    Some(format!("{origin}/jobs/{uuid}"))
}
