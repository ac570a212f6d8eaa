//! The marks of a job: what each process read of itself at each boundary, as `pytest-plugin/FORMAT.md` has it. All figures of test files rest on them.

use std::collections::HashMap;

use highwater_store::DetailKind;
use highwater_wire::{
    report::ProcessRow,
    v1::{self, mark::What},
};
use serde::Serialize;

use super::{Done, ExportError};
use crate::reading::Settled;

/// So many rows are handed on at once.
const ROWS: usize = 4_096;

/// One mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct MarkRow {
    /// µs since the job's start.
    pub(super) t_us: i64,
    /// Number of the process in the job's rows.
    pub(super) process: Option<u32>,
    pub(super) worker: Option<String>,
    /// Its kind, as the format of the events file names it.
    pub(super) mark: &'static str,
    /// RSS at the mark.
    pub(super) rss_bytes: u64,
    /// Highest RSS since the mark before it; none where that is not known.
    pub(super) peak_bytes: Option<u64>,
    /// The test file: of an import, a test, or a fixture that is set up for one.
    pub(super) path: Option<String>,
    /// Of a test its node id; of a phase, a module, a fixture its name.
    pub(super) name: Option<String>,
    /// Number of a fixture's set-up in its process.
    pub(super) fixture: Option<u64>,
    /// Of a fixture.
    pub(super) scope: Option<String>,
    /// Node id of where a fixture is defined; empty for a plugin's.
    pub(super) base: Option<String>,
    /// How an import, a set-up or a test ended.
    pub(super) outcome: Option<String>,
}

/// Hands on every mark, process by process, each in order of time.
pub(super) fn rows(job: &Settled, take: &mut dyn FnMut(&[MarkRow]) -> Done) -> Done {
    let processes: Vec<ProcessRow> = job.rows(DetailKind::Processes)?;
    let mut by_pid: HashMap<u32, Vec<&ProcessRow>> = HashMap::new();
    for process in &processes {
        by_pid.entry(process.pid).or_default().push(process);
    }
    let recording = job.residue().map_err(ExportError::from)?;
    for marks in recording.marks.chunks(ROWS) {
        let rows = marks.iter().filter_map(|mark| {
            let pid = recording.processes.get(mark.process as usize);
            let alike = pid.and_then(|process| by_pid.get(&process.pid));
            row(mark, alike.and_then(|alike| of_time(alike, mark.t_us)))
        });
        take(&rows.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// A number may be another process's later: the last that had started by then.
fn of_time<'p>(alike: &[&'p ProcessRow], t_us: i64) -> Option<&'p ProcessRow> {
    let begun = alike.iter().filter(|process| process.started_us <= t_us);
    let last = begun.max_by_key(|process| process.started_us);
    last.or(alike.first()).copied()
}

/// None of what is no mark but a counter, or of a kind that this version does not know: no figure rests on either.
fn row(mark: &v1::Mark, process: Option<&ProcessRow>) -> Option<MarkRow> {
    let row = MarkRow {
        t_us: mark.t_us,
        process: process.map(|process| process.id),
        worker: process.and_then(|process| process.worker.clone()),
        rss_bytes: mark.rss_bytes,
        peak_bytes: mark.peak_bytes,
        ..MarkRow::default()
    };
    let text = |text: &String| Some(text.clone());
    Some(match mark.what.as_ref()? {
        What::SessionBegin(_) => MarkRow { mark: "sb", ..row },
        What::CollectBegin(_) => MarkRow { mark: "cb", ..row },
        What::CollectEnd(_) => MarkRow { mark: "ce", ..row },
        What::ImportBegin(import) => MarkRow {
            mark: "ib",
            path: text(&import.path),
            ..row
        },
        What::ImportEnd(import) => MarkRow {
            mark: "ie",
            outcome: text(&import.outcome),
            ..row
        },
        What::ModuleBegin(import) => MarkRow {
            mark: "mb",
            name: text(&import.module),
            ..row
        },
        What::ModuleEnd(_) => MarkRow { mark: "me", ..row },
        What::ModuleGone(gone) => MarkRow {
            mark: "mg",
            name: text(&gone.module),
            ..row
        },
        What::TestBegin(test) => MarkRow {
            mark: "tb",
            path: text(&test.path),
            name: text(&test.nodeid),
            ..row
        },
        What::TestPhase(phase) => MarkRow {
            mark: "tp",
            name: text(&phase.phase),
            ..row
        },
        What::TestEnd(test) => MarkRow {
            mark: "te",
            outcome: text(&test.outcome),
            ..row
        },
        What::FixtureBegin(fixture) => MarkRow {
            mark: "fb",
            fixture: Some(fixture.fixture),
            name: text(&fixture.name),
            scope: text(&fixture.scope),
            path: text(&fixture.path),
            base: text(&fixture.base),
            ..row
        },
        What::FixtureEnd(fixture) => MarkRow {
            mark: "fe",
            fixture: Some(fixture.fixture),
            outcome: text(&fixture.outcome),
            ..row
        },
        What::ReleaseBegin(release) => MarkRow {
            mark: "rb",
            fixture: Some(release.fixture),
            ..row
        },
        What::ReleaseEnd(release) => MarkRow {
            mark: "re",
            fixture: Some(release.fixture),
            ..row
        },
        What::SessionEnd(_) => MarkRow { mark: "se", ..row },
        What::Leave(_) => MarkRow { mark: "xx", ..row },
        What::Blocks(_) => return None,
        What::DiagnosisBegin(_) => MarkRow { mark: "db", ..row },
        What::DiagnosisEnd(_) => MarkRow { mark: "de", ..row },
    })
}

#[cfg(test)]
mod tests {
    use highwater_wire::report::{PeakKind, Role};

    use super::*;

    fn process(id: u32, started_us: i64) -> ProcessRow {
        ProcessRow {
            id,
            pid: 7,
            parent_pid: 1,
            role: Role::Pytest,
            worker: None,
            session: None,
            command: String::new(),
            started_us,
            ended_us: None,
            peak_bytes: 0,
            peak_kind: PeakKind::Exact,
            exact_reason: String::new(),
            oom_score_adj: None,
            as_large_as_parent: None,
            books: None,
            collections: Vec::new(),
        }
    }

    #[test]
    fn a_mark_is_of_the_process_that_had_the_number_then() {
        let (first, second) = (process(1, -500), process(2, 1_000));
        let alike = [&first, &second];
        for (t_us, id) in [(-900, 1), (0, 1), (999, 1), (1_000, 2), (5_000, 2)] {
            assert_eq!(of_time(&alike, t_us).map(|it| it.id), Some(id), "{t_us}");
        }
        assert_eq!(of_time(&[], 0), None);
    }

    #[test]
    fn every_kind_of_mark_is_one_of_the_format() {
        const PAGE: &str = include_str!("../../../pytest-plugin/FORMAT.md");
        let kinds = [
            What::SessionBegin(v1::Empty {}),
            What::CollectBegin(v1::Empty {}),
            What::CollectEnd(v1::CollectEnd::default()),
            What::ImportBegin(v1::ImportBegin::default()),
            What::ImportEnd(v1::ImportEnd::default()),
            What::ModuleBegin(v1::ModuleBegin::default()),
            What::ModuleEnd(v1::Empty {}),
            What::ModuleGone(v1::ModuleGone::default()),
            What::TestBegin(v1::TestBegin::default()),
            What::TestPhase(v1::TestPhase::default()),
            What::TestEnd(v1::TestEnd::default()),
            What::FixtureBegin(v1::FixtureBegin::default()),
            What::FixtureEnd(v1::FixtureEnd::default()),
            What::ReleaseBegin(v1::FixtureRef::default()),
            What::ReleaseEnd(v1::FixtureRef::default()),
            What::SessionEnd(v1::SessionEnd::default()),
            What::Leave(v1::Leave::default()),
            What::DiagnosisBegin(v1::Empty {}),
            What::DiagnosisEnd(v1::Diagnosis::default()),
        ];
        for what in kinds {
            let mark = v1::Mark {
                what: Some(what),
                ..v1::Mark::default()
            };
            let kind = row(&mark, None).map(|row| row.mark);
            let told = kind.is_some_and(|kind| PAGE.contains(&format!("| `{kind}` |")));
            assert!(told, "FORMAT.md has no mark {kind:?}: {mark:?}");
        }
    }
}
