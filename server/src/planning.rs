//! Plans: a suite that was recorded, cut into jobs that fit a budget. The same recording and the same question give the same one, so a plan is kept
//! only where somebody asks for it ([`kept`]).

pub(crate) mod kept;

use std::collections::BTreeMap;

use highwater_analysis::{
    branches::Branch,
    figures::parse_bytes,
    plan::{self, Asked, Facts, MOST_EARLIER, Ran, Refusal},
};
use highwater_store::HistoryPoint;
use highwater_wire::report::{FileRow, FixtureRow, JobReport, PlanHint, PlanReport};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{error::AppError, finalise::of_branch, reading::Job, state::AppState};

/// A plan of more files takes longer than an answer may.
const MOST_FILES: usize = 5_000;
/// No runner has room for more workers.
pub(crate) const MOST_WORKERS: u32 = 1_024;
const NAME_A_BUDGET: &str = "say what a job may take at its peak: `budget=3GB`";
/// Most globs of what stays together.
const MOST_GLOBS: usize = 100;

/// What is asked of a plan, as it comes in an address: a field of a form that was left empty is there and says nothing.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlanQuery {
    /// What a job may take at its peak, such as `3GB` or `512MiB`; a bare number is bytes. 85 % of what the limit of the recorded job that has least left leaves it where nothing is
    /// said, or as much of that as the file needs that needs most; refused where no limit is known.
    #[param(value_type = Option<String>)]
    pub(crate) budget: String,
    /// How many jobs; the fewest that are found to fit where nothing is said.
    #[param(value_type = Option<u32>)]
    pub(crate) jobs: String,
    /// Workers of each job (`-n` of xdist); one process without xdist where nothing is said.
    #[param(value_type = Option<u32>)]
    pub(crate) workers: String,
    /// Files that stay in one job: globs, one a line, in which `*` stands for any characters and `?` for one.
    #[param(value_type = Option<String>)]
    pub(crate) together: String,
}

impl PlanQuery {
    fn asked(&self) -> Result<Asked, AppError> {
        let budget = Some(self.budget.trim()).filter(|budget| !budget.is_empty());
        let budget_bytes = budget
            .map(parse_bytes)
            .transpose()
            .map_err(|what| AppError::bad_request(format!("budget: {what}"), NAME_A_BUDGET))?;
        let globs = self.together.lines().map(str::trim);
        let together: Vec<String> = globs
            .filter(|glob| !glob.is_empty())
            .map(str::to_owned)
            .collect();
        if together.len() > MOST_GLOBS {
            return Err(AppError::bad_request(
                format!(
                    "together: {} globs are more than {MOST_GLOBS}",
                    together.len()
                ),
                "name fewer, and wider ones",
            ));
        }
        Ok(Asked {
            budget_bytes: budget_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            jobs: number("jobs", &self.jobs, u32::MAX)?.map(|jobs| jobs as usize),
            workers: number("workers", &self.workers, MOST_WORKERS)?,
            together,
        })
    }

    /// The same question as part of an address.
    pub(crate) fn in_address(&self) -> String {
        let fields = [
            ("budget", &self.budget),
            ("jobs", &self.jobs),
            ("workers", &self.workers),
            ("together", &self.together),
        ];
        let said = fields
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty());
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(said)
            .finish()
    }
}

fn number(name: &str, text: &str, most: u32) -> Result<Option<u32>, AppError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|it| (1..=most).contains(it));
    number.map(Some).ok_or_else(|| {
        let what = format!("{name} {text:?} is not a number from 1 to {most}");
        AppError::bad_request(what, "leave it out, or give a number")
    })
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoLimit => Self::bad_request(message, NAME_A_BUDGET),
            Refusal::Infeasible { .. } => Self::infeasible(message),
            Refusal::TooFew { .. } => Self::too_few_jobs(message),
            Refusal::Nothing | Refusal::Sampled(_) | Refusal::OddPath(_) => {
                Self::unplannable(message)
            }
            Refusal::OddGlob(_) | Refusal::Unmatched(_) => Self::bad_request(
                message,
                "name paths as `/api/v1/jobs/{uuid}/files` tells them",
            ),
        }
    }
}

/// The plan of a job.
pub(crate) async fn plan(
    state: &AppState,
    job: &mut Job<'_>,
    query: &PlanQuery,
) -> Result<PlanReport, AppError> {
    let asked = query.asked()?;
    let (files, fixtures) = (job.files().await?, job.fixtures().await?);
    let report: JobReport = job.report().await?;
    if files.len() > MOST_FILES {
        return Err(AppError::unplannable(format!(
            "{} test files are more than the {MOST_FILES} that are planned here; `highwater plan` on a machine of your own plans any number",
            files.len()
        )));
    }
    let (project, _) = job.run();
    // Nobody keeps a connection of the store while they ask for another.
    job.let_go();
    let work = move || (Facts::of(&report.sessions, &files, &fixtures), report);
    let gathered = state.reading.run(0, work).await;
    let (mut facts, report) = gathered.map_err(|error| AppError::internal(&error))?;
    recall(state, project, &report, &mut facts).await?;
    let work = move || plan::report(&report, &facts, &asked);
    let planned = state.reading.run(0, work).await;
    Ok(planned.map_err(|error| AppError::internal(&error))??)
}

/// How to cut the suite of a job, by all that is known of its files, where that is worth a word; of those that retention took nothing is told. Keeps no
/// connection of the store, nor may whoever asks.
pub(crate) async fn hint(
    state: &AppState,
    project: i64,
    (report, files, fixtures): (&JobReport, &[FileRow], &[FixtureRow]),
    page: Option<&str>,
) -> Result<Option<PlanHint>, AppError> {
    if !plan::is_due(report) || files.is_empty() || files.len() > MOST_FILES {
        return Ok(None);
    }
    let (report, files, fixtures) = (report.clone(), files.to_vec(), fixtures.to_vec());
    let work = move || (Facts::of(&report.sessions, &files, &fixtures), report);
    let gathered = state.reading.run(0, work).await;
    let (mut facts, report) = gathered.map_err(|error| AppError::internal(&error))?;
    recall(state, project, &report, &mut facts).await?;
    let page = page.map(str::to_owned);
    let work = move || plan::hint(&report, &facts, page.as_deref());
    let hint = state.reading.run(0, work).await;
    hint.map_err(|error| AppError::internal(&error))
}

/// Adds what other jobs saw of files that this one does not tell of.
async fn recall(
    state: &AppState,
    project: i64,
    report: &JobReport,
    facts: &mut Facts,
) -> Result<(), AppError> {
    for path in facts.to_recall() {
        let history = history(state, project, report, &path, MOST_EARLIER).await?;
        let history: Vec<Ran> = history.into_iter().map(ran).collect();
        facts.recall(&path, report.uuid, &Branch::of(report), &history);
    }
    Ok(())
}

/// What a file took in other jobs of the name, of so many rows the newest: in those of its matrix leg where there are any, of the nearest branch where it ran to its end, else
/// in all. Those that were diagnosed tell where no other of these branches does.
pub(crate) async fn history(
    state: &AppState,
    project: i64,
    job: &JobReport,
    path: &str,
    rows: u32,
) -> Result<Vec<HistoryPoint>, AppError> {
    // Another Python, or another system, takes other memory.
    let is_of_leg = |point: &HistoryPoint| {
        serde_json::from_str(&point.variant)
            .is_ok_and(|variant: BTreeMap<_, _>| variant == job.variant)
    };
    let tells = |point: &HistoryPoint| point.uuid != job.uuid && !point.censored;
    let near = Branch::of(job).near();
    for diagnosed in [false, true] {
        let mut of_other_legs = None;
        for branch in near.iter().map(of_branch) {
            let of_branch = state
                .store
                .file_history_of_branch(project, path, &job.name, branch, diagnosed, rows);
            let history = of_branch.await?;
            let (own, others): (Vec<_>, Vec<_>) = history.into_iter().partition(is_of_leg);
            if own.iter().any(tells) {
                return Ok(own);
            }
            if others.iter().any(tells) {
                of_other_legs.get_or_insert(others);
            }
        }
        if let Some(others) = of_other_legs {
            return Ok(others);
        }
    }
    let all = state
        .store
        .file_history(project, path, Some(&job.name), None, rows);
    Ok(all.await?)
}

fn ran(point: HistoryPoint) -> Ran {
    Ran {
        job: point.uuid,
        branch: point.branch,
        pull_request: point.pull_request,
        diagnosed: point.diagnosed,
        tree_spike_bytes: point.tree_spike_bytes,
        spike_bytes: point.spike_bytes,
        retained_bytes: point.retained_bytes,
        children_retained_bytes: point.children_retained_bytes,
        duration_us: point.duration_us,
        censored: point.censored,
    }
}
