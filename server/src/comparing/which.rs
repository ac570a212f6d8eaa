//! From what was asked for to jobs: by uuid, or of a run.

use std::collections::BTreeMap;

use highwater_store::{JobFilter, JobRow};
use highwater_wire::ids::ProjectSlug;
use uuid::Uuid;

use crate::{access::Access, error::AppError, state::AppState};

/// Most jobs of a side.
pub(crate) const MOST_COMPARED: usize = 64;
/// Most jobs of a run that are looked at, attempts included.
pub(super) const MOST_OF_A_RUN: u32 = 1_000;

/// What one `before=` or `after=` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    Job(Uuid),
    Run(i64),
    Branch(String),
}

impl Which {
    pub(crate) fn of(text: &str) -> Result<Self, AppError> {
        let which = match text.split_once(':') {
            Some(("run", number)) => number.parse().ok().map(Self::Run),
            Some(("branch", name)) if !name.is_empty() => Some(Self::Branch(name.to_owned())),
            _ => Uuid::parse_str(text).ok().map(Self::Job),
        };
        which.ok_or_else(|| {
            AppError::bad_request(
                format!("{text:?} names no job"),
                "give the uuid of a job, run:NUMBER or branch:NAME; see docs/comparing.md",
            )
        })
    }
}

pub(super) fn parsed(key: &str, values: &[String]) -> Result<Vec<Which>, AppError> {
    if values.is_empty() {
        return Err(AppError::bad_request(
            format!("{key} is missing"),
            "give before= and after=, each the uuid of a job, run:NUMBER or branch:NAME",
        ));
    }
    if values.len() > MOST_COMPARED {
        return Err(too_many(key, values.len()));
    }
    values.iter().map(|value| Which::of(value)).collect()
}

fn too_many(key: &str, jobs: usize) -> AppError {
    AppError::bad_request(
        format!("{key} names {jobs} jobs, and {MOST_COMPARED} at most are compared"),
        "name fewer jobs, or those of one name of a run with name=",
    )
}

/// Each job counts once.
pub(super) fn once(key: &str, jobs: Vec<Uuid>) -> Result<Vec<Uuid>, AppError> {
    let mut kept: Vec<Uuid> = Vec::new();
    for job in jobs {
        if !kept.contains(&job) {
            kept.push(job);
        }
    }
    match kept.len() > MOST_COMPARED {
        true => Err(too_many(key, kept.len())),
        false => Ok(kept),
    }
}

/// What jobs are looked for with.
pub(super) struct Find<'a> {
    pub(super) state: &'a AppState,
    pub(super) access: &'a Access,
    pub(super) project: Option<(i64, ProjectSlug)>,
    /// Of runs and branches only jobs of this name.
    pub(super) name: Option<&'a str>,
}

impl Find<'_> {
    /// Those that are named by uuid or run.
    pub(super) async fn named(&self, side: &[Which]) -> Result<Vec<Uuid>, AppError> {
        let mut jobs = Vec::new();
        for which in side {
            match which {
                Which::Job(uuid) => jobs.push(*uuid),
                Which::Run(run) => jobs.extend(self.of_run(*run).await?),
                Which::Branch(_) => {}
            }
        }
        Ok(jobs)
    }

    pub(super) fn project(&self) -> Result<&(i64, ProjectSlug), AppError> {
        self.project.as_ref().ok_or_else(|| {
            AppError::bad_request(
                "a run or a branch is named without its project",
                "add project=owner~repo",
            )
        })
    }

    /// The newest attempts of the jobs of a run.
    async fn of_run(&self, run: i64) -> Result<Vec<Uuid>, AppError> {
        let (project, slug) = self.project()?;
        let filter = JobFilter {
            name: self.name.map(str::to_owned),
            run: Some(run),
            ..JobFilter::default()
        };
        let rows = self.state.store.jobs(*project, &filter, MOST_OF_A_RUN);
        let jobs = newest_attempts(rows.await?);
        if jobs.is_empty() {
            let named = self
                .name
                .map_or_else(String::new, |name| format!(" named {name:?}"));
            return Err(AppError::not_found(
                format!("{slug} has no run {run} with a job{named}"),
                "the number of a run stands in the address of its page",
            ));
        }
        Ok(jobs.into_iter().map(|row| row.uuid).collect())
    }
}

/// Of each job of a run the newest attempt; in the order they came.
pub(super) fn newest_attempts(rows: Vec<JobRow>) -> Vec<JobRow> {
    let key = |row: &JobRow| {
        (
            row.name.clone(),
            row.variant.clone(),
            row.shard_index,
            row.shard_total,
        )
    };
    let mut newest = BTreeMap::new();
    for row in &rows {
        let attempt = newest.entry(key(row)).or_insert(row.attempt);
        *attempt = row.attempt.max(*attempt);
    }
    let mut kept = rows;
    kept.retain(|row| newest.get(&key(row)) == Some(&row.attempt));
    kept
}
