//! Pytest processes whose plugin does not speak, and what to do about them.

use std::collections::HashMap;

use super::table::Table;
use crate::{pytest_words::is_pytest, tree::ProcessKey};

/// A plugin that has not spoken by then does not come, µs after the process was first seen.
const PATIENCE_US: i64 = 30_000_000;
/// A process that ended sooner may never have come to load a plugin (`pytest --version`), µs.
const TOO_SHORT_US: i64 = 1_000_000;

/// One sentence for each pytest process that is found to have no plugin; each process is decided on once.
pub(super) fn without_plugin(
    table: &mut Table,
    now_us: i64,
    at_the_end: bool,
    unheard: impl Fn(ProcessKey) -> bool,
) -> Vec<String> {
    let parents = table.parents();
    let mut said = Vec::new();
    for (key, known) in table.iter_mut() {
        if known.is_advised || known.has_plugin {
            continue;
        }
        let age_us = now_us - known.born_us;
        if !(at_the_end || known.is_gone() || age_us >= PATIENCE_US) {
            continue;
        }
        known.is_advised = true;
        let lived_us = known.word.ended_us.unwrap_or(now_us) - known.born_us;
        if lived_us >= TOO_SHORT_US
            && is_pytest(&known.words)
            && unheard(key)
            // A pytest that a test starts keeps silent on purpose.
            && !descends_from_recorded(&parents, known.word.parent_pid)
        {
            said.push(format!(
                "pytest (process {}) ran without Highwater's plugin, so its tests are not named; something between replaced PYTHONPATH, \
                 or plugins are not loaded by themselves (PYTEST_DISABLE_PLUGIN_AUTOLOAD, python -I). Let PYTHONPATH and HIGHWATER_* \
                 through, or install the package `highwater-pytest` where pytest is and, without autoload, add `-p highwater_pytest`",
                key.pid
            ));
        }
    }
    said
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
