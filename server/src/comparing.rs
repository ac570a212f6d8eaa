//! Which jobs are compared, and what is read of them: one job after the other, so that a comparison never waits for itself, and of each only what
//! counts is kept.

mod branch;
mod query;
mod which;

use highwater_analysis::compare::{self, Most, Side};
use highwater_wire::{ids::ProjectSlug, report::ComparisonReport};
use uuid::Uuid;

use which::Find;

use crate::{access::Access, error::AppError, reading::Job, state::AppState};

pub(crate) use query::{CompareQuery, MOST_FILES, USUAL_FILES};
pub(crate) use which::MOST_JOBS;

/// Most fixtures that are told.
const MOST_FIXTURES: usize = 100;
/// What a file or fixture takes in memory while it is compared, bytes.
const ROW_WEIGHT: u64 = 512;

/// The jobs of either side; `project` is that of runs and branches, which may be seen. Whether a job may be seen is asked where it is read.
pub(crate) async fn jobs(
    state: &AppState,
    access: &Access,
    query: &CompareQuery,
    project: Option<(i64, ProjectSlug)>,
) -> Result<[Vec<Uuid>; 2], AppError> {
    let before = which::parsed("before", &query.before)?;
    let after = which::parsed("after", &query.after)?;
    let find = Find {
        state,
        access,
        project,
        name: query.name.as_deref(),
    };
    let (mut was, mut is) = (find.named(&before).await?, find.named(&after).await?);
    // What is named outright says what a branch's job has to be like.
    let named: Vec<Uuid> = was.iter().chain(&is).copied().collect();
    let of_branches = find.of_branches([&before, &after], &named).await?;
    for (jobs, found) in [&mut was, &mut is].into_iter().zip(of_branches) {
        jobs.extend(found);
    }
    Ok([which::once("before", was)?, which::once("after", is)?])
}

/// Compares jobs that may be seen; where one may not, it is not found, and nothing is told.
pub(crate) async fn compare(
    state: &AppState,
    access: &Access,
    [before, after]: &[Vec<Uuid>; 2],
    most_files: usize,
) -> Result<ComparisonReport, AppError> {
    let mut sides = [
        read(state, access, before).await?,
        read(state, access, after).await?,
    ];
    let [was, is] = &sides;
    let lonely = [compare::only_here(was, is), compare::only_here(is, was)];
    // The tests of a file are asked for only where it may have moved.
    if lonely.iter().all(|paths| !paths.is_empty()) && was.has_files() && is.has_files() {
        for ((side, jobs), paths) in sides.iter_mut().zip([before, after]).zip(&lonely) {
            for uuid in jobs {
                let mut job = Job::find(state, access, *uuid).await?;
                side.add_tests(&job.tests().await?, paths);
            }
        }
    }
    let most = Most {
        files: most_files,
        fixtures: MOST_FIXTURES,
    };
    let rows: usize = sides.iter().map(Side::rows).sum();
    let work = move || {
        let [before, after] = &sides;
        compare::compare(before, after, most)
    };
    let report = state.reading.run(ROW_WEIGHT * rows as u64, work).await;
    report.map_err(|error| AppError::internal(&error))
}

async fn read(state: &AppState, access: &Access, jobs: &[Uuid]) -> Result<Side, AppError> {
    let mut side = Side::default();
    for uuid in jobs {
        let mut job = Job::find(state, access, *uuid).await?;
        let report = job.report().await?;
        match job.files_and_fixtures().await? {
            Some((files, fixtures)) => side.add(&report, Some((&files, &fixtures))),
            None => side.add(&report, None),
        }
    }
    Ok(side)
}
