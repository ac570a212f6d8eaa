//! Whether the memory of a job got worse: its figures and those of its files beside the jobs of a baseline, and limits that were set.
//!
//! Of a file two figures are tested that do not hang on what ran before it: what it retained, and what it needed for a while above where it began. Its peak is the
//! second on top of what others left behind, so one file that retains more would raise the peaks of all after it; the job's own peak is tested by itself.

mod words;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use highwater_wire::report::{
    Baseline, BaselineJob, CheckFigure, CheckReport, CheckVerdict, FileRow, Finding, FindingCause,
    JobReport, TestCounts, Verdict,
};

use crate::{
    regression::{self, Course, Figure, Told},
    time,
};

/// A job of the baseline is looked for among those that have [`comparable`] alike; of so many at most, the newest.
pub const MOST_JOBS: usize = 30;

/// What a job must share with another to be compared with it, in a word that is the same where they do: matrix leg, shard, ways of distribution, and what memory hangs on of
/// the machine. `None` for a job that nothing can be compared with, since it did not go well.
#[must_use]
pub fn comparable(job: &JobReport) -> Option<String> {
    let verdict = job.ending.as_ref()?.verdict;
    let went_well = matches!(verdict, Verdict::Passed | Verdict::TestsFailed) && !job.censored;
    went_well.then(|| kind(job))
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
        let traced = diagnosis.tracing_bytes != 0;
        words.push(if traced { "traced" } else { "diagnosed" }.to_owned());
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
}

/// The figures of a file that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFigures {
    /// Its path.
    pub path: String,
    /// What it retained, bytes.
    pub retained_bytes: i64,
    /// What it needed for a while, its children's memory included, bytes.
    pub spike_bytes: i64,
    /// Its tree peak, bytes.
    pub tree_peak_bytes: i64,
    /// Executions of its tests.
    pub tests: u64,
    /// Whether they tell of it as it is: none failed, none was cut short.
    pub is_whole: bool,
}

/// What a file needed for a while with what its children took, bytes, from its spike, its peak and its tree peak.
#[must_use]
pub fn tree_spike(spike_bytes: i64, peak_bytes: i64, tree_peak_bytes: i64) -> i64 {
    let children = tree_peak_bytes.saturating_sub(peak_bytes).max(0);
    spike_bytes.saturating_add(children)
}

impl From<&FileRow> for FileFigures {
    fn from(row: &FileRow) -> Self {
        Self {
            path: row.path.clone(),
            retained_bytes: row.retained_bytes,
            spike_bytes: tree_spike(row.spike_bytes, row.peak_bytes, row.tree_peak_bytes),
            tree_peak_bytes: row.tree_peak_bytes,
            tests: row.tests,
            is_whole: row.failed == 0 && !row.censored,
        }
    }
}

/// What a job may take, bytes; each is kept by everybody where it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The job's peak at the most.
    pub peak_bytes: Option<i64>,
    /// The job's headroom at the least.
    pub headroom_bytes: Option<i64>,
    /// What each file retains at the most.
    pub retained_bytes: Option<i64>,
    /// What each file needs for a while at the most.
    pub spike_bytes: Option<i64>,
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
    let mut files = by_path(
        files
            .iter()
            .filter(|row| row.visits > 0)
            .map(FileFigures::from),
    );
    let earlier: Vec<BTreeMap<String, FileFigures>> = before
        .iter()
        .map(|it| by_path(it.files.iter().cloned()))
        .collect();
    let mut found = Found::new(before, 2 * files.len() + 2);
    found.of_limits(job, &files, limits);
    found.of_job(job);
    let left_out: Vec<String> = files
        .values()
        .filter(|file| !file.is_whole)
        .map(|file| file.path.clone())
        .collect();
    // Nobody knows what a job that died would have run.
    let newest = earlier.last().filter(|_| !job.censored);
    let gone_files = newest.into_iter().flat_map(BTreeMap::keys);
    let gone_files = gone_files
        .filter(|path| !files.contains_key(*path))
        .cloned()
        .collect();
    files.retain(|_, file| file.is_whole);
    let (mut new_files, mut too_few) = (Vec::new(), Vec::new());
    for file in files.values() {
        let had: Vec<(usize, &FileFigures)> = earlier
            .iter()
            .enumerate()
            .filter_map(|(at, files)| Some((at, files.get(&file.path)?)))
            .collect();
        if had.is_empty() {
            new_files.push(file.path.clone());
        } else if !found.of_file(file, &had) {
            too_few.push(file.path.clone());
        }
    }
    let verdict = found.verdict();
    let mut report = CheckReport {
        job: job.uuid,
        verdict,
        sentence: String::new(),
        baseline: Baseline {
            branch: branch.to_owned(),
            jobs: before.iter().map(|it| it.job.clone()).collect(),
        },
        compared: found.compared,
        findings: found.worse,
        better: found.better,
        new_files,
        gone_files,
        too_few,
        left_out,
    };
    report.findings.sort_by_key(largest_first);
    report.better.sort_by_key(largest_first);
    report.sentence = words::of_report(&report, job.censored);
    report
}

/// What fails the check first, then by the size of the change.
fn largest_first(finding: &Finding) -> (bool, Reverse<u64>) {
    let from = finding.before_bytes.unwrap_or(finding.least_bytes);
    let is_known = finding.cause == FindingCause::ChangedBefore;
    (is_known, Reverse(finding.bytes.abs_diff(from)))
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
        known.tests += file.tests;
        known.is_whole &= file.is_whole;
    }
    paths
}

/// What was found so far.
struct Found<'a> {
    before: &'a [Before],
    tested: usize,
    compared: u64,
    worse: Vec<Finding>,
    better: Vec<Finding>,
}

/// A figure with its history: the values of those jobs of the baseline that have it, by their place.
#[derive(Clone)]
struct History<'a> {
    figure: CheckFigure,
    path: Option<&'a str>,
    tests: Option<TestCounts>,
    now: i64,
    peak_bytes: i64,
    had: Vec<(usize, i64)>,
    /// What of a change another finding tells already, bytes.
    told_bytes: i64,
    /// It may have been more in truth.
    is_lower_bound: bool,
}

impl<'a> Found<'a> {
    fn new(before: &'a [Before], tested: usize) -> Self {
        Self {
            before,
            tested,
            compared: 0,
            worse: Vec::new(),
            better: Vec::new(),
        }
    }

    fn verdict(&self) -> CheckVerdict {
        let fails = |finding: &Finding| finding.cause != FindingCause::ChangedBefore;
        if self.worse.iter().any(fails) {
            CheckVerdict::Regression
        } else if self.compared == 0 {
            CheckVerdict::NotEnoughData
        } else {
            CheckVerdict::Clean
        }
    }

    fn of_job(&mut self, job: &JobReport) {
        if job.sessions.iter().any(|session| session.failed > 0) {
            return;
        }
        let whole = || {
            self.before
                .iter()
                .enumerate()
                .filter(|(_, it)| it.failed == 0)
        };
        let peak_bytes = job.peak_bytes.cast_signed();
        let peak = History {
            figure: CheckFigure::Peak,
            path: None,
            tests: None,
            now: peak_bytes,
            peak_bytes,
            had: whole().map(|(at, it)| (at, it.peak_bytes)).collect(),
            told_bytes: 0,
            is_lower_bound: job.censored,
        };
        let headroom = job.headroom_bytes.map(|now| History {
            figure: CheckFigure::Headroom,
            now,
            had: whole()
                .filter_map(|(at, it)| Some((at, it.headroom_bytes?)))
                .collect(),
            ..peak.clone()
        });
        // Where the peak rose headroom fell with it, which is no second finding; it is one where the limit, or the rest of the machine, changed.
        let told = self.worse.len() + self.better.len();
        self.test(&peak);
        if self.worse.len() + self.better.len() == told
            && let Some(headroom) = headroom
        {
            self.test(&headroom);
        }
    }

    /// Whether there was enough to compare it with.
    fn of_file(&mut self, file: &FileFigures, had: &[(usize, &FileFigures)]) -> bool {
        let whole = || had.iter().filter(|(_, it)| it.is_whole);
        let retained = History {
            figure: CheckFigure::Retained,
            path: Some(&file.path),
            tests: had.last().map(|(_, it)| TestCounts {
                now: file.tests,
                before: it.tests,
            }),
            now: file.retained_bytes,
            peak_bytes: file.tree_peak_bytes,
            had: whole().map(|(at, it)| (*at, it.retained_bytes)).collect(),
            told_bytes: 0,
            is_lower_bound: false,
        };
        let told = self.worse.len();
        let was_tested = self.test(&retained);
        // What is still held at the end was needed for a while too.
        let held = self.worse.get(told);
        let told_bytes = held.map_or(0, |it| it.bytes - it.before_bytes.unwrap_or(it.bytes));
        self.test(&History {
            figure: CheckFigure::Spike,
            now: file.spike_bytes,
            had: whole().map(|(at, it)| (*at, it.spike_bytes)).collect(),
            told_bytes,
            is_lower_bound: told_bytes > 0,
            ..retained
        });
        was_tested
    }

    fn test(&mut self, history: &History<'_>) -> bool {
        // Of headroom less is worse.
        let sign = match history.figure {
            CheckFigure::Headroom => -1.0,
            _ => 1.0,
        };
        let values: Vec<f64> = history
            .had
            .iter()
            .map(|(_, bytes)| sign * *bytes as f64)
            .collect();
        let figure = Figure {
            bytes: sign * history.now.saturating_sub(history.told_bytes) as f64,
            peak_bytes: history.peak_bytes as f64,
        };
        let Told::Compared(compared) = regression::compare(&values, figure, self.tested) else {
            return false;
        };
        self.compared += 1;
        let since = match compared.course {
            Course::Same => return true,
            Course::Better if history.is_lower_bound => return true,
            Course::WorseBefore => history.had.last(),
            Course::Better | Course::Worse => None,
        };
        let finding = Finding {
            figure: history.figure,
            path: history.path.map(str::to_owned),
            cause: match compared.course {
                Course::WorseBefore => FindingCause::ChangedBefore,
                _ => FindingCause::Changed,
            },
            sentence: words::of_change(history.figure, history.path, history.now, &compared, sign),
            bytes: history.now,
            before_bytes: Some((sign * compared.before_bytes) as i64),
            least_bytes: compared.least_bytes as i64,
            noise_bytes: Some(compared.noise_bytes as i64),
            since: since.and_then(|(at, _)| Some(self.before.get(*at)?.job.clone())),
            tests: history.tests,
        };
        match compared.course {
            Course::Better => self.better.push(finding),
            _ => self.worse.push(finding),
        }
        true
    }

    fn of_limits(
        &mut self,
        job: &JobReport,
        files: &BTreeMap<String, FileFigures>,
        limits: &Limits,
    ) {
        let peak = (
            CheckFigure::Peak,
            None,
            Some(job.peak_bytes.cast_signed()),
            limits.peak_bytes,
        );
        let headroom = (
            CheckFigure::Headroom,
            None,
            job.headroom_bytes,
            limits.headroom_bytes,
        );
        let of_files = files.values().flat_map(|file| {
            let of = |figure, bytes, limit| (figure, Some(file.path.as_str()), Some(bytes), limit);
            [
                of(
                    CheckFigure::Retained,
                    file.retained_bytes,
                    limits.retained_bytes,
                ),
                of(CheckFigure::Spike, file.spike_bytes, limits.spike_bytes),
            ]
        });
        for (figure, path, bytes, limit) in [peak, headroom].into_iter().chain(of_files) {
            let (Some(bytes), Some(limit)) = (bytes, limit) else {
                continue;
            };
            let is_kept = match figure {
                CheckFigure::Headroom => bytes >= limit,
                _ => bytes <= limit,
            };
            if !is_kept {
                self.worse.push(Finding {
                    figure,
                    path: path.map(str::to_owned),
                    cause: FindingCause::Limit,
                    sentence: words::of_limit(figure, path, bytes, limit),
                    bytes,
                    before_bytes: None,
                    least_bytes: limit,
                    noise_bytes: None,
                    since: None,
                    tests: None,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
