//! A second measurement: what a file took when it ran again. Of each figure the lesser of both is judged as the first was, so that what was wild once is no finding.

use std::collections::BTreeMap;

use highwater_wire::report::{
    CheckFigure, CheckReport, FileRow, Finding, FindingCause, JobReport, LimitKind, Remeasured,
    Verdict,
};

use super::{Before, FileFigures, Limits, OneRun, by_path, judge, judged};
use crate::{digest::headroom, figures::mebibytes};

/// So many files run again at the most, those with the largest findings.
pub const MOST_CONFIRMED: usize = 20;

/// The files that are worth another run: those of findings that fail the check, the largest first, and how many more there are.
#[must_use]
pub fn suspects(report: &CheckReport) -> (Vec<&str>, usize) {
    let mut paths: Vec<&str> = Vec::new();
    let failing = report.findings.iter().filter(|finding| finding.fails());
    // What ran again already is not asked twice.
    let open = failing.filter(|finding| finding.again.is_none());
    for path in open.filter_map(|finding| finding.path.as_deref()) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let left = paths.len().saturating_sub(MOST_CONFIRMED);
    paths.truncate(MOST_CONFIRMED);
    (paths, left)
}

/// Whether a job that ran files again says anything of them: one that died itself does not.
#[must_use]
pub fn went_well(again: &JobReport) -> bool {
    let verdict = again.ending.as_ref().map(|ending| ending.verdict);
    matches!(verdict, Some(Verdict::Passed | Verdict::TestsFailed)) && !again.censored
}

/// The lesser of two measurements of a file, figure by figure.
#[must_use]
pub fn lesser(one: &FileFigures, other: &FileFigures) -> FileFigures {
    FileFigures {
        retained_bytes: one.retained_bytes.min(other.retained_bytes),
        spike_bytes: one.spike_bytes.min(other.spike_bytes),
        tree_peak_bytes: one.tree_peak_bytes.min(other.tree_peak_bytes),
        ..one.clone()
    }
}

/// What is compared with the jobs before: a job and its files, as in [`check`](super::check).
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// The job.
    pub job: &'a JobReport,
    /// Its files.
    pub files: &'a [FileRow],
    /// Branch of the baseline.
    pub branch: &'a str,
    /// Jobs of the baseline.
    pub before: &'a [Before],
    /// What it may take.
    pub limits: &'a Limits,
}

/// Says of each finding that fails a check whether it is one of the lesser of two measurements too, where its file was measured again by a job that went well.
///
/// The job's own figures were not measured again: from its peak is taken off what these files took less the second time. So it is with the peak of a file, which rests on what ran
/// before it: what it needed for a while less is taken off.
pub fn confirm(report: &mut CheckReport, of: Checked<'_>, again: &JobReport, rows: &[FileRow]) {
    if !went_well(again) {
        return;
    }
    let ran = rows.iter().filter(|row| row.visits > 0);
    let mut second = by_path(ran.map(FileFigures::from));
    let run = OneRun::of(of.files);
    let first = &run.files;
    // Of a file of which fewer tests ran the second time nothing is known.
    let is_measured = |path: &String, file: &FileFigures| {
        file.is_whole && first.get(path).is_some_and(|one| file.tests >= one.tests)
    };
    second.retain(|path, file| is_measured(path, file));
    for finding in report.findings.iter_mut().filter(|it| it.fails()) {
        let Some(bytes) = says_nothing(finding, &second) else {
            continue;
        };
        let less = mebibytes(bytes);
        finding.sentence.push_str(&format!(
            " When the file ran again it was {less}, surely less than before, as where it lives in memory that another freed: that says nothing of it."
        ));
        if let Some(path) = &finding.path {
            second.remove(path);
        }
    }
    let mut files = first.clone();
    for (path, file) in &mut files {
        if let Some(other) = second.get(path) {
            *file = lesser(file, other);
        }
    }
    let relief = relief(first, &files);
    let job = relieved(of.job, relief);
    let both = judged(&job, files.clone(), &run, of.branch, of.before, of.limits);
    for finding in report.findings.iter_mut().filter(|it| it.fails()) {
        let bytes = match (&finding.path, finding.figure) {
            (Some(path), figure) => second.get(path).and_then(|file| match figure {
                CheckFigure::Spike => Some(file.spike_bytes),
                // What ran before it is in its peak, and did not run as then.
                CheckFigure::Peak => {
                    let needed = first.get(path)?.spike_bytes;
                    let less = needed.saturating_sub(files.get(path)?.spike_bytes);
                    Some(finding.bytes.saturating_sub(less))
                }
                _ => Some(file.retained_bytes),
            }),
            // Another file may have been the first to import a library.
            (None, CheckFigure::Imports) => None,
            (None, _) if relief == 0 => None,
            (None, CheckFigure::Headroom) => job.headroom_bytes,
            (None, _) => Some(job.peak_bytes.cast_signed()),
        };
        let Some(bytes) = bytes else { continue };
        let confirms = match is_peak_of_file(finding) {
            true => bytes > finding.least_bytes,
            false => both.findings.iter().any(|it| is_same(it, finding)),
        };
        finding.sentence.push_str(&words(finding, bytes, confirms));
        finding.again = Some(Remeasured {
            job: again.uuid,
            bytes,
            confirms,
        });
    }
    judge(report, of.job);
}

/// What a file took the second time, bytes, where that is better than in the jobs before: what ran before it in the same process had freed what it then used, and it is no measure of the file.
fn says_nothing(finding: &Finding, second: &BTreeMap<String, FileFigures>) -> Option<i64> {
    let file = second.get(finding.path.as_ref()?)?;
    let bytes = match finding.figure {
        CheckFigure::Retained => file.retained_bytes,
        CheckFigure::Spike => file.spike_bytes,
        _ => return None,
    };
    let least = finding.before_bytes?.saturating_sub(finding.least_bytes);
    (bytes < least).then_some(bytes)
}

/// It is held to a limit alone.
fn is_peak_of_file(finding: &Finding) -> bool {
    finding.figure == CheckFigure::Peak && finding.path.is_some()
}

fn is_same(one: &Finding, other: &Finding) -> bool {
    one.figure == other.figure
        && one.path == other.path
        && one.cause == other.cause
        && matches!(one.cause, FindingCause::Changed | FindingCause::Limit)
}

fn words(finding: &Finding, bytes: i64, confirms: bool) -> String {
    let bytes = mebibytes(bytes);
    let not = if confirms { "" } else { " Not confirmed." };
    match finding.path {
        Some(_) if is_peak_of_file(finding) => {
            format!(" With what the file needed when it ran again it is {bytes}.{not}")
        }
        Some(_) => format!(" When the file ran again it was {bytes}.{not}"),
        None => format!(" Without what files took less when they ran again it is {bytes}.{not}"),
    }
}

/// What the job would have taken less at its peak, bytes: of each file what it retained less, and of the one that needed the most less for a while that, where it is no part of the former.
pub(super) fn relief(
    first: &BTreeMap<String, FileFigures>,
    lesser: &BTreeMap<String, FileFigures>,
) -> i64 {
    let pairs = first.iter().filter_map(|(path, one)| {
        let other = lesser.get(path)?;
        let held = one.retained_bytes.saturating_sub(other.retained_bytes);
        let needed = one.spike_bytes.saturating_sub(other.spike_bytes);
        Some((held, needed.saturating_sub(held).max(0)))
    });
    let (held, needed): (Vec<i64>, Vec<i64>) = pairs.unzip();
    let most = needed.into_iter().max().unwrap_or(0);
    held.into_iter().fold(most, i64::saturating_add)
}

/// The job with so much less at its peak.
fn relieved(job: &JobReport, relief: i64) -> JobReport {
    let less = |bytes: u64| bytes.saturating_sub(relief.cast_unsigned());
    let mut job = job.clone();
    job.peak_bytes = less(job.peak_bytes);
    for limit in &mut job.limits {
        // What others take of the machine is no doing of the files'.
        if limit.kind != LimitKind::Machine {
            limit.worst_used_bytes = less(limit.worst_used_bytes);
        }
    }
    job.headroom_bytes = headroom(&job.limits);
    job
}

#[cfg(test)]
mod tests;
