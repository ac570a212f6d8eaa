//! What a recording tells of the files of a suite.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use highwater_wire::report::{FileRow, FixtureRow, SessionReport, WorkerFigures};

use super::{File, given};
use crate::scopes;

/// A suite, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// What a process stood at before its first file, with its children, the fixtures that files share and the modules that tests import, bytes; of several
    /// the most.
    pub base_bytes: i64,
    /// What such a fixture needs for a while above what it holds, while it is set up, bytes; of several the most.
    pub set_up_bytes: i64,
    /// What of that the imports of all test files took, and modules that tests import, bytes; of several the most.
    pub imported_bytes: i64,
    /// What of that pytest and its plugins took, before any test file was imported: what a process takes that hands out tests and runs none.
    pub controller_bytes: i64,
    /// From the begin of a session to its first file, µs, of several the most: what a further pytest costs. None where that was not seen.
    pub begin_us: Option<i64>,
    /// The fixtures that files share, of the session in which they took most, with their names, what took most first.
    pub shared: Vec<(String, i64)>,
    /// The files that ran, in the order they first did.
    pub files: Vec<File>,
    /// Those of them that were cut short: they need no less than was seen, and maybe more.
    pub cut_short: Vec<String>,
    /// Those that were cut short, or did not run, and of which other jobs tell more.
    pub recalled: Vec<String>,
    /// Those of these of which no job of their own branch or of a baseline's tells, but others.
    pub elsewhere: Vec<String>,
    /// Files that were imported and did not run, behind those that did, and of which no other job tells: they are taken to be as those in the middle.
    pub not_run: Vec<String>,
    /// Files that were collected and had no test to run, such as modules without doctests: not among the files.
    pub no_tests: Vec<String>,
}

/// Figures beyond this are nobody's, bytes and µs: sums of them stay whole numbers.
pub(super) const MOST: i64 = 1 << 50;

/// What the fixtures of a session that files share hold at once, need while they are set up, and take each. No file tells of it.
#[derive(Debug, Default)]
struct Shared {
    taken_bytes: i64,
    set_up_bytes: i64,
    fixtures: Vec<(String, i64)>,
}

impl Facts {
    /// Gathers them from the rows of a job. A file that ran in several sessions, which are processes of their own, is taken as the most of each. Fixtures
    /// that files share are set up for the one that happens to ask first, and needed by whichever does: they belong to the base.
    #[must_use]
    pub fn of(sessions: &[SessionReport], files: &[FileRow], fixtures: &[FixtureRow]) -> Self {
        let begins = sessions.iter().map(|it| (it.ordinal, it.began_us));
        let begins: BTreeMap<u32, Option<i64>> = begins.collect();
        let whole: BTreeSet<u32> = sessions
            .iter()
            .filter(|session| ran_all(session))
            .map(|session| session.ordinal)
            .collect();
        let each = sessions.iter().filter(|session| session.dist == "each");
        let each: BTreeSet<u32> = each.map(|session| session.ordinal).collect();
        let mut sessions: BTreeMap<u32, Vec<&FileRow>> = BTreeMap::new();
        for file in files.iter().filter(|file| file.visits > 0) {
            sessions.entry(file.session).or_default().push(file);
        }
        let mut facts = Self::default();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (session, rows) in &sessions {
            let own = fixtures.iter().filter(|it| it.session == *session);
            let shared = Shared::of(own);
            facts.set_up_bytes = facts.set_up_bytes.max(shared.set_up_bytes);
            let first = rows.iter().min_by_key(|row| row.started_us);
            let started_bytes = first.map_or(0, |row| row.start_bytes);
            let children_bytes = first.map_or(0, |row| row.children_start_bytes);
            let late_bytes = imported_late(*session, files);
            let base_bytes = started_bytes
                .saturating_add(shared.taken_bytes)
                .saturating_add(late_bytes)
                .saturating_add(children_bytes);
            facts.base_bytes = facts.base_bytes.max(base_bytes.clamp(0, MOST));
            let imported = first.map_or(0, |first| imported_beside(first, *session, files));
            let imported_bytes = imported.saturating_add(late_bytes).clamp(0, MOST);
            facts.imported_bytes = facts.imported_bytes.max(imported_bytes);
            let controller_bytes = started_bytes.saturating_sub(imported).clamp(0, MOST);
            facts.controller_bytes = facts.controller_bytes.max(controller_bytes);
            if let (Some(first), Some(Some(began_us))) = (first, begins.get(session)) {
                let begin_us = first.started_us.saturating_sub(*began_us);
                facts.begin_us = facts.begin_us.max(Some(begin_us.clamp(0, MOST)));
            }
            // What one gave back in this session was left in it, by a process of its own.
            let mut own = Vec::new();
            let mut given = Vec::new();
            for (at, row) in rows.iter().enumerate() {
                let spike = match each.contains(session) {
                    true => most_spike(row),
                    false => whole_spike(row),
                };
                let (file, bytes) = of_row(row, spike, started_bytes);
                own.push(file);
                given.push((at, bytes));
            }
            given::settle(&mut own, &given);
            for (row, file) in rows.iter().zip(own) {
                facts.add(row, file, &mut places);
            }
            if sum(&facts.shared) < shared.taken_bytes {
                facts.shared = shared.fixtures;
            }
        }
        facts.add_what_did_not_run(files, &places, &whole);
        facts
    }

    /// A file with what it surely leaves: what one held as it was cut short it may have needed for a while alone.
    pub(super) fn surely_of(&self, file: &File) -> File {
        match self.cut_short.contains(&file.path) {
            true => file.given_back(),
            false => file.clone(),
        }
    }

    /// All files so: the suite takes no less than these lead to.
    pub(super) fn surely(&self) -> Vec<File> {
        let files = self.files.iter();
        files.map(|file| self.surely_of(file)).collect()
    }

    /// Adds a file as a session had it: of several sessions the most.
    fn add<'a>(&mut self, row: &'a FileRow, file: File, places: &mut BTreeMap<&'a str, usize>) {
        if row.censored && !self.cut_short.contains(&row.path) {
            self.cut_short.push(row.path.clone());
        }
        if let Some(at) = places.get(row.path.as_str()) {
            let known = &mut self.files[*at];
            known.spike_bytes = known.spike_bytes.max(file.spike_bytes);
            known.retained_bytes = known.retained_bytes.max(file.retained_bytes);
            known.duration_us = known.duration_us.max(file.duration_us);
            return;
        }
        places.insert(&row.path, self.files.len());
        self.files.push(file);
    }

    /// `whole`: the sessions that ran all their tests, so that what did not run in them had none.
    fn add_what_did_not_run(
        &mut self,
        files: &[FileRow],
        ran: &BTreeMap<&str, usize>,
        whole: &BTreeSet<u32>,
    ) {
        let middle = |figure: fn(&File) -> i64| {
            let mut figures: Vec<i64> = self.files.iter().map(figure).collect();
            figures.sort_unstable();
            figures.get(figures.len() / 2).copied().unwrap_or(0)
        };
        let like = File {
            path: String::new(),
            spike_bytes: middle(|file| file.spike_bytes),
            retained_bytes: middle(|file| file.retained_bytes),
            duration_us: middle(|file| file.duration_us),
        };
        let missing: BTreeSet<&str> = files
            .iter()
            .map(|file| file.path.as_str())
            .filter(|path| !ran.contains_key(path))
            .collect();
        if ran.is_empty() {
            return;
        }
        // What failed to be imported may have had any.
        let may_have_tests = |file: &&FileRow| file.import_failed || !whole.contains(&file.session);
        let open = files.iter().filter(may_have_tests);
        let open: BTreeSet<&str> = open.map(|file| file.path.as_str()).collect();
        for path in missing {
            if !open.contains(path) {
                self.no_tests.push(path.to_owned());
                continue;
            }
            self.not_run.push(path.to_owned());
            self.files.push(File {
                path: path.to_owned(),
                ..like.clone()
            });
        }
    }
}

/// Whether a session came to its end and began each test that it was to run.
fn ran_all(session: &SessionReport) -> bool {
    session.not_begun == Some(0) && session.unfinished == 0 && session.exit_status.is_some()
}

/// What a file needed for a while on the worker that needed most, with its children, bytes.
fn most_spike(row: &FileRow) -> i64 {
    row.tree_spike_bytes.max(row.spike_bytes)
}

/// What it needs for a while where all of it runs in one process: beside the spike of the part that one worker ran, what the parts of the others left, which
/// may have run before it.
fn whole_spike(row: &FileRow) -> i64 {
    let left = |worker: &WorkerFigures| {
        let children = worker.children_retained_bytes.clamp(0, MOST);
        worker.retained_bytes.clamp(0, MOST) + children
    };
    let all = row.workers.iter().map(left).fold(0, i64::saturating_add);
    let ran = row.workers.iter().filter(|worker| worker.visits > 0);
    let parts = ran.map(|worker| {
        let spike = worker.tree_spike_bytes.max(worker.spike_bytes);
        spike.saturating_add(all - left(worker))
    });
    parts.fold(most_spike(row), i64::max)
}

/// A file with its spike, of a session that stood at so many bytes before its first. Answers with it what it gave back that others had left.
fn of_row(row: &FileRow, spike: i64, started_bytes: i64) -> (File, i64) {
    // With the last file of a process went what others had set up.
    let of_others = row.workers.iter().map(|it| it.shared_fixture_bytes);
    let released = of_others.min().unwrap_or(0).min(0);
    let below = started_bytes.saturating_sub(row.end_bytes.saturating_sub(released));
    let mut file = File {
        path: row.path.clone(),
        spike_bytes: spike.clamp(0, MOST),
        retained_bytes: row.retained_bytes.clamp(-MOST, MOST),
        duration_us: row.duration_us.clamp(0, MOST),
    };
    let given = given::take_off(&mut file, below.clamp(0, MOST));
    // Children of others that ended here are not given back: where this file does not run, nobody knows who ends them.
    let children = row.children_retained_bytes.clamp(0, MOST);
    file.retained_bytes = file.retained_bytes.saturating_add(children).min(MOST);
    (file, given)
}

fn sum(fixtures: &[(String, i64)]) -> i64 {
    fixtures.iter().map(|(_, bytes)| bytes).sum()
}

/// What the imports of all test files took in the process that ran the first.
fn imported_beside(first: &FileRow, session: u32, files: &[FileRow]) -> i64 {
    let by_start = |row: &&WorkerFigures| row.started_us;
    let ran = first.workers.iter().filter(|worker| worker.visits > 0);
    let Some(process) = ran.min_by_key(by_start).map(|worker| worker.process) else {
        return 0;
    };
    let of_session = files.iter().filter(|file| file.session == session);
    let imports = of_session.flat_map(|file| &file.workers);
    imports
        .filter(|worker| worker.process == process)
        .fold(0, |sum, worker| {
            sum.saturating_add(worker.import_bytes.max(0))
        })
}

/// What modules that tests imported took in one process, of several the most: whichever file comes first of those that need them pays for them, in each job.
fn imported_late(session: u32, files: &[FileRow]) -> i64 {
    let mut processes: BTreeMap<u32, i64> = BTreeMap::new();
    let of_session = files.iter().filter(|file| file.session == session);
    for worker in of_session.flat_map(|file| &file.workers) {
        let sum = processes.entry(worker.process).or_default();
        *sum = sum.saturating_add(worker.late_import_bytes.max(0));
    }
    processes.into_values().max().unwrap_or(0)
}

impl Shared {
    fn of<'f>(fixtures: impl Iterator<Item = &'f FixtureRow>) -> Self {
        let mut shared = Self::default();
        let mut own: BTreeMap<&str, i64> = BTreeMap::new();
        let mut packages: BTreeMap<&str, i64> = BTreeMap::new();
        for fixture in fixtures.filter(|it| scopes::is_shared(&it.scope, &it.base)) {
            // Over several workers it is summed; each has its own.
            let setups = i64::try_from(fixture.setups.max(1)).unwrap_or(1);
            let own_bytes = (fixture.setup_bytes / setups).max(0);
            let need = fixture.spike_bytes.saturating_sub(own_bytes).clamp(0, MOST);
            let took = own_bytes
                .saturating_add(fixture.children_bytes)
                .clamp(0, MOST);
            shared.set_up_bytes = shared.set_up_bytes.max(need);
            *own.entry(&fixture.name).or_default() += took;
            if fixture.scope == "package" {
                *packages.entry(&fixture.base).or_default() += took;
            } else {
                shared.taken_bytes += took;
            }
        }
        let own = own
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes));
        shared.fixtures = own.collect();
        shared.fixtures.sort_by_key(|(_, bytes)| Reverse(*bytes));
        shared.taken_bytes += at_once(&packages);
        shared
    }
}

/// What fixtures of packages hold at once at the most, by the folder of each: those of a package are torn down before one beside it begins, and stay for those
/// inside it.
fn at_once(packages: &BTreeMap<&str, i64>) -> i64 {
    let holds = |package: &str| -> i64 {
        let inside = |outer: &str| outer.is_empty() || Path::new(package).starts_with(outer);
        let around = packages.iter().filter(|(outer, _)| inside(outer));
        around.map(|(_, bytes)| bytes).sum()
    };
    packages
        .keys()
        .map(|package| holds(package))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
