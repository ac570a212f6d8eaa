//! Fixtures of two sides. A suite that is cut into jobs sets some up more often, so one set-up is held against one set-up, and what all of them
//! retain against what as many would have.

use std::{cmp::Reverse, collections::BTreeSet};

use highwater_wire::report::{ComparedFigure, ComparedFixture, FileChange, FixtureComparison};

use super::{Side, beyond_noise};

/// The fixtures that changed by more than noise, or took or retained more than that on the one side that set them up; those that changed most first.
pub(super) fn compare(before: &Side, after: &Side) -> Vec<FixtureComparison> {
    let keys: BTreeSet<&(String, String)> = [before, after]
        .iter()
        .flat_map(|side| side.fixtures.keys())
        .collect();
    let pair = |key: &(String, String)| {
        let (was, is) = (before.fixtures.get(key), after.fixtures.get(key));
        pair(key, was, is).map(|pair| FixtureComparison {
            change: match pair.change {
                FileChange::New if before.is_cut_short() => FileChange::NotRunBefore,
                FileChange::Gone if after.is_cut_short() => FileChange::NotRunAfter,
                change => change,
            },
            ..pair
        })
    };
    let mut fixtures: Vec<FixtureComparison> = keys.into_iter().filter_map(pair).collect();
    let weight = |one: &FixtureComparison| {
        let retained = one.retained_change_bytes.unsigned_abs();
        retained.max(one.setup_change_bytes.unsigned_abs())
    };
    fixtures.sort_by_key(|one| Reverse(weight(one)));
    fixtures
}

/// A fixture on both sides; nothing where that is not worth a word.
fn pair(
    (name, base): &(String, String),
    before: Option<&ComparedFixture>,
    after: Option<&ComparedFixture>,
) -> Option<FixtureComparison> {
    let setups = match (before, after) {
        (Some(one), Some(other)) => one.setups.min(other.setups),
        (Some(only), None) | (None, Some(only)) => only.setups,
        (None, None) => return None,
    };
    let setup = |of: Option<&ComparedFixture>| of.map_or(0, |it| at(it.setup_bytes, it.setups, 1));
    let retained =
        |of: Option<&ComparedFixture>| of.map_or(0, |it| at(it.retained_bytes, it.setups, setups));
    // What a job that was killed had not torn down, it would have given back.
    let is_torn_down = |of: Option<&ComparedFixture>| of.is_none_or(|it| it.open == 0);
    let mut changed = Vec::new();
    if beyond_noise(retained(before), retained(after), 0)
        && is_torn_down(before)
        && is_torn_down(after)
    {
        changed.push(ComparedFigure::Retained);
    }
    if beyond_noise(setup(before), setup(after), 0) {
        changed.push(ComparedFigure::Setup);
    }
    let change = match (before, after) {
        (Some(one), Some(other)) => {
            let is_scope = one.scope != other.scope;
            changed.extend(is_scope.then_some(ComparedFigure::Scope));
            FileChange::Changed
        }
        (None, _) => FileChange::New,
        (_, None) => FileChange::Gone,
    };
    (!changed.is_empty()).then(|| FixtureComparison {
        name: name.clone(),
        base: base.clone(),
        change,
        beyond_noise: changed,
        before: before.cloned(),
        after: after.cloned(),
        setup_change_bytes: setup(after).saturating_sub(setup(before)),
        retained_change_bytes: retained(after).saturating_sub(retained(before)),
    })
}

/// What so many set-ups would make of what some made.
fn at(bytes: i64, setups: u64, wanted: u64) -> i64 {
    let bytes = i128::from(bytes) * i128::from(wanted) / i128::from(setups.max(1));
    i64::try_from(bytes).unwrap_or(if bytes < 0 { i64::MIN } else { i64::MAX })
}
