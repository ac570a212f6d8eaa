//! One row a test file and session: its visits added up, a worker and together.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use highwater_wire::report::{
    CollectedRow, FileRow, LateImport, PeakKind, SessionReport, WorkerFigures,
};

use super::{processes::ProcessFacts, visits::Visit, walk::Walk};

/// So many modules are named of a file.
const MOST_MODULES: usize = 5;
/// pytest's exit status of a session that was interrupted.
const INTERRUPTED: i32 = 2;

pub(super) fn rows(
    walks: &[Walk<'_>],
    visits: &[Visit],
    processes: &[ProcessFacts],
) -> Vec<FileRow> {
    let mut figures: BTreeMap<(u32, &str, u32), WorkerFigures> = BTreeMap::new();
    let mut late: BTreeMap<(u32, &str), BTreeMap<&str, i64>> = BTreeMap::new();
    let mut failed: BTreeSet<(u32, &str)> = BTreeSet::new();
    for walk in walks {
        let process = &processes[walk.process];
        for module in &walk.modules {
            let own = late.entry((module.session, module.path)).or_default();
            let took = own.entry(module.module).or_default();
            *took = took.saturating_add(module.own_bytes);
        }
        for import in &walk.imports {
            if import.failed {
                failed.insert((import.session, import.path));
            }
            let own = figures
                .entry((import.session, import.path, process.number))
                .or_insert_with(|| {
                    nothing_yet(process.worker.clone(), process.number, import.began_us)
                });
            own.import_bytes = own.import_bytes.saturating_add(import.own_bytes);
        }
    }
    for visit in visits {
        let own = figures
            .entry((visit.session, &visit.path, visit.process))
            .or_insert_with(|| nothing_yet(visit.worker.clone(), visit.process, visit.began_us));
        let duration_us = visit_duration_us(processes, visit);
        add(own, visit, duration_us);
    }
    // Visits come in order of time, whoever made them: the last word stays.
    let ends: BTreeMap<(u32, &str), i64> = visits
        .iter()
        .map(|visit| ((visit.session, visit.path.as_str()), visit.end_bytes))
        .collect();
    let mut files: BTreeMap<(u32, &str), Vec<WorkerFigures>> = BTreeMap::new();
    for ((session, path, _), own) in figures {
        files.entry((session, path)).or_default().push(own);
    }
    let mut rows: Vec<FileRow> = files
        .into_iter()
        .map(|((session, path), workers)| {
            let end_bytes = ends.get(&(session, path)).copied().unwrap_or(0);
            let late_imports = late.remove(&(session, path)).unwrap_or_default();
            FileRow {
                late_imports: largest(late_imports),
                import_failed: failed.contains(&(session, path)),
                ..together(path, session, end_bytes, workers)
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        (a.visits == 0, a.started_us, &a.path).cmp(&(b.visits == 0, b.started_us, &b.path))
    });
    rows
}

/// A session that is interrupted, by the guard, a signal or `pytest.exit`, ends its tests in order. A file of which it had not run all of them was cut short like one whose
/// test never ended.
pub(super) fn cut_short(
    rows: &mut [FileRow],
    collected: &[CollectedRow],
    sessions: &[SessionReport],
) {
    let interrupted: BTreeSet<u32> = sessions
        .iter()
        .filter(|session| session.exit_status == Some(INTERRUPTED))
        .map(|session| session.ordinal)
        .collect();
    let to_run: BTreeMap<(u32, &str), u64> = collected
        .iter()
        .filter_map(|row| Some(((row.session, row.path.as_deref()?), row.tests?)))
        .collect();
    for row in rows {
        let tests = to_run.get(&(row.session, row.path.as_str()));
        row.censored |= row.visits > 0
            && interrupted.contains(&row.session)
            && tests.is_some_and(|tests| row.tests < *tests);
    }
}

/// The modules that took most, the most first.
fn largest(modules: BTreeMap<&str, i64>) -> Vec<LateImport> {
    let mut modules: Vec<LateImport> = modules
        .into_iter()
        .map(|(module, bytes)| LateImport {
            module: module.to_owned(),
            bytes,
        })
        .collect();
    modules.sort_by_key(|module| Reverse(module.bytes));
    modules.truncate(MOST_MODULES);
    modules
}

fn nothing_yet(worker: Option<String>, process: u32, started_us: i64) -> WorkerFigures {
    WorkerFigures {
        worker,
        process,
        visits: 0,
        started_us,
        start_bytes: 0,
        end_bytes: 0,
        peak_bytes: 0,
        peak_kind: PeakKind::Exact,
        tree_peak_bytes: 0,
        spike_bytes: 0,
        tree_spike_bytes: 0,
        children_start_bytes: 0,
        children_retained_bytes: 0,
        retained_bytes: 0,
        import_bytes: 0,
        late_import_bytes: 0,
        shared_fixture_bytes: 0,
        fixture_bytes: 0,
        between_bytes: 0,
        tests: 0,
        failed: 0,
        duration_us: 0,
        censored: false,
    }
}

fn visit_duration_us(processes: &[ProcessFacts], visit: &Visit) -> i64 {
    // Numbers count from 1, in the order of the processes.
    let process = (visit.process as usize)
        .checked_sub(1)
        .and_then(|at| processes.get(at));
    process.map_or(0, |process| {
        process.duration_us(visit.began_us, visit.ended_us)
    })
}

/// Adds a visit to the figures of its worker; visits come in order of time.
fn add(own: &mut WorkerFigures, visit: &Visit, duration_us: i64) {
    if own.visits == 0 {
        own.started_us = visit.began_us;
        own.start_bytes = visit.start_bytes;
        own.children_start_bytes = visit.children_start_bytes;
    }
    own.visits += 1;
    own.end_bytes = visit.end_bytes;
    own.peak_bytes = own.peak_bytes.max(visit.peak_bytes);
    own.peak_kind = own.peak_kind.max(visit.peak_kind);
    own.tree_peak_bytes = own.tree_peak_bytes.max(visit.tree_peak_bytes);
    own.spike_bytes = own.spike_bytes.max(visit.spike_bytes);
    own.tree_spike_bytes = own.tree_spike_bytes.max(visit.tree_spike_bytes);
    for (sum, change) in [
        (&mut own.retained_bytes, visit.retained_bytes),
        (
            &mut own.children_retained_bytes,
            visit.children_retained_bytes,
        ),
        (&mut own.late_import_bytes, visit.late_import_bytes),
        (&mut own.shared_fixture_bytes, visit.shared_fixture_bytes),
        (&mut own.fixture_bytes, visit.fixture_bytes),
        (&mut own.between_bytes, visit.between_bytes),
    ] {
        *sum = sum.saturating_add(change);
    }
    own.tests += visit.tests;
    own.failed += visit.failed;
    own.duration_us += duration_us;
    own.censored |= visit.ended_us.is_none();
}

fn together(path: &str, session: u32, end_bytes: i64, mut workers: Vec<WorkerFigures>) -> FileRow {
    workers.sort_by_key(|worker| (worker.visits == 0, worker.started_us));
    let visited = || workers.iter().filter(|worker| worker.visits > 0);
    let first = visited().min_by_key(|worker| worker.started_us);
    let sum =
        |figure: fn(&WorkerFigures) -> i64| workers.iter().map(figure).fold(0, i64::saturating_add);
    let most = |figure: fn(&WorkerFigures) -> i64| visited().map(figure).max().unwrap_or(0);
    let earliest = workers.iter().map(|worker| worker.started_us).min();
    FileRow {
        path: path.to_owned(),
        session,
        visits: workers.iter().map(|worker| worker.visits).sum(),
        started_us: first
            .map(|worker| worker.started_us)
            .or(earliest)
            .unwrap_or(0),
        start_bytes: first.map_or(0, |worker| worker.start_bytes),
        end_bytes,
        peak_bytes: most(|worker| worker.peak_bytes),
        peak_kind: visited()
            .map(|worker| worker.peak_kind)
            .max()
            .unwrap_or(PeakKind::Exact),
        tree_peak_bytes: most(|worker| worker.tree_peak_bytes),
        spike_bytes: most(|worker| worker.spike_bytes),
        tree_spike_bytes: most(|worker| worker.tree_spike_bytes),
        children_start_bytes: first.map_or(0, |worker| worker.children_start_bytes),
        children_retained_bytes: sum(|worker| worker.children_retained_bytes),
        retained_bytes: sum(|worker| worker.retained_bytes),
        import_bytes: sum(|worker| worker.import_bytes),
        late_import_bytes: sum(|worker| worker.late_import_bytes),
        late_imports: Vec::new(),
        shared_fixture_bytes: sum(|worker| worker.shared_fixture_bytes),
        fixture_bytes: sum(|worker| worker.fixture_bytes),
        between_bytes: sum(|worker| worker.between_bytes),
        tests: workers.iter().map(|worker| worker.tests).sum(),
        failed: workers.iter().map(|worker| worker.failed).sum(),
        duration_us: sum(|worker| worker.duration_us),
        censored: workers.iter().any(|worker| worker.censored),
        import_failed: false,
        workers,
        diagnosis: None,
    }
}
