//! The version stands in several files by hand: Python's tools each read their own, and none reads cargo's.

use std::fs;

use crate::tools::{Done, io, root};

/// The files, and how the line begins that holds the version in each.
const PLACES: [(&str, &str); 4] = [
    ("Cargo.toml", "version = "),
    ("pytest-plugin/pyproject.toml", "version = "),
    ("pytest-plugin/dist-info/METADATA", "Version: "),
    (
        "pytest-plugin/highwater_pytest/__init__.py",
        "__version__ = ",
    ),
];

pub(super) fn check(problems: &mut Vec<String>) -> Done {
    let mut found = Vec::new();
    for (name, begin) in PLACES {
        let path = root().join(name);
        let text = fs::read_to_string(&path).map_err(io(&path))?;
        found.push((name, begin, version(&text, begin)));
    }
    compare(&found, problems);
    Ok(())
}

/// What the first line that begins so has after it, without its quotes.
fn version(text: &str, begin: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(begin))
        .map(|rest| rest.trim().trim_matches('"').to_owned())
}

/// Each is held against the first, cargo's.
fn compare(found: &[(&str, &str, Option<String>)], problems: &mut Vec<String>) {
    let first = found.first().and_then(|(_, _, version)| version.as_deref());
    for (name, begin, version) in found {
        match (version.as_deref(), first) {
            (None, _) => problems.push(format!("{name} has no line `{begin}…`")),
            (Some(version), Some(first)) if version != first => problems.push(format!(
                "{name} has version {version}, and {} has {first}; write the same in both",
                PLACES[0].0
            )),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_differs_or_is_not_there_is_told_by_its_file() {
        let told = |second: &str| {
            let found = [
                ("Cargo.toml", "version = ", Some("1.2.0".to_owned())),
                ("other/METADATA", "Version: ", version(second, "Version: ")),
            ];
            let mut problems = Vec::new();
            compare(&found, &mut problems);
            problems
        };
        assert!(told("Metadata-Version: 2.1\nVersion: 1.2.0\n").is_empty());
        assert_eq!(
            told("Version: 1.2.1\n"),
            ["other/METADATA has version 1.2.1, and Cargo.toml has 1.2.0; write the same in both"]
        );
        assert_eq!(
            told("Metadata-Version: 1.2.0\n"),
            ["other/METADATA has no line `Version: …`"]
        );
    }

    #[test]
    fn every_place_has_one() {
        for (name, begin) in PLACES {
            let text = fs::read_to_string(root().join(name)).unwrap();
            let version = version(&text, begin).unwrap_or_default();
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name}");
        }
    }
}
