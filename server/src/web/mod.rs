//! The pages.

use askama::Template;
use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use highwater_store::{JobFilter, JobRow, ProjectRow};
use highwater_wire::{ids::ProjectSlug, report::JobReport};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    access::{Access, Scope},
    api::{self, PageQuery},
    error::AppError,
    finalise::Span,
    planning,
    reading::{Job, Wanted},
    state::AppState,
    views::{
        changes::{self, ChangeLine},
        file::{self, FileJobs},
        filters, format,
        job::{self, JobData, Shown},
        jobs::{JobLine, project_href},
        peaks::{Peaks, Share, endings},
    },
};

mod acknowledge;
mod badge;
mod compare;
mod plan;
mod reference;
mod sign_in;

const JOBS_A_PAGE: u32 = 50;
const PROJECTS_A_PAGE: u32 = 50;
/// Most changes on the page of a project.
const MOST_CHANGES: usize = 5;
/// So many rows of a file's history are looked through for the names of its jobs.
const ROWS_WITH_NAMES: u32 = 1_000;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(home))
        .route("/p/{project}", get(project))
        .route("/p/{project}/runs/{run}", get(run))
        .route("/p/{project}/badge.svg", get(badge::show))
        .route("/p/{project}/files/{*path}", get(file_page))
        .route("/jobs/{uuid}", get(job_page))
        .route("/jobs/{uuid}/plan", get(plan::page).post(plan::keep))
        .route("/plans/{id}", get(plan::kept))
        .route(
            "/jobs/{uuid}/acknowledgements",
            get(acknowledge::back).post(acknowledge::acknowledge),
        )
        .route(
            "/jobs/{uuid}/acknowledgements/{id}/withdraw",
            get(acknowledge::back_of_one).post(acknowledge::withdraw),
        )
        .route("/compare", get(compare::compare))
        .route("/api", get(reference::reference))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route(
            "/static/highwater.css",
            get(|| {
                asset(
                    "text/css; charset=utf-8",
                    include_bytes!("../../../static/highwater.css"),
                )
            }),
        )
        .route(
            "/static/live.js",
            get(|| {
                asset(
                    "text/javascript; charset=utf-8",
                    include_bytes!("../../../static/live.js"),
                )
            }),
        )
        .route(
            "/static/favicon.svg",
            get(|| {
                asset(
                    "image/svg+xml",
                    include_bytes!("../../../static/favicon.svg"),
                )
            }),
        )
        .fallback(|| async {
            PageError(AppError::not_found(
                "There is no such page.",
                "Start from the list of projects.",
            ))
        })
        .layer(middleware::from_fn(ask_to_sign_in))
}

/// Leads whoever would be refused for want of a token to where they can give one.
async fn ask_to_sign_in(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let answer = next.run(request).await;
    if answer.status() == StatusCode::UNAUTHORIZED {
        return sign_in::lead_to_sign_in(&uri).into_response();
    }
    answer
}

/// Who looks at a page.
struct Visitor(Access);

impl FromRequestParts<AppState> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, PageError> {
        Ok(Self(Access::from_request_parts(parts, state).await?))
    }
}

/// An error as a page.
#[derive(Debug)]
pub(crate) struct PageError(AppError);

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    message: String,
    hint: String,
}

/// Messages of the API begin small and end without a stop.
fn as_sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(char::to_uppercase);
    let stop = if message.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    first
        .into_iter()
        .flatten()
        .chain(letters)
        .collect::<String>()
        + stop
}

impl<E: Into<AppError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let page = ErrorPage {
            message: as_sentence(&error.message),
            hint: as_sentence(error.hint),
        };
        match page.render() {
            Ok(html) => error.answer(Html(html)),
            Err(_) => error.into_response(),
        }
    }
}

/// Parts of the path; what cannot be is answered by a page.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(PageError))]
struct Path<T>(T);

/// What comes after the question mark; what cannot be is answered by a page.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(PageError))]
struct Query<T>(T);

type Page = Result<Html<String>, PageError>;

fn show(template: &impl Template) -> Page {
    template
        .render()
        .map(Html)
        .map_err(|error| PageError(AppError::internal(&error)))
}

#[expect(clippy::unused_async, reason = "a handler")]
async fn asset(kind: &'static str, content: &'static [u8]) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=300"),
        ),
    ];
    (StatusCode::OK, headers, content)
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    projects: Vec<ProjectLine>,
    next: Option<String>,
}

struct ProjectLine {
    slug: String,
    href: String,
    jobs: i64,
    newest: JobLine,
}

impl From<ProjectRow> for ProjectLine {
    fn from(row: ProjectRow) -> Self {
        Self {
            href: project_href(&row.newest.project),
            slug: row.newest.project.clone(),
            jobs: row.jobs,
            newest: JobLine::from(row.newest),
        }
    }
}

async fn home(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Query(page): Query<PageQuery>,
) -> Page {
    let rows = state
        .store
        .projects(&access.visible(), page.numbers()?, PROJECTS_A_PAGE)
        .await?;
    if rows.is_empty() && access.is_nobody() {
        return Err(AppError::unauthorised("there is nothing here that everybody may see").into());
    }
    let key = |row: &ProjectRow| [row.newest.started_unix_us, row.newest.id];
    show(&HomePage {
        next: api::next_after(&rows, PROJECTS_A_PAGE, key),
        projects: rows.into_iter().map(ProjectLine::from).collect(),
    })
}

#[derive(Template)]
#[template(path = "project.html")]
struct ProjectPage {
    title: String,
    crumbs: Vec<(String, String)>,
    facts: Vec<(&'static str, String)>,
    /// Page of the run at its CI provider; empty where there is none.
    ci_url: String,
    /// Where its jobs are compared: words and address.
    compare: (&'static str, String),
    changes: Vec<ChangeLine>,
    changes_left: u64,
    peaks: Vec<Peaks>,
    endings: Vec<Share>,
    jobs: Vec<JobLine>,
    next: Option<String>,
}

async fn project(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(project): Path<String>,
    Query(page): Query<PageQuery>,
) -> Page {
    let (id, slug) = api::find_project(&state, &access, &project).await?;
    let filter = JobFilter {
        confirming: true,
        before: page.numbers()?,
        ..JobFilter::default()
    };
    let rows = state.store.jobs(id, &filter, JOBS_A_PAGE).await?;
    let next = api::next_after(&rows, JOBS_A_PAGE, |row| [row.started_unix_us, row.id]);
    let changed = match filter.before {
        None => Some(Wanted::default().of_suite(&state, id, MOST_CHANGES).await?),
        // Older jobs.
        Some(_) => None,
    };
    show(&ProjectPage {
        title: slug.to_string(),
        crumbs: Vec::new(),
        facts: Vec::new(),
        ci_url: String::new(),
        compare: ("Compare jobs", compare_href(&slug, "")),
        changes_left: changed.as_ref().map_or(0, |report| report.left_out),
        changes: changed.map_or_else(Vec::new, |report| {
            changes::of_project(slug.as_str(), &report.changes)
        }),
        peaks: match filter.before {
            None => Peaks::of(&rows),
            Some(_) => Vec::new(),
        },
        endings: match filter.before {
            None => endings(&rows),
            Some(_) => Vec::new(),
        },
        jobs: rows.into_iter().map(JobLine::from).collect(),
        next,
    })
}

async fn run(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path((project, run)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Page {
    let (id, slug) = api::find_project(&state, &access, &project).await?;
    let none = || {
        AppError::not_found(
            format!("There is no run {run} of {slug}."),
            "Start from the project's page.",
        )
    };
    let number: i64 = run.parse().map_err(|_| none())?;
    let found = state.store.run(id, number).await?.ok_or_else(none)?;
    let filter = JobFilter {
        run: Some(number),
        confirming: true,
        before: page.numbers()?,
        ..JobFilter::default()
    };
    let rows = state.store.jobs(id, &filter, JOBS_A_PAGE).await?;
    let next = api::next_after(&rows, JOBS_A_PAGE, |row| [row.started_unix_us, row.id]);
    let facts = [
        ("Branch", found.branch),
        ("Commit", found.head_commit),
        ("Pull request", found.pull_request),
        ("Event", found.event),
    ];
    show(&ProjectPage {
        title: format!("{} run {}", found.provider, found.provider_run_id),
        crumbs: vec![(project_href(slug.as_str()), slug.to_string())],
        facts: facts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        ci_url: format::web_address(&found.url).to_owned(),
        compare: (
            "Compare this run with other jobs",
            compare_href(&slug, &format!("&after=run:{number}")),
        ),
        changes: Vec::new(),
        changes_left: 0,
        peaks: Vec::new(),
        endings: endings(&rows),
        jobs: rows.into_iter().map(JobLine::from).collect(),
        next,
    })
}

/// For an address that names no job.
fn no_job() -> AppError {
    AppError::not_found(
        "There is no such job.",
        "A job is named by its uuid; start from the list of projects.",
    )
}

/// Where jobs of a project are compared; `given` is what is known of them already.
fn compare_href(slug: &ProjectSlug, given: &str) -> String {
    let project = ProjectSlug::path_of(slug.as_str());
    format!("/compare?project={project}{given}")
}

/// So many jobs of a name are looked through for the one before.
const JOBS_BEFORE: u32 = 50;

/// The job of the same name, matrix leg and shard before one, if it has ended.
async fn job_before(
    state: &AppState,
    project: i64,
    place: [i64; 2],
    report: &JobReport,
) -> Result<Option<JobRow>, AppError> {
    let filter = JobFilter {
        name: Some(report.name.clone()),
        before: Some(place),
        ..JobFilter::default()
    };
    let shard = report
        .shard
        .map_or((0, 0), |shard| (shard.index, shard.total));
    let is_same = |row: &JobRow| {
        let variant = serde_json::from_str(&row.variant).unwrap_or_default();
        row.state != "running"
            && report.variant == variant
            && (row.shard_index, row.shard_total) == shard
    };
    let rows = state.store.jobs(project, &filter, JOBS_BEFORE).await?;
    Ok(rows.into_iter().find(is_same))
}

async fn job_page(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path(uuid): Path<String>,
    Query(shown): Query<Shown>,
    headers: HeaderMap,
) -> Page {
    let uuid = Uuid::parse_str(&uuid).map_err(|_| no_job())?;
    let mut job = Job::find(&state, &access, uuid).await?;
    let report = job.report().await?;
    let within = job.within().await?;
    let columns = match job.removed().has_no_samples() {
        true => Vec::new(),
        false => job.series(Span::default()).await?,
    };
    // The rest is asked of the store.
    job.let_go();
    let (project, run) = job.run();
    let of_run = JobFilter {
        run: Some(run),
        confirming: true,
        ..JobFilter::default()
    };
    let of_run = state.store.jobs(project, &of_run, JOBS_A_PAGE).await?;
    let mut data = JobData {
        run,
        of_run,
        previous: job_before(&state, project, job.place(), &report).await?,
        job: report,
        within,
        columns,
        removed: job.removed(),
        is_pinned: job.is_pinned(),
        may_acknowledge: access.may(job.project(), Scope::Admin),
        check: None,
        plan_hint: None,
    };
    let page = state
        .guard
        .origin(&headers)
        .map(|origin| format!("{origin}/jobs/{uuid}"));
    if let Some(within) = &data.within {
        let of = (&data.job, &within.files[..], &within.fixtures[..]);
        data.plan_hint = planning::hint(&state, project, of, page.as_deref()).await?;
        data.check = job.beside_where_quick(&data.job, &within.files).await?;
    }
    // Thousands of rows are put in order, and a chart is drawn.
    let draw = move || show(&job::page(data, &shown));
    let drawn = state.reading.run(0, draw).await;
    drawn.unwrap_or_else(|error| Err(PageError(AppError::internal(&error))))
}

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    /// Of jobs of this name; of the newest job's where it is left out.
    #[serde(default)]
    name: String,
}

async fn file_page(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    Path((project, path)): Path<(String, String)>,
    Query(query): Query<HistoryQuery>,
) -> Page {
    let (id, slug) = api::find_project(&state, &access, &project).await?;
    let names = state.store.job_names_of_file(id, &path, ROWS_WITH_NAMES);
    let names = names.await?;
    let name = match (names.first(), query.name) {
        (Some(newest), name) if name.is_empty() => newest.clone(),
        (Some(_), name) => name,
        // The page of a job that is not settled leads here before anything is kept of its files.
        (None, name) if state.store.has_job_named(id, &name).await? => name,
        (None, _) => {
            return Err(AppError::not_found(
                format!("No finished job of {slug} ran {path}."),
                "Start from one of its jobs.",
            )
            .into());
        }
    };
    let points = state.store.file_history(id, &path, Some(&name), None, 200);
    let points = points.await?;
    let tests = match points.first() {
        Some(newest) => {
            let mut job = Job::find(&state, &access, newest.uuid).await?;
            match job.tests().await {
                Err(error) if error.is_removed() => Err(job.removed().detail_words()),
                tests => Ok(tests?),
            }
        }
        // Such as the name of a job that is still running.
        None => Ok(Vec::new()),
    };
    let wanted = Wanted {
        name: Some(name.clone()),
        branch: None,
    };
    let changes = wanted.of_file(&state, id, &path).await?;
    let jobs = FileJobs { name, names };
    let page = file::page(slug.as_str(), path, jobs, &points, changes, tests);
    show(&page)
}
