//! What held memory at the moment a job, or a worker of it, died.

use std::collections::BTreeMap;

use highwater_wire::report::{Culprit, Role};

use super::super::{
    parts::Parts,
    processes::ProcessFacts,
    walk::{FixtureFacts, Walk},
};

/// Most culprits that are named.
const MOST_CULPRITS: usize = 5;
/// What holds less than this is no culprit.
const LEAST_CULPRIT_BYTES: i64 = 1 << 20;
/// Fewer finished files say nothing of how a suite grows.
const FEW_FILES: usize = 3;
/// Who ended no longer before the moment than this may have been taken by the same shortage.
const SAME_DEATH_US: i64 = 1_000_000;

/// Files, fixtures and modules that tests imported with what they still hold in the processes that were there at a moment, and processes outside pytest
/// with what they had then; the most first. What the running test has taken since it began is its file's only where it is more than all that
/// was there before: else it is the one that found no room, not the one that holds it.
pub(super) fn at(parts: &Parts<'_>, moment_us: i64) -> Vec<Culprit> {
    let mut files: BTreeMap<&str, i64> = BTreeMap::new();
    let mut fixtures: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut modules: BTreeMap<&str, i64> = BTreeMap::new();
    let mut running: BTreeMap<&str, i64> = BTreeMap::new();
    for walk in parts.walks {
        if is_there(&parts.processes[walk.process], moment_us) {
            hold(walk, &mut files, &mut fixtures);
            for module in &walk.modules {
                let held = modules.entry(module.module).or_default();
                *held = held.saturating_add(module.own_bytes);
            }
            if let Some((path, taken)) = taken_by_running(walk) {
                let sum = running.entry(path).or_default();
                *sum = sum.saturating_add(taken);
            }
        }
    }
    for (path, taken) in &running {
        let held = files.entry(path).or_default();
        *held = held.saturating_sub(*taken);
    }
    let held = files.values().chain(fixtures.values());
    let held = held.chain(modules.values());
    let held: i64 = held.filter(|bytes| **bytes > 0).sum();
    for (path, taken) in running.into_iter().filter(|(_, taken)| *taken > held) {
        *files.entry(path).or_default() += taken;
    }
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
    let named = files.chain(fixtures).chain(modules);
    most(named.chain(processes).collect())
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
pub(super) fn left_behind(parts: &Parts<'_>, moment_us: i64) -> Option<LeftBehind> {
    let walks = || {
        let there = |walk: &&Walk<'_>| is_there(&parts.processes[walk.process], moment_us);
        parts.walks.iter().filter(there)
    };
    let mut files: BTreeMap<&str, i64> = BTreeMap::new();
    for visit in walks().flat_map(|walk| &walk.visits) {
        let left = files.entry(visit.path).or_default();
        *left = left.saturating_add(visit.span.retained());
    }
    for import in walks().flat_map(|walk| &walk.imports) {
        if let Some(left) = files.get_mut(import.path) {
            *left = left.saturating_add(import.own_bytes);
        }
    }
    for visit in walks().flat_map(|walk| &walk.visits) {
        if visit.ended_us.is_none() {
            files.remove(visit.path);
        }
    }
    let mut left: Vec<i64> = files.into_values().collect();
    left.sort_unstable();
    (left.len() >= FEW_FILES).then(|| LeftBehind {
        files: left.len(),
        bytes: left.iter().sum(),
        middle_bytes: left[left.len() / 2],
    })
}

/// The largest of several holders, the most first.
pub(super) fn most(mut holders: Vec<Culprit>) -> Vec<Culprit> {
    holders.retain(|holder| holder.bytes >= LEAST_CULPRIT_BYTES);
    holders.sort_by(|a, b| (b.bytes, &a.kind, &a.name).cmp(&(a.bytes, &b.kind, &b.name)));
    holders.truncate(MOST_CULPRITS);
    holders
}

fn is_there(process: &ProcessFacts, moment_us: i64) -> bool {
    process.started_us <= moment_us && process.until_us >= moment_us.saturating_sub(SAME_DEATH_US)
}

/// Adds what one process holds. A file holds what its imports and visits left behind, without the fixtures that are named by
/// themselves: what these took and gave back in a visit is theirs, not the file's.
fn hold<'a>(
    walk: &Walk<'a>,
    files: &mut BTreeMap<&'a str, i64>,
    fixtures: &mut BTreeMap<(&'a str, &'a str), i64>,
) {
    let mut add = |path: &'a str, bytes: i64| {
        let held = files.entry(path).or_default();
        *held = held.saturating_add(bytes);
    };
    for import in &walk.imports {
        add(import.path, import.own_bytes);
    }
    for visit in &walk.visits {
        add(visit.path, visit.span.retained());
    }
    for fixture in walk.fixtures.iter().filter(|fixture| is_named(fixture)) {
        let held = fixtures.entry((fixture.name, fixture.path)).or_default();
        *held = held.saturating_add(fixture.held());
        // Of those that several files share a visit has neither.
        let set_up = visited_at(walk, fixture.began_us).filter(|_| !fixture.is_shared());
        if let Some(path) = set_up {
            add(path, fixture.setup_bytes.saturating_neg());
        }
        let released = fixture.release_began_us.and_then(|t| visited_at(walk, t));
        if let Some(path) = released.filter(|_| !fixture.outlives_files()) {
            add(path, fixture.released_bytes);
        }
    }
}

/// The file of the test that runs in a process, and what the process has grown by since that test began, without the named fixtures that were
/// set up in it.
fn taken_by_running<'a>(walk: &Walk<'a>) -> Option<(&'a str, i64)> {
    let test = walk.open_test()?;
    let visit = walk.visits.last()?;
    let fixtures = walk
        .fixtures
        .iter()
        .filter(|fixture| is_named(fixture) && fixture.began_us >= test.began_us);
    let fixtures: i64 = fixtures.map(|fixture| fixture.setup_bytes).sum();
    let modules = walk
        .modules
        .iter()
        .filter(|module| module.began_us >= test.began_us);
    let modules: i64 = modules.map(|module| module.own_bytes).sum();
    let taken = visit.span.end - test.span.start - fixtures - modules;
    (visit.path == test.path && taken > 0).then_some((test.path, taken))
}

/// What a test's own fixtures hold is told with its file.
fn is_named(fixture: &FixtureFacts<'_>) -> bool {
    fixture.scope != "function"
}

/// The file whose visit an instant falls into.
fn visited_at<'a>(walk: &Walk<'a>, t_us: i64) -> Option<&'a str> {
    let after = walk.visits.partition_point(|visit| visit.began_us <= t_us);
    let visit = &walk.visits[after.checked_sub(1)?];
    visit
        .ended_us
        .is_none_or(|ended| ended >= t_us)
        .then_some(visit.path)
}
