//! How much memory there was at each tick of the grid: of a process, of a process with its descendants, of the job.
//!
//! Summed RSS counts a page once for each process that maps it. The agent reads PSS only now and then, for it is dear,
//! so at a tick a process counts with its RSS less what it last shared: RSS minus PSS of the latest reading before it
//! (of the first reading, for ticks before that). A process alone in the tree counts with its RSS, since there is
//! nobody to share with. The figure is labelled `pss_corrected`. Never do all together count with less than the largest of them has alone.

use std::{cell::OnceCell, collections::BTreeMap, ops::Range};

use super::processes::ProcessFacts;
use crate::recording::{Group, Rate, Recording};
use curve::{Curve, copy_of_parent, pss_of, rss_of, share};

mod curve;

/// The end of a process is seen so much late at the most, µs.
const END_SEEN_US: i64 = 30_000;

/// One point of the job's curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreePoint {
    /// µs since the job's start.
    pub t_us: i64,
    /// Memory of all processes of the job; shared pages counted once as far as known, and never less than one process has alone.
    pub bytes: i64,
}

/// Memory at each tick.
#[derive(Debug)]
pub(super) struct Memory {
    ticks: Vec<i64>,
    curves: Vec<Curve>,
    children: Vec<Vec<usize>>,
    tree: Vec<TreePoint>,
    /// For each point of the tree, whether it is the RSS of one process.
    tree_is_one: Vec<bool>,
    /// What all processes together had at each tick, without what is taken as shared.
    sums: Vec<i64>,
    alive: Vec<u32>,
    /// Of a process: the ticks at which it had descendants, with the memory of all of them; made when first asked for.
    subtrees: Vec<OnceCell<Vec<(usize, i64)>>>,
    /// Of a process: its children, each with all below it; made when first asked for.
    branches: Vec<OnceCell<Vec<Branch>>>,
    /// When each process ended.
    ended_us: Vec<Option<i64>>,
    has_pss: bool,
}

/// A child of a process with all its own descendants.
#[derive(Debug)]
pub(super) struct Branch {
    /// The child.
    pub(super) process: usize,
    /// When it ended, µs since the job's start.
    ended_us: Option<i64>,
    /// Ticks at which something of it was there, with what that held together.
    points: Vec<(usize, i64)>,
}

impl Branch {
    /// What it held at each tick of some at which it was seen, bytes.
    fn points_in(&self, ticks: &Range<usize>) -> impl Iterator<Item = &(usize, i64)> {
        let first = self.points.partition_point(|point| point.0 < ticks.start);
        let end = ticks.end;
        self.points[first..]
            .iter()
            .take_while(move |point| point.0 < end)
    }

    /// The ticks at which it was seen, some at a time.
    pub(super) fn seen(&self) -> impl Iterator<Item = usize> + '_ {
        self.points.iter().map(|point| point.0)
    }

    /// What it held at a tick, bytes. One that was missed there, and seen before and after, held what it did before.
    fn at(&self, tick: usize) -> Option<i64> {
        let after = self.points.partition_point(|point| point.0 <= tick);
        let (seen, bytes) = self.points[after.checked_sub(1)?];
        (seen == tick || after < self.points.len()).then_some(bytes)
    }
}

impl Memory {
    pub(super) fn of(recording: &Recording, processes: &[ProcessFacts]) -> Self {
        let empty = Group::default();
        let grid = recording.groups().get(&Rate::Grid).unwrap_or(&empty);
        let slow = recording.groups().get(&Rate::Slow).unwrap_or(&empty);
        let mut curves: Vec<Curve> = processes
            .iter()
            .map(|process| rss_of(grid, process))
            .collect();
        let mut has_pss = false;
        for at in 0..processes.len() {
            let readings = pss_of(slow, &processes[at]);
            has_pss |= !readings.is_empty();
            let copy = copy_of_parent(&curves, processes, at);
            share(&mut curves[at], &readings, copy, &grid.t_us);
        }
        let mut children = vec![Vec::new(); processes.len()];
        for (at, process) in processes.iter().enumerate() {
            if let Some(parent) = process.parent {
                children[parent].push(at);
            }
        }
        let mut memory = Self {
            ticks: grid.t_us.clone(),
            curves,
            children,
            tree: Vec::new(),
            tree_is_one: Vec::new(),
            sums: vec![0; grid.t_us.len()],
            alive: vec![0; grid.t_us.len()],
            subtrees: vec![OnceCell::new(); processes.len()],
            branches: processes.iter().map(|_| OnceCell::new()).collect(),
            ended_us: processes.iter().map(|process| process.ended_us).collect(),
            has_pss,
        };
        memory.add_up();
        memory
    }

    fn add_up(&mut self) {
        let mut largest = vec![0_i64; self.ticks.len()];
        for (tick, rss, shared) in self.curves.iter().flat_map(|curve| &curve.points) {
            largest[*tick] = largest[*tick].max(*rss);
            self.sums[*tick] = self.sums[*tick].saturating_add(rss - shared);
            self.alive[*tick] += 1;
        }
        for tick in (0..self.ticks.len()).filter(|tick| self.alive[*tick] > 0) {
            self.tree.push(TreePoint {
                t_us: self.ticks[tick],
                bytes: largest[tick].max(self.sums[tick]),
            });
            self.tree_is_one.push(largest[tick] >= self.sums[tick]);
        }
    }

    /// The job's curve.
    pub(super) fn tree(&self) -> &[TreePoint] {
        &self.tree
    }

    /// The highest point of the job's curve, the first of several, and whether it is the RSS of one process.
    pub(super) fn highest_of_tree(&self) -> Option<(TreePoint, bool)> {
        let points = self
            .tree
            .iter()
            .copied()
            .zip(self.tree_is_one.iter().copied());
        points.reduce(|best, point| {
            if point.0.bytes > best.0.bytes {
                point
            } else {
                best
            }
        })
    }

    /// The last point of the job's curve at or before an instant.
    pub(super) fn tree_at(&self, t_us: i64) -> Option<TreePoint> {
        let after = self.tree.partition_point(|point| point.t_us <= t_us);
        self.tree.get(after.checked_sub(1)?).copied()
    }

    /// The highest point of the job's curve in a span of time.
    pub(super) fn highest_of_tree_in(&self, from_us: i64, to_us: i64) -> Option<TreePoint> {
        let first = self.tree.partition_point(|point| point.t_us < from_us);
        self.tree[first..]
            .iter()
            .take_while(|point| point.t_us <= to_us)
            .max_by_key(|point| point.bytes)
            .copied()
    }

    /// Whether any PSS was read.
    pub(super) fn has_pss(&self) -> bool {
        self.has_pss
    }

    /// The most processes that were seen at one of these ticks, or at their neighbours.
    pub(super) fn most_alive_at(&self, ticks: &Range<usize>) -> u32 {
        let around = &self.alive[self.and_neighbours(ticks)];
        around.iter().copied().max().unwrap_or(0)
    }

    /// The highest sample of a process, with its time.
    pub(super) fn highest_rss(&self, process: usize) -> Option<(i64, i64)> {
        let (tick, rss, _) = self.curves[process]
            .points
            .iter()
            .max_by_key(|point| point.1)?;
        Some((self.ticks[*tick], *rss))
    }

    /// The highest sample of a process in a span of time.
    pub(super) fn highest_rss_in(&self, process: usize, from_us: i64, to_us: i64) -> Option<i64> {
        let points = self.points_in(process, from_us, to_us);
        points.map(|point| point.1).max()
    }

    fn points_in(
        &self,
        process: usize,
        from_us: i64,
        to_us: i64,
    ) -> impl Iterator<Item = &(usize, i64, i64)> {
        let span = self.ticks_in(from_us, to_us);
        let points = &self.curves[process].points;
        let first = points.partition_point(|point| point.0 < span.start);
        points[first..]
            .iter()
            .take_while(move |point| point.0 < span.end)
    }

    /// When the highest sample of a process in a span of time was.
    pub(super) fn highest_tick_in(&self, process: usize, from_us: i64, to_us: i64) -> Option<i64> {
        let (tick, _, _) = self
            .points_in(process, from_us, to_us)
            .max_by_key(|point| point.1)?;
        Some(self.ticks[*tick])
    }

    /// Samples of a process with their times.
    pub(super) fn rss_points(&self, process: usize) -> impl Iterator<Item = (i64, i64)> + '_ {
        let points = self.curves[process].points.iter();
        points.map(|(tick, rss, _)| (self.ticks[*tick], *rss))
    }

    /// The last sample of a process.
    pub(super) fn last_rss(&self, process: usize) -> Option<i64> {
        self.curves[process].points.last().map(|point| point.1)
    }

    /// The last sample of a process at or before an instant.
    pub(super) fn rss_at(&self, process: usize, t_us: i64) -> Option<i64> {
        let points = &self.curves[process].points;
        let after = points.partition_point(|point| self.ticks[point.0] <= t_us);
        points.get(after.checked_sub(1)?).map(|point| point.1)
    }

    /// When a process was sampled last.
    pub(super) fn last_tick(&self, process: usize) -> Option<i64> {
        let (tick, _, _) = self.curves[process].points.last()?;
        Some(self.ticks[*tick])
    }

    /// What a process last had of its own at or before an instant: its RSS without what is taken as shared.
    pub(super) fn last_held(&self, process: usize, t_us: i64) -> Option<i64> {
        let points = &self.curves[process].points;
        let after = points.partition_point(|point| self.ticks[point.0] <= t_us);
        let (_, rss, shared) = points[after.checked_sub(1)?];
        Some(rss - shared)
    }

    /// What of a process's RSS is taken as shared, at the last of these ticks or before it.
    pub(super) fn shared_at(&self, process: usize, ticks: &Range<usize>) -> i64 {
        let curve = &self.curves[process];
        let last = ticks.end.checked_sub(1).and_then(|tick| curve.at(tick));
        last.map_or_else(
            || {
                let after = curve.points.partition_point(|point| point.0 < ticks.end);
                after.checked_sub(1).map_or(0, |at| curve.points[at].2)
            },
            |(_, shared)| shared,
        )
    }

    /// The least that all other processes together had at these ticks, or at their neighbours when there are none.
    pub(super) fn least_of_others(&self, process: usize, ticks: &Range<usize>) -> i64 {
        let curve = &self.curves[process];
        let own = |tick| curve.at(tick).map_or(0, |(rss, shared)| rss - shared);
        let ticks = if ticks.is_empty() {
            self.and_neighbours(ticks)
        } else {
            ticks.clone()
        };
        ticks
            .map(|tick| self.sums[tick].saturating_sub(own(tick)))
            .min()
            .unwrap_or(0)
    }

    /// The highest simultaneous memory of a process and its descendants in a span of time; none without descendants there.
    pub(super) fn highest_subtree_in(
        &self,
        process: usize,
        from_us: i64,
        to_us: i64,
    ) -> Option<i64> {
        let sums = self.subtrees[process].get_or_init(|| self.subtree(process));
        let span = self.ticks_in(from_us, to_us);
        let first = sums.partition_point(|(tick, _)| *tick < span.start);
        sums[first..]
            .iter()
            .take_while(|(tick, _)| *tick < span.end)
            .map(|(_, sum)| *sum)
            .max()
    }

    /// The children of a process.
    pub(super) fn branches(&self, process: usize) -> &[Branch] {
        self.branches[process].get_or_init(|| self.branches_of(process))
    }

    /// The ticks of a span of time and their neighbours.
    pub(super) fn ticks_around(&self, from_us: i64, to_us: i64) -> Range<usize> {
        self.and_neighbours(&self.ticks_in(from_us, to_us))
    }

    /// What a branch held at a moment: the less of the last tick before it and the first one after, since it may have come or gone between them; 0 where it
    /// was not there at both.
    pub(super) fn branch_at(&self, branch: &Branch, t_us: i64) -> i64 {
        let after = self.ticks_in(t_us, t_us).start;
        match after.checked_sub(1).and_then(|tick| branch.at(tick)) {
            Some(_) if after == self.ticks.len() => self.branch_left_at(branch, t_us),
            Some(bytes) => branch.at(after).map_or(0, |then| then.min(bytes)),
            None => 0,
        }
    }

    /// What a branch held that outlived a moment after which its parent only ended, and it with that: as at the last tick before.
    pub(super) fn branch_left_at(&self, branch: &Branch, t_us: i64) -> i64 {
        let surely_us = t_us.saturating_add(END_SEEN_US);
        if branch
            .ended_us
            .is_some_and(|ended_us| ended_us <= surely_us)
        {
            return 0;
        }
        let before = self.ticks_in(t_us, t_us).start.checked_sub(1);
        before.and_then(|tick| branch.at(tick)).unwrap_or(0)
    }

    /// The highest simultaneous memory of a process and what some of its branches took above so many bytes each, in a span of time; none without samples of
    /// the process there.
    pub(super) fn highest_with(
        &self,
        process: usize,
        branches: &[(&Branch, i64)],
        from_us: i64,
        to_us: i64,
    ) -> Option<i64> {
        let ticks = self.ticks_in(from_us, to_us);
        let mut sums = vec![0_i64; ticks.len()];
        for (branch, from) in branches {
            for (tick, bytes) in branch.points_in(&ticks) {
                let sum = &mut sums[tick - ticks.start];
                *sum = sum.saturating_add(bytes.saturating_sub(*from).max(0));
            }
        }
        let points = self.points_in(process, from_us, to_us);
        points
            .map(|(tick, rss, _)| rss.saturating_add(sums[tick - ticks.start]))
            .max()
    }

    fn branches_of(&self, process: usize) -> Vec<Branch> {
        let branch = |child: &usize| {
            let mut sums: BTreeMap<usize, i64> = BTreeMap::new();
            let all = std::iter::once(*child).chain(self.descendants(*child));
            let mut add = |(tick, bytes)| {
                let sum: &mut i64 = sums.entry(tick).or_default();
                *sum = sum.saturating_add(bytes);
            };
            for at in all {
                let mut children = self.children[at].iter();
                let has_forks = children.any(|child| self.curves[*child].is_fork());
                self.curves[at].beside_parent(has_forks).for_each(&mut add);
            }
            Branch {
                process: *child,
                ended_us: self.ended_us[*child],
                points: sums.into_iter().collect(),
            }
        };
        self.children[process].iter().map(branch).collect()
    }

    fn subtree(&self, process: usize) -> Vec<(usize, i64)> {
        let mut below: BTreeMap<usize, i64> = BTreeMap::new();
        for (tick, bytes) in self.branches(process).iter().flat_map(|it| &it.points) {
            let sum = below.entry(*tick).or_default();
            *sum = sum.saturating_add(*bytes);
        }
        let own = self.curves[process].points.iter();
        own.filter_map(|(tick, rss, _)| Some((*tick, below.get(tick)?.saturating_add(*rss))))
            .collect()
    }

    fn descendants(&self, process: usize) -> Vec<usize> {
        let mut is_known = vec![false; self.children.len()];
        is_known[process] = true;
        let mut found = Vec::new();
        let mut next = Some(process);
        let mut done = 0;
        while let Some(at) = next {
            for child in &self.children[at] {
                if !std::mem::replace(&mut is_known[*child], true) {
                    found.push(*child);
                }
            }
            next = found.get(done).copied();
            done += 1;
        }
        found
    }

    fn and_neighbours(&self, ticks: &Range<usize>) -> Range<usize> {
        ticks.start.saturating_sub(1)..(ticks.end + 1).min(self.ticks.len())
    }

    /// The ticks of a span of time.
    pub(super) fn ticks_in(&self, from_us: i64, to_us: i64) -> Range<usize> {
        let start = self.ticks.partition_point(|tick| *tick < from_us);
        let end = self.ticks.partition_point(|tick| *tick <= to_us);
        start..end.max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page for users says of the curve.
    const PAGE: &str = include_str!("../../../../docs/ANALYSIS.md");

    #[test]
    fn the_page_says_what_the_constant_is() {
        let told = format!("is seen up to {} ms late", END_SEEN_US / 1_000);
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
}
