//! Where figures of a project changed for good.

use axum::{Json, extract::State};
use highwater_wire::report::ChangesReport;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{page::limit_of, projects::find};
use crate::{
    access::Access,
    error::{AppError, ErrorEnvelope},
    extract::{Path, Query},
    reading::Wanted,
    settle,
    state::AppState,
};

/// Of which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// Of jobs of this name; where none is given of all names, or for a file of that of the newest job that ran it.
    name: Option<String>,
    /// Of jobs of this branch; where none is given main, else master, else that of the newest job.
    branch: Option<String>,
}

impl From<ChangesQuery> for Wanted {
    fn from(query: ChangesQuery) -> Self {
        let said = |word: &String| !word.is_empty();
        Self {
            name: query.name.filter(said),
            branch: query.branch.filter(said),
        }
    }
}

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LimitQuery {
    /// Most changes.
    limit: Option<u32>,
}

/// What changed for good in a suite, the newest first: the peak of its jobs, what they import, and what each of their files retains and needs for a while, over the newest 60 jobs
/// alike of each of the 4 newest kinds of jobs.
#[utoipa::path(get, path = "/api/v1/projects/{project}/changes", tag = "projects", params(("project" = String, Path), ChangesQuery, LimitQuery),
    responses((status = 200, body = ChangesReport), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn changes(
    State(state): State<AppState>,
    access: Access,
    Path(project): Path<String>,
    Query(query): Query<ChangesQuery>,
    Query(most): Query<LimitQuery>,
) -> Result<Json<ChangesReport>, AppError> {
    let (id, _) = find(&state, &access, &project).await?;
    let limit = limit_of(most.limit, "ask for fewer changes")?;
    let wanted = Wanted::from(query);
    settle::those_that_just_ended(&state, id).await?;
    Ok(Json(wanted.of_suite(&state, id, limit as usize).await?))
}

/// What changed for good of a test file, the newest first, over the newest 60 jobs alike.
#[utoipa::path(get, path = "/api/v1/projects/{project}/changes/{path}", tag = "projects",
    params(("project" = String, Path), ("path" = String, Path), ChangesQuery),
    responses((status = 200, body = ChangesReport), (status = 400, body = ErrorEnvelope), (status = 404, body = ErrorEnvelope)))]
pub(crate) async fn changes_of_file(
    State(state): State<AppState>,
    access: Access,
    Path((project, path)): Path<(String, String)>,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<ChangesReport>, AppError> {
    let (id, slug) = find(&state, &access, &project).await?;
    let wanted = Wanted::from(query);
    let named = wanted.name.as_deref();
    let named = named.map_or_else(String::new, |name| format!(" named {name:?}"));
    settle::those_that_just_ended(&state, id).await?;
    let found = wanted.of_file(&state, id, &path).await?;
    let unknown = || {
        AppError::not_found(
            format!("{slug} has no finished job{named} with the test file {path:?}"),
            "see the files of one of its jobs for their paths",
        )
    };
    Ok(Json(found.ok_or_else(unknown)?))
}
