//! Which of the files that went and the files that came are the same.

use std::collections::{BTreeMap, BTreeSet};

use super::Side;

/// Pairs a path that is gone with one that came: by the same tests under the same name, then by the same tests, then by the same name. A pair counts
/// only where it is the one way to pair them, so that many files called `test_api.py`, or with one test called `test_it`, are not mixed up.
pub(super) fn pairs<'a>(
    (before, gone): (&'a Side, Vec<&'a str>),
    (after, came): (&'a Side, Vec<&'a str>),
) -> BTreeMap<&'a str, &'a str> {
    let by_both = |side: &'a Side, path: &'a str| Some((tests(side, path)?, name(path)));
    let by_tests = |side: &'a Side, path: &'a str| tests(side, path);
    let by_name = |_: &'a Side, path: &'a str| Some(name(path));
    let mut rest = Rest {
        gone,
        came,
        pairs: BTreeMap::new(),
    };
    rest.pair(before, after, by_both);
    rest.pair(before, after, by_tests);
    rest.pair(before, after, by_name);
    rest.pairs
}

struct Rest<'a> {
    gone: Vec<&'a str>,
    came: Vec<&'a str>,
    /// The path of before by that of after.
    pairs: BTreeMap<&'a str, &'a str>,
}

impl<'a> Rest<'a> {
    /// Pairs those that are alone with their key on either side.
    fn pair<K: Ord>(
        &mut self,
        before: &'a Side,
        after: &'a Side,
        key: impl Fn(&'a Side, &'a str) -> Option<K>,
    ) {
        let mut keys: BTreeMap<K, [Vec<&'a str>; 2]> = BTreeMap::new();
        for (at, side, paths) in [(0, before, &self.gone), (1, after, &self.came)] {
            for path in paths {
                if let Some(key) = key(side, path) {
                    keys.entry(key).or_default()[at].push(path);
                }
            }
        }
        let mut paired = BTreeSet::new();
        for [gone, came] in keys.into_values() {
            if let ([from], [to]) = (&gone[..], &came[..]) {
                self.pairs.insert(to, from);
                paired.insert(*from);
            }
        }
        self.gone.retain(|path| !paired.contains(path));
        self.came.retain(|path| !self.pairs.contains_key(path));
    }
}

fn tests<'a>(side: &'a Side, path: &str) -> Option<&'a BTreeSet<u64>> {
    side.tests.get(path).filter(|tests| !tests.is_empty())
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
