//! Where figures changed for good over jobs alike: of a whole suite, or of one file.

use std::sync::Arc;

use highwater_analysis::{
    branches::{USUAL_BRANCHES, of_baseline},
    check::Before,
    history::{self, LEAST_JOBS, MOST_JOBS, Series},
};
use highwater_store::{Alike, BaselineRow, JobKind, Snapshot, StoreError};
use highwater_wire::report::{Change, ChangesReport, JobsAlike};

use super::{
    facts::{Counted, Of},
    histories::{Found, Key},
};
use crate::{error::AppError, finalise::FinaliseError, state::AppState};

/// Of so many kinds of jobs (names, matrix legs and shards) a suite's changes are told: the newest of those that make series.
const MOST_KINDS: usize = 4;

/// Of which jobs changes are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Of this name; of a suite all names where none is given, of a file that of the newest job that ran it.
    pub(crate) name: Option<String>,
    /// Of this branch; where none is given main, else master, else that of the newest job.
    pub(crate) branch: Option<String>,
}

impl Wanted {
    /// What changed in the suite of a project, so many changes at most.
    pub(crate) async fn of_suite(
        self,
        state: &AppState,
        project: i64,
        limit: usize,
    ) -> Result<ChangesReport, AppError> {
        let mut most = (String::new(), Vec::new());
        for branch in self.branches(state, project).await? {
            let name = self.name.as_deref();
            let mut snapshot = state.store.snapshot().await?;
            let mut kinds = snapshot
                .kinds(project, &branch, name, LEAST_JOBS as u32)
                .await?;
            drop(snapshot);
            kinds.truncate(MOST_KINDS);
            // The jobs of one kind are let go of before those of the next are read.
            let mut found = Vec::new();
            for kind in kinds {
                found.push(of_kind(state, project, kind).await?.as_ref().clone());
            }
            if jobs(&most.1) <= jobs(&found) {
                most = (branch, found);
            }
            if jobs(&most.1) >= LEAST_JOBS as u64 {
                break;
            }
        }
        let (branch, found) = most;
        Ok(report(None, branch, found, limit))
    }

    /// What changed of a file; `None` where no finished job of that name ran it.
    pub(crate) async fn of_file(
        self,
        state: &AppState,
        project: i64,
        path: &str,
    ) -> Result<Option<ChangesReport>, AppError> {
        let mut snapshot = state.store.snapshot().await?;
        let mut kinds = snapshot.kinds_of_file(project, path).await?;
        drop(snapshot);
        let newest = kinds.first().map(|kind| kind.name.clone());
        let Some(name) = self.name.or(newest) else {
            return Ok(None);
        };
        kinds.retain(|kind| kind.name == name);
        if kinds.is_empty() {
            return Ok(None);
        }
        kinds.retain(|kind| kind.comparable.is_some());
        let branches = match self.branch {
            Some(branch) => vec![branch],
            None => usual(kinds.first().map(|kind| kind.branch.clone())),
        };
        let mut most = (branches[0].clone(), Vec::new());
        // One job that was diagnosed, or had more workers, is a kind of its own, and no reason to tell nothing.
        let mut tried = Vec::new();
        for branch in &branches {
            let of_branch = kinds.iter().filter(|kind| kind.branch == *branch);
            tried.extend(of_branch.take(MOST_KINDS).cloned());
        }
        for kind in tried {
            let branch = kind.branch.clone();
            let mut snapshot = state.store.snapshot().await?;
            let rows = jobs_of(&mut snapshot, project, &kind).await?;
            drop(snapshot);
            let found = vec![changes(state, kind, rows, Of::One(project, path)).await?];
            if most.1.is_empty() || jobs(&most.1) < jobs(&found) {
                most = (branch, found);
            }
            if jobs(&most.1) >= LEAST_JOBS as u64 {
                break;
            }
        }
        let (branch, found) = most;
        Ok(Some(report(Some(path), branch, found, usize::MAX)))
    }

    async fn branches(&self, state: &AppState, project: i64) -> Result<Vec<String>, StoreError> {
        if let Some(branch) = &self.branch {
            return Ok(vec![branch.clone()]);
        }
        let mut snapshot = state.store.snapshot().await?;
        let newest = snapshot.newest_branch(project, self.name.as_deref());
        Ok(usual(newest.await?))
    }
}

/// The branches that are looked at where none is named.
fn usual(newest: Option<String>) -> Vec<String> {
    let own = newest.unwrap_or_else(|| USUAL_BRANCHES[0].to_owned());
    of_baseline(&own)
}

/// Jobs of the kind that has most of them.
fn jobs(found: &[Found]) -> u64 {
    found.iter().map(|(alike, _)| alike.jobs).max().unwrap_or(0)
}

/// What changed in the suites of one kind of jobs; worked out once for the same jobs.
async fn of_kind(state: &AppState, project: i64, kind: JobKind) -> Result<Arc<Found>, AppError> {
    let mut snapshot = state.store.snapshot().await?;
    let rows = jobs_of(&mut snapshot, project, &kind).await?;
    drop(snapshot);
    let key = Key::of(project, &kind, &rows);
    let cell = state.histories.cell(&key);
    let work_out = async || {
        state.metrics.histories.inc();
        let found = changes(state, kind, rows, Of::All).await?;
        Ok::<_, AppError>(Arc::new(found))
    };
    let found = Arc::clone(cell.get_or_try_init(work_out).await?);
    state.histories.weigh(&key, &found);
    Ok(found)
}

/// The newest jobs of a kind, that of the newest commit first.
async fn jobs_of(
    snapshot: &mut Snapshot,
    project: i64,
    kind: &JobKind,
) -> Result<Vec<BaselineRow>, StoreError> {
    let alike = Alike {
        job: 0,
        project,
        name: &kind.name,
        branch: &kind.branch,
        comparable: kind.comparable.as_deref().unwrap_or_default(),
        until_unix_us: i64::MAX,
        other_than: "",
    };
    snapshot.baseline(alike, MOST_JOBS as u32).await
}

/// What changed over jobs of a kind, in all their files or in one.
async fn changes(
    state: &AppState,
    kind: JobKind,
    rows: Vec<BaselineRow>,
    of: Of<'_>,
) -> Result<Found, AppError> {
    let mut snapshot = state.store.snapshot().await?;
    let counted = Counted::count(&mut snapshot, rows, of).await?;
    drop(snapshot);
    let room = state.comparing.claim(counted.weight()).await;
    let mut snapshot = state.store.snapshot().await?;
    let jobs = counted.read(&mut snapshot, &room, of).await?;
    drop(snapshot);
    let path = match of {
        Of::All => None,
        Of::One(_, path) => Some(path.to_owned()),
    };
    let found = room.run(move || found(kind, &jobs, path.as_deref())).await;
    Ok(found.map_err(FinaliseError::from)?)
}

fn found(kind: JobKind, jobs: &[Before], path: Option<&str>) -> Found {
    let alike = kind.comparable.unwrap_or_default();
    // What is not known of a machine is empty.
    let words = alike.split(", ").filter(|word| !word.is_empty());
    let alike = words.collect::<Vec<&str>>().join(", ");
    let series = Series {
        name: &kind.name,
        alike: &alike,
        jobs,
    };
    let changes = match path {
        Some(path) => history::of_file(&series, path),
        None => history::of_suite(&series),
    };
    let told: Vec<&Before> = jobs
        .iter()
        .filter(|job| history::tells(job, path))
        .collect();
    let job = |job: &&Before| job.job.clone();
    let looked_at = JobsAlike {
        jobs: told.len() as u64,
        first: told.first().map(job),
        last: told.last().map(job),
        name: kind.name,
        alike,
    };
    (looked_at, changes)
}

fn report(path: Option<&str>, branch: String, found: Vec<Found>, limit: usize) -> ChangesReport {
    let (looked_at, changes): (Vec<JobsAlike>, Vec<Vec<Change>>) = found.into_iter().unzip();
    let mut changes = changes.concat();
    history::newest_first(&mut changes);
    let left_out = changes.len().saturating_sub(limit) as u64;
    changes.truncate(limit);
    let mut report = ChangesReport {
        path: path.map(str::to_owned),
        branch,
        looked_at,
        sentence: String::new(),
        changes,
        left_out,
    };
    report.sentence = history::of_report(&report);
    history::tell_apart(&mut report);
    report
}
