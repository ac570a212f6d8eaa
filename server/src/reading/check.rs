//! A job beside the jobs of its baseline.

use std::collections::BTreeSet;

use highwater_analysis::{
    branches::Branch,
    check::{self, Again, Before, Checked, FileFigures, Limits},
    compare::TestNames,
    regression::LEAST_JOBS,
    time::{self, rfc3339},
};
use highwater_store::{Alike, BaselineRow, FileFact, Snapshot};
use highwater_wire::report::{
    Acknowledgement, BaselineJob, CheckReport, FileRow, FixtureRow, JobReport, JobState, MovedFile,
    TestRow,
};

use super::{
    Job,
    facts::{Counted, Of, ROW_WEIGHT},
};
use crate::{
    acknowledging::of_row as of_known, error::AppError, finalise::FinaliseError, state::AppState,
};
use uuid::Uuid;

/// So many jobs are looked through for the commit that a pull request began at.
const MOST_LOOKED_AT: u32 = 200;
/// A job of more files is checked only where that is asked for.
const MOST_CHECKED: usize = 1_000;

/// What a job is to be checked against.
#[derive(Debug, Clone, Default)]
pub(crate) struct Against {
    /// The branch of the baseline; where none is named main, else master, else the job's own.
    pub(crate) branch: Option<String>,
    pub(crate) limits: Limits,
}

impl Job<'_> {
    /// Whether its memory got worse.
    pub(crate) async fn check(mut self, against: Against) -> Result<CheckReport, AppError> {
        let report = self.report().await?;
        if let Some(of) = report.confirms {
            return Err(AppError::bad_request(
                format!("job {} ran files of job {of} again", self.uuid),
                "check that one: what was measured again is part of it",
            ));
        }
        let files = self.files().await?;
        check::quick_enough(&against.limits.files, &files)
            .map_err(|what| AppError::bad_request(what, "name several files by one glob"))?;
        self.beside(report, files, against).await
    }

    /// The same against the limits that the job brought along, where a page or a report tells it beside all else; none of a job that still runs or has very many files, of which it is told where it is asked for.
    pub(crate) async fn beside_where_quick(
        self,
        report: &JobReport,
        files: &[FileRow],
    ) -> Result<Option<CheckReport>, AppError> {
        let is_none = report.state == JobState::Running || report.confirms.is_some();
        if is_none || files.len() > MOST_CHECKED {
            return Ok(None);
        }
        let mut limits = Limits::of(report);
        // To tell of so many on a page would take too long; who asks for the check is told.
        if check::quick_enough(&limits.files, files).is_err() {
            limits.files.clear();
        }
        let against = Against {
            branch: None,
            limits,
        };
        let checked = self.beside(report.clone(), files.to_vec(), against);
        checked.await.map(Some)
    }

    /// The same of a job of which the report and the files were read already.
    pub(crate) async fn beside(
        mut self,
        report: JobReport,
        files: Vec<FileRow>,
        against: Against,
    ) -> Result<CheckReport, AppError> {
        self.let_go();
        let mut snapshot = self.state.store.snapshot().await?;
        let (branch, rows) = self
            .baseline(&mut snapshot, &report, against.branch)
            .await?;
        let counted = Counted::count(&mut snapshot, rows, Of::All).await?;
        let now = self.state.wall_unix_us();
        let confirming = snapshot
            .confirming(self.key.project_id, report.uuid)
            .await?;
        let known = snapshot.acknowledged(self.key.project_id, &report.name, now);
        let known = known.await?.into_iter().map(|row| of_known(row, now));
        let known: Vec<Acknowledgement> = known.collect::<Result<_, AppError>>()?;
        let mut measured_again = 0;
        if let Some(uuid) = confirming
            && let Some(key) = snapshot.job(uuid).await?
        {
            measured_again = key.weight.cast_unsigned();
        }
        drop(snapshot);
        let own = ROW_WEIGHT * files.len() as u64;
        let weight = counted.weight() + own + measured_again;
        let room = self.state.comparing.claim(weight).await;
        let mut snapshot = self.state.store.snapshot().await?;
        let mut before = counted.read(&mut snapshot, &room, Of::All).await?;
        drop(snapshot);
        let moved = self.renamed(&report, &files, &mut before).await?;
        let again = match confirming {
            Some(uuid) => of_again(self.state, uuid).await?,
            None => None,
        };
        let work = move || {
            let limits = &against.limits;
            let mut checked = check::check(&report, &files, &branch, &before, limits);
            check::tell_moved(&mut checked, &report, moved);
            if let Some((again, rows)) = &again {
                let of = Checked {
                    job: &report,
                    files: &files,
                    branch: &branch,
                    before: &before,
                    limits,
                };
                check::confirm(&mut checked, of, again, rows);
            }
            check::acknowledge(&mut checked, &report, &known);
            (checked, report)
        };
        let checked = room.run(work).await;
        let (mut checked, report) = checked.map_err(FinaliseError::from)?;
        if let Some(before) = check::before_the_change(&checked).map(|it| it.uuid) {
            let now = fixtures_of(self.state, self.uuid).await?;
            let before = fixtures_of(self.state, before).await?;
            if let (Some(now), Some(before)) = (now, before) {
                check::name_fixtures(&mut checked, &report, &now, &before);
            }
        }
        Ok(checked)
    }

    /// Whether that job is the one that ran files of it again, as far as anybody goes by what it measured.
    pub(crate) async fn is_run_again_by(&mut self, again: Uuid) -> Result<bool, AppError> {
        self.let_go();
        let mut snapshot = self.state.store.snapshot().await?;
        let confirming = snapshot.confirming(self.key.project_id, self.uuid).await?;
        Ok(confirming == Some(again))
    }

    /// Puts files of the baseline that have another name since under that one; which these are. The tests of a job are read only where a file may have moved since.
    async fn renamed(
        &self,
        report: &JobReport,
        files: &[FileRow],
        before: &mut [Before],
    ) -> Result<Vec<MovedFile>, AppError> {
        let mut moved = Vec::new();
        let mut own: Option<Vec<TestRow>> = None;
        let mut until = before.len();
        for _ in 0..check::MOST_RENAMINGS {
            let Some(found) = check::renaming(report, files, before, until) else {
                break;
            };
            let (mut then, mut now) = (TestNames::default(), TestNames::default());
            then.add(&tests_of(self.state, found.job).await?, &found.gone);
            let own = match &mut own {
                Some(own) => own,
                None => own.insert(tests_of(self.state, self.uuid).await?),
            };
            now.add(own, &found.came);
            moved.extend(check::rename(before, &found, &then, &now));
            until = found.at;
        }
        Ok(moved)
    }

    /// The jobs that it may be compared with, the newest commit first, and their branch.
    async fn baseline(
        &self,
        snapshot: &mut Snapshot,
        report: &JobReport,
        branch: Option<String>,
    ) -> Result<(String, Vec<BaselineRow>), AppError> {
        let branches = match branch {
            Some(branch) => vec![branch],
            None => Branch::of(report).of_baseline(),
        };
        let comparable = check::kind(report);
        let mut most: (String, Vec<BaselineRow>) = (String::new(), Vec::new());
        for branch in branches {
            let alike = Alike {
                job: self.key.id,
                project: self.key.project_id,
                name: &report.name,
                branch: &branch,
                comparable: &comparable,
                until_unix_us: until(report, &branch),
                // A run that is made again must not hide what its commit did.
                other_than: &report.commit,
            };
            let mut rows = snapshot.baseline(alike, MOST_LOOKED_AT).await?;
            // What came to the branch after another, or a pull request, began is none of its doing.
            let base = rows
                .iter()
                .position(|row| row.head_commit == report.run.base_commit);
            let is_beside = !Branch::of(report).is(&branch) && !report.run.base_commit.is_empty();
            if let Some(base) = base.filter(|_| is_beside) {
                rows.drain(..base);
            }
            rows.truncate(check::MOST_BASELINE);
            if most.0.is_empty() || rows.len() > most.1.len() {
                most = (branch, rows);
            }
            if most.1.len() >= LEAST_JOBS {
                break;
            }
        }
        Ok(most)
    }
}

/// What a job measured that ran files of another again; none where retention took that.
async fn of_again(
    state: &AppState,
    uuid: Uuid,
) -> Result<Option<(JobReport, Vec<FileRow>)>, AppError> {
    let Some(mut again) = Job::any(state, uuid).await? else {
        return Ok(None);
    };
    let report = again.report().await?;
    match again.files().await {
        Ok(files) => Ok(Some((report, files))),
        Err(error) if error.is_removed() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The fixtures of a job; none where retention took them.
async fn fixtures_of(state: &AppState, uuid: Uuid) -> Result<Option<Vec<FixtureRow>>, AppError> {
    let Some(mut job) = Job::any(state, uuid).await? else {
        return Ok(None);
    };
    match job.fixtures().await {
        Ok(fixtures) => Ok(Some(fixtures)),
        Err(error) if error.is_removed() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The tests of a job; none where retention took them.
async fn tests_of(state: &AppState, uuid: Uuid) -> Result<Vec<TestRow>, AppError> {
    let Some(mut job) = Job::any(state, uuid).await? else {
        return Ok(Vec::new());
    };
    match job.tests().await {
        Ok(tests) => Ok(tests),
        Err(error) if error.is_removed() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A commit of the branch itself comes after those that are older. One of another branch may be as old as it says and begins where that branch stands.
fn until(report: &JobReport, branch: &str) -> i64 {
    let ordered = check::ordered_unix_us(report);
    match Branch::of(report).is(branch) {
        true => ordered,
        false => time::unix_us(&report.started_at).map_or(ordered, |began| began.max(ordered)),
    }
}

pub(super) fn of_row(row: BaselineRow, facts: &[FileFact], again: Option<Again>) -> Before {
    Before {
        job: BaselineJob {
            uuid: row.uuid,
            commit: row.head_commit,
            ordered_at: rfc3339(row.ordered_unix_us),
        },
        peak_bytes: row.peak_bytes,
        headroom_bytes: row.headroom_bytes,
        failed: row.failed.cast_unsigned(),
        files: facts.iter().map(figures).collect(),
        renamed: BTreeSet::new(),
        again,
    }
}

pub(super) fn figures(fact: &FileFact) -> FileFigures {
    FileFigures {
        path: fact.path.clone(),
        retained_bytes: fact
            .retained_bytes
            .saturating_add(fact.children_retained_bytes),
        spike_bytes: fact.tree_spike_bytes.max(fact.spike_bytes),
        tree_peak_bytes: fact.tree_peak_bytes,
        import_bytes: fact.import_bytes.saturating_add(fact.late_import_bytes),
        tests: fact.tests.cast_unsigned(),
        is_whole: fact.failed == 0 && !fact.censored,
    }
}
