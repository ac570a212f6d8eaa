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
                best.at_us = interval.to_us;
                best.kind = if alone {
                    PeakKind::Exact
                } else {
                    PeakKind::Sampled
                };
                best.metric = if alone { PeakMetric::Rss } else { several };
            }
        }
    }
    best.high_bytes = highest_possible(memory, walks, processes, best.at_us).max(best.bytes);
    best
}

/// The sum of every process's own peak in the interval that holds an instant; of its samples nearby, without marks.
fn highest_possible(
    memory: &Memory,
    walks: &[Walk],
    processes: &[ProcessFacts],
    at_us: i64,
) -> i64 {
    const NEARBY_US: i64 = 1_000_000;
    (0..processes.len())
        .map(|process| {
            let marked = walks
                .iter()
                .find(|walk| walk.process == process)
                .and_then(|walk| {
                    let after = walk
                        .intervals
                        .partition_point(|interval: &Interval| interval.to_us < at_us);
                    walk.intervals
                        .get(after)
                        .filter(|interval| interval.exact && interval.from_us <= at_us)
                        .map(|interval| interval.peak)
                });
            marked
                .or_else(|| memory.highest_rss_in(process, at_us - NEARBY_US, at_us + NEARBY_US))
                .unwrap_or(0)
        })
        .sum()
}
