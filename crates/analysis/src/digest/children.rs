//! What the descendants of a process held while it ran a test file, and what that file left behind in them.
//!
//! A child that outlives the file that started it is there as the next ones begin, and is none of their need. One that a fixture started which several
//! files share belongs to none of them: neither that it came nor that it goes, only what it grows by in between.

use super::{
    memory::{Branch, Memory},
    processes::ProcessFacts,
    walk::{FixtureFacts, Walk},
};

/// The kernel tells when a process started in ticks of a hundredth of a second, rounded down.
const START_TICK_US: i64 = 10_000;

/// So many ticks have one list of the children that were there in them.
const TICKS_A_LIST: usize = 64;

/// The children of the process of a walk, each with all below it.
pub(super) struct Children<'a> {
    walk: &'a Walk<'a>,
    memory: &'a Memory,
    /// With when each started, and whether a fixture started it that several files share.
    branches: Vec<(&'a Branch, i64, bool)>,
    /// Their places, by the ticks at which they were there: a test asks for few of many.
    lists: Vec<Vec<usize>>,
}

/// What they come to over a visit or a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OfSpan {
    /// What they held when it began, bytes.
    pub(super) start_bytes: i64,
    /// What they held more when it ended, without those of fixtures that several files share, which came or went in it.
    pub(super) retained_bytes: i64,
    /// How much further than the peak of the process itself it reached together with what each of them took above what it held when that began; at
    /// least 0.
    pub(super) spike_bytes: i64,
}

impl<'a> Children<'a> {
    pub(super) fn of(walk: &'a Walk<'a>, processes: &[ProcessFacts], memory: &'a Memory) -> Self {
        let branches = memory.branches(walk.process);
        let shared = |fixture: &&FixtureFacts<'_>| fixture.is_shared() && !branches.is_empty();
        let shared: Vec<_> = walk.fixtures.iter().filter(shared).collect();
        let branches = branches.iter().map(|branch| {
            let started_us = processes[branch.process].started_us;
            let is_shared = shared.iter().any(|it| has_started(it, started_us));
            (branch, started_us, is_shared)
        });
        let branches: Vec<_> = branches.collect();
        let mut lists = Vec::new();
        for (at, (branch, _, _)) in branches.iter().enumerate() {
            let ticks = branch.ticks();
            let last = ticks.end.div_ceil(TICKS_A_LIST);
            if lists.len() < last {
                lists.resize_with(last, Vec::new);
            }
            for list in &mut lists[ticks.start / TICKS_A_LIST..last] {
                list.push(at);
            }
        }
        Self {
            walk,
            memory,
            branches,
            lists,
        }
    }

    /// Those that were there in a span of time, or at the ticks around it, with whether a fixture started them that several files share.
    fn there(&self, from_us: i64, to_us: i64) -> impl Iterator<Item = (&'a Branch, bool)> + '_ {
        let ticks = self.memory.ticks_around(from_us, to_us);
        let lists = self.lists.iter().skip(ticks.start / TICKS_A_LIST);
        let lists = lists.take(ticks.end.div_ceil(TICKS_A_LIST) - ticks.start / TICKS_A_LIST);
        let mut places: Vec<usize> = lists.flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        let there = places.into_iter().map(|at| &self.branches[at]);
        there
            .filter(move |(branch, _, _)| {
                let seen = branch.ticks();
                seen.start < ticks.end && seen.end > ticks.start
            })
            .map(|(branch, _, is_shared)| (*branch, *is_shared))
    }

    /// Of what went on for so long and in which the process itself reached so much.
    pub(super) fn of_span(&self, began_us: i64, ended_us: Option<i64>, peak_bytes: i64) -> OfSpan {
        let until_us = ended_us.unwrap_or(i64::MAX);
        let mut own: Vec<(&Branch, i64)> = Vec::new();
        let mut found = OfSpan::default();
        for (branch, is_shared) in self.there(began_us, until_us) {
            let start = self.memory.branch_at(branch, began_us);
            let end = self.memory.branch_at(branch, until_us);
            found.start_bytes = found.start_bytes.saturating_add(start);
            if !is_shared || (start > 0 && end > 0) {
                let change = end.saturating_sub(start);
                found.retained_bytes = found.retained_bytes.saturating_add(change);
            }
            if !is_shared || start > 0 {
                own.push((branch, start));
            }
        }
        let process = self.walk.process;
        let together = self.memory.highest_with(process, &own, began_us, until_us);
        let above = together.map_or(0, |bytes| bytes.saturating_sub(peak_bytes));
        found.spike_bytes = above.max(0);
        found
    }

    /// What those that a fixture started which several files share held at the end of the visit that it was set up in, bytes; where it was set up in none,
    /// or torn down before, at the end of its set-up or before its teardown.
    pub(super) fn of_fixture(&self, fixture: &FixtureFacts<'_>) -> i64 {
        let Some(ready_us) = fixture.ready_us.filter(|_| fixture.is_shared()) else {
            return 0;
        };
        let started = |it: &&(&Branch, i64, bool)| it.2 && has_started(fixture, it.1);
        let mut started = self.branches.iter().filter(started).peekable();
        if started.peek().is_none() {
            return 0;
        }
        let after = self
            .walk
            .visits
            .partition_point(|it| it.began_us <= ready_us);
        let around = after.checked_sub(1).map(|at| &self.walk.visits[at]);
        let ended_us = around.and_then(|visit| visit.ended_us).unwrap_or(ready_us);
        let torn_down_us = fixture.release_began_us.unwrap_or(i64::MAX);
        let at_us = ended_us.max(ready_us).min(torn_down_us);
        started.fold(0, |sum, (branch, _, _)| {
            sum.saturating_add(self.memory.branch_at(branch, at_us))
        })
    }
}

/// Whether a process that started then was started by the set-up of a fixture. What may as well have started after it was not: a fixture that starts a
/// server waits for it.
fn has_started(fixture: &FixtureFacts<'_>, started_us: i64) -> bool {
    let from_us = fixture.began_us.saturating_sub(START_TICK_US);
    let until_us = fixture.ready_us.unwrap_or(i64::MAX);
    started_us >= from_us && started_us.saturating_add(START_TICK_US) <= until_us
}
