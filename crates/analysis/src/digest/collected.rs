//! The test files that each session was to run, in the order in which they were to begin.

use std::collections::BTreeMap;

use highwater_wire::{
    marks::{CollectedFile, collected},
    report::CollectedRow,
};

use super::walk::Walk;

pub(super) fn rows(walks: &[Walk<'_>]) -> Vec<CollectedRow> {
    let lists: BTreeMap<u32, &str> = of_sessions(walks).collect();
    let rows = lists.into_iter().flat_map(|(session, list)| {
        (1..).zip(collected(list)).map(move |(place, file)| {
            let (path, files, tests) = match file {
                CollectedFile::File { path, tests } => (Some(path), 1, Some(tests)),
                CollectedFile::Further(files) => (None, files, None),
            };
            CollectedRow {
                session,
                place,
                path,
                files,
                tests,
            }
        })
    });
    rows.collect()
}

/// The list of each session; of several of one the last counts.
fn of_sessions<'w>(walks: &'w [Walk<'_>]) -> impl DoubleEndedIterator<Item = (u32, &'w str)> {
    let lists = walks.iter().flat_map(|walk| &walk.collected);
    lists.map(|list| (list.session, list.files))
}

/// The list of a session.
pub(super) fn of_session<'w>(walks: &'w [Walk<'_>], session: u32) -> Option<&'w str> {
    let found = of_sessions(walks).rfind(|(of, _)| *of == session);
    found.map(|(_, list)| list)
}
