//! What held memory at the moment a job, or a worker of it, died.

use std::collections::BTreeMap;

use highwater_wire::report::{Culprit, RUNNING, Role};

use super::{
    super::{parts::Parts, processes::ProcessFacts, walk::Walk},
    left::{self, is_named},
};

/// Most culprits that are named.
const MOST_CULPRITS: usize = 5;
/// What holds less than this is no culprit.
pub(super) const LEAST_CULPRIT_BYTES: i64 = 1 << 20;
/// Fewer finished files say nothing of how a suite grows.
const FEW_FILES: usize = 3;
/// Who ended no longer before the moment than this may have been taken by the same shortage.
const SAME_DEATH_US: i64 = 1_000_000;

/// Files, fixtures and modules that tests imported with what they still hold in the processes that were there at a moment, the tests that ran then
/// with what they had taken so far, and processes outside pytest with what they had; the most first. What a running test has taken is its own: no
/// file is blamed for what found no room.
pub(super) fn at(parts: &Parts<'_>, running: &[Running<'_>], moment_us: i64) -> Vec<Culprit> {
    let mut files: BTreeMap<&str, i64> = BTreeMap::new();
    let mut fixtures: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut modules: BTreeMap<&str, i64> = BTreeMap::new();
    for walk in there(parts, moment_us) {
        let was = until(walk, moment_us);
        for left in left::of(walk, was, of_process(running, walk)) {
            let held = match (left.fixture, left.file) {
                (Some(fixture), _) => fixtures.entry(fixture).or_default(),
                (None, Some(path)) => files.entry(path).or_default(),
                (None, None) => continue,
            };
            *held = held.saturating_add(left.bytes);
        }
        for module in walk.modules.iter().filter(|it| it.began_us <= was) {
            let held = modules.entry(module.module).or_default();
            *held = held.saturating_add(module.own_bytes);
        }
    }
    let mut tests: BTreeMap<&str, i64> = BTreeMap::new();
    for test in running.iter().filter(|test| test.taken_bytes > 0) {
        let taken = tests.entry(test.nodeid).or_default();
        *taken = taken.saturating_add(test.taken_bytes);
    }
    let tests = tests.into_iter().map(|(nodeid, bytes)| Culprit {
        kind: RUNNING.to_owned(),
        name: nodeid.to_owned(),
        bytes,
    });
    let files = files.into_iter().map(|(path, bytes)| Culprit {
        kind: "file".to_owned(),
        name: path.to_owned(),
        bytes,
    });
    let fixtures = fixtures.into_iter().map(|((name, path), bytes)| Culprit {
        kind: "fixture".to_owned(),
        name: format!(
            "{name} ({})",
            if path.is_empty() { "session" } else { path }
        ),
        bytes,
    });
    let modules = modules.into_iter().map(|(name, bytes)| Culprit {
        kind: "module".to_owned(),
        name: name.to_owned(),
        bytes,
    });
    let processes = parts
        .processes
        .iter()
        .enumerate()
        .filter(|(_, process)| process.role == Role::Child && is_there(process, moment_us))
        .filter_map(|(position, process)| {
            Some(Culprit {
                kind: "process".to_owned(),
                name: process.command.clone(),
                bytes: parts.memory.last_held(position, moment_us)?,
            })
        });
    let named = files.chain(fixtures).chain(modules).chain(tests);
    named.chain(processes).collect()
}

/// The walks of the processes that were there at a moment.
fn there<'p, 'a>(
    parts: &'p Parts<'a>,
    moment_us: i64,
) -> impl Iterator<Item = &'p Walk<'a>> + use<'p, 'a> {
    let there = move |walk: &&Walk<'_>| is_there(&parts.processes[walk.process], moment_us);
    parts.walks.iter().filter(there)
}

/// Up to when what a process took counts, µs: of one that came to an end in order, and so went on behind the moment, until then.
fn until(walk: &Walk<'_>, moment_us: i64) -> i64 {
    let went_on = !walk.session_leaves.is_empty() || !walk.session_ends.is_empty();
    if went_on { moment_us } else { i64::MAX }
}

/// What finished test files left behind in the processes that were there at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::digest) struct LeftBehind {
    pub(in crate::digest) files: usize,
    pub(in crate::digest) bytes: i64,
    /// Of the file in the middle, in the order of how much it is.
    pub(in crate::digest) middle_bytes: i64,
}

/// `None` where so few files were finished that they say nothing of the suite. What a file's own fixtures keep is among it.
pub(super) fn left_behind(
    parts: &Parts<'_>,
    running: &[Running<'_>],
    moment_us: i64,
) -> Option<LeftBehind> {
    let mut files: BTreeMap<&str, i64> = BTreeMap::new();
    let mut finished: BTreeMap<&str, bool> = BTreeMap::new();
    for walk in there(parts, moment_us) {
        let was = until(walk, moment_us);
        for left in left::of(walk, was, of_process(running, walk)) {
            if let Some(path) = left.file {
                let held = files.entry(path).or_default();
                *held = held.saturating_add(left.bytes);
            }
        }
        for visit in walk.visits.iter().filter(|it| it.began_us <= was) {
            let is_over = visit.ended_us.is_some_and(|ended| ended <= was);
            *finished.entry(visit.path).or_insert(true) &= is_over;
        }
    }
    files.retain(|path, _| finished.get(path) == Some(&true));
    let mut left: Vec<i64> = files.into_values().collect();
    left.sort_unstable();
    (left.len() >= FEW_FILES).then(|| LeftBehind {
        files: left.len(),
        bytes: left.iter().copied().fold(0, i64::saturating_add),
        middle_bytes: left[left.len() / 2],
    })
}

/// How many hold something worth a word beside those that are named, and what together, bytes.
pub(super) fn unnamed(all: &[Culprit], named: &[Culprit]) -> (usize, i64) {
    let rest = all
        .iter()
        .filter(|it| it.bytes >= LEAST_CULPRIT_BYTES && !named.contains(it));
    rest.fold((0, 0), |(count, bytes), holder| {
        (count + 1, bytes.saturating_add(holder.bytes))
    })
}

/// The largest of several holders, the most first; the victim, where it holds anything, is among them however little that is beside the others.
pub(super) fn most(mut holders: Vec<Culprit>, victim: Option<&str>) -> Vec<Culprit> {
    holders.retain(|holder| holder.bytes >= LEAST_CULPRIT_BYTES);
    holders.sort_by(|a, b| (b.bytes, &a.kind, &a.name).cmp(&(a.bytes, &b.kind, &b.name)));
    let is_victim =
        |holder: &Culprit| holder.kind == RUNNING && Some(holder.name.as_str()) == victim;
    if let Some(at) = holders.iter().position(is_victim)
        && at >= MOST_CULPRITS
    {
        holders.swap(MOST_CULPRITS - 1, at);
    }
    holders.truncate(MOST_CULPRITS);
    holders
}

fn is_there(process: &ProcessFacts, moment_us: i64) -> bool {
    process.started_us <= moment_us && process.until_us >= moment_us.saturating_sub(SAME_DEATH_US)
}

/// A test that ran at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Running<'a> {
    pub(super) nodeid: &'a str,
    process: usize,
    pub(super) began_us: i64,
    /// What its process had grown by since it began, without what named fixtures took and gave back and the modules that were imported in it.
    pub(super) taken_bytes: i64,
    /// What of that stands with its file.
    pub(super) of_file_bytes: i64,
}

/// The one that ran in the process of a walk.
fn of_process<'r, 'a>(running: &'r [Running<'a>], walk: &Walk<'_>) -> Option<&'r Running<'a>> {
    running.iter().find(|test| test.process == walk.process)
}

/// The tests that ran at a moment, each with what it had taken by the samples until then.
pub(super) fn running<'a>(parts: &Parts<'a>, moment_us: i64) -> Vec<Running<'a>> {
    let walks = there(parts, moment_us);
    walks
        .filter_map(|walk| running_in(parts, walk, moment_us))
        .collect()
}

fn running_in<'a>(parts: &Parts<'a>, walk: &Walk<'a>, moment_us: i64) -> Option<Running<'a>> {
    let begun = walk
        .tests
        .partition_point(|test| test.began_us <= moment_us);
    let at = begun.checked_sub(1)?;
    let test = &walk.tests[at];
    let is_open = test.ended_us.is_none();
    // What was interrupted gave back as it ended what it had at the moment.
    let went_on = test.ended_us.is_some_and(|ended| ended > moment_us);
    if !is_open && !went_on {
        return None;
    }
    let within = |t_us: i64| t_us >= test.began_us && test.ended_us.is_none_or(|it| t_us <= it);
    let others = |until_us: i64| {
        let fixtures = walk.fixtures.iter();
        let fixtures =
            fixtures.filter(|it| is_named(it) && within(it.began_us) && it.began_us <= until_us);
        let fixtures: i64 = fixtures.map(|it| it.setup_bytes).sum();
        let modules = walk.modules.iter();
        let modules = modules.filter(|it| within(it.began_us) && it.began_us <= until_us);
        let modules: i64 = modules.map(|it| it.own_bytes).sum();
        let released = walk.fixtures.iter().filter(|it| is_named(it));
        let released = released
            .filter(|it| {
                it.release_began_us
                    .is_some_and(|t| within(t) && t <= until_us)
            })
            .map(|it| it.released_bytes)
            .sum::<i64>();
        fixtures.saturating_add(modules).saturating_sub(released)
    };
    let changed = test.end - test.span.start - others(i64::MAX);
    let taken_bytes = match went_on {
        true => {
            let held = parts.memory.rss_at(walk.process, moment_us)?;
            held - test.span.start - others(moment_us)
        }
        false => changed,
    };
    Some(Running {
        nodeid: test.nodeid,
        process: walk.process,
        began_us: test.began_us,
        taken_bytes,
        // What it gave back until then others had left.
        of_file_bytes: changed.saturating_sub(taken_bytes.min(0)),
    })
}
