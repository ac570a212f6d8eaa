//! What libFuzzer writes, as a line for people.

use std::{fmt, path::PathBuf};

/// Above the lines of the targets.
pub(super) const HEAD: &str = "target          runs   runs/s   edges  new inputs  memory MB  found";

/// How a run went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) target: String,
    runs: u64,
    runs_per_s: u64,
    edges: u64,
    new_inputs: u64,
    memory_mb: u64,
    /// What was found, in words.
    pub(super) finding: Option<String>,
}

impl Report {
    /// Reads what a run wrote.
    pub(super) fn of(target: &str, told: &str) -> Self {
        let figure = |name: &str| {
            let mut lines = told.lines().rev();
            let value = lines.find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
            value.and_then(|value| value.trim_start_matches(':').trim().parse().ok())
        };
        let edges = told.lines().rev().find_map(|line| {
            let (_, after) = line.split_once(" cov: ")?;
            after.split(' ').next()?.parse().ok()
        });
        Self {
            target: target.to_owned(),
            runs: figure("number_of_executed_units").unwrap_or(0),
            runs_per_s: figure("average_exec_per_sec").unwrap_or(0),
            edges: edges.unwrap_or(0),
            new_inputs: figure("new_units_added").unwrap_or(0),
            memory_mb: figure("peak_rss_mb").unwrap_or(0),
            finding: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            runs,
            runs_per_s,
            edges,
            new_inputs,
            memory_mb,
            finding,
        } = self;
        let found = finding.as_deref().unwrap_or("nothing");
        write!(
            f,
            "{target:<10} {runs:>9} {runs_per_s:>8} {edges:>7} {new_inputs:>11} {memory_mb:>10}  {found}"
        )
    }
}

/// The file that a run left which found something.
pub(super) fn artifact(told: &str) -> Option<PathBuf> {
    let (_, after) = told.split_once("Test unit written to ")?;
    Some(PathBuf::from(after.lines().next()?.trim()))
}

/// What went wrong, in a line.
pub(super) fn why(told: &str) -> Option<&str> {
    let mut lines = told.lines();
    let panicked = lines
        .find(|line| line.contains(" panicked at "))
        .and_then(|_| lines.next());
    panicked.or_else(|| {
        let mut lines = told.lines();
        lines.find_map(|line| Some(line.split_once("ERROR: ")?.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What libFuzzer wrote, shortened.
    const FOUND: &str = "\
#2\tINITED cov: 90 ft: 91 corp: 1/1b exec/s: 0 rss: 40Mb
#512\tNEW    cov: 117 ft: 130 corp: 3/9b lim: 4 exec/s: 0 rss: 41Mb L: 3/4 MS: 1 CopyPart-
thread '<unnamed>' (7) panicked at crates/foreign/src/wire.rs:9:5:
what is masked is masked once
==7== ERROR: libFuzzer: deadly signal
artifact_prefix='/x/'; Test unit written to /x/crash-0a
Base64: YQ==
stat::number_of_executed_units: 600
stat::average_exec_per_sec:     300
stat::new_units_added:          2
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              41
";

    #[test]
    fn the_figures_of_a_run_and_what_it_found_are_read() {
        let report = Report::of("mask", FOUND);
        let expected = Report {
            target: "mask".to_owned(),
            runs: 600,
            runs_per_s: 300,
            edges: 117,
            new_inputs: 2,
            memory_mb: 41,
            finding: None,
        };
        assert_eq!(report, expected);
        assert_eq!(artifact(FOUND), Some(PathBuf::from("/x/crash-0a")));
        assert_eq!(why(FOUND), Some("what is masked is masked once"));
        let slow = "==7== ERROR: libFuzzer: timeout after 21 seconds\n";
        assert_eq!(why(slow), Some("libFuzzer: timeout after 21 seconds"));
        assert_eq!((artifact(slow), why("")), (None, None));
    }
}
