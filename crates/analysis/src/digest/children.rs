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

/// So many ticks have one list of the children that were seen in them.
const TICKS_A_LIST: usize = 64;

/// The children of the process of a walk, each with all below it.
pub(super) struct Children<'a> {
    walk: &'a Walk<'a>,
    memory: &'a Memory,
    all: Vec<Child<'a>>,
    /// Their places, by the ticks at which they were seen: a test asks for few of many.
    lists: Vec<Vec<usize>>,
}

struct Child<'a> {
    branch: &'a Branch,
    /// Place of the fixture that started it, of those that several files share; of one inside the other the inner.
    fixture: Option<usize>,
}

/// What they come to over a visit or a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OfSpan {
    /// What they held when it began, bytes.
    pub(super) start_bytes: i64,
    /// What they held more when it ended, without those of fixtures that several files share, which came or went in it.
    pub(super) retained_bytes: i64,
    /// How much further than the peak of the process itself it reached together with what each of them took above what it held when that began; at least 0.
    pub(super) spike_bytes: i64,
}

impl<'a> Children<'a> {
    pub(super) fn of(walk: &'a Walk<'a>, processes: &[ProcessFacts], memory: &'a Memory) -> Self {
        let branches = memory.branches(walk.process);
        let fixtures = walk.fixtures.iter().enumerate();
        let shared: Vec<(usize, &FixtureFacts<'_>)> = fixtures
            .filter(|(_, it)| !branches.is_empty() && it.is_shared())
            .collect();
        let all = branches.iter().map(|branch| {
            let started_us = processes[branch.process].started_us;
            let around = shared.iter().filter(|it| has_started(it.1, started_us));
            let inner = around.max_by_key(|(at, it)| (it.began_us, *at));
            Child {
                branch,
                fixture: inner.map(|(at, _)| *at),
            }
        });
        let all: Vec<Child<'_>> = all.collect();
        let mut lists: Vec<Vec<usize>> = Vec::new();
        for (at, child) in all.iter().enumerate() {
            for tick in child.branch.seen() {
                let list = tick / TICKS_A_LIST;
                if lists.len() <= list {
                    lists.resize_with(list + 1, Vec::new);
                }
                if lists[list].last() != Some(&at) {
                    lists[list].push(at);
                }
            }
        }
        Self {
            walk,
            memory,
            all,
            lists,
        }
    }

    /// Those that were seen about a span of time.
    fn about(&self, from_us: i64, to_us: i64) -> impl Iterator<Item = &Child<'a>> {
        let ticks = self.memory.ticks_around(from_us, to_us);
        let first = ticks.start / TICKS_A_LIST;
        let count = ticks.end.div_ceil(TICKS_A_LIST).saturating_sub(first);
        let lists = self.lists.iter().skip(first).take(count);
        let mut places: Vec<usize> = lists.flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|at| &self.all[at])
    }

    /// Of what went on for so long and in which the process itself reached so much. What never ended is told until the process was seen last.
    pub(super) fn of_span(&self, began_us: i64, ended_us: Option<i64>, peak_bytes: i64) -> OfSpan {
        let process = self.walk.process;
        let last_us = || self.memory.last_tick(process).unwrap_or(i64::MAX);
        let until_us = ended_us.unwrap_or_else(last_us);
        // After its last visit a process only ends, and its children with it.
        let last_visit = self.walk.visits.last();
        let last_of_visits_us = last_visit.and_then(|it| it.ended_us).unwrap_or(i64::MAX);
        let mut own: Vec<(&Branch, i64)> = Vec::new();
        let mut found = OfSpan::default();
        for Child { branch, fixture } in self.about(began_us, until_us) {
            let start = self.memory.branch_at(branch, began_us);
            let end = match ended_us.is_some_and(|ended_us| ended_us >= last_of_visits_us) {
                true => self.memory.branch_left_at(branch, until_us),
                false => self.memory.branch_at(branch, until_us),
            };
            found.start_bytes = found.start_bytes.saturating_add(start);
            if fixture.is_none() || (start > 0 && end > 0) {
                let change = end.saturating_sub(start);
                found.retained_bytes = found.retained_bytes.saturating_add(change);
            }
            if fixture.is_none() || start > 0 {
                own.push((branch, start));
            }
        }
        let together = self.memory.highest_with(process, &own, began_us, until_us);
        let above = together.map_or(0, |bytes| bytes.saturating_sub(peak_bytes));
        found.spike_bytes = above.max(0);
        found
    }

    /// What those held that a fixture started which several files share, at the end of the visit that it was set up in, bytes; where it was set up in none,
    /// or torn down before, at the end of its set-up or before its teardown. By its place in the walk.
    pub(super) fn of_fixture(&self, at: usize) -> i64 {
        let started = |child: &&Child<'_>| child.fixture == Some(at);
        let mut started = self.all.iter().filter(started).peekable();
        let (Some(_), Some(fixture)) = (started.peek(), self.walk.fixtures.get(at)) else {
            return 0;
        };
        let Some(ready_us) = fixture.ready_us else {
            return 0;
        };
        let visits = &self.walk.visits;
        let after = visits.partition_point(|it| it.began_us <= ready_us);
        let around = after.checked_sub(1).map(|at| &visits[at]);
        let ended_us = around.and_then(|visit| visit.ended_us).unwrap_or(ready_us);
        let torn_down_us = fixture.release_began_us.unwrap_or(i64::MAX);
        let at_us = ended_us.max(ready_us).min(torn_down_us);
        started.fold(0, |sum, child| {
            sum.saturating_add(self.memory.branch_at(child.branch, at_us))
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
