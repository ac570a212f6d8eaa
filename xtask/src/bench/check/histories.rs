//! Histories as a branch has them, made of recordings: jobs in another order, of 85 files, with drift, wild jobs, new, moved and deleted files.
//!
//! The job that is judged, and its second measurement, are of recordings that none of its history is of.

use highwater_analysis::{chance::Chance, check::FileFigures};

use super::recordings::{Cell, Half, Recording};

/// Files of a job; where a suite has fewer, parts of other recordings stand beside it.
pub(super) const FILES: usize = 85;
/// Jobs of a history, at the least and at the most.
pub(super) const LENGTH: (usize, usize) = (12, 28);
/// One file in so many drifts by up to [`DRIFT_BYTES`] over the history.
const DRIFTING: f64 = 0.1;
const DRIFT_BYTES: f64 = 2e6;
/// And the job's peak by up to this part of it.
const DRIFT_SHARE: f64 = 0.02;
/// So many jobs of a history are wild in one to three files, by so many bytes.
const WILD: f64 = 0.1;
const WILD_BYTES: (f64, f64) = (10e6, 100e6);
/// Files of each kind that came late, went, or have another name since.
const NEW: usize = 2;
const GONE: usize = 2;
const MOVED: usize = 1;

/// What a job of a history has.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) peak_bytes: i64,
    pub(super) files: Vec<FileFigures>,
}

/// Jobs of before, and one that nothing changed in, measured twice.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) before: Vec<Job>,
    pub(super) now: Job,
    pub(super) again: Job,
    /// Paths that all jobs have, with how far their figures lie apart (standard deviation over the recordings, bytes): retained, spike.
    pub(super) steady: Vec<(String, [f64; 2])>,
}

/// Which figure of a file a step is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Retained,
    Spike,
}

/// Recordings of several suites that were distributed alike, of one half.
pub(super) struct Maker<'a> {
    parts: Vec<&'a [Recording]>,
}

impl<'a> Maker<'a> {
    /// `None` where there are too few recordings: three a cell are the least, two of which are the judged job's.
    pub(super) fn new(cells: &'a [Cell], dist: &str, half: Half) -> Option<Self> {
        let halves: Vec<&[Recording]> = cells
            .iter()
            .filter(|cell| cell.dist == dist)
            .map(|cell| cell.half(half))
            .collect();
        let enough = |it: &&[Recording]| it.len() > 2 && it.iter().all(|of| !of.files.is_empty());
        if halves.is_empty() || !halves.iter().all(enough) {
            return None;
        }
        let mut parts = Vec::new();
        let mut files = 0;
        while files < FILES {
            let part = halves[parts.len() % halves.len()];
            files += part[0].files.len();
            parts.push(part);
        }
        Some(Self { parts })
    }

    /// The next history.
    pub(super) fn history(&self, chance: &mut Chance) -> History {
        let length = chance.whole(LENGTH.0, LENGTH.1);
        let orders: Vec<Vec<usize>> = self
            .parts
            .iter()
            .map(|part| order(part.len(), length, chance))
            .collect();
        let mut jobs: Vec<Job> = (0..length + 2).map(|at| self.job(&orders, at)).collect();
        drift(&mut jobs, chance);
        for job in &mut jobs[..length] {
            if chance.next() < WILD {
                wild(job, chance);
            }
        }
        let steady = self.come_and_go(&mut jobs, chance);
        let again = jobs.pop();
        let now = jobs.pop();
        let empty = || Job {
            peak_bytes: 0,
            files: Vec::new(),
        };
        History {
            before: jobs,
            now: now.unwrap_or_else(empty),
            again: again.unwrap_or_else(empty),
            steady,
        }
    }

    fn job(&self, orders: &[Vec<usize>], at: usize) -> Job {
        let mut job = Job {
            peak_bytes: 0,
            files: Vec::new(),
        };
        for (place, (part, order)) in self.parts.iter().zip(orders).enumerate() {
            let recording = &part[order[at]];
            // As if one part had run after the other in the same processes.
            job.peak_bytes += recording.peak_bytes;
            job.files
                .extend(recording.files.iter().map(|file| FileFigures {
                    path: format!("{place}/{}", file.path),
                    ..file.clone()
                }));
        }
        job.files.truncate(FILES);
        job
    }

    /// Takes files out of some jobs and renames others; answers those that stay.
    fn come_and_go(&self, jobs: &mut [Job], chance: &mut Chance) -> Vec<(String, [f64; 2])> {
        let mut paths: Vec<String> = jobs[0].files.iter().map(|file| file.path.clone()).collect();
        let everywhere = |path: &String| {
            let has = |job: &Job| job.files.iter().any(|it| it.path == *path && it.is_whole);
            jobs.iter().all(has)
        };
        paths.retain(everywhere);
        let mut changed = shuffled(paths.len(), chance);
        changed.truncate(NEW + GONE + MOVED);
        let judged = jobs.len() - 2;
        for (nth, place) in changed.iter().enumerate() {
            let path = &paths[*place];
            let at = chance.whole(1, judged);
            if nth < NEW {
                for job in &mut jobs[..at] {
                    job.files.retain(|file| file.path != *path);
                }
                continue;
            }
            for file_of in &mut jobs[at..] {
                if nth < NEW + GONE {
                    file_of.files.retain(|file| file.path != *path);
                } else if let Some(file) = file_of.files.iter_mut().find(|it| it.path == *path) {
                    file.path.push_str(".moved");
                }
            }
        }
        let stays = |(place, _): &(usize, &String)| !changed.contains(place);
        let steady = paths.iter().enumerate().filter(stays);
        steady
            .map(|(_, path)| (path.clone(), self.apart(path)))
            .collect()
    }

    /// Standard deviation of both figures of a file.
    fn apart(&self, path: &str) -> [f64; 2] {
        let Some((place, name)) = path.split_once('/') else {
            return [0.0; 2];
        };
        let part = place
            .parse::<usize>()
            .ok()
            .and_then(|it| self.parts.get(it));
        let files = part
            .into_iter()
            .flat_map(|part| part.iter())
            .filter_map(|recording| recording.files.iter().find(|file| file.path == name));
        let files: Vec<&FileFigures> = files.collect();
        [Kind::Retained, Kind::Spike].map(|kind| {
            let values: Vec<f64> = files.iter().map(|file| kind.of(file) as f64).collect();
            deviation(&values)
        })
    }
}

impl Kind {
    pub(super) fn of(self, file: &FileFigures) -> i64 {
        match self {
            Self::Retained => file.retained_bytes,
            Self::Spike => file.spike_bytes,
        }
    }
}

impl Job {
    /// Makes a file take more from this job on. What it retains it needs for a while too.
    pub(super) fn step(&mut self, path: &str, kind: Kind, bytes: i64) {
        for file in self.files.iter_mut().filter(|file| file.path == path) {
            file.spike_bytes += bytes;
            file.tree_peak_bytes += bytes;
            if kind == Kind::Retained {
                file.retained_bytes += bytes;
            }
        }
    }

    pub(super) fn file(&self, path: &str) -> Option<&FileFigures> {
        self.files.iter().find(|file| file.path == path)
    }

    /// One job of two measurements, figure by figure.
    pub(super) fn with(&self, again: &Self, both: impl Fn(i64, i64) -> i64) -> Self {
        let files = self.files.iter().map(|one| {
            let Some(other) = again.file(&one.path) else {
                return one.clone();
            };
            FileFigures {
                retained_bytes: both(one.retained_bytes, other.retained_bytes),
                spike_bytes: both(one.spike_bytes, other.spike_bytes),
                tree_peak_bytes: both(one.tree_peak_bytes, other.tree_peak_bytes),
                ..one.clone()
            }
        });
        Self {
            peak_bytes: both(self.peak_bytes, again.peak_bytes),
            files: files.collect(),
        }
    }
}

/// Standard deviation of a sample; 0 of fewer than two values.
pub(super) fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// Recordings for the jobs of a history, all before one is taken again, and two others at its end.
fn order(recordings: usize, length: usize, chance: &mut Chance) -> Vec<usize> {
    let mut all = shuffled(recordings, chance);
    let judged = all.split_off(recordings - 2);
    let mut order = Vec::new();
    while order.len() < length {
        order.extend(shuffled(all.len(), chance).iter().map(|at| all[*at]));
    }
    order.truncate(length);
    order.extend(judged);
    order
}

fn shuffled(count: usize, chance: &mut Chance) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        all.swap(at, chance.whole(0, at));
    }
    all
}

fn drift(jobs: &mut [Job], chance: &mut Chance) {
    let last = (jobs.len() - 1) as f64;
    let peak_share = chance.between(0.0, DRIFT_SHARE);
    let mut paths: Vec<String> = jobs[0].files.iter().map(|file| file.path.clone()).collect();
    paths.retain(|_| chance.next() < DRIFTING);
    let drifting: Vec<(String, f64)> = paths
        .into_iter()
        .map(|path| (path, chance.between(-DRIFT_BYTES, DRIFT_BYTES)))
        .collect();
    for (at, job) in jobs.iter_mut().enumerate() {
        let so_far = at as f64 / last;
        job.peak_bytes += (job.peak_bytes as f64 * peak_share * so_far) as i64;
        for (path, bytes) in &drifting {
            job.step(path, Kind::Retained, (bytes * so_far) as i64);
        }
    }
}

fn wild(job: &mut Job, chance: &mut Chance) {
    for _ in 0..chance.whole(1, 3) {
        let bytes = chance.between(WILD_BYTES.0, WILD_BYTES.1) as i64;
        let kind = [Kind::Retained, Kind::Spike][chance.whole(0, 1)];
        let path = job.files[chance.whole(0, job.files.len() - 1)].path.clone();
        job.step(&path, kind, bytes);
        job.peak_bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judged_job_is_of_recordings_that_its_history_has_not() {
        let mut chance = Chance(1);
        for _ in 0..50 {
            let order = order(11, 28, &mut chance);
            assert_eq!(order.len(), 30);
            let judged = &order[28..];
            assert_ne!(judged[0], judged[1]);
            assert!(order[..28].iter().all(|at| !judged.contains(at)));
        }
    }

    #[test]
    fn the_deviation_of_a_sample() {
        assert!((deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) - 2.138_089_9).abs() < 1e-6);
        assert!(deviation(&[3.0]).abs() < 1e-12);
    }
}
