//! The recordings that histories are made of: `xtask/data/regression/*.csv`, which `record.py` beside them wrote.

use std::{collections::BTreeMap, fs, path::Path};

use highwater_analysis::check::FileFigures;

use crate::tools::{Done, io, said};

/// What is kept of a recording.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recording {
    /// Peak of the job, bytes.
    pub(super) peak_bytes: i64,
    /// Its files.
    pub(super) files: Vec<FileFigures>,
}

/// Recordings of one suite that were distributed alike, in the order of time.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) suite: String,
    pub(super) dist: String,
    pub(super) recordings: Vec<Recording>,
}

/// Of which half of the recordings something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// The earlier one, which thresholds may be set by.
    First,
    /// The later one, which judges them.
    Second,
}

impl Cell {
    pub(super) fn half(&self, half: Half) -> &[Recording] {
        let (first, second) = self.recordings.split_at(self.recordings.len() / 2);
        match half {
            Half::First => first,
            Half::Second => second,
        }
    }
}

/// Every cell of a folder, by name.
pub(super) fn read(folder: &Path) -> Done<Vec<Cell>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.extension().is_some_and(|it| it == "csv") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| cell(path)).collect()
}

fn cell(path: &Path) -> Done<Cell> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let (suite, dist) = name.split_once('-').ok_or_else(|| {
        said(format!(
            "{}: is not named suite-distribution.csv",
            path.display()
        ))
    })?;
    let text = fs::read_to_string(path).map_err(io(path))?;
    let recordings = parse(&text).map_err(|why| said(format!("{}: {why}", path.display())))?;
    Ok(Cell {
        suite: suite.to_owned(),
        dist: dist.to_owned(),
        recordings,
    })
}

fn parse(text: &str) -> Result<Vec<Recording>, String> {
    let mut recordings: BTreeMap<usize, Recording> = BTreeMap::new();
    for (at, line) in text.lines().enumerate().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |place: usize| {
            let field = fields.get(place).copied().unwrap_or_default();
            let number = field.parse::<i64>();
            number.map_err(|_| format!("line {}: {field:?} is no number", at + 1))
        };
        let recording = usize::try_from(number(0)?).map_err(|error| error.to_string())?;
        let path = fields.get(1).copied().unwrap_or_default();
        if path.is_empty() {
            let (peak_bytes, files) = (number(2)?, Vec::new());
            recordings.insert(recording, Recording { peak_bytes, files });
            continue;
        }
        let of = recordings
            .get_mut(&recording)
            .ok_or_else(|| format!("line {}: its job was not told before it", at + 1))?;
        of.files.push(FileFigures {
            path: path.to_owned(),
            retained_bytes: number(3)?,
            // No child outlives its file in these suites.
            spike_bytes: number(4)? + (number(5)? - number(2)?).max(0),
            tree_peak_bytes: number(5)?,
            import_bytes: number(6)? + number(7)?,
            tests: u64::try_from(number(8)?).map_err(|error| error.to_string())?,
            is_whole: number(9)? == 0 && number(10)? == 0,
        });
    }
    Ok(recordings.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_and_what_is_none_is_told_with_its_line() {
        let head = "recording,path,peak_bytes,…\n";
        let read = parse(&format!(
            "{head}0,,900,,,,,,,,\n0,a.py,70,5,20,90,7,2,3,0,0\n1,,800,,,,,,,,\n"
        ))
        .unwrap();
        assert_eq!((read.len(), read[0].peak_bytes), (2, 900));
        let file = &read[0].files[0];
        assert_eq!((file.retained_bytes, file.spike_bytes), (5, 40));
        assert_eq!(file.import_bytes, 9);
        assert!(file.is_whole);
        let why = parse(&format!("{head}0,a.py,1,1,1,1,1,1,1,0,0\n")).unwrap_err();
        assert!(why.starts_with("line 2: its job"), "{why}");
        let why = parse(&format!("{head}0,,many,,,,,,,,\n")).unwrap_err();
        assert!(why.contains("\"many\" is no number"), "{why}");
    }
}
