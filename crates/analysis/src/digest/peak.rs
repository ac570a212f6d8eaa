//! The job's peak: the highest simultaneous memory that was measured, and what bounds it from above.
//!
//! Two sources: the job's curve at the ticks; and each exact peak of a process together with the least that all others
//! had around it, which is a lower bound of what was held at that instant and catches the spikes between ticks.

use highwater_wire::report::{PeakKind, PeakMetric};

use super::{
    memory::Memory,
    processes::ProcessFacts,
    walk::{Interval, Walk},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct JobPeak {
    pub(super) bytes: i64,
    pub(super) at_us: i64,
    pub(super) high_bytes: i64,
    pub(super) metric: PeakMetric,
    pub(super) kind: PeakKind,
    pub(super) error_bytes: u64,
}

pub(super) fn of_job(memory: &Memory, walks: &[Walk], processes: &[ProcessFacts]) -> JobPeak {
    let several = if memory.has_pss() {
        PeakMetric::PssCorrected
    } else {
        PeakMetric::RssSum
    };
    let metric_at = |t_us: i64| {
        if memory.alive_at(t_us) > 1 {
            several
        } else {
            PeakMetric::Rss
        }
    };
    let error_bytes = processes
        .iter()
        .filter(|process| process.exact == Some(true))
        .map(|process| process.peak_error_bytes)
        .max()
        .unwrap_or(0);
    let mut best = JobPeak {
        error_bytes,
        ..JobPeak::default()
    };
    for point in memory.tree() {
        if point.bytes > best.bytes {
            best.bytes = point.bytes;
            best.at_us = point.t_us;
            best.metric = metric_at(point.t_us);
        }
    }
    let error = error_bytes.cast_signed();
    for walk in walks {
        for interval in walk.intervals.iter().filter(|interval| interval.exact) {
            let alone =
                memory.alive_at(interval.from_us) <= 1 && memory.alive_at(interval.to_us) <= 1;
            let bytes = if alone {
                interval.peak
            } else {
                let shared = memory.shared_at(walk.process, interval.to_us);
                interval.peak - shared
                    + memory.least_of_others(walk.process, interval.from_us, interval.to_us)
            };
            // A sample of the same moment may be above the mark by what the kernel counts late.
            let wins = bytes > best.bytes
                || (alone && best.kind == PeakKind::Sampled && bytes + error >= best.bytes);
            if wins {
                best.bytes = bytes;
                best.at_us = instant_of(memory, walk.process, interval);
                best.kind = if alone {
                    PeakKind::Exact
                } else {
                    PeakKind::Sampled
                };
                best.metric = if alone { PeakMetric::Rss } else { several };
            }
        }
    }
    best.high_bytes = highest_possible(memory, walks, processes).max(best.bytes);
    best
}

/// When a peak between two marks was: at the highest sample between them, else at the mark that told of it.
fn instant_of(memory: &Memory, process: usize, interval: &Interval) -> i64 {
    memory
        .highest_tick_in(process, interval.from_us, interval.to_us)
        .unwrap_or(interval.to_us)
}

/// The highest sum over time of what each process can have had: between marks its exact peak of that interval, elsewhere the larger
/// of the samples around. Shared pages count in each process, so nothing that was there at once can have been more.
fn highest_possible(memory: &Memory, walks: &[Walk], processes: &[ProcessFacts]) -> i64 {
    let mut steps: Vec<(i64, usize, i64)> = Vec::new();
    for (process, facts) in processes.iter().enumerate() {
        let walk = walks.iter().find(|walk| walk.process == process);
        let exact: Vec<&Interval> = walk
            .into_iter()
            .flat_map(|walk| &walk.intervals)
            .filter(|interval| interval.exact)
            .collect();
        let marked = exact
            .first()
            .zip(exact.last())
            .map(|(first, last)| first.from_us..last.to_us);
        steps.extend(
            exact
                .iter()
                .map(|interval| (interval.from_us, process, interval.peak)),
        );
        let points: Vec<(i64, i64)> = memory.rss_points(process).collect();
        for (at, (t_us, rss)) in points.iter().enumerate() {
            let next = points.get(at + 1).map_or(*rss, |(_, next)| *next);
            if marked.as_ref().is_none_or(|marked| !marked.contains(t_us)) {
                steps.push((*t_us, process, next.max(*rss)));
            }
        }
        if let Some(marked) = marked {
            let after = memory.highest_rss_in(process, marked.end, i64::MAX);
            steps.push((marked.end, process, after.unwrap_or(0)));
        }
        steps.push((facts.until_us.saturating_add(1), process, 0));
    }
    steps.sort_unstable_by_key(|(t_us, process, _)| (*t_us, *process));
    let mut now = vec![0; processes.len()];
    let (mut sum, mut highest) = (0, 0);
    for (_, process, bytes) in steps {
        sum += bytes - now[process];
        now[process] = bytes;
        highest = highest.max(sum);
    }
    highest
}
