//! Files that have another name since a job of the baseline: they are compared with what they were under the old one.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::{CheckReport, FileRow, JobReport, MovedFile};
use uuid::Uuid;

use super::{Before, is_cut_short, judge};
use crate::compare::{TestNames, pairs};

/// Files are looked for under another name in so many jobs at the most, the newest of those that may have them.
pub const MOST_RENAMINGS: usize = 3;

/// Two files of one name are the same where this part of the tests of the smaller is in both: of one that judges more is asked than of one that shows.
pub const LEAST_SHARED: f64 = 0.5;

/// The last job of the baseline with files that are gone since, where other files came after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// Its place in the baseline.
    pub at: usize,
    /// Which job.
    pub job: Uuid,
    /// Paths that no later job has.
    pub gone: BTreeSet<String>,
    /// Paths that all began in the job after it.
    pub came: BTreeSet<String>,
}

/// The newest job of the baseline, of the first `until` of them, since which files may have another name. None for a job that was cut short, of which nobody knows what
/// else it would have run, nor for a shard, whose files may be in another one now.
#[must_use]
pub fn renaming(
    job: &JobReport,
    files: &[FileRow],
    before: &[Before],
    until: usize,
) -> Option<Renaming> {
    if is_cut_short(job) || job.shard.is_some() {
        return None;
    }
    // In which job of the baseline each file was first, and in which last.
    let mut had: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (at, job) in before.iter().enumerate() {
        for file in &job.files {
            had.entry(&file.path).or_insert((at, at)).1 = at;
        }
    }
    let known: BTreeSet<&str> = files.iter().map(|row| row.path.as_str()).collect();
    let mut came: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for row in files.iter().filter(|row| row.visits > 0) {
        let first = had.get(row.path.as_str()).map_or(before.len(), |it| it.0);
        came.entry(first).or_default().insert(row.path.clone());
    }
    let mut gone: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (path, (_, last)) in had.iter().filter(|(path, _)| !known.contains(*path)) {
        gone.entry(*last).or_default().insert((*path).to_owned());
    }
    let mut gone = gone.into_iter().rev().filter(|(at, _)| *at < until);
    gone.find_map(|(at, gone)| {
        Some(Renaming {
            at,
            job: before.get(at)?.job.uuid,
            gone,
            came: came.remove(&(at + 1))?,
        })
    })
}

/// Puts what the files took until that job under the names that they have now, and gives these. They are known as in a [comparison](crate::compare), by the tests that they
/// had `then` and have `now`, or by their name and [most](LEAST_SHARED) of their tests.
pub fn rename(
    before: &mut [Before],
    renaming: &Renaming,
    then: &TestNames,
    now: &TestNames,
) -> Vec<MovedFile> {
    let gone = renaming.gone.iter().map(String::as_str).collect();
    let came = renaming.came.iter().map(String::as_str).collect();
    let pairs = pairs((then, gone), (now, came));
    let is_one = |path: &str, from: &str| {
        let shared = then.shared(from, now, path);
        shared.is_none_or(|shared| shared >= LEAST_SHARED)
    };
    let pairs = pairs.iter().filter(|(path, from)| is_one(path, from));
    let moved = pairs.map(|(path, from)| MovedFile {
        path: (*path).to_owned(),
        moved_from: (*from).to_owned(),
    });
    let moved: Vec<MovedFile> = moved.collect();
    let by_old: BTreeMap<&str, &str> = moved
        .iter()
        .map(|it| (it.moved_from.as_str(), it.path.as_str()))
        .collect();
    for job in before.iter_mut().take(renaming.at + 1) {
        let again = job.again.iter_mut().flat_map(|again| &mut again.files);
        for file in job.files.iter_mut().chain(again) {
            if let Some(path) = by_old.get(file.path.as_str()) {
                file.path = (*path).to_owned();
                job.renamed.insert((*path).to_owned());
            }
        }
    }
    moved
}

/// Says of the files that have another name since what they were called; of one that had several the last of these comes first.
pub fn tell_moved(report: &mut CheckReport, job: &JobReport, moved: Vec<MovedFile>) {
    if moved.is_empty() {
        return;
    }
    for finding in report.findings.iter_mut().chain(&mut report.better) {
        let of_it = moved
            .iter()
            .find(|it| Some(&it.path) == finding.path.as_ref());
        if let Some(it) = of_it.filter(|_| finding.before_bytes.is_some()) {
            let words = format!(" It was {} before.", it.moved_from);
            finding.sentence.push_str(&words);
        }
    }
    report.moved_files = moved;
    judge(report, job);
}

#[cfg(test)]
mod tests;
