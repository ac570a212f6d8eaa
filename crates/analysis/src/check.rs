//! Whether the memory of a job got worse: its figures and those of its files beside the jobs of a baseline, and limits that were set.
//!
//! Of a file two figures are tested that do not hang on what ran before it: what it retained, and what it needed for a while above where it began. Its peak is the
//! second on top of what others left behind, so one file that retains more would raise the peaks of all after it; the job's own peak is tested by itself.

mod acknowledged;
mod confirm;
mod file_limits;
mod fixtures;
mod found;
mod limits;
mod mended;
mod moved;
mod refuted;
mod renamed;
mod words;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use highwater_wire::report::{
    Baseline, BaselineJob, CheckReport, CheckVerdict, FileRow, Finding, JobReport, JobState,
};

pub use acknowledged::{acknowledge, figure_of};
pub use confirm::{Checked, MOST_CONFIRMED, confirm, lesser, suspects, went_well};
pub use file_limits::{
    FileLimits, MOST_FILE_LIMIT_BYTES, MOST_FILE_LIMITS, few_enough, quick_enough,
};
pub use fixtures::{MOST_NAMED, before_the_change, name_fixtures};
pub use limits::{Limits, NEAR};
pub use moved::{FLOATS, FLOATS_BY_CHANCE, LEAST_NET, LEAST_SHARE, MOST_GONE};
pub use refuted::Again;
pub use renamed::{LEAST_SHARED, MOST_RENAMINGS, Renaming, rename, renaming, tell_moved};
pub use words::{beside_findings, of_moved, of_refuted};

use found::Found;
use moved::{Moved, Order};
pub(crate) use refuted::taken;

use crate::{regression::size_of_file, time};

/// A job of the baseline is looked for among those that have [`comparable`] alike; of so many at most, the newest.
pub const MOST_BASELINE: usize = 30;
/// So many figures of a file are compared: what it retained, and what it needed for a while.
pub const FIGURES_OF_FILE: usize = 2;

/// What a job must share with another to be compared with it, in a word that is the same where they do: matrix leg, shard, ways of distribution, and what memory hangs on of
/// the machine. `None` for a job that nothing can be compared with, since it did not go well.
#[must_use]
pub fn comparable(job: &JobReport) -> Option<String> {
    // One that runs files of another again is compared with that one alone.
    let stands_alone = job.confirms.is_none();
    (went_well(job) && !ran_no_test(job) && stands_alone).then(|| kind(job))
}

/// [`comparable`] of a job however it ended, for one that is checked itself.
#[must_use]
pub fn kind(job: &JobReport) -> String {
    let variant = job
        .variant
        .iter()
        .map(|(key, value)| format!("{key}={value:?}"));
    let mut words: Vec<String> = variant.collect();
    if let Some(shard) = job.shard {
        words.push(format!("shard {}/{}", shard.index, shard.total));
    }
    let sessions = job.sessions.iter().map(|it| match it.numprocesses {
        0 => it.dist.clone(),
        workers => format!("{} -n {workers}", it.dist),
    });
    words.extend(sessions.collect::<BTreeSet<String>>());
    let environment = &job.environment;
    words.push(environment.os.clone());
    words.push(environment.arch.clone());
    if let Some(python) = environment.versions.get("python") {
        // 3.11.4 and 3.11.9 are alike, 3.11 and 3.12 are not.
        let minor: Vec<&str> = python.split('.').take(2).collect();
        words.push(format!("python {}", minor.join(".")));
    }
    // Between its files garbage was collected and free memory given back.
    if let Some(diagnosis) = &job.diagnosis {
        let how = match diagnosis.is_traced() {
            true => "traced",
            false => "diagnosed",
        };
        words.push(how.to_owned());
    }
    words.join(", ")
}

/// What a job is ordered by among those that it is compared with: when its commit was made, or where that is not known when it began, µs since 1970.
#[must_use]
pub fn ordered_unix_us(job: &JobReport) -> i64 {
    let began = || time::unix_us(&job.started_at);
    time::unix_us(&job.run.commit_at)
        .or_else(began)
        .unwrap_or(0)
}

/// A job of the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    /// Which it is.
    pub job: BaselineJob,
    /// Its peak, bytes.
    pub peak_bytes: i64,
    /// Its headroom, bytes; none where there was no limit.
    pub headroom_bytes: Option<i64>,
    /// Tests that failed in it: what it took as a whole is not compared.
    pub failed: u64,
    /// Its files.
    pub files: Vec<FileFigures>,
    /// Those of them that have another name since, by that one: [`rename`] says so.
    pub renamed: BTreeSet<String>,
    /// What was measured when files of it ran again, to confirm what was found of them.
    pub again: Option<Again>,
}

/// The figures of a file that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFigures {
    /// Its path.
    pub path: String,
    /// What it retained, its children's memory included that outlive it, bytes.
    pub retained_bytes: i64,
    /// What it needed for a while, its children's memory included, bytes.
    pub spike_bytes: i64,
    /// Its tree peak, bytes.
    pub tree_peak_bytes: i64,
    /// What its import and those of modules that its tests imported late took, bytes.
    pub import_bytes: i64,
    /// Executions of its tests.
    pub tests: u64,
    /// Whether they tell of it as it is: none failed, none was cut short.
    pub is_whole: bool,
}

impl FileFigures {
    /// What changes of its figures are held against, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> f64 {
        let own_bytes = self.retained_bytes.max(0) as f64 + self.spike_bytes.max(0) as f64;
        size_of_file(self.tree_peak_bytes as f64, own_bytes)
    }
}

impl From<&FileRow> for FileFigures {
    fn from(row: &FileRow) -> Self {
        Self {
            path: row.path.clone(),
            retained_bytes: row.tree_retained_bytes(),
            spike_bytes: row.tree_spike_bytes.max(row.spike_bytes),
            tree_peak_bytes: row.tree_peak_bytes,
            import_bytes: row.imported_bytes(),
            tests: row.tests,
            is_whole: row.failed == 0 && !row.censored,
        }
    }
}

/// Checks a job against the jobs of a baseline, which are in the order of their commits.
#[must_use]
pub fn check(
    job: &JobReport,
    files: &[FileRow],
    branch: &str,
    before: &[Before],
    limits: &Limits,
) -> CheckReport {
    let run = OneRun::of(files);
    judged(job, run.files.clone(), &run, branch, before, limits)
}

/// The files of a job as one run of all of them had them: what several runs come to says nothing of what moved between files.
struct OneRun {
    files: BTreeMap<String, FileFigures>,
    /// The session in which each of them began first, and when, µs.
    began: BTreeMap<String, (u32, i64)>,
    /// All that there are, those too that were imported only.
    known: BTreeSet<String>,
}

impl OneRun {
    fn of(rows: &[FileRow]) -> Self {
        let ran = || rows.iter().filter(|row| row.visits > 0);
        let mut began: BTreeMap<String, (u32, i64)> = BTreeMap::new();
        for row in ran() {
            let this = (row.session, row.started_us);
            let first = began.entry(row.path.clone()).or_insert(this);
            *first = this.min(*first);
        }
        Self {
            files: by_path(ran().map(FileFigures::from)),
            began,
            known: rows.iter().map(|row| row.path.clone()).collect(),
        }
    }
}

/// The same by the figures of the files. What moved between them is told by the `run` of all.
fn judged(
    job: &JobReport,
    mut files: BTreeMap<String, FileFigures>,
    run: &OneRun,
    branch: &str,
    before: &[Before],
    limits: &Limits,
) -> CheckReport {
    let (before, refuted) = taken(before);
    let earlier: Vec<BTreeMap<String, FileFigures>> = before
        .iter()
        .map(|it| by_path(it.files.iter().cloned()))
        .collect();
    let mut found = Found::new(&before, tested(files.len()));
    let broken = limits.broken(job, &files);
    found.worse = broken.findings;
    found.of_job(job, &files);
    let left_out: Vec<String> = files
        .values()
        .filter(|file| !file.is_whole)
        .map(|file| file.path.clone())
        .collect();
    let is_told = !is_cut_short(job) && !ran_no_test(job);
    let newest = earlier.last().filter(|_| is_told);
    let gone_files = newest.into_iter().flat_map(BTreeMap::keys);
    let gone_files = gone_files
        .filter(|path| !files.contains_key(*path))
        .cloned()
        .collect();
    files.retain(|_, file| file.is_whole);
    let order = match is_shared_out(job) {
        true => Order::OfChance,
        false => Order::of_names(job, run, &before, &earlier),
    };
    found.moved = Moved::of(&run.files, &earlier, order);
    let (mut new_files, mut too_few) = (Vec::new(), Vec::new());
    for file in files.values() {
        let had: Vec<(usize, &FileFigures)> = earlier
            .iter()
            .enumerate()
            .filter_map(|(at, files)| Some((at, files.get(&file.path)?)))
            .collect();
        if had.is_empty() && !before.is_empty() {
            new_files.push(file.path.clone());
        } else if !found.of_file(file, &had) && !had.is_empty() {
            too_few.push(file.path.clone());
        }
    }
    let mut report = CheckReport {
        job: job.uuid,
        verdict: CheckVerdict::NotEnoughData,
        sentence: String::new(),
        baseline: Baseline {
            branch: branch.to_owned(),
            jobs: before.iter().map(|it| it.job.clone()).collect(),
            refuted,
        },
        compared: found.compared,
        findings: found.worse,
        better: found.better,
        new_files,
        gone_files,
        moved_files: Vec::new(),
        too_few,
        left_out,
        unsteady: found.unsteady,
        unmatched_limits: broken.unmatched,
    };
    report.better.sort_by_key(largest_first);
    report.unsteady.sort_by_key(|it| Reverse(it.least_bytes));
    judge(&mut report, job);
    report
}

/// Nobody knows what a job that died would have run, or one that runs will.
fn is_cut_short(job: &JobReport) -> bool {
    job.censored || job.state == JobState::Running
}

/// Whether tests of it failed, or none ran: then it did not do what it does.
fn has_failed(job: &JobReport) -> bool {
    job.sessions.iter().any(|session| session.failed > 0) || ran_no_test(job)
}

/// Whether pytest ran no test of it, as where a test file could not be imported, or none was selected.
fn ran_no_test(job: &JobReport) -> bool {
    let mut sessions = job.sessions.iter();
    !job.sessions.is_empty() && sessions.all(|session| session.tests == 0)
}

/// Whether files that were left out have more figures than were compared.
fn is_mostly_left_out(report: &CheckReport) -> bool {
    let left_out = (FIGURES_OF_FILE * report.left_out.len()) as u64;
    left_out > report.compared
}

/// Whether workers share the files of a job, so that the order in which they run is a matter of chance.
fn is_shared_out(job: &JobReport) -> bool {
    job.sessions.iter().any(|session| session.numprocesses > 0)
}

/// How many figures of a job of so many files are tested at once: two of each, and three of its own.
fn tested(files: usize) -> usize {
    FIGURES_OF_FILE * files + 3
}

/// Says what its findings come to.
fn judge(report: &mut CheckReport, job: &JobReport) {
    report.verdict = if report.findings.iter().any(Finding::fails) {
        CheckVerdict::Regression
    } else if report.compared == 0 || is_mostly_left_out(report) || is_cut_short(job) {
        // What is still to come, or would have, nobody knows; nor what a file takes whose tests failed.
        CheckVerdict::NotEnoughData
    } else {
        CheckVerdict::Clean
    };
    report.findings.sort_by_key(largest_first);
    report.sentence = words::of_report(report, job);
}

/// What fails the check first, then by the size of the change.
fn largest_first(finding: &Finding) -> (bool, Reverse<u64>) {
    let from = finding.before_bytes.unwrap_or(finding.least_bytes);
    (!finding.fails(), Reverse(finding.bytes.abs_diff(from)))
}

/// What the test files of a job import, bytes.
pub(crate) fn imports<'a>(files: impl IntoIterator<Item = &'a FileFigures>) -> i64 {
    let files = files.into_iter();
    files.fold(0, |sum, file| sum.saturating_add(file.import_bytes))
}

/// A file that ran in several sessions is taken as the most of each.
fn by_path(files: impl Iterator<Item = FileFigures>) -> BTreeMap<String, FileFigures> {
    let mut paths: BTreeMap<String, FileFigures> = BTreeMap::new();
    for file in files {
        let Some(known) = paths.get_mut(&file.path) else {
            paths.insert(file.path.clone(), file);
            continue;
        };
        known.retained_bytes = known.retained_bytes.max(file.retained_bytes);
        known.spike_bytes = known.spike_bytes.max(file.spike_bytes);
        known.tree_peak_bytes = known.tree_peak_bytes.max(file.tree_peak_bytes);
        known.import_bytes = known.import_bytes.saturating_add(file.import_bytes);
        known.tests += file.tests;
        known.is_whole &= file.is_whole;
    }
    paths
}

#[cfg(test)]
mod tests;
