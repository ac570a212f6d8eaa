//! Jobs of a branch that somebody names.

use highwater_analysis::branches::is_usual;
use highwater_store::{JobFilter, JobRow, StoreError};

use crate::state::AppState;

/// The jobs of a branch, newest first: of it itself, and where it has none, of pull requests from one that is called so. A pull request from a `main` is a fork's.
pub(crate) async fn of_branch(
    state: &AppState,
    project: i64,
    branch: &str,
    filter: JobFilter,
    limit: u32,
) -> Result<Vec<JobRow>, StoreError> {
    let itself = JobFilter {
        branch: Some(branch.to_owned()),
        is_itself: true,
        ..filter
    };
    let rows = state.store.jobs(project, &itself, limit).await?;
    if !rows.is_empty() || is_usual(branch) {
        return Ok(rows);
    }
    let of_any_kind = JobFilter {
        branch: itself.branch.clone(),
        is_itself: true,
        ..JobFilter::default()
    };
    if !state.store.jobs(project, &of_any_kind, 1).await?.is_empty() {
        return Ok(rows);
    }
    let any = JobFilter {
        is_itself: false,
        ..itself
    };
    state.store.jobs(project, &any, limit).await
}
