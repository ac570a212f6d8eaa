//! How the words of a command show a pytest.

use std::path::Path;

/// What execnet has a Python do, through which xdist starts its workers.
const EXECNET: &str = "import sys;exec(eval(sys.stdin.readline()))";

/// Programs, also as modules, that run another in their own process: `coverage run -m pytest`. What starts it as a process of its own
/// (`timeout 60 pytest`) is none.
const RUNNERS: [&str; 9] = [
    "coverage",
    "coverage3",
    "memray",
    "kernprof",
    "viztracer",
    "trace",
    "cProfile",
    "profile",
    "pdb",
];
/// Runners that have other commands than this one.
const WITH_RUN: [&str; 3] = ["coverage", "coverage3", "memray"];
/// Options of an interpreter in words whose value is the word after them (`python --help`; `--jit` is PyPy's).
const LONG_WITH_VALUE: [&str; 2] = ["--check-hash-based-pycs", "--jit"];

/// Whether these are the words of a command that runs pytest in its own process.
#[must_use]
pub fn is_pytest(words: &[String]) -> bool {
    let Some((program, rest)) = words.split_first() else {
        return false;
    };
    let program = file_name(program);
    let is_interpreter = ["python", "pypy"]
        .iter()
        .any(|python| program.starts_with(python));
    match is_interpreter {
        true => run_by(rest).is_some_and(|(name, rest)| runs_pytest(name, rest)),
        false => runs_pytest(program, rest),
    }
}

/// What an interpreter runs, by the words after it: the name of the script or of the module, and the words for it. None of code (`-c`).
fn run_by(words: &[String]) -> Option<(&str, &[String])> {
    let mut words = words;
    loop {
        let (word, rest) = words.split_first()?;
        words = rest;
        if word == "--" {
            let (script, rest) = words.split_first()?;
            return Some((file_name(script), rest));
        }
        if LONG_WITH_VALUE.contains(&word.as_str()) {
            words = words.get(1..)?;
            continue;
        }
        if word.starts_with("--") {
            continue;
        }
        let Some(flags) = word.strip_prefix('-') else {
            return Some((file_name(word), words));
        };
        // Letters go together, and the first that has a value takes what is left of the word, or the next one.
        let Some(at) = flags.find(['c', 'm', 'W', 'X']) else {
            // The lone `-` is what comes through the standard input.
            if flags.is_empty() {
                return None;
            }
            continue;
        };
        let (option, value) = (flags.as_bytes()[at], &flags[at + 1..]);
        if option == b'c' {
            return None;
        }
        let value = match value {
            "" => {
                let (next, rest) = words.split_first()?;
                words = rest;
                next
            }
            joined => joined,
        };
        if option == b'm' {
            return Some((value, words));
        }
    }
}

/// Whether a script or module with these words is pytest, or runs it in its own process.
fn runs_pytest(name: &str, words: &[String]) -> bool {
    if is_own_name(name) {
        return true;
    }
    if !RUNNERS.contains(&name) {
        return false;
    }
    if WITH_RUN.contains(&name) && words.first().is_none_or(|command| command != "run") {
        return false;
    }
    let mut words = words.iter();
    // Which of a runner's options have a value is not known here; what it runs is a module by its option, or a script.
    while let Some(word) = words.next() {
        match word.as_str() {
            "-m" | "--module" => return words.next().is_some_and(|module| is_own_name(module)),
            script if is_own_name(file_name(script)) => return true,
            script if script.ends_with(".py") && !script.starts_with('-') => return false,
            _ => {}
        }
    }
    false
}

fn is_own_name(name: &str) -> bool {
    matches!(name, "pytest" | "py.test")
}

fn file_name(word: &str) -> &str {
    let name = Path::new(word).file_name();
    name.and_then(|name| name.to_str()).unwrap_or("")
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
    words
        .iter()
        .position(|word| {
            let is_joined = word.starts_with("-") && word.ends_with("mpytest");
            is_joined || is_own_name(file_name(word))
        })
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
            "python -X dev -W error -m pytest",
            "python -Xdev -Werror -bb -I -u -m pytest -q",
            "python -mpytest",
            "python -Bm pytest",
            "python --check-hash-based-pycs never -m pytest",
            "python -W error -u -X importtime -I /v/bin/pytest -n 2",
            "python -m coverage run -m pytest",
            "coverage run --source=. --branch -m pytest",
            "python /v/bin/coverage run --rcfile x.cfg -p -m pytest tests",
            "coverage run /v/bin/pytest -q",
            "python -m trace --count --module pytest tests",
            "python -m cProfile -o out -m pytest",
            "kernprof -l -m pytest",
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
            "python -X dev -c code -m pytest",
            "python -Ic code -m pytest",
            "python tool.py pytest",
            "python tool.py --install pytest",
            "python -m pip install pytest",
            "python -X pytest tool.py",
            "python -m compileall pytest",
            "coverage report -m pytest",
            "coverage combine pytest",
            "coverage run -m other -m pytest",
            "coverage run other.py -m pytest",
            "sh -c pytest",
            "python",
            "python -X",
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
            ("coverage run --branch -m pytest -q", "-q"),
            ("python -W error -mpytest -q", "-q"),
            ("sh -c x", ""),
        ] {
            assert_eq!(arguments(&words(line)).join(" "), expected, "{line}");
        }
    }
}
