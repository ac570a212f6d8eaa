//! What a job and its files may take, and what of it is over that.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::{CheckFigure, Finding, FindingCause, JobReport, LimitName, SetLimit};

use super::{
    FileFigures,
    file_limits::{FileLimits, Most},
    words,
};

/// From this part of a limit on a figure is near it.
pub const NEAR: f64 = 0.9;

/// What a job may take, bytes; each is kept by everybody where it is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// The job's peak at the most.
    pub peak_bytes: Option<i64>,
    /// The job's headroom at the least.
    pub headroom_bytes: Option<i64>,
    /// What each file retains at the most.
    pub retained_bytes: Option<i64>,
    /// What each file needs for a while at the most.
    pub spike_bytes: Option<i64>,
    /// Limits of some files, which go before those of each; of several for a file the last that says something.
    pub files: Vec<FileLimits>,
}

/// A figure and its limit.
struct Held<'a> {
    figure: CheckFigure,
    path: Option<&'a str>,
    bytes: i64,
    limit: i64,
    set: SetLimit,
}

/// What limits come to for a job.
pub(super) struct Broken {
    /// What is over one or near it, the job's figures first.
    pub(super) findings: Vec<Finding>,
    /// Globs of limits that are for none of its files.
    pub(super) unmatched: Vec<String>,
}

impl Limits {
    /// Those that were set where a job was recorded, without limits of files that this version does not know.
    #[must_use]
    pub fn of(job: &JobReport) -> Self {
        let Some(set) = &job.check_limits else {
            return Self::default();
        };
        Self {
            peak_bytes: set.max_peak_bytes,
            headroom_bytes: set.min_headroom_bytes,
            retained_bytes: set.max_retained_bytes,
            spike_bytes: set.max_spike_bytes,
            files: set.files.iter().filter_map(|it| it.parse().ok()).collect(),
        }
    }

    pub(super) fn broken(&self, job: &JobReport, files: &BTreeMap<String, FileFigures>) -> Broken {
        let mut held: Vec<Held<'_>> = self.of_job(job).collect();
        let mut idle = vec![true; self.files.len()];
        for file in files.values() {
            let own = self.files.iter().zip(&mut idle).rev();
            let own = own.filter(|(limits, _)| limits.is_for(&file.path));
            let own = own.map(|(limits, is_idle)| {
                *is_idle = false;
                limits
            });
            let own: Vec<&FileLimits> = own.collect();
            held.extend(self.of_file(file, &own));
        }
        held.retain(|it| !it.is_kept() || it.is_near());
        let idle = self.files.iter().zip(idle).filter(|(_, is_idle)| *is_idle);
        let unmatched = idle.map(|(limits, _)| limits.glob().to_owned());
        Broken {
            findings: held.into_iter().map(Held::told).collect(),
            unmatched: unmatched
                .collect::<BTreeSet<String>>()
                .into_iter()
                .collect(),
        }
    }

    fn of_job(&self, job: &JobReport) -> impl Iterator<Item = Held<'static>> {
        let of = |figure, name, bytes: Option<i64>, limit: Option<i64>| {
            Some(Held {
                figure,
                path: None,
                bytes: bytes?,
                limit: limit?,
                set: SetLimit { name, files: None },
            })
        };
        let peak = Some(job.peak_bytes.cast_signed());
        let peak = of(CheckFigure::Peak, LimitName::MaxPeak, peak, self.peak_bytes);
        let headroom = of(
            CheckFigure::Headroom,
            LimitName::MinHeadroom,
            job.headroom_bytes,
            self.headroom_bytes,
        );
        peak.into_iter().chain(headroom)
    }

    /// `own` are the limits that are for the file, the last first.
    fn of_file<'a>(
        &self,
        file: &'a FileFigures,
        own: &[&FileLimits],
    ) -> impl Iterator<Item = Held<'a>> {
        let of = |figure, name, bytes, of_each: Option<i64>| {
            let own = own.iter().find_map(|it| Some((it.most(name)?, it)));
            let (limit, files) = match own {
                Some((Most::Off, _)) => return None,
                Some((Most::Bytes(limit), own)) => (limit, Some(own.glob().to_owned())),
                None => (of_each?, None),
            };
            Some(Held {
                figure,
                path: Some(&file.path),
                bytes,
                limit,
                set: SetLimit { name, files },
            })
        };
        let held = [
            of(
                CheckFigure::Retained,
                LimitName::MaxRetained,
                file.retained_bytes,
                self.retained_bytes,
            ),
            of(
                CheckFigure::Spike,
                LimitName::MaxSpike,
                file.spike_bytes,
                self.spike_bytes,
            ),
            // The project's own is of the job.
            of(
                CheckFigure::Peak,
                LimitName::MaxPeak,
                file.tree_peak_bytes,
                None,
            ),
        ];
        held.into_iter().flatten()
    }
}

impl Held<'_> {
    fn is_kept(&self) -> bool {
        match self.figure {
            CheckFigure::Headroom => self.bytes >= self.limit,
            _ => self.bytes <= self.limit,
        }
    }

    fn is_near(&self) -> bool {
        let (bytes, limit) = (self.bytes as f64, self.limit as f64);
        match self.figure {
            CheckFigure::Headroom => bytes * NEAR <= limit,
            _ => bytes >= limit * NEAR,
        }
    }

    fn told(self) -> Finding {
        let cause = match self.is_kept() {
            true => FindingCause::NearLimit,
            false => FindingCause::Limit,
        };
        let Self {
            figure,
            path,
            bytes,
            limit,
            ..
        } = self;
        Finding {
            figure: self.figure,
            path: self.path.map(str::to_owned),
            cause,
            sentence: words::of_limit(figure, path, bytes, limit, (cause, &self.set)),
            limit: Some(self.set),
            bytes: self.bytes,
            before_bytes: None,
            least_bytes: self.limit,
            noise_bytes: None,
            since: None,
            tests: None,
            acknowledged: None,
            again: None,
            fixtures: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
