//! The jobs of a side, put together as they come.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::{
    ComparedFile, ComparedFixture, ComparedJob, ComparedSide, FileRow, FixtureRow, JobReport,
    JobState, LimitUse, SessionReport, Span, TestRow, Verdict,
};
use uuid::Uuid;

use super::moved::TestNames;

/// The jobs of a side, and what their files and fixtures took.
#[derive(Debug, Default)]
pub struct Side {
    pub(super) jobs: Vec<ComparedJob>,
    /// By path; no figures of files that did not run.
    pub(super) files: BTreeMap<String, Option<ComparedFile>>,
    /// By name and where they are defined.
    pub(super) fixtures: BTreeMap<(String, String), ComparedFixture>,
    /// The tests of some files.
    pub(super) tests: TestNames,
    /// Jobs of which the rows within are not there any more.
    pub(super) without_files: Vec<Uuid>,
    pub(super) around: Around,
    limit_bytes: Option<(i64, u64)>,
    growth: Option<Span>,
}

/// What figures may depend on besides the tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// Of python and pytest.
    pub(super) versions: BTreeSet<String>,
    /// How tests were spread over workers.
    pub(super) workers: BTreeSet<String>,
    /// Memory of the machines, bytes.
    pub(super) machines: BTreeSet<u64>,
    /// How the jobs were recorded: whether they were diagnosed, which changes their figures.
    pub(super) recorded: BTreeSet<&'static str>,
}

impl Side {
    /// Adds a job; its files and fixtures where they are there.
    pub fn add(&mut self, job: &JobReport, rows: Option<(&[FileRow], &[FixtureRow])>) {
        self.around.add(job);
        let growth = job.growth.iter().map(|growth| growth.per_file_bytes);
        self.growth = self.growth.into_iter().chain(growth).max_by_key(most);
        if let Some(headroom) = job.headroom_bytes {
            let limit = LimitUse::tightest(&job.limits);
            let limit = (headroom, limit.map_or(0, |limit| limit.limit_bytes));
            self.limit_bytes = self.limit_bytes.into_iter().chain([limit]).min();
        }
        self.jobs.push(told(job));
        match rows {
            Some((files, fixtures)) => {
                self.add_files(files);
                fixtures.iter().for_each(|row| self.add_fixture(row));
            }
            None => self.without_files.push(job.uuid),
        }
    }

    /// Adds the tests of some files of a job, by which a file that moved is known.
    pub fn add_tests(&mut self, rows: &[TestRow], wanted: &BTreeSet<String>) {
        self.tests.add(rows, wanted);
    }

    /// Whether the files of all its jobs are known.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.without_files.is_empty()
    }

    /// How many files and fixtures it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.files.len() + self.fixtures.len()
    }

    /// Whether something of it may not have run that would have.
    pub(super) fn is_cut_short(&self) -> bool {
        let is_whole = |job: &ComparedJob| job.state == JobState::Finished && !job.censored;
        !self.jobs.iter().all(is_whole)
    }

    fn add_files(&mut self, rows: &[FileRow]) {
        let mut seen = BTreeSet::new();
        for row in rows {
            let known = self.files.entry(row.path.clone()).or_default();
            if row.visits == 0 {
                continue;
            }
            let jobs = u32::from(seen.insert(row.path.as_str()));
            *known = Some(match known.take() {
                None => figures(row),
                Some(known) => together(known, figures(row), jobs),
            });
        }
    }

    fn add_fixture(&mut self, row: &FixtureRow) {
        let key = (row.name.clone(), row.base.clone());
        let known = self.fixtures.entry(key).or_default();
        if !known.scope.split(", ").any(|scope| scope == row.scope) {
            let comma = if known.scope.is_empty() { "" } else { ", " };
            known.scope = format!("{}{comma}{}", known.scope, row.scope);
        }
        known.setups = known.setups.saturating_add(row.setups);
        known.setup_bytes = known.setup_bytes.saturating_add(row.setup_bytes);
        known.released_bytes = known.released_bytes.saturating_add(row.released_bytes);
        known.retained_bytes = known.retained_bytes.saturating_add(row.retained_bytes);
        known.open = known.open.saturating_add(row.open);
    }

    /// What is told of it as a whole.
    pub(super) fn told(&self) -> ComparedSide {
        let mut jobs = self.jobs.clone();
        jobs.sort_by(|one, other| place(one).cmp(&place(other)));
        let largest = self.jobs.iter().max_by_key(|job| job.peak_bytes);
        let ran = || self.files.values().flatten();
        let has_files = self.has_files();
        let durations = || self.jobs.iter().map(|job| job.duration_us);
        let retained = || ran().fold(0_i64, |sum, file| sum.saturating_add(file.retained_bytes));
        let tree_peak = ran().map(|file| file.tree_peak_bytes).max();
        ComparedSide {
            verdict: worst_job(&self.jobs).and_then(|job| job.verdict),
            censored: self.jobs.iter().any(|job| job.censored),
            peak_bytes: largest.map_or(0, |job| job.peak_bytes),
            peak_kind: largest.map(|job| job.peak_kind).unwrap_or_default(),
            tree_peak_bytes: tree_peak.filter(|_| has_files),
            headroom_bytes: self.limit_bytes.map(|(headroom, _)| headroom),
            limit_bytes: self
                .limit_bytes
                .map(|(_, limit)| limit)
                .filter(|limit| *limit > 0),
            duration_us: durations().max().unwrap_or(0),
            duration_sum_us: durations().fold(0, i64::saturating_add),
            tests: self.jobs.iter().map(|job| job.tests).sum(),
            failed: self.jobs.iter().map(|job| job.failed).sum(),
            files: has_files.then(|| ran().count() as u64),
            retained_bytes: has_files.then(retained),
            growth_per_file_bytes: self.growth,
            jobs,
        }
    }
}

impl Around {
    fn add(&mut self, job: &JobReport) {
        for name in ["python", "pytest"] {
            let version = job.environment.versions.get(name);
            let told = version.map(|version| format!("{name} {version}"));
            self.versions.extend(told);
        }
        let workers = |session: &SessionReport| match session.numprocesses {
            0 => "no workers".to_owned(),
            workers => format!("-n {workers} ({})", session.dist),
        };
        self.workers.extend(job.sessions.iter().map(workers));
        let memory = job.environment.memory_total_bytes;
        self.machines.extend((memory > 0).then_some(memory));
        self.recorded.insert(match &job.diagnosis {
            None => "not diagnosed",
            Some(diagnosis) if diagnosis.is_traced() => "diagnosed with tracemalloc",
            Some(_) => "diagnosed",
        });
    }
}

fn told(job: &JobReport) -> ComparedJob {
    let ending = job.ending.as_ref();
    ComparedJob {
        uuid: job.uuid,
        project: job.project.clone(),
        name: job.name.clone(),
        variant: job.variant.clone(),
        shard: job.shard,
        attempt: job.attempt,
        branch: job.branch.clone(),
        commit: job.commit.clone(),
        started_at: job.started_at.clone(),
        state: job.state,
        verdict: ending.map(|ending| ending.verdict),
        confidence: ending.map(|ending| ending.confidence),
        censored: job.censored,
        peak_bytes: job.peak_bytes,
        peak_kind: job.peak_kind,
        headroom_bytes: job.headroom_bytes,
        duration_us: job.duration_us,
        tests: job.sessions.iter().map(|session| session.tests).sum(),
        failed: job.sessions.iter().map(|session| session.failed).sum(),
    }
}

/// Where a job stands among those of its side.
fn place(job: &ComparedJob) -> impl Ord + '_ {
    let shard = job.shard.map_or(0, |shard| shard.index);
    (&job.name, &job.variant, shard, &job.started_at, job.uuid)
}

fn most(growth: &Span) -> i64 {
    growth.value
}

/// The job that ended worst; one that runs, where there is one.
pub(super) fn worst_job(jobs: &[ComparedJob]) -> Option<&ComparedJob> {
    jobs.iter().max_by_key(|job| gravity(job.verdict))
}

/// How bad an ending is: none yet, so that nothing is said too early; memory worst, then what else cut a suite short, then what a suite said itself.
fn gravity(verdict: Option<Verdict>) -> u8 {
    let Some(verdict) = verdict else { return 4 };
    match verdict {
        Verdict::Passed => 0,
        verdict if verdict.is_of_memory() => 3,
        verdict if verdict.is_early() => 2,
        _ => 1,
    }
}

fn figures(row: &FileRow) -> ComparedFile {
    ComparedFile {
        jobs: 1,
        peak_bytes: row.peak_bytes,
        peak_kind: row.peak_kind,
        tree_peak_bytes: row.tree_peak_bytes,
        spike_bytes: row.spike_bytes,
        tree_spike_bytes: row.tree_spike_bytes.max(row.spike_bytes),
        retained_bytes: row.tree_retained_bytes(),
        children_start_bytes: row.children_start_bytes,
        children_retained_bytes: row.children_retained_bytes,
        fixture_bytes: row.fixture_bytes,
        import_bytes: row.imported_bytes(),
        tests: row.tests,
        failed: row.failed,
        duration_us: row.duration_us,
        censored: row.censored,
    }
}

/// A file that ran in several sessions or jobs.
fn together(one: ComparedFile, other: ComparedFile, jobs: u32) -> ComparedFile {
    let larger = if other.peak_bytes > one.peak_bytes {
        other
    } else {
        one
    };
    ComparedFile {
        jobs: one.jobs.saturating_add(jobs),
        peak_bytes: larger.peak_bytes,
        peak_kind: larger.peak_kind,
        tree_peak_bytes: one.tree_peak_bytes.max(other.tree_peak_bytes),
        spike_bytes: one.spike_bytes.max(other.spike_bytes),
        tree_spike_bytes: one.tree_spike_bytes.max(other.tree_spike_bytes),
        retained_bytes: one.retained_bytes.saturating_add(other.retained_bytes),
        children_start_bytes: one.children_start_bytes.max(other.children_start_bytes),
        children_retained_bytes: one
            .children_retained_bytes
            .saturating_add(other.children_retained_bytes),
        fixture_bytes: one.fixture_bytes.saturating_add(other.fixture_bytes),
        import_bytes: one.import_bytes.saturating_add(other.import_bytes),
        tests: one.tests.saturating_add(other.tests),
        failed: one.failed.saturating_add(other.failed),
        duration_us: one.duration_us.saturating_add(other.duration_us),
        censored: one.censored || other.censored,
    }
}
