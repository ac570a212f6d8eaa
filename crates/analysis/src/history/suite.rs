//! The figures of jobs alike as series, and their changes as they are told.

use std::collections::BTreeMap;

use highwater_wire::report::{Change, ChangeKind, CheckFigure, Direction};

use super::{Shift, shifts, words};
use crate::{
    check::{Before, FileFigures, imports, taken},
    regression::least_change,
    robust,
};

/// Jobs alike.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Their name.
    pub name: &'a str,
    /// What they have the same.
    pub alike: &'a str,
    /// They, in the order of their commits.
    pub jobs: &'a [Before],
}

/// A figure of a job.
type OfJob = fn(&Before) -> i64;

/// What changed in jobs alike: their peak, what they import, and each of their files; the newest first.
#[must_use]
pub fn of_suite(series: &Series<'_>) -> Vec<Change> {
    let (jobs, _) = taken(series.jobs);
    let series = &Series {
        jobs: &jobs,
        ..*series
    };
    let mut changes = Vec::new();
    let of_job: [(CheckFigure, OfJob); 2] = [
        (CheckFigure::Peak, |job| job.peak_bytes),
        (CheckFigure::Imports, |job| imports(&job.files)),
    ];
    for (figure, bytes) in of_job {
        let jobs = series.jobs.iter().enumerate();
        let whole = jobs.filter(|(_, job)| job.failed == 0);
        let values = whole.map(|(at, job)| Value {
            at,
            bytes: bytes(job),
            size_bytes: job.peak_bytes as f64,
        });
        changes.extend(told(series, figure, None, &values.collect::<Vec<_>>()));
    }
    for (path, figures) in by_file(series.jobs) {
        changes.extend(of_figures(series, path, &figures));
    }
    newest_first(&mut changes);
    changes
}

/// What changed of a file in jobs alike, the newest first.
#[must_use]
pub fn of_file(series: &Series<'_>, path: &str) -> Vec<Change> {
    let (jobs, _) = taken(series.jobs);
    let series = &Series {
        jobs: &jobs,
        ..*series
    };
    let mut files = by_file(series.jobs);
    let figures = files.remove(path).unwrap_or_default();
    let mut changes = of_figures(series, path, &figures);
    newest_first(&mut changes);
    changes
}

/// Puts changes in the order of the commits that they came with, the newest first, then of their size.
pub fn newest_first(changes: &mut [Change]) {
    changes.sort_by(|one, other| {
        let key = |change: &Change| {
            let began = crate::time::unix_us(&change.since.ordered_at);
            (began, change.change_bytes.unsigned_abs())
        };
        key(other).cmp(&key(one))
    });
}

/// A figure in one job.
#[derive(Debug, Clone, Copy)]
struct Value {
    /// Place of the job.
    at: usize,
    bytes: i64,
    /// What the floor is a share of, bytes.
    size_bytes: f64,
}

/// Whether a job tells of a file, or where none is named of the suite: all of the file ran there, and went well.
#[must_use]
pub fn tells(job: &Before, path: Option<&str>) -> bool {
    path.is_none_or(|path| {
        let mut of_it = job.files.iter().filter(|file| file.path == path).peekable();
        of_it.peek().is_some() && of_it.all(|file| file.is_whole)
    })
}

/// Figures of each file that tell of it as it is, by the place of their job. One that ran in several sessions is taken as the most of each.
fn by_file(jobs: &[Before]) -> BTreeMap<&str, BTreeMap<usize, FileFigures>> {
    let mut files: BTreeMap<&str, BTreeMap<usize, FileFigures>> = BTreeMap::new();
    for (at, job) in jobs.iter().enumerate() {
        for file in &job.files {
            let of_jobs = files.entry(&file.path).or_default();
            let known = of_jobs.entry(at).or_insert_with(|| file.clone());
            known.retained_bytes = known.retained_bytes.max(file.retained_bytes);
            known.spike_bytes = known.spike_bytes.max(file.spike_bytes);
            known.tree_peak_bytes = known.tree_peak_bytes.max(file.tree_peak_bytes);
            known.is_whole &= file.is_whole;
        }
    }
    files
}

fn of_figures(
    series: &Series<'_>,
    path: &str,
    figures: &BTreeMap<usize, FileFigures>,
) -> Vec<Change> {
    let of = |bytes: fn(&FileFigures) -> i64| {
        let whole = figures.iter().filter(|(_, figures)| figures.is_whole);
        let values = whole.map(|(at, figures)| Value {
            at: *at,
            bytes: bytes(figures),
            size_bytes: figures.size_bytes(),
        });
        values.collect::<Vec<Value>>()
    };
    let retained = of(|figures| figures.retained_bytes);
    let spikes = of(|figures| figures.spike_bytes);
    let mut changes = told(series, CheckFigure::Retained, Some(path), &retained);
    // What is still held at the end was needed for a while too, and is told already.
    let is_told = |spike: &Change| {
        let least = least_change(size(&spikes)) as i64;
        changes.iter().any(|held: &Change| {
            let differ = spike.change_bytes.saturating_sub(held.change_bytes);
            held.since == spike.since && held.kind == spike.kind && differ.saturating_abs() < least
        })
    };
    let mut needed = told(series, CheckFigure::Spike, Some(path), &spikes);
    needed.retain(|spike| !is_told(spike));
    changes.extend(needed);
    changes
}

/// What the floor is a share of in most jobs, bytes.
fn size(values: &[Value]) -> f64 {
    let mut sizes: Vec<f64> = values.iter().map(|it| it.size_bytes).collect();
    robust::median(&mut sizes).unwrap_or(0.0)
}

fn told(
    series: &Series<'_>,
    figure: CheckFigure,
    path: Option<&str>,
    values: &[Value],
) -> Vec<Change> {
    let bytes: Vec<f64> = values.iter().map(|value| value.bytes as f64).collect();
    let shifts = shifts(&bytes, least_change(size(values)));
    let job = |place: usize| {
        let value = values.get(place)?;
        Some(&series.jobs.get(value.at)?.job)
    };
    let change = |shift: &Shift| {
        let (bytes, before_bytes) = (shift.after as i64, shift.before as i64);
        let change_bytes = bytes.saturating_sub(before_bytes);
        let mut change = Change {
            figure,
            path: path.map(str::to_owned),
            name: series.name.to_owned(),
            alike: series.alike.to_owned(),
            kind: match shift.per_job {
                Some(_) => ChangeKind::Creep,
                None => ChangeKind::Step,
            },
            direction: match change_bytes > 0 {
                true => Direction::Worse,
                false => Direction::Better,
            },
            confidence: shift.confidence,
            sentence: String::new(),
            since: job(shift.from)?.clone(),
            last_before: shift.from.checked_sub(1).and_then(job).cloned(),
            until: job(shift.to.checked_sub(1)?)?.clone(),
            is_current: shift.to == values.len(),
            bytes,
            before_bytes,
            change_bytes,
            per_job_bytes: shift.per_job.map(|bytes| bytes as i64),
            noise_bytes: shift.noise as i64,
            jobs: (shift.to - shift.from) as u64,
            jobs_before: (shift.from - shift.before_from) as u64,
        };
        change.sentence = words::of_change(&change, path.unwrap_or_default());
        Some(change)
    };
    shifts.iter().filter_map(change).collect()
}
