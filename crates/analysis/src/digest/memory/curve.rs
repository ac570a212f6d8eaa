//! Memory of one process at each tick of the grid, and what of it is taken as shared.
//!
//! A forked child starts as a copy of its parent and shows its RSS, though all of its pages are the parent's. It is known by its command, which
//! is still its parent's, or by an RSS that is, and by an address space that is about as large, where the agent could read both. Until its first
//! PSS reading it counts with what it has above that copy; once its RSS leaves the copy before that (it called
//! exec), it counts whole.
//!
//! What a program of its own shares changes as others of the same come and go, though nothing changes in it. So where a child is asked what it took
//! from one moment to another, it counts with one figure of what it shares: the least that was read. A fork counts with what it has above what it began as, since
//! its parent counts whole beside it.

use highwater_wire::v1::Metric;

use crate::{
    digest::processes::ProcessFacts,
    recording::{Group, SeriesKey, Subject},
};

/// A child that runs its parent's command is taken for a copy of it when its first RSS is at least this share of the parent's.
const FORK_COPY_SHARE: f64 = 0.5;
/// A child that runs another command may have been seen before it called exec: its first RSS was then that of its parent, to this share.
const FORK_SEEN_SHARE: f64 = 0.02;
/// A copy that falls below this share of itself has called exec.
const FORK_COPY_LEFT: f64 = 0.9;
/// So has one that runs another command in the end and rises by more than [`FORK_SEEN_SHARE`] within so long of its first sample, µs: a program that is
/// started is mostly forked and run at once, while a server's forks that only change their title grow later.
const EXEC_SEEN_WITHIN_US: i64 = 200_000;

/// Memory of one process at consecutive and other ticks.
#[derive(Debug, Default)]
pub(super) struct Curve {
    /// Tick, RSS, and how much of it is taken as shared with others of the tree.
    pub(super) points: Vec<(usize, i64, i64)>,
    /// The first of the points at which it was no copy of its parent, or their number.
    own_from: usize,
    /// The least that it was read to share since then, bytes.
    least_shared: i64,
    /// RSS of that copy, bytes; 0 where it never was one.
    copied: i64,
}

impl Curve {
    /// Whether it was a copy of its parent for as long as it was seen: a fork.
    pub(super) fn is_fork(&self) -> bool {
        !self.points.is_empty() && self.own_from == self.points.len()
    }

    /// Ticks and what it held at each beside its parent, told so that a change between two is its own doing. One that `has_forks` counts whole, and these with what they
    /// have above what they began as.
    pub(super) fn beside_parent(&self, has_forks: bool) -> impl Iterator<Item = (usize, i64)> + '_ {
        let points = self.points.iter().enumerate();
        points.map(move |(at, (tick, rss, shared))| {
            let shared = match at >= self.own_from {
                // Of a page that two have PSS counts half.
                false => shared.saturating_mul(2).min(self.copied),
                true if has_forks => 0,
                true => self.least_shared,
            };
            (*tick, rss.saturating_sub(shared).max(0))
        })
    }

    pub(super) fn at(&self, tick: usize) -> Option<(i64, i64)> {
        // A process is rarely missed at a tick, so its points mostly stand as close as the ticks.
        let close = tick.checked_sub(self.points.first()?.0)?;
        let found = self.points.get(close).filter(|point| point.0 == tick);
        let (_, rss, shared) = match found {
            Some(point) => *point,
            None => {
                let position = self.points.binary_search_by_key(&tick, |point| point.0);
                self.points[position.ok()?]
            }
        };
        Some((rss, shared))
    }
}

/// RSS of a process at the ticks of the grid at which it was read.
pub(super) fn rss_of(grid: &Group, process: &ProcessFacts) -> Curve {
    let key = SeriesKey {
        subject: Subject::Process(process.key),
        metric: Metric::Rss,
    };
    let runs = grid.series.get(&key).map_or(&[][..], Vec::as_slice);
    let points = runs
        .iter()
        .flat_map(|run| {
            run.values
                .iter()
                .enumerate()
                .map(|(at, rss)| (run.first + at, *rss, 0))
        })
        .collect();
    Curve {
        points,
        ..Curve::default()
    }
}

/// Time and PSS of each reading.
pub(super) fn pss_of(slow: &Group, process: &ProcessFacts) -> Vec<(i64, i64)> {
    let key = SeriesKey {
        subject: Subject::Process(process.key),
        metric: Metric::Pss,
    };
    let runs = slow.series.get(&key).map_or(&[][..], Vec::as_slice);
    runs.iter()
        .flat_map(|run| {
            run.values
                .iter()
                .enumerate()
                .map(|(at, pss)| (slow.t_us[run.first + at], *pss))
        })
        .collect()
}

/// What a process began as, when that was a copy of its parent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copied {
    /// RSS of the copy, bytes.
    bytes: i64,
    /// Whether it runs another command than its parent in the end: so it did call exec.
    is_replaced: bool,
}

impl Copied {
    /// Whether one that is seen with this RSS, so long after its first sample, may be the copy still.
    fn is_seen_in(self, rss: i64, after_us: i64) -> bool {
        let share = rss as f64 / self.bytes as f64;
        let is_fresh = self.is_replaced && after_us <= EXEC_SEEN_WITHIN_US;
        share >= FORK_COPY_LEFT && !(is_fresh && share > 1.0 + FORK_SEEN_SHARE)
    }
}

/// The copy that a process began as; none when it did not begin as one.
pub(super) fn copy_of_parent(
    curves: &[Curve],
    processes: &[ProcessFacts],
    at: usize,
) -> Option<Copied> {
    let parent = processes[at].parent?;
    let (tick, first, _) = curves[at].points.first().copied()?;
    let (rss, _) = curves[parent].at(tick)?;
    let first_share = first as f64 / rss.max(1) as f64;
    let is_replaced = processes[at].command != processes[parent].command;
    let may_be_fork = processes[at].as_large_as_parent != Some(false);
    let is_copy = match is_replaced {
        false => first_share >= FORK_COPY_SHARE,
        true => may_be_fork && (first_share - 1.0).abs() <= FORK_SEEN_SHARE,
    };
    let bytes = first.min(rss);
    (is_copy && bytes > 0).then_some(Copied { bytes, is_replaced })
}

/// Fills in what is shared at each point.
pub(super) fn share(
    curve: &mut Curve,
    readings: &[(i64, i64)],
    copied: Option<Copied>,
    ticks: &[i64],
) {
    // What grows as it is read is hardly what it was at the tick before.
    let rss_near = |points: &[(usize, i64, i64)], t_us: i64| {
        let after = points.partition_point(|point| ticks[point.0] <= t_us);
        let around = after.saturating_sub(1)..(after + 1).min(points.len());
        let nearest = points[around]
            .iter()
            .min_by_key(|point| ticks[point.0].abs_diff(t_us));
        nearest.map_or(0, |point| point.1)
    };
    let shared: Vec<(i64, i64)> = readings
        .iter()
        .map(|(t_us, pss)| (*t_us, (rss_near(&curve.points, *t_us) - pss).max(0)))
        .collect();
    curve.copied = copied.map_or(0, |it| it.bytes);
    let first_us = curve.points.first().map_or(0, |point| ticks[point.0]);
    let has_left = |(tick, rss, _): &(usize, i64, i64)| {
        copied.is_none_or(|it| !it.is_seen_in(*rss, ticks[*tick] - first_us))
    };
    // Once it was read what a copy shares, that tells.
    let first_read_us = shared.first().filter(|_| copied.is_some());
    let may_leave = |point: &(usize, i64, i64)| {
        first_read_us.is_none_or(|(read_us, _)| ticks[point.0] < *read_us)
    };
    let left = curve
        .points
        .iter()
        .position(|it| may_leave(it) && has_left(it));
    curve.own_from = left.unwrap_or(curve.points.len());
    let own_from_us = curve.points.get(curve.own_from).map(|it| ticks[it.0]);
    let since = |t_us: i64| own_from_us.is_some_and(|from_us| t_us >= from_us);
    let of_own = shared.iter().filter(|(t_us, _)| since(*t_us));
    curve.least_shared = of_own.map(|(_, bytes)| *bytes).min().unwrap_or(0);
    for (tick, rss, out) in &mut curve.points {
        let t_us = ticks[*tick];
        let after = shared.partition_point(|reading| reading.0 <= t_us);
        let latest = after.checked_sub(1).map(|at| shared[at]);
        *out = match (latest, copied) {
            (Some((_, bytes)), _) => bytes,
            (None, Some(_)) if since(t_us) => 0,
            (None, Some(copied)) => copied.bytes,
            (None, None) => shared.first().map_or(0, |(_, bytes)| *bytes),
        }
        .clamp(0, *rss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page for users says of the curve.
    const PAGE: &str = include_str!("../../../../../docs/ANALYSIS.md");

    #[test]
    fn the_page_says_what_the_constants_are() {
        for told in [
            format!(
                "that of the parent at that tick to {} %",
                FORK_SEEN_SHARE * 100.0
            ),
            format!("with the same command, at least {FORK_COPY_SHARE} of it"),
            format!("whole once before that it falls below {FORK_COPY_LEFT} of it, or"),
            format!(
                "rises above it by {} % within {} ms of its first sample",
                FORK_SEEN_SHARE * 100.0,
                EXEC_SEEN_WITHIN_US / 1_000
            ),
        ] {
            assert!(
                PAGE.contains(&told),
                "docs/ANALYSIS.md does not say {told:?}"
            );
        }
    }
}
