//! The pages of plans: a suite cut into jobs, and what else could be done; one that is asked for, and one that is kept.

use askama::Template;
use highwater_analysis::{
    plan::{
        forms::{by_list, command, in_gitlab, recorded, selection_name},
        notes::{capitalised, of_budget, sentences},
    },
    time::{day, rfc3339},
};
use highwater_store::PlanRow;
use highwater_wire::report::{Alternative, JobReport, PlanReport, PlannedJob};
use uuid::Uuid;

use super::{filters, format, jobs::project_href};
use crate::planning::{PlanQuery, kept::Kept};

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
    kept: Vec<KeptLine>,
}

/// The page of one that is kept.
#[derive(Template)]
#[template(path = "kept_plan.html")]
pub(crate) struct KeptPage {
    project: String,
    project_href: String,
    /// Name and address of the job it rests on; empty where that is gone.
    job: String,
    job_href: String,
    /// Where other plans of it are made.
    again_href: String,
    kept_at: String,
    kept_day: String,
    plan: Planned,
}

/// A kept plan in a list.
struct KeptLine {
    id: Uuid,
    href: String,
    at: String,
    day: String,
}

struct Planned {
    words: String,
    id: Uuid,
    all: usize,
    jobs: Vec<JobLine>,
    instead: Vec<InsteadLine>,
    notes: Vec<String>,
    /// Words and what to run, for one that is kept.
    commands: Vec<(&'static str, String)>,
    /// How the first job of a plan of one shard is run, which the plan's file or id cannot run; empty for another.
    by_list: String,
    /// Words, address and how to use it.
    downloads: Vec<(&'static str, String, String)>,
    /// How to keep it; none of one that is shown as kept.
    keep: Option<Keep>,
}

/// How to keep a plan.
struct Keep {
    /// Its page, where it is kept; else empty.
    href: String,
    /// Where the form is sent to; empty for who may not.
    action: String,
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

/// `may_keep`: whether who looks may keep it.
pub(crate) fn page(
    job: &JobReport,
    query: &PlanQuery,
    planned: Option<Result<PlanReport, String>>,
    kept: Vec<PlanRow>,
    may_keep: bool,
) -> PlanPage {
    let (plan, problem) = match planned {
        Some(Ok(report)) => {
            let is_kept = kept.iter().any(|row| row.uuid == report.id);
            let plan = Planned::asked(&report, query, is_kept, may_keep);
            (Some(plan), String::new())
        }
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
        kept: kept.into_iter().map(KeptLine::from).collect(),
    }
}

/// The page of a kept plan; `job` is the name of the job it rests on, where that is there.
pub(crate) fn kept_page(kept: &Kept, job: Option<String>) -> KeptPage {
    let job_href = match job {
        Some(_) => format!("/jobs/{}", kept.report.of),
        None => String::new(),
    };
    let at = rfc3339(kept.created_unix_us);
    KeptPage {
        project_href: project_href(&kept.project),
        project: kept.project.clone(),
        job: job.unwrap_or_default(),
        again_href: format!("{job_href}/plan"),
        job_href,
        kept_day: day(&at),
        kept_at: at,
        plan: Planned::kept(&kept.report),
    }
}

fn kept_href(id: Uuid) -> String {
    format!("/plans/{id}")
}

impl From<PlanRow> for KeptLine {
    fn from(row: PlanRow) -> Self {
        let at = rfc3339(row.created_unix_us);
        Self {
            id: row.uuid,
            href: kept_href(row.uuid),
            day: day(&at),
            at,
        }
    }
}

impl Planned {
    /// A plan that somebody asked for, which goes by its file.
    fn asked(report: &PlanReport, query: &PlanQuery, is_kept: bool, may_keep: bool) -> Self {
        let of = report.of;
        let asked = query.in_address();
        let at = format!("/api/v1/jobs/{of}/plan?{asked}&");
        let keep = Keep {
            href: match is_kept {
                true => kept_href(report.id),
                false => String::new(),
            },
            action: match may_keep {
                true => format!("/jobs/{of}/plan?{asked}"),
                false => String::new(),
            },
        };
        let mut planned = Self::of(report, &at, "plan.json");
        planned.keep = Some(keep);
        planned
    }

    /// A plan that is kept, which goes by its id.
    fn kept(report: &PlanReport) -> Self {
        let id = report.id.to_string();
        let mut planned = Self::of(report, &format!("/api/v1/plans/{id}?"), &id);
        if report.shard.is_some() {
            return planned;
        }
        let first = format!("1/{}", report.jobs.len());
        planned.commands = vec![
            (
                "The first of its jobs, recorded:",
                recorded(report, &first, &id),
            ),
            ("Without the agent:", command(report, &first, &id)),
        ];
        planned
    }

    /// `at` is where its forms are, `named` how commands name it.
    fn of(report: &PlanReport, at: &str, named: &str) -> Self {
        let download = |format: &str| format!("{at}format={format}");
        let all = report.jobs.len();
        let job = |job: &PlannedJob| JobLine {
            index: job.index,
            files: job.files.clone(),
            peak: job.bound_words(report.bound).to_owned()
                + &format::mebibytes(job.predicted.peak_bytes),
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
                "{} of {} inside {}{}; {each} at {}.",
                format::count(all, "job"),
                format::count(files, "test file"),
                format::mebibytes(report.budget_bytes),
                of_budget(report).map_or_else(String::new, |of| format!(" ({of})")),
                format::mebibytes(report.base_bytes)
            ),
            id: report.id,
            all,
            jobs: report.jobs.iter().map(job).collect(),
            instead: report.alternatives.iter().map(instead).collect(),
            notes: sentences(report),
            commands: Vec::new(),
            by_list: match report.shard {
                Some(_) => by_list(report, "", "1"),
                None => String::new(),
            },
            downloads: vec![
                (
                    "plan.json",
                    download("json"),
                    match report.shard {
                        Some(_) => String::new(),
                        None => command(report, &format!("1/{all}"), "plan.json"),
                    },
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
                    in_gitlab(report, named),
                ),
            ],
            keep: None,
        }
    }
}

fn instead(alternative: &Alternative) -> InsteadLine {
    let (fits, tone) = match alternative.fits {
        Some(true) => (alternative.fits_words(), "good"),
        Some(false) => (alternative.fits_words(), "bad"),
        None => ("not known", "warn"),
    };
    InsteadLine {
        // Those of the API begin small and end without a stop.
        sentence: capitalised(&alternative.sentence),
        peak: alternative.bound.words().to_owned()
            + &format::mebibytes(alternative.predicted.peak_bytes),
        duration: format::duration(alternative.predicted.duration_us),
        fits,
        tone,
    }
}
