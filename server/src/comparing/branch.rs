//! The newest job of a branch that passed: one like the jobs of the other side.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use highwater_store::{JobFilter, JobRow};
use highwater_wire::report::{JobReport, Verdict};
use uuid::Uuid;

use super::which::{Find, MOST_OF_A_RUN, Which, newest_attempts};
use crate::{
    error::AppError,
    reading::{Job, of_branch},
};

/// So many jobs of a branch that passed are looked at: of a suite that was split all shards must have.
const MOST_OF_A_BRANCH: u32 = 50;
/// Where nobody says which, so many names are tried, newest first, until one is found on each branch.
const MOST_NAMES: usize = 10;

/// What the job of a branch has to be like.
#[derive(Debug, Clone, Default)]
struct Like {
    name: Option<String>,
    /// Its matrix leg; any where none is known.
    variant: Option<BTreeMap<String, String>>,
}

impl Find<'_> {
    /// Jobs of the branches of either side, like those that are named outright.
    pub(super) async fn of_branches(
        &self,
        sides: [&[Which]; 2],
        named: &[Uuid],
    ) -> Result<[Vec<Uuid>; 2], AppError> {
        let branches = |which: &Which| match which {
            Which::Branch(branch) => Some(branch.clone()),
            Which::Job(_) | Which::Run(_) => None,
        };
        let sides = sides.map(|side| side.iter().filter_map(branches).collect::<Vec<String>>());
        // Each is looked for among many jobs.
        if sides.iter().any(|side| side.len() > 1) {
            return Err(AppError::bad_request(
                "several branches are named on one side",
                "name one, and other jobs by their uuids",
            ));
        }
        let Some(first) = sides.iter().flatten().next() else {
            return Ok([Vec::new(), Vec::new()]);
        };
        let like = self.like(named).await?;
        let mut tries = vec![like.clone()];
        if like.name.is_none() {
            let names = self.names_of(first).await?;
            let one_of = |name| Like {
                name: Some(name),
                ..like.clone()
            };
            tries = names.into_iter().map(one_of).collect();
        }
        let mut why = not_found(self.project()?.1.as_str(), first, &like);
        for like in tries {
            match self.all_of(&sides, like).await {
                Err(error) if error.status == StatusCode::NOT_FOUND => why = error,
                found => return found,
            }
        }
        Err(why)
    }

    /// Of each branch the job of a name.
    async fn all_of(
        &self,
        sides: &[Vec<String>; 2],
        mut like: Like,
    ) -> Result<[Vec<Uuid>; 2], AppError> {
        let mut jobs = [Vec::new(), Vec::new()];
        for (branches, jobs) in sides.iter().zip(&mut jobs) {
            for branch in branches {
                let found = self.of_branch(branch, &like).await?;
                if like.variant.is_none() {
                    like = self.like(&found).await?;
                }
                jobs.extend(found);
            }
        }
        Ok(jobs)
    }

    /// Names of the newest jobs of a branch that passed.
    async fn names_of(&self, branch: &str) -> Result<Vec<String>, AppError> {
        let mut names = Vec::new();
        for row in self.passed_on(branch, None).await? {
            if names.len() < MOST_NAMES && !names.contains(&row.name) {
                names.push(row.name);
            }
        }
        Ok(names)
    }

    async fn passed_on(&self, branch: &str, name: Option<String>) -> Result<Vec<JobRow>, AppError> {
        let filter = JobFilter {
            name,
            verdict: Some(Verdict::Passed.as_str().to_owned()),
            ..JobFilter::default()
        };
        let project = self.project()?.0;
        let rows = of_branch(self.state, project, branch, filter, MOST_OF_A_BRANCH);
        Ok(rows.await?)
    }

    /// What is like all of some jobs.
    async fn like(&self, jobs: &[Uuid]) -> Result<Like, AppError> {
        let (mut names, mut variants) = (BTreeSet::new(), BTreeSet::new());
        for uuid in jobs {
            let mut job = Job::find(self.state, self.access, *uuid).await?;
            let JobReport { name, variant, .. } = job.report().await?;
            names.insert(name);
            variants.insert(variant);
        }
        let only = |names: BTreeSet<String>| match names.len() {
            0 | 1 => Ok(names.into_iter().next()),
            _ => Err(AppError::bad_request(
                "the jobs of one side have several names, so which one of the branch is meant is not clear",
                "name it with name=",
            )),
        };
        let Some(name) = self.name else {
            return Ok(Like {
                name: only(names)?,
                variant: only_one(variants),
            });
        };
        // The legs of a job of another name may be others.
        let is_own = names.contains(name);
        Ok(Like {
            name: Some(name.to_owned()),
            variant: only_one(variants).filter(|_| is_own),
        })
    }

    /// The newest job of a branch that passed, with all shards where it is one.
    async fn of_branch(&self, branch: &str, like: &Like) -> Result<Vec<Uuid>, AppError> {
        let (project, slug) = self.project()?;
        let mut seen = None;
        for row in self.passed_on(branch, like.name.clone()).await? {
            let suits = like
                .variant
                .as_ref()
                .is_none_or(|leg| *leg == variant(&row));
            if row.state != "finished" || !suits || seen == Some(row.run_id) {
                continue;
            }
            if row.shard_total == 0 {
                return Ok(vec![row.uuid]);
            }
            seen = Some(row.run_id);
            let shards = self.shards(*project, &row).await?;
            if !shards.is_empty() {
                return Ok(shards);
            }
        }
        Err(not_found(slug.as_str(), branch, like))
    }

    /// The shards beside one; none where one is missing or did not pass.
    async fn shards(&self, project: i64, of: &JobRow) -> Result<Vec<Uuid>, AppError> {
        let filter = JobFilter {
            name: Some(of.name.clone()),
            run: Some(of.run_id),
            ..JobFilter::default()
        };
        let rows = self.state.store.jobs(project, &filter, MOST_OF_A_RUN);
        let mut rows = newest_attempts(rows.await?);
        rows.retain(|row| variant(row) == variant(of) && row.shard_total == of.shard_total);
        let passed = |row: &JobRow| {
            row.verdict.as_deref() == Some(Verdict::Passed.as_str()) && row.state == "finished"
        };
        let are_all = rows.len() == of.shard_total as usize && rows.iter().all(passed);
        let shards = rows.into_iter().map(|row| row.uuid);
        Ok(if are_all {
            shards.collect()
        } else {
            Vec::new()
        })
    }
}

fn variant(row: &JobRow) -> BTreeMap<String, String> {
    serde_json::from_str(&row.variant).unwrap_or_default()
}

fn only_one<T>(all: BTreeSet<T>) -> Option<T> {
    let is_one = all.len() == 1;
    all.into_iter().next().filter(|_| is_one)
}

fn not_found(project: &str, branch: &str, like: &Like) -> AppError {
    let named = match &like.name {
        Some(name) => format!(" named {name:?}"),
        None => String::new(),
    };
    AppError::not_found(
        format!("{project} has no job{named} on branch {branch:?} that passed"),
        "name the job with name=, or by its uuid",
    )
}
