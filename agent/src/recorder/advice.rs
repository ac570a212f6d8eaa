//! Pytest processes whose plugin does not speak, and what to do about them.

use std::collections::{HashMap, HashSet};

use super::table::{BY_TITLE, Known, Table};
use crate::{
    pytest::{is_pytest, is_worker},
    tree::ProcessKey,
};

/// A plugin that has not spoken by then does not come, µs after the process was first seen.
pub(super) const PATIENCE_US: i64 = 30_000_000;
/// How a process ended is told within this after it was gone, µs.
const END_IS_TOLD_US: i64 = 2_000_000;
/// A process that ended sooner may never have come to load a plugin (`pytest --version`), µs.
const TOO_SHORT_US: i64 = 1_000_000;

/// One sentence for each pytest process that is found to have no plugin; each process is decided on once, when it is known what can be told of its tests.
pub(super) fn without_plugin(
    table: &mut Table,
    now_us: i64,
    at_the_end: bool,
    wanted: bool,
    unheard: impl Fn(ProcessKey) -> bool,
) -> Vec<String> {
    let is_due = |known: &Known| {
        let age_us = now_us - known.born_us;
        !known.is_advised
            && !known.has_plugin
            && (at_the_end || known.is_seen_to_end(now_us) || age_us >= PATIENCE_US)
    };
    let mut said = Vec::new();
    if !table.iter_mut().any(|(_, known)| is_due(known)) {
        return said;
    }
    let parents = table.parents();
    let controllers: HashSet<u32> = table
        .iter_mut()
        .filter(|(_, known)| is_worker(&known.words) && !known.is_gone())
        .map(|(_, known)| known.word.parent_pid)
        .collect();
    let titled: HashSet<u32> = table
        .iter_mut()
        .filter(|(_, known)| known.word.exact_reason == BY_TITLE)
        .map(|(_, known)| known.word.parent_pid)
        .collect();
    for (key, known) in table.iter_mut() {
        // Workers may come late and collect for long before the first test shows whether they can be read, and nobody takes back what was said: of
        // whoever is not sampled is said what came of it once it is gone, and its workers are.
        let may_be_sampled =
            !known.is_sampled && (!known.is_gone() || controllers.contains(&key.pid));
        if !is_due(known) || (may_be_sampled && !at_the_end) {
            continue;
        }
        known.is_advised = true;
        let lived_us = known.word.ended_us.unwrap_or(now_us) - known.born_us;
        if lived_us >= TOO_SHORT_US
            && is_pytest(&known.words)
            && !known.is_copy
            && unheard(key)
            // A pytest that a test starts keeps silent on purpose.
            && !descends_from_recorded(&parents, known.word.parent_pid)
        {
            let by_title = titled.contains(&key.pid);
            said.extend(sentence(key.pid, known, wanted, by_title));
        }
    }
    said
}

/// What a process without the plugin costs the recording, and what to do about it; nothing where its tests are read and nobody wanted the
/// plugin.
fn sentence(pid: u32, known: &Known, wanted: bool, by_title: bool) -> Option<String> {
    let mend = "its Python is older than 3.8, something between replaced PYTHONPATH, or plugins are not loaded by themselves (PYTEST_DISABLE_PLUGIN_AUTOLOAD, python -I). \
        Let PYTHONPATH and HIGHWATER_* through, or install the package `highwater-pytest` where pytest is and, without autoload, add \
        `-p highwater_pytest`";
    if known.was_ended_early() {
        return None;
    }
    match (known.is_sampled, &known.unseen, wanted) {
        (true, Some(reason), true) if by_title => Some(format!(
            "pytest (process {pid}) ran without Highwater's plugin, and its memory does not tell its tests ({reason}): they are named by the titles of \
             xdist's workers at each sample, so short ones are missing, peaks are sampled, and there are no fixtures, imports and outcomes; {mend}"
        )),
        (true, _, true) => Some(format!(
            "pytest (process {pid}) ran without Highwater's plugin: its tests are named by what its memory showed at each sample, so short ones are \
             missing, peaks are sampled, and there are no fixtures, imports and outcomes; {mend}"
        )),
        (false, Some(reason), true) => Some(format!(
            "pytest (process {pid}) ran without Highwater's plugin, and its memory does not tell its tests ({reason}), so they are not named; {mend}"
        )),
        (false, None, true) => Some(format!(
            "pytest (process {pid}) ran without Highwater's plugin, and no test was seen in its memory, so none is named; {mend}"
        )),
        (false, Some(reason), false) => Some(format!(
            "the memory of pytest (process {pid}) does not tell its tests: {reason}"
        )),
        (true, _, false) | (false, None, false) => None,
    }
}

impl Known {
    /// It is gone, and how it ended was told too, which comes a little later, or does not come.
    fn is_seen_to_end(&self, now_us: i64) -> bool {
        let is_told = self.word.exit_code.is_some() || self.word.signal.is_some();
        let gone_us = self.word.ended_us.unwrap_or(now_us);
        self.is_gone() && (is_told || now_us - gone_us >= END_IS_TOLD_US)
    }

    /// A signal ended it before a plugin that is slow to come would have spoken, and no test was seen: it may never have come to load one.
    fn was_ended_early(&self) -> bool {
        let lived_us = self.word.ended_us.map(|ended_us| ended_us - self.born_us);
        self.word.signal.is_some()
            && !self.is_sampled
            && self.unseen.is_none()
            && lived_us.is_some_and(|lived_us| lived_us < PATIENCE_US)
    }
}

fn descends_from_recorded(parents: &HashMap<u32, (u32, bool)>, mut pid: u32) -> bool {
    for _ in 0..64 {
        match parents.get(&pid) {
            Some((_, true)) => return true,
            Some((parent, false)) => pid = *parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pytest_inside_a_recorded_one_is_meant_to_be_silent() {
        let parents = HashMap::from([
            (10, (1, true)),
            (11, (10, false)),
            (12, (11, false)),
            (20, (1, false)),
        ]);
        assert!(descends_from_recorded(&parents, 12));
        assert!(!descends_from_recorded(&parents, 20));
    }
}
