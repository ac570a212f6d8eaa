//! What confirming runs refuted of the jobs before: a figure that was wild once is no evidence that a commit changed anything.

use std::{borrow::Cow, collections::BTreeMap};

use highwater_wire::report::{CheckFigure, Refuted, Remeasured};
use uuid::Uuid;

use super::{Before, FileFigures, by_path, confirm::relief, tested};
use crate::regression::{Figure, Standing, Told, compare, least_change};

/// What was measured when files of a job ran again, by a job that went well.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// The job that ran them.
    pub job: Uuid,
    /// How many files ran in the first.
    pub of_files: usize,
    /// Those that ran again.
    pub files: Vec<FileFigures>,
}

/// Files by their paths.
type Files = BTreeMap<String, FileFigures>;

/// Jobs in the order of their commits, with what is known of them by now: where a figure was worse than in those before and was not so when its file ran again, it is what it was then.
/// The job's peak and headroom are then without what its files took less, as [`confirm`](super::confirm()) takes them.
pub(crate) fn taken(jobs: &[Before]) -> (Cow<'_, [Before]>, Vec<Refuted>) {
    let ran_again = jobs.iter().filter_map(|job| job.again.as_ref());
    let paths = ran_again.flat_map(|again| again.files.iter().map(|file| file.path.clone()));
    // Of each file that ran again anywhere what it took in each job, as far as that tells of it as it is.
    let mut series: BTreeMap<String, Vec<Option<FileFigures>>> =
        paths.map(|path| (path, Vec::new())).collect();
    if series.is_empty() {
        return (Cow::Borrowed(jobs), Vec::new());
    }
    for job in jobs {
        let wanted = job.files.iter();
        let wanted = wanted.filter(|file| series.contains_key(&file.path));
        let mut files = by_path(wanted.cloned());
        for (path, values) in &mut series {
            values.push(files.remove(path).filter(|file| file.is_whole));
        }
    }
    let (mut taken, mut refuted) = (Cow::Borrowed(jobs), Vec::new());
    for (at, job) in jobs.iter().enumerate() {
        let Some(again) = &job.again else { continue };
        let (mut first, mut lesser) = (Files::new(), Files::new());
        for (path, other) in by_path(again.files.iter().cloned()) {
            let Some(values) = series.get_mut(&path) else {
                continue;
            };
            let (before, own) = values.split_at_mut(at);
            // Of a file of which fewer tests ran the second time nothing is known.
            let Some(one) = own[0]
                .as_mut()
                .filter(|one| other.is_whole && other.tests >= one.tests)
            else {
                continue;
            };
            let wild = one.clone();
            for figure in [CheckFigure::Retained, CheckFigure::Spike] {
                if !is_refuted(before, &wild, &other, figure, tested(again.of_files)) {
                    continue;
                }
                let bytes = of(&other, figure);
                refuted.push(Refuted {
                    job: job.job.uuid,
                    figure,
                    path: path.clone(),
                    bytes: of(&wild, figure),
                    again: Remeasured {
                        job: again.job,
                        bytes,
                        confirms: false,
                    },
                });
                *of_mut(one, figure) = bytes;
                one.tree_peak_bytes = one.tree_peak_bytes.min(other.tree_peak_bytes);
            }
            if *one != wild {
                first.insert(path.clone(), wild);
                lesser.insert(path, one.clone());
            }
        }
        if !lesser.is_empty() {
            let relief = relief(&first, &lesser);
            relieve(&mut taken.to_mut()[at], &lesser, relief);
        }
    }
    (taken, refuted)
}

/// Whether a figure of a file was worse than in the jobs before, and that is not so of what it was when the file ran again.
fn is_refuted(
    before: &[Option<FileFigures>],
    first: &FileFigures,
    again: &FileFigures,
    figure: CheckFigure,
    tested: usize,
) -> bool {
    let size_bytes = first.size_bytes();
    let (one, other) = (of(first, figure) as f64, of(again, figure) as f64);
    if one - other < least_change(size_bytes) {
        return false;
    }
    let had = before.iter().flatten();
    let had: Vec<f64> = had.map(|file| of(file, figure) as f64).collect();
    let standing = |bytes: f64| match compare(&had, Figure { bytes, size_bytes }, tested) {
        Told::Compared(it) => Some(it.standing),
        Told::TooFew => None,
    };
    match (standing(one), standing(other)) {
        // What is better than in the jobs before lived in memory that another file had freed.
        (Some(one), Some(other)) => {
            one == Standing::Worse && !matches!(other, Standing::Worse | Standing::Better)
        }
        // What a limit found, maybe; that they differ is all that is known.
        _ => true,
    }
}

pub(super) fn of(file: &FileFigures, figure: CheckFigure) -> i64 {
    match figure {
        CheckFigure::Spike => file.spike_bytes,
        _ => file.retained_bytes,
    }
}

pub(super) fn of_mut(file: &mut FileFigures, figure: CheckFigure) -> &mut i64 {
    match figure {
        CheckFigure::Spike => &mut file.spike_bytes,
        _ => &mut file.retained_bytes,
    }
}

/// Puts the lesser figures in the place of those that a job had, in whatever session.
fn relieve(job: &mut Before, lesser: &Files, relief: i64) {
    for file in &mut job.files {
        if let Some(lesser) = lesser.get(&file.path) {
            *file = super::lesser(file, lesser);
        }
    }
    job.peak_bytes = job.peak_bytes.saturating_sub(relief);
    job.headroom_bytes = job
        .headroom_bytes
        .map(|headroom| headroom.saturating_add(relief));
}

#[cfg(test)]
mod tests;
