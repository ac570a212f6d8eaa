//! The page of a plan.

use axum::extract::State;
use highwater_analysis::plan;
use uuid::Uuid;

use super::{Page, Path, Query, Visitor, as_sentence, no_job, show};
use crate::{
    planning::{self, MOST_WORKERS, PlanQuery},
    reading::Job,
    state::AppState,
    views::plan::page as view,
};

const BYTES_A_MEGABYTE: u64 = 1_000_000;

/// Where nothing is asked yet, the plan is for what the job's tightest limit bears, and for as many workers as ran.
pub(super) async fn page(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(uuid): Path<String>,
    Query(mut query): Query<PlanQuery>,
) -> Page {
    let uuid = Uuid::parse_str(&uuid).map_err(|_| no_job())?;
    let mut job = Job::find(&state, &access, uuid).await?;
    let report = job.report().await?;
    if query.budget.trim().is_empty()
        && let Some(bytes) = plan::budget(&report)
    {
        query.budget = format!("{}MB", bytes / BYTES_A_MEGABYTE);
        let workers = plan::workers(&report).min(MOST_WORKERS);
        if query.workers.trim().is_empty() && workers > 1 {
            query.workers = workers.to_string();
        }
    }
    let planned = match query.budget.trim() {
        "" => None,
        _ => Some(planning::plan(&state, &mut job, &query).await),
    };
    let planned = match planned {
        // What cannot be planned is told beside the form; what has nothing to do with it as on every page.
        Some(Err(error)) if !error.status.is_client_error() || error.is_removed() => {
            return Err(error.into());
        }
        Some(Err(error)) => Some(Err(format!(
            "{} {}",
            as_sentence(&error.message),
            as_sentence(error.hint)
        ))),
        Some(Ok(plan)) => Some(Ok(plan)),
        None => None,
    };
    show(&view(&report, &query, planned))
}
