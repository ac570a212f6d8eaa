//! The job's peak: the highest simultaneous memory that was measured, and what bounds it from above.
//!
//! Each source gives a lower bound of what was held at once, and the greatest counts, under its own label: the job's curve at the ticks; each
//! exact peak of a process; and that peak together with the least that all others had around it, which catches what the others
//! held at a spike between ticks.

use std::ops::Range;

use highwater_wire::report::{PeakKind, PeakMetric};

use super::{
    memory::Memory,
    processes::ProcessFacts,
    walk::{self, Interval, Walk},
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

pub(super) fn of_job(memory: &Memory, walks: &[Walk<'_>], processes: &[ProcessFacts]) -> JobPeak {
    let several = if memory.has_pss() {
        PeakMetric::PssCorrected
    } else {
        PeakMetric::RssSum
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
    if let Some((point, is_one)) = memory.highest_of_tree() {
        best.bytes = point.bytes;
        best.at_us = point.t_us;
        best.metric = if is_one { PeakMetric::Rss } else { several };
    }
    let error = error_bytes.cast_signed();
    for walk in walks {
        let mut highest = None;
        for interval in walk.intervals.iter().filter(|interval| interval.exact) {
            let bound = bound_of(memory, walk.process, interval, several);
            // A sample of the same moment may be above the mark by what the kernel counts late.
            let is_finer = bound.kind == PeakKind::Exact
                && best.kind == PeakKind::Sampled
                && best.metric == PeakMetric::Rss;
            if bound.bytes > best.bytes
                || (is_finer && bound.bytes.saturating_add(error) >= best.bytes)
            {
                highest = Some(interval);
                best = JobPeak {
                    error_bytes,
                    ..bound
                };
            }
        }
        if let Some(interval) = highest {
            best.at_us = instant_of(memory, walk.process, interval);
        }
        // What was before the first mark, or is only told by the last word of the process.
        if let Some(peak) = walk.peak.filter(|peak| peak.kind == PeakKind::Exact)
            && peak.bytes > best.bytes
        {
            let started_us = processes[walk.process].started_us;
            best.bytes = peak.bytes;
            best.at_us = peak.at_us;
            best.metric = PeakMetric::Rss;
            best.kind = kind_of_one(memory, &memory.ticks_in(started_us, peak.at_us));
        }
    }
    best.high_bytes = highest_possible(memory, walks, processes).max(best.bytes);
    best
}

/// The most that was held at the exact peak of one process, as far as it is certain.
fn bound_of(memory: &Memory, process: usize, interval: &Interval, several: PeakMetric) -> JobPeak {
    let ticks = memory.ticks_in(interval.from_us, interval.to_us);
    let kind = kind_of_one(memory, &ticks);
    let alone = JobPeak {
        bytes: interval.peak,
        kind,
        metric: PeakMetric::Rss,
        ..JobPeak::default()
    };
    if kind == PeakKind::Exact {
        return alone;
    }
    let others = memory.least_of_others(process, &ticks);
    let own = interval.peak - memory.shared_at(process, &ticks);
    let together = own.saturating_add(others);
    if together > interval.peak {
        JobPeak {
            bytes: together,
            metric: several,
            ..alone
        }
    } else {
        alone
    }
}

/// The kernel's mark of one process is the job's exact peak only where nobody else was there; else the job may have had more.
fn kind_of_one(memory: &Memory, ticks: &Range<usize>) -> PeakKind {
    if memory.most_alive_at(ticks) <= 1 {
        PeakKind::Exact
    } else {
        PeakKind::Sampled
    }
}

/// When a peak between two marks was: at the highest sample between them, else at the mark that told of it.
fn instant_of(memory: &Memory, process: usize, interval: &Interval) -> i64 {
    memory
        .highest_tick_in(process, interval.from_us, interval.to_us)
        .unwrap_or(interval.to_us)
}

/// The highest sum over time of what each process can have had: between marks its exact peak of that interval, elsewhere the larger
/// of the samples around. Shared pages count in each process, so nothing that was there at once can have been more.
fn highest_possible(memory: &Memory, walks: &[Walk<'_>], processes: &[ProcessFacts]) -> i64 {
    let walks = walk::by_process(walks, processes.len());
    let mut steps: Vec<(i64, usize, i64)> = Vec::new();
    for (process, facts) in processes.iter().enumerate() {
        let intervals = walks[process].map_or(&[][..], |walk| &walk.intervals);
        let exact = || intervals.iter().filter(|interval| interval.exact);
        let first = exact().next();
        let marked = first
            .zip(exact().next_back())
            .map(|(first, last)| first.from_us..last.to_us);
        steps.extend(exact().map(|interval| (interval.from_us, process, interval.peak)));
        let mut points = memory.rss_points(process).peekable();
        while let Some((t_us, rss)) = points.next() {
            if marked.as_ref().is_none_or(|marked| !marked.contains(&t_us)) {
                let next = points.peek().map_or(rss, |(_, next)| *next);
                steps.push((t_us, process, next.max(rss)));
            }
        }
        if let Some(marked) = marked {
            let after = memory.highest_rss_in(process, marked.end, i64::MAX);
            steps.push((marked.end, process, after.unwrap_or(0)));
        }
        steps.push((facts.until_us.saturating_add(1), process, 0));
    }
    // Stable, and made of a few ascending stretches a process.
    steps.sort_by_key(|(t_us, ..)| *t_us);
    let mut now = vec![0; processes.len()];
    let (mut sum, mut highest) = (0_i128, 0);
    for (_, process, bytes) in steps {
        sum += i128::from(bytes) - i128::from(now[process]);
        now[process] = bytes;
        highest = highest.max(sum);
    }
    i64::try_from(highest).unwrap_or(i64::MAX)
}
