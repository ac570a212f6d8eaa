//! Which tables there are, and what is in them. Names are those of the API's rows; what lies deeper there has the names of its way.

use highwater_analysis::digest::Visit;
use highwater_wire::report::{
    Books, CollectedRow, Diagnosis, FileRow, FixtureRow, LimitUse, PhaseRow, ProcessRow,
    SessionReport, TestRow, WorkerFigures,
};

use super::{
    marks::MarkRow,
    samples::Sample,
    table::{Column, Value, bool, int, text},
};

/// One row a sample.
pub(super) const SERIES: &[Column<Sample>] = &[
    int("t_us", |row| row.t_us.into()),
    int("series", |row| row.of.id.into()),
    text("metric", |row| row.of.metric.into()),
    text("unit", |row| row.of.unit.into()),
    int("process", |row| row.of.process.into()),
    int("pid", |row| row.of.pid.into()),
    text("worker", |row| row.of.worker.as_deref().into()),
    text("cgroup", |row| row.of.cgroup.as_deref().into()),
    int("value", |row| row.value.into()),
];

/// One row an execution.
pub(super) const TESTS: &[Column<TestRow>] = &[
    text("nodeid", |row| row.nodeid.as_str().into()),
    text("path", |row| row.path.as_str().into()),
    int("session", |row| row.session.into()),
    int("execution", |row| row.execution.into()),
    text("outcome", |row| row.outcome.as_str().into()),
    text("worker", |row| row.worker.as_deref().into()),
    int("process", |row| row.process.into()),
    int("started_us", |row| row.started_us.into()),
    int("duration_us", |row| row.duration_us.into()),
    int("start_bytes", |row| row.start_bytes.into()),
    int("end_bytes", |row| row.end_bytes.into()),
    int("peak_bytes", |row| row.peak_bytes.into()),
    text("peak_kind", |row| row.peak_kind.as_str().into()),
    int("tree_peak_bytes", |row| row.tree_peak_bytes.into()),
    int("spike_bytes", |row| row.spike_bytes.into()),
    int("tree_spike_bytes", |row| row.tree_spike_bytes.into()),
    int("retained_bytes", |row| row.retained_bytes.into()),
    int("late_import_bytes", |row| row.late_import_bytes.into()),
    int("shared_fixture_bytes", |row| {
        row.shared_fixture_bytes.into()
    }),
    int("fixture_bytes", |row| row.fixture_bytes.into()),
    text("setup_outcome", |row| outcome(row, "setup")),
    int("setup_duration_us", |row| {
        of(row, "setup", |phase| phase.duration_us)
    }),
    int("setup_start_bytes", |row| {
        of(row, "setup", |phase| phase.start_bytes)
    }),
    int("setup_end_bytes", |row| {
        of(row, "setup", |phase| phase.end_bytes)
    }),
    int("setup_peak_bytes", |row| {
        of(row, "setup", |phase| phase.peak_bytes)
    }),
    text("call_outcome", |row| outcome(row, "call")),
    int("call_duration_us", |row| {
        of(row, "call", |phase| phase.duration_us)
    }),
    int("call_start_bytes", |row| {
        of(row, "call", |phase| phase.start_bytes)
    }),
    int("call_end_bytes", |row| {
        of(row, "call", |phase| phase.end_bytes)
    }),
    int("call_peak_bytes", |row| {
        of(row, "call", |phase| phase.peak_bytes)
    }),
    text("teardown_outcome", |row| outcome(row, "teardown")),
    int("teardown_duration_us", |row| {
        of(row, "teardown", |phase| phase.duration_us)
    }),
    int("teardown_start_bytes", |row| {
        of(row, "teardown", |phase| phase.start_bytes)
    }),
    int("teardown_end_bytes", |row| {
        of(row, "teardown", |phase| phase.end_bytes)
    }),
    int("teardown_peak_bytes", |row| {
        of(row, "teardown", |phase| phase.peak_bytes)
    }),
];

fn phase<'a>(row: &'a TestRow, name: &str) -> Option<&'a PhaseRow> {
    row.phases.iter().find(|phase| phase.phase == name)
}

fn outcome<'a>(row: &'a TestRow, name: &str) -> Value<'a> {
    phase(row, name).map(|phase| phase.outcome.as_str()).into()
}

fn of(row: &TestRow, name: &str, figure: fn(&PhaseRow) -> i64) -> Value<'static> {
    phase(row, name).map(figure).into()
}

/// One row a path and session.
pub(super) const FILES: &[Column<FileRow>] = &[
    text("path", |row| row.path.as_str().into()),
    int("session", |row| row.session.into()),
    int("visits", |row| row.visits.into()),
    int("started_us", |row| row.started_us.into()),
    int("start_bytes", |row| row.start_bytes.into()),
    int("end_bytes", |row| row.end_bytes.into()),
    int("peak_bytes", |row| row.peak_bytes.into()),
    text("peak_kind", |row| row.peak_kind.as_str().into()),
    int("tree_peak_bytes", |row| row.tree_peak_bytes.into()),
    int("spike_bytes", |row| row.spike_bytes.into()),
    int("tree_spike_bytes", |row| row.tree_spike_bytes.into()),
    int("children_start_bytes", |row| {
        row.children_start_bytes.into()
    }),
    int("children_retained_bytes", |row| {
        row.children_retained_bytes.into()
    }),
    int("retained_bytes", |row| row.retained_bytes.into()),
    int("import_bytes", |row| row.import_bytes.into()),
    int("late_import_bytes", |row| row.late_import_bytes.into()),
    int("shared_fixture_bytes", |row| {
        row.shared_fixture_bytes.into()
    }),
    int("fixture_bytes", |row| row.fixture_bytes.into()),
    int("between_bytes", |row| row.between_bytes.into()),
    int("tests", |row| row.tests.into()),
    int("failed", |row| row.failed.into()),
    int("duration_us", |row| row.duration_us.into()),
    bool("censored", |row| row.censored.into()),
    bool("import_failed", |row| row.import_failed.into()),
    int("diagnosis_start_bytes", |row| {
        diagnosed(row, |found| found.start_bytes)
    }),
    int("diagnosis_end_bytes", |row| {
        diagnosed(row, |found| found.end_bytes)
    }),
    int("diagnosis_trimmed_bytes", |row| {
        diagnosed(row, |found| found.trimmed_bytes)
    }),
    int("diagnosis_collected_bytes", |row| {
        diagnosed(row, |found| found.collected_bytes)
    }),
    int("diagnosis_pinned_bytes", |row| {
        diagnosed(row, |found| found.pinned_bytes)
    }),
    int("diagnosis_freed_bytes", |row| {
        diagnosed(row, |found| found.freed_bytes)
    }),
    int("diagnosis_fixture_bytes", |row| {
        diagnosed(row, |found| found.fixture_bytes)
    }),
    int("diagnosis_stayed_bytes", |row| {
        diagnosed(row, |found| found.stayed_bytes)
    }),
    int("diagnosis_garbage_bytes", |row| {
        diagnosed(row, |found| found.garbage_bytes)
    }),
    int("diagnosis_allocator_bytes", |row| {
        diagnosed(row, |found| found.allocator_bytes)
    }),
    int("diagnosis_pymalloc_bytes", |row| {
        diagnosed(row, |found| found.pymalloc_bytes)
    }),
    int("diagnosis_live_bytes", |row| {
        diagnosed(row, |found| found.live_bytes)
    }),
    int("diagnosis_tracing_bytes", |row| {
        diagnosed(row, |found| found.tracing_bytes)
    }),
    int("diagnosis_rest_bytes", |row| {
        diagnosed(row, |found| found.rest_bytes)
    }),
];

fn diagnosed(row: &FileRow, figure: fn(&Diagnosis) -> i64) -> Value<'static> {
    row.diagnosis.as_ref().map(figure).into()
}

/// A test file on one worker.
pub(super) struct OnWorker {
    path: String,
    session: u32,
    own: WorkerFigures,
}

impl OnWorker {
    /// The workers of a test file.
    pub(super) fn of(file: FileRow) -> impl Iterator<Item = Self> {
        let FileRow { path, session, .. } = file;
        file.workers.into_iter().map(move |own| Self {
            path: path.clone(),
            session,
            own,
        })
    }
}

/// One row a path, session and process.
pub(super) const WORKERS: &[Column<OnWorker>] = &[
    text("path", |row| row.path.as_str().into()),
    int("session", |row| row.session.into()),
    int("process", |row| row.own.process.into()),
    text("worker", |row| row.own.worker.as_deref().into()),
    int("visits", |row| row.own.visits.into()),
    int("started_us", |row| row.own.started_us.into()),
    int("start_bytes", |row| row.own.start_bytes.into()),
    int("end_bytes", |row| row.own.end_bytes.into()),
    int("peak_bytes", |row| row.own.peak_bytes.into()),
    text("peak_kind", |row| row.own.peak_kind.as_str().into()),
    int("tree_peak_bytes", |row| row.own.tree_peak_bytes.into()),
    int("spike_bytes", |row| row.own.spike_bytes.into()),
    int("tree_spike_bytes", |row| row.own.tree_spike_bytes.into()),
    int("children_start_bytes", |row| {
        row.own.children_start_bytes.into()
    }),
    int("children_retained_bytes", |row| {
        row.own.children_retained_bytes.into()
    }),
    int("retained_bytes", |row| row.own.retained_bytes.into()),
    int("import_bytes", |row| row.own.import_bytes.into()),
    int("late_import_bytes", |row| row.own.late_import_bytes.into()),
    int("shared_fixture_bytes", |row| {
        row.own.shared_fixture_bytes.into()
    }),
    int("fixture_bytes", |row| row.own.fixture_bytes.into()),
    int("between_bytes", |row| row.own.between_bytes.into()),
    int("tests", |row| row.own.tests.into()),
    int("failed", |row| row.own.failed.into()),
    int("duration_us", |row| row.own.duration_us.into()),
    bool("censored", |row| row.own.censored.into()),
];

/// One row a visit, in order of time.
pub(super) const VISITS: &[Column<Visit>] = &[
    text("path", |row| row.path.as_str().into()),
    int("session", |row| row.session.into()),
    int("process", |row| row.process.into()),
    text("worker", |row| row.worker.as_deref().into()),
    int("began_us", |row| row.began_us.into()),
    int("ended_us", |row| row.ended_us.into()),
    int("start_bytes", |row| row.start_bytes.into()),
    int("end_bytes", |row| row.end_bytes.into()),
    int("peak_bytes", |row| row.peak_bytes.into()),
    text("peak_kind", |row| row.peak_kind.as_str().into()),
    int("tree_peak_bytes", |row| row.tree_peak_bytes.into()),
    int("spike_bytes", |row| row.spike_bytes.into()),
    int("tree_spike_bytes", |row| row.tree_spike_bytes.into()),
    int("children_start_bytes", |row| {
        row.children_start_bytes.into()
    }),
    int("children_retained_bytes", |row| {
        row.children_retained_bytes.into()
    }),
    int("retained_bytes", |row| row.retained_bytes.into()),
    int("late_import_bytes", |row| row.late_import_bytes.into()),
    int("shared_fixture_bytes", |row| {
        row.shared_fixture_bytes.into()
    }),
    int("fixture_bytes", |row| row.fixture_bytes.into()),
    int("between_bytes", |row| row.between_bytes.into()),
    int("tests", |row| row.tests.into()),
    int("failed", |row| row.failed.into()),
];

/// One row a test file that a session was to run, in the order in which they were to begin.
pub(super) const COLLECTED: &[Column<CollectedRow>] = &[
    int("session", |row| row.session.into()),
    int("place", |row| row.place.into()),
    text("path", |row| row.path.as_deref().into()),
    int("files", |row| row.files.into()),
    int("tests", |row| row.tests.into()),
];

/// One row a mark.
pub(super) const MARKS: &[Column<MarkRow>] = &[
    int("t_us", |row| row.t_us.into()),
    int("process", |row| row.process.into()),
    text("worker", |row| row.worker.as_deref().into()),
    text("mark", |row| row.mark.into()),
    int("rss_bytes", |row| row.rss_bytes.into()),
    int("peak_bytes", |row| row.peak_bytes.into()),
    text("path", |row| row.path.as_deref().into()),
    text("name", |row| row.name.as_deref().into()),
    int("fixture", |row| row.fixture.into()),
    text("scope", |row| row.scope.as_deref().into()),
    text("base", |row| row.base.as_deref().into()),
    text("outcome", |row| row.outcome.as_deref().into()),
];

/// One row a fixture and test file.
pub(super) const FIXTURES: &[Column<FixtureRow>] = &[
    text("name", |row| row.name.as_str().into()),
    text("scope", |row| row.scope.as_str().into()),
    text("path", |row| row.path.as_str().into()),
    text("base", |row| row.base.as_str().into()),
    int("session", |row| row.session.into()),
    int("setups", |row| row.setups.into()),
    int("setup_bytes", |row| row.setup_bytes.into()),
    int("released_bytes", |row| row.released_bytes.into()),
    int("retained_bytes", |row| row.retained_bytes.into()),
    int("spike_bytes", |row| row.spike_bytes.into()),
    int("children_bytes", |row| row.children_bytes.into()),
    int("duration_us", |row| row.duration_us.into()),
    int("open", |row| row.open.into()),
];

/// One row a process.
pub(super) const PROCESSES: &[Column<ProcessRow>] = &[
    int("id", |row| row.id.into()),
    int("pid", |row| row.pid.into()),
    int("parent_pid", |row| row.parent_pid.into()),
    text("role", |row| row.role.as_str().into()),
    text("worker", |row| row.worker.as_deref().into()),
    int("session", |row| row.session.into()),
    text("command", |row| row.command.as_str().into()),
    int("started_us", |row| row.started_us.into()),
    int("ended_us", |row| row.ended_us.into()),
    int("peak_bytes", |row| row.peak_bytes.into()),
    text("peak_kind", |row| row.peak_kind.as_str().into()),
    text("exact_reason", |row| row.exact_reason.as_str().into()),
    int("oom_score_adj", |row| {
        row.oom_score_adj.map(i64::from).into()
    }),
    bool("as_large_as_parent", |row| row.as_large_as_parent.into()),
    int("books_first_bytes", |row| {
        booked(row, |books| books.first_bytes)
    }),
    int("books_import_bytes", |row| {
        booked(row, |books| books.import_bytes)
    }),
    int("books_fixture_bytes", |row| {
        booked(row, |books| books.fixture_bytes)
    }),
    int("books_test_bytes", |row| {
        booked(row, |books| books.test_bytes)
    }),
    int("books_between_bytes", |row| {
        booked(row, |books| books.between_bytes)
    }),
    int("books_diagnosis_bytes", |row| {
        booked(row, |books| books.diagnosis_bytes)
    }),
    int("books_last_bytes", |row| {
        booked(row, |books| books.last_bytes)
    }),
];

fn booked(row: &ProcessRow, figure: fn(&Books) -> i64) -> Value<'static> {
    row.books.as_ref().map(figure).into()
}

/// One row a session; what it was asked to run is in the whole job's JSON.
pub(super) const SESSIONS: &[Column<SessionReport>] = &[
    int("ordinal", |row| row.ordinal.into()),
    text("id", |row| row.id.as_str().into()),
    text("root", |row| row.root.as_str().into()),
    text("dist", |row| row.dist.as_str().into()),
    int("numprocesses", |row| row.numprocesses.into()),
    int("began_us", |row| row.began_us.into()),
    int("ended_us", |row| row.ended_us.into()),
    int("exit_status", |row| row.exit_status.map(i64::from).into()),
    int("tests", |row| row.tests.into()),
    int("unfinished", |row| row.unfinished.into()),
    int("not_begun", |row| row.not_begun.into()),
    int("failed", |row| row.failed.into()),
    bool("sampled", |row| row.sampled.into()),
];

/// One row a limit.
pub(super) const LIMITS: &[Column<LimitUse>] = &[
    text("kind", |row| row.kind.as_str().into()),
    text("path", |row| row.path.as_str().into()),
    int("limit_bytes", |row| row.limit_bytes.into()),
    int("worst_used_bytes", |row| row.worst_used_bytes.into()),
];

#[cfg(test)]
mod tests {
    use highwater_wire::report::PeakKind;
    use utoipa::PartialSchema;

    use super::*;

    /// Lists and objects of a row; what a table holds of them has the names of its way.
    const DEEPER: &[&str] = &[
        "phases",
        "collections",
        "workers",
        "late_imports",
        "books",
        "diagnosis",
        "args",
        "fallen",
    ];

    #[track_caller]
    fn has_every_figure<S: PartialSchema, R>(columns: &[Column<R>]) {
        let schema = serde_json::to_value(S::schema()).unwrap();
        let fields = schema["properties"].as_object().unwrap().keys();
        has_all(columns, fields);
    }

    #[track_caller]
    fn has_all<'f, R>(columns: &[Column<R>], fields: impl Iterator<Item = &'f String>) {
        let missing: Vec<_> = fields
            .filter(|field| !DEEPER.contains(&field.as_str()))
            .filter(|field| columns.iter().all(|column| column.name != *field))
            .collect();
        assert!(missing.is_empty(), "no column for {missing:?}");
    }

    #[test]
    fn every_figure_of_the_api_s_rows_has_a_column() {
        has_every_figure::<TestRow, _>(TESTS);
        has_every_figure::<FileRow, _>(FILES);
        has_every_figure::<WorkerFigures, _>(WORKERS);
        has_every_figure::<CollectedRow, _>(COLLECTED);
        has_every_figure::<FixtureRow, _>(FIXTURES);
        has_every_figure::<ProcessRow, _>(PROCESSES);
        has_every_figure::<SessionReport, _>(SESSIONS);
        has_every_figure::<LimitUse, _>(LIMITS);
    }

    /// A row as the document of the API describes it, of nothing.
    fn row_of_nothing() -> FileRow {
        let schema = serde_json::to_value(FileRow::schema()).unwrap();
        let fields = schema["properties"].as_object().unwrap().iter();
        let nothing = fields.filter_map(|(name, field)| {
            let value = match field["type"].as_str()? {
                "integer" => 0.into(),
                "boolean" => false.into(),
                "string" => String::new().into(),
                "array" => serde_json::Value::Array(Vec::new()),
                _ => return None,
            };
            Some((name.clone(), value))
        });
        let mut row: serde_json::Map<_, _> = nothing.collect();
        row.insert("peak_kind".to_owned(), "exact".into());
        serde_json::from_value(row.into()).unwrap()
    }

    #[test]
    fn each_column_of_a_diagnosis_has_its_own_figure() {
        let mut found = serde_json::to_value(Diagnosis::default()).unwrap();
        let figures = found.as_object_mut().unwrap();
        let names: Vec<String> = figures
            .keys()
            .filter(|name| name.ends_with("_bytes"))
            .cloned()
            .collect();
        for (bytes, name) in (1_i64..).zip(&names) {
            figures.insert(name.clone(), bytes.into());
        }
        let row = FileRow {
            diagnosis: serde_json::from_value(found).unwrap(),
            ..row_of_nothing()
        };
        let column = |name: &str| {
            let name = format!("diagnosis_{name}");
            let column = FILES.iter().find(|column| column.name == name);
            let column = column.unwrap_or_else(|| panic!("no column {name}"));
            (column.of)(&row)
        };
        for (bytes, name) in (1..).zip(&names) {
            assert_eq!(column(name), Value::Int(bytes), "{name}");
        }
    }

    #[test]
    fn every_figure_of_a_visit_and_of_a_mark_has_a_column() {
        let visit = Visit {
            process: 1,
            worker: None,
            session: 1,
            path: String::new(),
            began_us: 0,
            ended_us: None,
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
            late_import_bytes: 0,
            shared_fixture_bytes: 0,
            fixture_bytes: 0,
            between_bytes: 0,
            tests: 0,
            failed: 0,
        };
        let row = serde_json::to_value(visit).unwrap();
        has_all(VISITS, row.as_object().unwrap().keys());
        let row = serde_json::to_value(MarkRow::default()).unwrap();
        has_all(MARKS, row.as_object().unwrap().keys());
    }
}
