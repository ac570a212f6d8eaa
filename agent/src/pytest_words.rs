//! Which commands are pytest.

use std::path::Path;

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
}
