//! The page of a plan: a suite cut into jobs, and what else could be done.

use askama::Template;
use highwater_analysis::plan::forms::{command, selection_name};
use highwater_wire::report::{Alternative, JobReport, PlanReport, PlannedJob};

use super::{filters, format, jobs::project_href};
use crate::planning::PlanQuery;

#[derive(Template)]
#[template(path = "plan.html")]
pub(crate) struct PlanPage {
    job: String,
    job_href: String,
    project: String,
    project_href: String,
    /// What was asked, as the form shows it again.
    query: PlanQuery,
    /// Why there is no plan; empty where there is one, or nothing was asked.
    problem: String,
    plan: Option<Planned>,
}

struct Planned {
    words: String,
    id: String,
    all: usize,
    jobs: Vec<JobLine>,
    instead: Vec<InsteadLine>,
    notes: Vec<String>,
    /// Words, address and how to use it.
    downloads: Vec<(&'static str, String, String)>,
}

struct JobLine {
    index: usize,
    files: Vec<String>,
    peak: String,
    duration: String,
    selection: String,
    selection_name: String,
}

struct InsteadLine {
    sentence: String,
    peak: String,
    duration: String,
    fits: &'static str,
    tone: &'static str,
}

pub(crate) fn page(
    job: &JobReport,
    query: &PlanQuery,
    planned: Option<Result<PlanReport, String>>,
) -> PlanPage {
    let (plan, problem) = match planned {
        Some(Ok(report)) => (Some(Planned::of(&report, query)), String::new()),
        Some(Err(problem)) => (None, problem),
        None => (None, String::new()),
    };
    PlanPage {
        job: job.name.clone(),
        job_href: format!("/jobs/{}", job.uuid),
        project: job.project.clone(),
        project_href: project_href(&job.project),
        query: query.clone(),
        problem,
        plan,
    }
}

impl Planned {
    fn of(report: &PlanReport, query: &PlanQuery) -> Self {
        let at = format!("/api/v1/jobs/{}/plan?{}", report.of, query.in_address());
        let download = |format: &str| format!("{at}&format={format}");
        let all = report.jobs.len();
        let job = |job: &PlannedJob| JobLine {
            index: job.index,
            files: job.files.clone(),
            peak: report.bound.words().to_owned() + &format::mebibytes(job.predicted.peak_bytes),
            duration: format::duration(job.predicted.duration_us),
            selection: format!("{}&shard={}", download("selection"), job.index),
            selection_name: selection_name(job.index),
        };
        let files = report.jobs.iter().map(|job| job.files.len()).sum();
        let each = match report.workers {
            1 => "each begins".to_owned(),
            workers => format!("each of {workers} workers a job begins"),
        };
        Self {
            words: format!(
                "{} of {} inside {}; {each} at {}.",
                format::count(all, "job"),
                format::count(files, "test file"),
                format::mebibytes(report.budget_bytes),
                format::mebibytes(report.base_bytes)
            ),
            id: report.id.to_string(),
            all,
            jobs: report.jobs.iter().map(job).collect(),
            instead: report.alternatives.iter().map(instead).collect(),
            notes: notes(report),
            downloads: vec![
                (
                    "plan.json",
                    download("json"),
                    command(report, &format!("1/{all}"), "plan.json"),
                ),
                (
                    "Arguments of pytest, a line a job",
                    download("args"),
                    String::new(),
                ),
                (
                    "Matrix for GitHub Actions",
                    download("github"),
                    "strategy: {matrix: ${{ fromJSON(…) }}}".to_owned(),
                ),
                (
                    "Matrix for GitLab",
                    download("gitlab"),
                    command(report, "$HIGHWATER_SHARD", "plan.json"),
                ),
            ],
        }
    }
}

fn instead(alternative: &Alternative) -> InsteadLine {
    let (fits, tone) = match alternative.fits {
        Some(true) => ("inside the budget", "good"),
        Some(false) => ("over the budget", "bad"),
        None => ("not known", "warn"),
    };
    InsteadLine {
        sentence: sentence(&alternative.sentence),
        peak: alternative.bound.words().to_owned()
            + &format::mebibytes(alternative.predicted.peak_bytes),
        duration: format::duration(alternative.predicted.duration_us),
        fits,
        tone,
    }
}

/// Sentences of the API begin small and end without a stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

fn notes(report: &PlanReport) -> Vec<String> {
    let mut notes = Vec::new();
    if report.is_partial {
        notes.push("The recorded job did not run to its end: what it had not even imported is not in this plan.".to_owned());
    }
    for (files, what) in [
        (
            &report.not_run,
            "did not run in that recording; they are planned as the file in the middle of those that did",
        ),
        (
            &report.cut_short,
            "did not finish in that recording, and need more than is predicted for them",
        ),
    ] {
        if let [first, others @ ..] = &files[..] {
            let more = match others.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            notes.push(format!("{first}{more} {what}."));
        }
    }
    for group in &report.together {
        notes.push(format!(
            "What looks like {} is in job {}, new files too.",
            group.globs.join(" or "),
            group.job
        ));
    }
    notes
}
