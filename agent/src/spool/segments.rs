//! The files in which a stream's batches lie, one after another.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use highwater_wire::spool::segment_of;
use uuid::Uuid;

use super::{SpoolError, io};

/// One file of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The start of an agent that wrote it.
    pub stream: Uuid,
    /// Its place among those of the stream, from 0.
    pub number: u64,
    /// Where it lies.
    pub path: PathBuf,
}

/// Where a segment lies. The first has no number: a stream that is short, or was written before there were several, has only that.
#[must_use]
pub fn path_of(folder: &Path, stream: Uuid, number: u64) -> PathBuf {
    match number {
        0 => folder.join(format!("{stream}.segment")),
        _ => folder.join(format!("{stream}.{number}.segment")),
    }
}

fn parse(path: &Path) -> Option<(Uuid, u64)> {
    segment_of(path.file_name()?.to_str()?)
}

/// The segments of a job: streams in the order they were begun, and the files of each in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn segments(folder: &Path) -> Result<Vec<Segment>, SpoolError> {
    let mut found = Vec::new();
    let mut begun: BTreeMap<Uuid, Option<SystemTime>> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.path();
        if let Some((stream, number)) = parse(&path) {
            let time = path.metadata().and_then(|about| about.created()).ok();
            let first = begun.entry(stream).or_insert(time);
            *first = time.min(*first);
            found.push(Segment {
                stream,
                number,
                path,
            });
        }
    }
    found.sort_by_key(|segment| {
        let begun = begun.get(&segment.stream).copied().flatten();
        (begun, segment.stream, segment.number)
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_streams_files_come_in_the_order_of_their_numbers_and_nothing_else_is_one() {
        let folder = TempDir::new().unwrap();
        let stream = Uuid::from_u128(7);
        let numbers = [10, 2, 0, 1];
        for number in numbers {
            fs::write(path_of(folder.path(), stream, number), "").unwrap();
        }
        for other in [
            "x.segment",
            "reserve",
            &format!("{stream}.x.segment"),
            &format!("{stream}.3.thin"),
        ] {
            fs::write(folder.path().join(other), "").unwrap();
        }
        let found = segments(folder.path()).unwrap();
        let numbers: Vec<_> = found.iter().map(|segment| segment.number).collect();
        assert_eq!(numbers, [0, 1, 2, 10]);
        assert!(found.iter().all(|segment| segment.stream == stream));
    }
}
