//! Pytest processes whose plugin does not speak, and what to do about them.

use std::{collections::HashMap, path::Path};

use super::table::{Known, Table};
use crate::tree::ProcessKey;

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
    let is_due = |known: &Known| {
        let age_us = now_us - known.born_us;
        !known.is_advised
            && !known.has_plugin
            && (at_the_end || known.is_gone() || age_us >= PATIENCE_US)
    };
    let mut said = Vec::new();
    if !table.iter_mut().any(|(_, known)| is_due(known)) {
        return said;
    }
    let parents = table.parents();
    for (key, known) in table.iter_mut() {
        if !is_due(known) {
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

/// Whether these are the words of a command that runs pytest in its own process.
pub(super) fn is_pytest(words: &[String]) -> bool {
    let name = |word: &str| -> String {
        let name = Path::new(word).file_name().and_then(|name| name.to_str());
        name.unwrap_or("").to_owned()
    };
    let is_script = |word: &String| matches!(name(word).as_str(), "pytest" | "py.test");
    let Some(program) = words.first() else {
        return false;
    };
    // Either the script itself, or an interpreter with the script or the module among its first words; what follows `-c` is code.
    // Another program with pytest among its words (`timeout 60 pytest`) starts it as a process of its own.
    if !["python", "pypy"]
        .iter()
        .any(|python| name(program).starts_with(python))
    {
        return is_script(program);
    }
    let mut first = words.iter().take(4).take_while(|word| *word != "-c");
    first.any(is_script)
        || words
            .windows(2)
            .take(4)
            .any(|pair| pair[0] == "-m" && pair[1] == "pytest")
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
    fn pytest_is_known_by_its_words() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for line in [
            "pytest -q",
            "/venv/bin/python /venv/bin/pytest tests",
            "python3 -m pytest",
            "python -X dev -m pytest",
            "py.test",
        ] {
            assert!(is_pytest(&words(line)), "{line}");
        }
        for line in [
            "tox -e py311",
            "vim tests/pytest.ini",
            "python -c import pytest",
            "sh -c sleep 1",
            "python -m pytest_watch",
            "timeout 60 pytest -q",
            "env A=1 python -m pytest",
        ] {
            assert!(!is_pytest(&words(line)), "{line}");
        }
    }

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
