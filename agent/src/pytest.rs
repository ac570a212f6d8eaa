//! How the words of a command show a pytest.

use std::path::Path;

/// What execnet has a Python do, through which xdist starts its workers.
const EXECNET: &str = "import sys;exec(eval(sys.stdin.readline()))";

/// Whether these are the words of a command that runs pytest in its own process.
#[must_use]
pub fn is_pytest(words: &[String]) -> bool {
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

/// Whether these are the words of a process that execnet started: an xdist worker, or whatever else uses it.
#[must_use]
pub fn is_worker(words: &[String]) -> bool {
    words
        .windows(2)
        .any(|pair| pair[0] == "-c" && pair[1] == EXECNET)
}

/// What follows pytest's own name among the words of its command.
#[must_use]
pub fn arguments(words: &[String]) -> &[String] {
    let own = |word: &String| {
        let name = Path::new(word).file_name();
        name.is_some_and(|name| name == "pytest" || name == "py.test")
    };
    words
        .iter()
        .position(own)
        .map_or(&[], |at| &words[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn pytest_is_known_by_its_words() {
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
    fn a_worker_is_known_by_what_execnet_has_it_do() {
        let line = ["/v/bin/python", "-u", "-c", EXECNET].map(str::to_owned);
        assert!(is_worker(&line));
        assert!(!is_worker(&words("python -c import sys")));
        assert!(!is_pytest(&line));
    }

    #[test]
    fn arguments_follow_the_name() {
        for (line, expected) in [
            ("pytest -q tests", "-q tests"),
            ("/v/python -m pytest -n 2", "-n 2"),
            ("python /v/bin/pytest", ""),
            ("sh -c x", ""),
        ] {
            assert_eq!(arguments(&words(line)).join(" "), expected, "{line}");
        }
    }
}
