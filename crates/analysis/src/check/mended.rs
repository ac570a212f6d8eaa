//! What of an earlier job's rise this one has no more, while other files of it take as much: the peak is as high as there, and not for the same reason.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::CheckFigure;

use super::{
    Before, FileFigures, by_path,
    confirm::relief,
    refuted::{of, of_mut},
    tested,
};
use crate::regression::{Figure, Standing, Told, compare, least_change};

/// Files by their paths.
type Files = BTreeMap<String, FileFigures>;

/// By how much less the newest of the jobs before would have peaked without what files took more there and take no more, as far as other files of this job took that
/// place, bytes. `is_whole`: the job ran to its end, so that a file that is not there is gone.
pub(super) fn replaced(before: &[Before], files: &Files, is_whole: bool) -> i64 {
    let Some((newest, earlier)) = before.split_last() else {
        return 0;
    };
    let newest = by_path(newest.files.iter().cloned());
    let earlier: Vec<Files> = earlier
        .iter()
        .map(|job| by_path(job.files.iter().cloned()))
        .collect();
    let tested = tested(files.len());
    let (mut mended, mut grown) = (Pairs::default(), Pairs::default());
    let paths: BTreeSet<&String> = newest.keys().chain(files.keys()).collect();
    for path in paths {
        let (then, now) = (newest.get(path), files.get(path));
        let had: Vec<&FileFigures> = earlier.iter().filter_map(|job| job.get(path)).collect();
        let had: Vec<&FileFigures> = had.into_iter().filter(|file| file.is_whole).collect();
        if let Some(then) = then.filter(|_| now.is_some() || is_whole) {
            mended.note(then, now, &had, tested);
        }
        if let Some(now) = now {
            // What has no figures in the jobs before is new in this one.
            grown.note(now, then, &had, tested);
        }
    }
    mended.relief().min(grown.relief())
}

/// What files took at a time, and what without what they then took more than at another.
#[derive(Default)]
struct Pairs {
    more: Files,
    less: Files,
}

impl Pairs {
    /// `had`: what the file took in the jobs before both.
    fn note(
        &mut self,
        one: &FileFigures,
        other: Option<&FileFigures>,
        had: &[&FileFigures],
        tested: usize,
    ) {
        if !one.is_whole || other.is_some_and(|other| !other.is_whole) {
            return;
        }
        let mut less = one.clone();
        for figure in [CheckFigure::Retained, CheckFigure::Spike] {
            let values: Vec<f64> = had.iter().map(|file| of(file, figure) as f64).collect();
            let bytes = other.map_or(0, |other| of(other, figure));
            let size_bytes = one.size_bytes();
            let is_worse = |bytes: i64| {
                let bytes = bytes as f64;
                match compare(&values, Figure { bytes, size_bytes }, tested) {
                    Told::Compared(it) => {
                        matches!(it.standing, Standing::Worse | Standing::WorseBefore)
                    }
                    Told::TooFew => true,
                }
            };
            let is_less = (of(one, figure) - bytes) as f64 >= least_change(size_bytes);
            let is_as_before = values.is_empty() || other.is_none() || !is_worse(bytes);
            if is_less && is_worse(of(one, figure)) && is_as_before {
                *of_mut(&mut less, figure) = bytes;
            }
        }
        if less != *one {
            self.more.insert(one.path.clone(), one.clone());
            self.less.insert(one.path.clone(), less);
        }
    }

    fn relief(&self) -> i64 {
        relief(&self.more, &self.less)
    }
}

#[cfg(test)]
mod tests;
