//! Before and after, and which jobs these shall be.

use askama::Template;
use axum::extract::State;
use highwater_store::{JobFilter, JobRow};
use highwater_wire::ids::ProjectSlug;
use serde::Deserialize;
use uuid::Uuid;

use super::{JOBS_A_PAGE, Page, PageError, Query, Visitor, show};
use crate::{
    access::Access,
    api::{self, PageQuery},
    comparing::{CompareQuery, MOST_FILES},
    error::AppError,
    reading::Job,
    state::AppState,
    views::{
        compare::{self, USUAL_SHOWN},
        filters,
        jobs::{JobLine, project_href},
    },
};

/// What of the page is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// `all`: every file, up to the most there can be.
    files: String,
    /// Anything: the jobs are chosen again.
    choose: String,
    /// Place of the last job of the page before, among those to choose from.
    older: String,
}

pub(super) async fn compare(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Query(query): Query<CompareQuery>,
    Query(shown): Query<Shown>,
) -> Page {
    if !shown.choose.is_empty() || query.before.is_empty() || query.after.is_empty() {
        return choose(&state, &access, query, &shown).await;
    }
    let most_files = match shown.files.as_str() {
        "all" => MOST_FILES,
        _ => USUAL_SHOWN,
    };
    let report = api::compared(&state, &access, &query, most_files).await?;
    let draw = move || show(&compare::page(report, query.in_address()));
    let drawn = state.reading.run(0, draw).await;
    drawn.unwrap_or_else(|error| Err(PageError(AppError::internal(&error))))
}

#[derive(Template)]
#[template(path = "choose.html")]
struct ChoosePage {
    project: String,
    slug: String,
    project_href: String,
    words: &'static str,
    before: Vec<String>,
    after: Vec<String>,
    /// Of which name the jobs of a run are.
    name: Option<String>,
    jobs: Vec<(Uuid, JobLine)>,
    address: String,
    next: Option<String>,
}

async fn choose(state: &AppState, access: &Access, mut query: CompareQuery, shown: &Shown) -> Page {
    let (id, slug) = project(state, access, &query).await?;
    if !shown.choose.is_empty() {
        (query.before, query.after) = (Vec::new(), Vec::new());
    }
    query.project = Some(ProjectSlug::path_of(slug.as_str()));
    let filter = JobFilter {
        before: PageQuery::after(&shown.older).numbers()?,
        ..JobFilter::default()
    };
    let rows = state.store.jobs(id, &filter, JOBS_A_PAGE).await?;
    let next = api::next_after(&rows, JOBS_A_PAGE, |row| [row.started_unix_us, row.id]);
    let is_given = |row: &JobRow| {
        let uuid = row.uuid.to_string();
        query.before.contains(&uuid) || query.after.contains(&uuid)
    };
    let rows = rows.into_iter().filter(|row| !is_given(row));
    show(&ChoosePage {
        words: match (query.before.is_empty(), query.after.is_empty()) {
            (true, true) => "Choose what it was before and what it is after.",
            (true, false) => "Choose what it was before.",
            (false, _) => "Choose what it is after.",
        },
        jobs: rows.map(|row| (row.uuid, JobLine::from(row))).collect(),
        slug: ProjectSlug::path_of(slug.as_str()),
        project_href: project_href(slug.as_str()),
        project: slug.to_string(),
        address: query.in_address(),
        name: query.name,
        before: query.before,
        after: query.after,
        next,
    })
}

/// The project that is named, or that of the first job that is.
async fn project(
    state: &AppState,
    access: &Access,
    query: &CompareQuery,
) -> Result<(i64, ProjectSlug), AppError> {
    let named = match &query.project {
        Some(project) => project.clone(),
        None => {
            let mut jobs = query.after.iter().chain(&query.before);
            let job = jobs.find_map(|value| Uuid::parse_str(value).ok());
            let job = job.ok_or_else(|| {
                AppError::bad_request(
                    "which jobs are to be compared is not said",
                    "start from the page of a project or a job, which lead here",
                )
            })?;
            let job = Job::find(state, access, job).await?;
            ProjectSlug::path_of(job.project())
        }
    };
    api::find_project(state, access, &named).await
}
