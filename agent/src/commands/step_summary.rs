//! The job summary of GitHub Actions: markdown at the end of the file that the runner names.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

use highwater_analysis::digest::Digest;
use highwater_report::{Format, Source};

use crate::{ci::Env, regular, terminal};

const VARIABLE: &str = "GITHUB_STEP_SUMMARY";
/// GitHub shows nothing of a step whose file has more.
const MOST_BYTES: u64 = 1 << 20;

/// Adds the report of a recording that is over, where there is a job summary; what goes wrong is told, and changes nothing.
pub(super) fn add(digest: &Digest, page: Option<&str>, env: &Env) {
    let Some(file) = file(env) else {
        return;
    };
    let written = highwater_report::write(Format::Markdown, &Source::new(digest, page));
    let added = written
        .map_err(|error| error.to_string())
        .and_then(|text| append(Path::new(file), &text));
    if let Err(why) = added {
        terminal::tell(format_args!("--step-summary: {why}"));
    }
}

/// The file of this step; none outside GitHub Actions.
pub(super) fn file(env: &Env) -> Option<&str> {
    env.get(VARIABLE)
        .map(String::as_str)
        .filter(|file| !file.is_empty())
}

/// Adds a text to the file, or nothing where both together are more than is shown.
pub(super) fn append(path: &Path, text: &str) -> Result<(), String> {
    let told = |error: io::Error| format!("{VARIABLE}: {}: {error}", path.display());
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let mut file = regular::open_with(&mut options, path).map_err(told)?;
    let there = file.metadata().map_err(told)?.len();
    // What stands before it may lack the end of its line, and would take in the heading.
    let text = match there {
        0 => text.to_owned(),
        _ => format!("\n\n{text}"),
    };
    if there + text.len() as u64 > MOST_BYTES {
        return Err(format!(
            "{VARIABLE} holds {there} bytes already, and with this report it would have more than the {MOST_BYTES} that GitHub shows; nothing was added"
        ));
    }
    file.write_all(text.as_bytes()).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_follows_what_is_there_and_never_makes_it_too_long() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("summary.md");
        append(&path, "one\n").unwrap();
        append(&path, "two\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "one\n\n\ntwo\n");
        std::fs::write(&path, "x".repeat((1 << 20) - 5)).unwrap();
        let why = append(&path, "four\n").unwrap_err();
        assert!(why.contains("nothing was added"), "{why}");
        assert_eq!(path.metadata().unwrap().len(), (1 << 20) - 5);
        append(&path, "fit").unwrap();
    }
}
