//! The pages of plans.

use axum::{extract::State, http::StatusCode, response::Redirect};
use highwater_analysis::plan;
use uuid::Uuid;

use super::{Page, PageError, Path, Query, Visitor, as_sentence, no_job, show};
use crate::{
    access::Scope,
    planning::{
        self, MOST_WORKERS, PlanQuery,
        kept::{self, no_plan},
    },
    reading::Job,
    state::AppState,
    views::plan::{kept_page, page as view},
};

/// Most kept plans of a job that its page names.
const KEPT_SHOWN: u32 = 20;

/// Where nothing is asked yet, the plan is for what the job's tightest limit bears, and for as many workers as ran or, where nothing fits among these, for one process: so
/// is what the job's page says of cutting it.
pub(super) async fn page(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(uuid): Path<String>,
    Query(mut query): Query<PlanQuery>,
) -> Page {
    let uuid = Uuid::parse_str(&uuid).map_err(|_| no_job())?;
    let mut job = Job::find(&state, &access, uuid).await?;
    let report = job.report().await?;
    let is_named = !query.budget.trim().is_empty();
    let workers = plan::workers(&report).min(MOST_WORKERS);
    let is_preset = !is_named && query.workers.trim().is_empty() && workers > 1;
    if is_preset {
        query.workers = workers.to_string();
    }
    let mut planned = match is_named || plan::has_limit(&report) {
        true => Some(planning::plan(&state, &mut job, &query).await),
        false => None,
    };
    if is_preset && matches!(planned, Some(Err(ref error)) if error.is_infeasible()) {
        let alone = PlanQuery {
            workers: String::new(),
            ..query.clone()
        };
        if let Ok(plan) = planning::plan(&state, &mut job, &alone).await {
            (query, planned) = (alone, Some(Ok(plan)));
        }
    }
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
        Some(Ok(plan)) => {
            if !is_named {
                query.budget = plan::written(plan.budget_bytes);
            }
            Some(Ok(plan))
        }
        None => None,
    };
    let may_keep = access.may(job.project(), Scope::Admin);
    // The list is read by a connection of its own.
    drop(job);
    let kept = state.store.plans_of_job(uuid, KEPT_SHOWN).await?;
    show(&view(&report, &query, planned, kept, may_keep))
}

/// Keeps the plan that the page shows, and leads to its own.
pub(super) async fn keep(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(uuid): Path<String>,
    Query(query): Query<PlanQuery>,
) -> Result<Redirect, PageError> {
    let uuid = Uuid::parse_str(&uuid).map_err(|_| no_job())?;
    let (report, _) = kept::keep(&state, &access, uuid, &query).await?;
    Ok(Redirect::to(&format!("/plans/{}", report.id)))
}

/// A plan that is kept.
pub(super) async fn kept(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(id): Path<String>,
) -> Page {
    let id = Uuid::parse_str(&id).map_err(|_| access.hidden(no_plan(&id)))?;
    let kept = kept::find(&state, &access, id).await?;
    let job = match Job::find(&state, &access, kept.report.of).await {
        Ok(mut job) => Some(job.report().await?.name),
        Err(error) if error.status == StatusCode::NOT_FOUND => None,
        Err(error) => return Err(error.into()),
    };
    show(&kept_page(&kept, job))
}
