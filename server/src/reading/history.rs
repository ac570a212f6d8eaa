//! Where figures changed for good over jobs alike: of a whole suite, or of one file.

use highwater_analysis::{
    check::Before,
    history::{self, LEAST_JOBS, MOST_JOBS, Series},
};
use highwater_store::{Alike, JobKind, Snapshot, StoreError};
use highwater_wire::report::{Change, ChangesReport, JobsAlike};

use super::check::{FILE_WEIGHT, USUAL_BRANCHES, of_row};
use crate::{error::AppError, finalise::FinaliseError, state::AppState};

/// Of so many kinds of jobs a suite's changes are told, the newest: names, matrix legs and shards.
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
            let mut kinds = snapshot.kinds(project, &branch, name).await?;
            drop(snapshot);
            kinds.truncate(MOST_KINDS);
            // The jobs of one kind are let go of before those of the next are read.
            let mut found = Vec::new();
            for kind in kinds {
                let of_kind = Kind::read(state, project, kind, None).await?;
                found.push(of_kind.changes(state, None).await?);
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
            let of_kind = Kind::read(state, project, kind, Some(path)).await?;
            let found = vec![of_kind.changes(state, Some(path)).await?];
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
    let mut branches = USUAL_BRANCHES.map(str::to_owned).to_vec();
    branches.extend(newest.filter(|branch| !USUAL_BRANCHES.contains(&branch.as_str())));
    branches
}

/// The changes of one kind of jobs.
type Found = (JobsAlike, Vec<Change>);

/// Jobs of the kind that has most of them.
fn jobs(found: &[Found]) -> u64 {
    found.iter().map(|(alike, _)| alike.jobs).max().unwrap_or(0)
}

/// Jobs alike, in the order of their commits.
struct Kind {
    kind: JobKind,
    jobs: Vec<Before>,
}

impl Kind {
    /// The newest of them, with all their files or one.
    async fn read(
        state: &AppState,
        project: i64,
        kind: JobKind,
        path: Option<&str>,
    ) -> Result<Self, AppError> {
        let mut snapshot = state.store.snapshot().await?;
        let jobs = read(&mut snapshot, project, &kind, path).await?;
        Ok(Self { kind, jobs })
    }

    async fn changes(self, state: &AppState, path: Option<&str>) -> Result<Found, AppError> {
        let rows: usize = self.jobs.iter().map(|job| job.files.len()).sum();
        let path = path.map(str::to_owned);
        let work = move || {
            let alike = self.kind.comparable.unwrap_or_default();
            // What is not known of a machine is empty.
            let words = alike.split(", ").filter(|word| !word.is_empty());
            let alike = words.collect::<Vec<&str>>().join(", ");
            let series = Series {
                name: &self.kind.name,
                alike: &alike,
                jobs: &self.jobs,
            };
            let changes = match &path {
                Some(path) => history::of_file(&series, path),
                None => history::of_suite(&series),
            };
            let job = |job: &Before| job.job.clone();
            let looked_at = JobsAlike {
                jobs: self.jobs.len() as u64,
                first: self.jobs.first().map(job),
                last: self.jobs.last().map(job),
                name: self.kind.name,
                alike,
            };
            (looked_at, changes)
        };
        let found = state.reading.run(FILE_WEIGHT * rows as u64, work).await;
        Ok(found.map_err(FinaliseError::from)?)
    }
}

async fn read(
    snapshot: &mut Snapshot,
    project: i64,
    kind: &JobKind,
    path: Option<&str>,
) -> Result<Vec<Before>, StoreError> {
    let alike = Alike {
        job: 0,
        project,
        name: &kind.name,
        branch: &kind.branch,
        comparable: kind.comparable.as_deref().unwrap_or_default(),
        until_unix_us: i64::MAX,
        other_than: "",
    };
    let mut rows = snapshot.baseline(alike, MOST_JOBS as u32).await?;
    rows.reverse();
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        let facts = match path {
            Some(path) => snapshot.facts_of_file(row.id, project, path).await?,
            None => snapshot.file_facts(row.id).await?,
        };
        jobs.push(of_row(row, &facts));
    }
    Ok(jobs)
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
