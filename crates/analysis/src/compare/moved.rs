//! Which of the files that went and the files that came are the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use highwater_wire::report::TestRow;

/// Digests of the names of the tests of some files, by path: a file that moved is known by them.
#[derive(Debug, Default)]
pub struct TestNames(BTreeMap<String, BTreeSet<u64>>);

impl TestNames {
    /// Adds the tests of some files of a job.
    pub fn add(&mut self, rows: &[TestRow], wanted: &BTreeSet<String>) {
        for row in rows.iter().filter(|row| wanted.contains(&row.path)) {
            let name = row.nodeid.split_once("::").map_or("", |(_, name)| name);
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            let names = self.0.entry(row.path.clone()).or_default();
            names.insert(hasher.finish());
        }
    }

    /// Which part of the tests of the smaller of two files is in both; none where those of one are not known.
    #[must_use]
    pub fn shared(&self, path: &str, others: &Self, other: &str) -> Option<f64> {
        let (one, other) = (self.of(path)?, others.of(other)?);
        let both = one.intersection(other).count();
        Some(both as f64 / one.len().min(other.len()) as f64)
    }

    fn of(&self, path: &str) -> Option<&BTreeSet<u64>> {
        self.0.get(path).filter(|tests| !tests.is_empty())
    }
}

/// Pairs a path that is gone with one that came: by the same tests under the same name, then by the same tests, then by the same name. A pair counts
/// only where it is the one way to pair them, so that many files called `test_api.py`, or with one test called `test_it`, are not mixed up.
///
/// Gives the path of before by that of after.
#[must_use]
pub fn pairs<'a>(
    (before, gone): (&'a TestNames, Vec<&'a str>),
    (after, came): (&'a TestNames, Vec<&'a str>),
) -> BTreeMap<&'a str, &'a str> {
    let by_both = |tests: &'a TestNames, path: &'a str| Some((tests.of(path)?, name(path)));
    let by_tests = |tests: &'a TestNames, path: &'a str| tests.of(path);
    let by_name = |_: &'a TestNames, path: &'a str| Some(name(path));
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
        before: &'a TestNames,
        after: &'a TestNames,
        key: impl Fn(&'a TestNames, &'a str) -> Option<K>,
    ) {
        let mut keys: BTreeMap<K, [Vec<&'a str>; 2]> = BTreeMap::new();
        for (at, tests, paths) in [(0, before, &self.gone), (1, after, &self.came)] {
            for path in paths {
                if let Some(key) = key(tests, path) {
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

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
