//! Who says of a job whether it got worse: `highwater check`, and beside it what Bencher documents.

use std::collections::BTreeSet;

use highwater_analysis::{
    check::{self, Before, Checked, Limits},
    regression::{self, Figure, Told},
    samples,
};
use highwater_wire::report::{BaselineJob, FileRow, Finding, JobReport};
use statrs::distribution::{ContinuousCDF, StudentsT};
use uuid::Uuid;

use super::histories::{History, Job, Kind};

/// Of so many values before it Bencher's documentation has its t-test look at the newest.
const BENCHER_SAMPLE: usize = 64;
/// And this is the boundary there.
pub(super) const BENCHER_BOUNDARY: f64 = 0.99;

/// A way to judge that knows each figure by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bencher {
    /// Student's t-test with a boundary, of the figures that `check` tests.
    TTest(f64),
    /// The same of the files' tree peaks.
    TTestOfPeaks(f64),
    /// So much above the mean of the files' tree peaks.
    PercentageOfPeaks(f64),
}

/// What `highwater check` answers: the paths of the files that got worse, and `None` for the job itself.
pub(super) fn highwater(before: &[Job], now: &Job) -> Vec<Option<String>> {
    told(before, now, None)
}

/// The same of `highwater check --confirm`, for which the files that were told ran again in another job.
pub(super) fn confirmed(before: &[Job], now: &Job, again: &Job) -> Vec<Option<String>> {
    told(before, now, Some(again))
}

fn rows(job: &Job) -> impl Iterator<Item = FileRow> {
    job.files.iter().map(|file| FileRow {
        retained_bytes: file.retained_bytes,
        spike_bytes: file.spike_bytes,
        peak_bytes: file.tree_peak_bytes,
        tree_peak_bytes: file.tree_peak_bytes,
        import_bytes: file.import_bytes,
        tests: file.tests,
        failed: u64::from(!file.is_whole),
        ..samples::file(&file.path)
    })
}

fn told(before: &[Job], now: &Job, again: Option<&Job>) -> Vec<Option<String>> {
    let job = JobReport {
        peak_bytes: now.peak_bytes.cast_unsigned(),
        // As the suites were recorded.
        sessions: vec![samples::session(2)],
        ..samples::job()
    };
    let files: Vec<FileRow> = rows(now).collect();
    let before: Vec<Before> = before
        .iter()
        .enumerate()
        .map(|(at, job)| Before {
            job: BaselineJob {
                uuid: Uuid::from_u128(at as u128),
                commit: String::new(),
                ordered_at: String::new(),
            },
            peak_bytes: job.peak_bytes,
            headroom_bytes: None,
            failed: 0,
            files: job.files.clone(),
            renamed: BTreeSet::new(),
            again: None,
        })
        .collect();
    let limits = Limits::default();
    let mut report = check::check(&job, &files, "main", &before, &limits);
    if let Some(again) = again {
        let (suspects, _) = check::suspects(&report);
        let ran = rows(again).filter(|row| suspects.contains(&row.path.as_str()));
        let ran: Vec<FileRow> = ran.collect();
        let of = Checked {
            job: &job,
            files: &files,
            branch: "main",
            before: &before,
            limits: &limits,
        };
        check::confirm(&mut report, of, &samples::job(), &ran);
    }
    let worse = report.findings.into_iter().filter(Finding::fails);
    worse.map(|finding| finding.path).collect()
}

/// Whether one of these is a file.
pub(super) fn has(told: &[Option<String>], path: &str) -> bool {
    told.iter().any(|told| told.as_deref() == Some(path))
}

fn compared(before: &[Job], now: &Job, path: &str, kind: Kind) -> Told {
    let Some(file) = now.file(path) else {
        return Told::TooFew;
    };
    let had: Vec<f64> = values(before, path, |it| kind.of(it));
    let figure = Figure {
        bytes: kind.of(file) as f64,
        size_bytes: file.size_bytes(),
    };
    regression::compare(&had, figure, 2 * now.files.len() + 2)
}

/// How many times the change from which on a figure is worse the greatest change of the job was.
pub(super) fn nearest(history: &History) -> f64 {
    let mut nearest = 0.0_f64;
    for (path, _) in &history.steady {
        for kind in [Kind::Retained, Kind::Spike] {
            if let Told::Compared(it) = compared(&history.before, &history.now, path, kind) {
                nearest = nearest.max(it.change_bytes / it.least_bytes);
            }
        }
    }
    nearest
}

/// The values of a file in the jobs that have it.
pub(super) fn values(
    jobs: &[Job],
    path: &str,
    of: impl Fn(&check::FileFigures) -> i64,
) -> Vec<f64> {
    jobs.iter()
        .filter_map(|job| job.file(path))
        .filter(|file| file.is_whole)
        .map(|file| of(file) as f64)
        .collect()
}

impl Bencher {
    /// Whether a file of a job would be an alert.
    pub(super) fn of(self, before: &[Job], now: &Job, path: &str) -> bool {
        let Some(file) = now.file(path) else {
            return false;
        };
        let alert = |of: &dyn Fn(&check::FileFigures) -> i64| {
            self.is_alert(&values(before, path, of), of(file) as f64)
        };
        match self {
            Self::TTest(_) => [Kind::Retained, Kind::Spike]
                .iter()
                .any(|kind| alert(&|it| kind.of(it))),
            Self::TTestOfPeaks(_) | Self::PercentageOfPeaks(_) => alert(&|it| it.tree_peak_bytes),
        }
    }

    /// Whether any file of a job, or its peak, would be one.
    pub(super) fn any(self, before: &[Job], now: &Job) -> bool {
        let peaks: Vec<f64> = before.iter().map(|job| job.peak_bytes as f64).collect();
        let mut paths = now.files.iter().map(|file| &file.path);
        self.is_alert(&peaks, now.peak_bytes as f64) || paths.any(|path| self.of(before, now, path))
    }

    fn is_alert(self, before: &[f64], now: f64) -> bool {
        let newest = &before[before.len().saturating_sub(BENCHER_SAMPLE)..];
        // It has nothing to say of fewer than two.
        if newest.len() < 2 {
            return false;
        }
        let mean = newest.iter().sum::<f64>() / newest.len() as f64;
        match self {
            Self::TTest(boundary) | Self::TTestOfPeaks(boundary) => {
                let deviation = super::histories::deviation(newest);
                let student = StudentsT::new(mean, deviation, (newest.len() - 1) as f64);
                student.is_ok_and(|student| now > student.inverse_cdf(boundary))
            }
            Self::PercentageOfPeaks(share) => now > mean * (1.0 + share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_as_bencher_has_them() {
        let before = [10.0, 12.0, 11.0, 9.0, 13.0, 11.0];
        // The mean is 11, the deviation 1.4142, and t at 0.99 with 5 degrees of freedom 3.36493.
        let test = Bencher::TTest(0.99);
        assert!(!test.is_alert(&before, 15.7));
        assert!(test.is_alert(&before, 15.8));
        let share = Bencher::PercentageOfPeaks(0.1);
        assert!(!share.is_alert(&before, 12.0));
        assert!(share.is_alert(&before, 12.2));
        assert!(!share.is_alert(&before[..1], 99.0));
    }
}
