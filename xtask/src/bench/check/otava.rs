//! Apache Otava of PyPI with its defaults, on the same series.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use super::trial::{self, Part};
use crate::{
    tools::{Done, command, io, root, said, target},
    venv::{python, venv},
};

/// The release that the figures in docs/BENCHMARKS.md are of.
pub(super) const PACKAGES: &[&str] = &["apache-otava==0.8.0"];

/// A series that somebody looks at.
pub(super) struct Look {
    pub(super) values: Vec<f64>,
    /// Where it changes; `None` where it does not.
    pub(super) at: Option<usize>,
    /// What is too little to be a change.
    pub(super) least: f64,
}

/// What was made of the series.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Series that change in their newest value, where that was seen.
    pub(super) at_once: Part,
    /// Series that changed before, where it was seen at the very place.
    pub(super) exact: Part,
    /// Series that do not change, where something was seen.
    pub(super) alarms: Part,
}

impl Seen {
    fn of(looks: &[Look], changes: &[Vec<usize>]) -> Self {
        let mut seen = Self::default();
        for (look, changes) in looks.iter().zip(changes) {
            match look.at {
                None => seen.alarms.add(!changes.is_empty()),
                Some(at) if at + 1 == look.values.len() => seen.at_once.add(changes.contains(&at)),
                Some(at) => seen.exact.add(changes.contains(&at)),
            }
        }
        seen
    }

    /// What the levels of this project make of them.
    pub(super) fn by_levels(looks: &[Look]) -> Self {
        let changes: Vec<Vec<usize>> = looks
            .iter()
            .map(|look| trial::changes(&look.values, look.least))
            .collect();
        Self::of(looks, &changes)
    }

    /// What Otava makes of them.
    pub(super) fn by_otava(looks: &[Look]) -> Done<Self> {
        let python = python(&venv("otava", PACKAGES)?);
        let folder = target().join("bench");
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let path = folder.join("series.jsonl");
        let lines: Vec<String> = looks
            .iter()
            .map(|look| format!("{:?}\n", look.values))
            .collect();
        fs::write(&path, lines.concat()).map_err(io(&path))?;
        let series = File::open(&path).map_err(io(&path))?;
        let output = command(&python)
            .arg(root().join("xtask/src/bench/check/change_points.py"))
            .stdin(Stdio::from(series))
            .output()
            .map_err(io(Path::new("change_points.py")))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(said(format!("Otava did not run: {why}")));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let changes: Result<Vec<Vec<usize>>, _> = text.lines().map(serde_json::from_str).collect();
        let changes = changes.map_err(|error| said(format!("Otava's answer: {error}")))?;
        if changes.len() != looks.len() {
            return Err(said(format!(
                "Otava answered {} of {} series",
                changes.len(),
                looks.len()
            )));
        }
        Ok(Self::of(looks, &changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_counted_by_what_there_is() {
        let look = |at| Look {
            values: vec![0.0; 10],
            at,
            least: 1.0,
        };
        let looks = [look(None), look(Some(9)), look(Some(5)), look(Some(5))];
        let seen = Seen::of(&looks, &[vec![3], vec![], vec![5], vec![4]]);
        assert_eq!((seen.alarms.had, seen.alarms.of), (1, 1));
        assert_eq!((seen.at_once.had, seen.at_once.of), (0, 1));
        assert_eq!((seen.exact.had, seen.exact.of), (1, 2));
    }
}
