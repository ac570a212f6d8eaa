//! Which jobs are compared, and what is read of them: one job after the other, so that a comparison never waits for itself, and of each only what
//! counts is kept.

mod branch;
mod query;
mod which;

use highwater_analysis::compare::{self, Most, Side};
use highwater_wire::{ids::ProjectSlug, report::ComparisonReport};
use uuid::Uuid;

use which::Find;

use crate::{
    access::Access,
    error::AppError,
    reading::{Job, MOST_ROWS, ROW_WEIGHT},
    state::AppState,
};

pub(crate) use query::{CompareQuery, MOST_FILES, USUAL_FILES};
pub(crate) use which::MOST_COMPARED;

/// Most fixtures that are told.
const MOST_FIXTURES: usize = 100;
/// Room for so many fixtures is claimed on top of what files are known of: these are not counted where jobs are kept.
const FIXTURES: u64 = 10_000;

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
    jobs: &[Vec<Uuid>; 2],
    most_files: usize,
) -> Result<ComparisonReport, AppError> {
    let counted = count(state, jobs).await?.saturating_add(FIXTURES);
    for most_rows in [counted.min(MOST_ROWS), MOST_ROWS] {
        let room = state.comparing.claim(ROW_WEIGHT * most_rows).await;
        // Jobs that are not finalised were not counted, and some have very many fixtures.
        let Some(sides) = sides(state, access, jobs, most_rows).await? else {
            continue;
        };
        let most = Most {
            files: most_files,
            fixtures: MOST_FIXTURES,
        };
        let report = room.run(move || {
            let [before, after] = &sides;
            compare::compare(before, after, most)
        });
        return report.await.map_err(|error| AppError::internal(&error));
    }
    Err(AppError::bad_request(
        format!("these jobs have more than {MOST_ROWS} test files and fixtures together"),
        "compare fewer jobs at once, or those of one name",
    ))
}

/// How many rows are known of the files of jobs that are finalised.
async fn count(state: &AppState, jobs: &[Vec<Uuid>; 2]) -> Result<u64, AppError> {
    let mut snapshot = state.store.snapshot().await?;
    let mut rows = 0;
    for uuid in jobs.iter().flatten() {
        if let Some(key) = snapshot.job(*uuid).await? {
            rows += u64::from(snapshot.count_file_facts(key.id).await?);
        }
    }
    Ok(rows)
}

/// Both sides; `None` where they have more files and fixtures than so many.
async fn sides(
    state: &AppState,
    access: &Access,
    [before, after]: &[Vec<Uuid>; 2],
    most_rows: u64,
) -> Result<Option<[Side; 2]>, AppError> {
    let mut sides = [Side::default(), Side::default()];
    for (at, jobs) in [before, after].into_iter().enumerate() {
        for uuid in jobs {
            add(state, access, *uuid, &mut sides[at]).await?;
            let rows: usize = sides.iter().map(Side::rows).sum();
            if rows as u64 > most_rows {
                return Ok(None);
            }
        }
    }
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
    Ok(Some(sides))
}

async fn add(
    state: &AppState,
    access: &Access,
    uuid: Uuid,
    side: &mut Side,
) -> Result<(), AppError> {
    let mut job = Job::find(state, access, uuid).await?;
    let report = job.report().await?;
    match job.files_and_fixtures().await? {
        Some((files, fixtures)) => side.add(&report, Some((&files, &fixtures))),
        None => side.add(&report, None),
    }
    Ok(())
}
