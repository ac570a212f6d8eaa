//! What files and fixtures left in a process until a moment, less what those behind them gave back: garbage that waited for a collection, or a list that
//! another file emptied.

use std::collections::HashMap;

use super::{
    super::walk::{FixtureFacts, Walk},
    holders::Running,
};

/// What an import, a visit of a file or a fixture left in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left<'a> {
    /// Whose it is; none of a fixture that files share.
    pub(super) file: Option<&'a str>,
    /// Name and path of a fixture that is named by itself.
    pub(super) fixture: Option<(&'a str, &'a str)>,
    pub(super) bytes: i64,
    at_us: i64,
    /// Imports, and fixtures that are set up, are in use: who gives something back gives these back last.
    in_use: bool,
}

/// Of what began until then, without what a test that runs has taken. A visit left nothing of what fixtures hold that are named by themselves: what these
/// took and gave back in it is theirs.
pub(super) fn of<'a>(
    walk: &Walk<'a>,
    until_us: i64,
    running: Option<&Running<'_>>,
) -> Vec<Left<'a>> {
    let mut visits: Vec<Left<'a>> = walk
        .visits
        .iter()
        .map(|visit| Left {
            file: Some(visit.path),
            fixture: None,
            bytes: visit.span.retained(),
            at_us: visit.began_us,
            in_use: false,
        })
        .collect();
    if let Some(test) = running
        && let Some(at) = visit_at(walk, test.began_us)
    {
        visits[at].bytes = visits[at].bytes.saturating_sub(test.of_file_bytes);
    }
    let mut fixtures = Vec::new();
    let named = walk.fixtures.iter().filter(|it| is_named(it));
    for fixture in named.filter(|it| it.began_us <= until_us) {
        let released_us = fixture.release_began_us.filter(|t| *t <= until_us);
        let mut held = match fixture.release_began_us.is_some() && released_us.is_none() {
            true => fixture.setup_bytes,
            false => fixture.held(),
        };
        // Of those that several files share a visit has neither.
        let set_up = visit_at(walk, fixture.began_us).filter(|_| !fixture.is_shared());
        let release = fixture.release_began_us.and_then(|t| visit_at(walk, t));
        if let Some(at) = set_up {
            visits[at].bytes = visits[at].bytes.saturating_sub(fixture.setup_bytes);
        }
        if let Some(at) = release.filter(|_| !fixture.outlives_files()) {
            visits[at].bytes = visits[at].bytes.saturating_add(fixture.released_bytes);
            if released_us.is_some() {
                // Its teardown may have collected what the file left, or the file have let go of what it held.
                set_off(&mut visits[at].bytes, &mut held);
            }
        }
        fixtures.push(Left {
            file: set_up.map(|at| walk.visits[at].path),
            fixture: Some((fixture.name, fixture.path)),
            bytes: held,
            at_us: released_us.unwrap_or(fixture.began_us),
            in_use: released_us.is_none(),
        });
    }
    let imports = walk.imports.iter().map(|import| Left {
        file: Some(import.path),
        fixture: None,
        bytes: import.own_bytes,
        at_us: import.began_us,
        in_use: true,
    });
    let visits = visits.into_iter().filter(|it| it.at_us <= until_us);
    let mut left: Vec<Left<'a>> = imports.chain(visits).chain(fixtures).collect();
    settle(&mut left);
    left
}

/// Where one of two is below 0 and the other above, sets them off against each other.
fn set_off(one: &mut i64, other: &mut i64) {
    if one.signum() * other.signum() < 0 {
        let part = one.saturating_abs().min(other.saturating_abs());
        *one -= one.signum() * part;
        *other -= other.signum() * part;
    }
}

/// Takes what was given back off those that left it before: what the same file had left, then the latest first. What nobody had left was there before.
fn settle(left: &mut [Left<'_>]) {
    left.sort_by_key(|it| it.at_us);
    let mut own: HashMap<&str, Vec<usize>> = HashMap::new();
    let (mut idle, mut in_use) = (Vec::new(), Vec::new());
    for at in 0..left.len() {
        let file = left[at].file;
        if left[at].bytes < 0 {
            let mut given = left[at].bytes.saturating_neg();
            if let Some(own) = file.and_then(|path| own.get_mut(path)) {
                given = take_off(left, own, given);
            }
            given = take_off(left, &mut idle, given);
            given = take_off(left, &mut in_use, given);
            left[at].bytes = -given;
        } else if left[at].in_use {
            in_use.push(at);
        } else {
            idle.push(at);
            if let Some(path) = file {
                own.entry(path).or_default().push(at);
            }
        }
    }
}

/// Takes so many bytes off the latest of those that hold any. Answers what is left of them.
fn take_off(left: &mut [Left<'_>], holders: &mut Vec<usize>, mut given: i64) -> i64 {
    while given > 0
        && let Some(at) = holders.last()
    {
        let held = &mut left[*at].bytes;
        let part = given.min(*held);
        *held -= part;
        given -= part;
        if *held == 0 {
            holders.pop();
        }
    }
    given
}

/// What a test's own fixtures hold is told with its file.
pub(super) fn is_named(fixture: &FixtureFacts<'_>) -> bool {
    fixture.scope != "function"
}

/// The visit that an instant falls into, by its place.
fn visit_at(walk: &Walk<'_>, t_us: i64) -> Option<usize> {
    let after = walk.visits.partition_point(|visit| visit.began_us <= t_us);
    let at = after.checked_sub(1)?;
    let ended_us = walk.visits[at].ended_us;
    ended_us.is_none_or(|ended| ended >= t_us).then_some(at)
}
