//! Databases of pytest-monitor: each of its sessions is a job.
//!
//! It measures the call of a test: how long it took, and the highest RSS that was seen meanwhile, ten times a second or less, above the RSS that the
//! process had when its session began. So figures here are above that RSS, which is not in the database: starts and ends of tests, and with them what
//! they retain, are not known and stand as 0. A test that failed left no row. Under xdist each worker has a session of its own.

use std::{collections::HashMap, fs, path::Path};

use highwater_store::pymon::{self, Context, Metric, Pymon, Session};
use highwater_wire::{
    codec::MAX_NAME_BYTES,
    v1::{
        self, Batch, Empty, Environment, Mark, Process, Role, Samples, Series, TestBegin, TestEnd,
        mark::What,
    },
};
use jiff::civil::DateTime;

use super::{
    ImportError, Imported, Named,
    recording::{Batches, Identity, job, notice},
};

/// Most bytes of a database: SQLite takes a text whole before it cuts it.
const MOST_BYTES: u64 = 1 << 30;
/// Most tests of a batch, and about how many bytes of their names.
const MOST_TESTS: usize = 10_000;
const MOST_TEXT: usize = 4 << 20;
/// What memory_profiler polls at, µs.
const INTERVAL_US: u64 = 100_000;
const MIB: f64 = 1_048_576.0;
const FUNCTION: &str = "function";

const WHAT_IT_IS: &str = "pytest-monitor keeps of each test the highest RSS that it saw during the call, above what the process had when its session began: figures \
    here are above that. Where a test began and ended, what it retained, its set-up, and tests that failed are not in its database; times of day are taken as UTC";

/// Reads a database.
pub(super) async fn read(path: &Path, named: &Named) -> Result<Vec<Imported>, ImportError> {
    let size = fs::metadata(path).map_err(|error| ImportError::of(path, error))?;
    if size.len() > MOST_BYTES {
        let reason = format!("is larger than {MOST_BYTES} bytes");
        return Err(ImportError::of(path, reason));
    }
    let read = pymon::read(path).await;
    let Pymon {
        sessions,
        contexts,
        metrics,
    } = read.map_err(|error| ImportError::of(path, error))?;
    let contexts: HashMap<&str, &Context> = contexts
        .iter()
        .map(|context| (context.context.as_str(), context))
        .collect();
    let mut of_session: HashMap<&str, Vec<&Metric>> = HashMap::new();
    for metric in &metrics {
        of_session.entry(&metric.session).or_default().push(metric);
    }
    let mut jobs = Vec::new();
    for session in &sessions {
        let Some(metrics) = of_session.remove(session.session.as_str()) else {
            // The controller of xdist runs no test.
            continue;
        };
        jobs.extend(
            Story {
                path,
                session,
                metrics,
                contexts: &contexts,
            }
            .tell(named)?,
        );
    }
    if let Some(metric) = of_session
        .values()
        .flatten()
        .min_by_key(|metric| metric.row)
    {
        let reason = format!(
            "table TEST_METRICS, row {}: SESSION_H is no row of TEST_SESSIONS",
            metric.row
        );
        return Err(ImportError::of(path, reason));
    }
    if jobs.is_empty() {
        return Err(ImportError::of(path, "holds no test"));
    }
    Ok(jobs)
}

/// A test, as it is told.
struct Test<'a> {
    metric: &'a Metric,
    began_us: i64,
    ended_us: i64,
    bytes: u64,
}

struct Story<'a> {
    path: &'a Path,
    session: &'a Session,
    metrics: Vec<&'a Metric>,
    contexts: &'a HashMap<&'a str, &'a Context>,
}

impl Story<'_> {
    /// The session as a job; none where no test was measured in it.
    fn tell(&self, named: &Named) -> Result<Option<Imported>, ImportError> {
        let project = named.project(self.path)?.as_str();
        let name = named.job("pytest-monitor");
        let run_date = &self.session.run_date;
        let started_us = unix_us(run_date)
            .ok_or_else(|| self.wrong_session("RUN_DATE", "is no date and time"))?;
        let tests = self.tests(started_us)?;
        if tests.is_empty() {
            return Ok(None);
        }
        let mut job = job(project, name.clone(), started_us, INTERVAL_US);
        job.environment = self
            .contexts
            .get(tests[0].metric.context.as_str())
            .map(|it| environment(it));
        if let Some(run) = &mut job.run {
            run.id.clone_from(&self.session.session);
            run.head_commit.clone_from(&self.session.scm);
            run.branch = self.tag("branch");
        }
        let mut batches = Batches::default();
        let (mut batch, mut text) = (self.batch(), 0);
        batch.from_us = tests[0].began_us.min(0);
        batch.marks.push(Mark {
            t_us: batch.from_us,
            what: Some(What::SessionBegin(Empty {})),
            ..Mark::default()
        });
        let others = self.metrics.len() - tests.len();
        batch
            .notices
            .push(notice("imported_from_pytest_monitor", WHAT_IT_IS, 1));
        if others > 0 {
            let message = "rows of modules and packages, of which only the end was measured, have no place in a job";
            batch
                .notices
                .push(notice("rows_left_out", message, others as u64));
        }
        let mut executions: HashMap<(&str, &str), u32> = HashMap::new();
        let mut values = Vec::new();
        for test in &tests {
            let key = (test.metric.path.as_str(), test.metric.name.as_str());
            let execution = executions.entry(key).or_default();
            *execution += 1;
            batch.marks.extend(marks(test, *execution));
            values.push((
                test.began_us + (test.ended_us - test.began_us) / 2,
                test.bytes,
            ));
            batch.to_us = batch.to_us.max(test.ended_us);
            text += 2 * test.metric.path.len() + test.metric.name.len();
            if values.len() >= MOST_TESTS || text >= MOST_TEXT {
                batch.samples = vec![samples(&values)];
                let next = Batch {
                    from_us: batch.to_us,
                    to_us: batch.to_us,
                    ..self.batch()
                };
                batches.add(self.path, std::mem::replace(&mut batch, next))?;
                (text, values) = (0, Vec::new());
            }
        }
        batch.samples = vec![samples(&values)];
        batches.add(self.path, batch)?;
        batches
            .end(self.path, job, self.identity(project, &name))
            .map(Some)
    }

    /// Tests in the order they began. One does not begin before the other ended: times of day are rounded.
    fn tests(&self, started_us: i64) -> Result<Vec<Test<'_>>, ImportError> {
        let mut tests = Vec::new();
        for metric in self
            .metrics
            .iter()
            .copied()
            .filter(|metric| metric.kind == FUNCTION)
        {
            let wrong = |column: &str, reason: &str| {
                let place = format!("table TEST_METRICS, row {}: {column}", metric.row);
                ImportError::of(self.path, format!("{place} {reason}"))
            };
            let began = unix_us(&metric.started)
                .ok_or_else(|| wrong("ITEM_START_TIME", "is no date and time"))?;
            let took_us = (metric.total_s * 1e6).round();
            if !(0.0..1e15).contains(&took_us) {
                return Err(wrong("TOTAL_TIME", "is no duration"));
            }
            let bytes = (metric.memory_mib * MIB).round();
            if bytes.abs() > 1e15 {
                return Err(wrong("MEM_USAGE", "is no size in MiB"));
            }
            if metric.path.is_empty() || metric.name.is_empty() {
                return Err(wrong("ITEM_FS_LOC or ITEM_VARIANT", "is empty"));
            }
            let began_us = began - started_us;
            tests.push(Test {
                metric,
                began_us,
                ended_us: began_us.saturating_add(took_us as i64),
                // Below what its session began with: nothing is left to tell.
                bytes: bytes.max(0.0) as u64,
            });
        }
        tests.sort_by_key(|test| (test.began_us, test.metric.row));
        for at in 1..tests.len() {
            let next_us = tests[at].began_us;
            let before = &mut tests[at - 1];
            before.ended_us = before.ended_us.min(next_us);
        }
        Ok(tests)
    }

    fn wrong_session(&self, column: &str, reason: &str) -> ImportError {
        let place = format!("table TEST_SESSIONS, row {}: {column}", self.session.row);
        ImportError::of(self.path, format!("{place} {reason}"))
    }

    /// Made of what the database says, so that it stays the same though this program says it otherwise one day.
    fn identity(&self, project: &str, job: &str) -> Identity {
        let mut identity = Identity::default();
        let session = self.session;
        for part in [
            "pytest-monitor",
            project,
            job,
            &session.session,
            &session.run_date,
            &session.scm,
            &session.description,
        ] {
            identity.part(part.as_bytes());
        }
        for metric in &self.metrics {
            for part in [
                &metric.context,
                &metric.started,
                &metric.name,
                &metric.path,
                &metric.kind,
            ] {
                identity.part(part.as_bytes());
            }
            for number in [metric.total_s, metric.memory_mib] {
                identity.part(&number.to_bits().to_le_bytes());
            }
        }
        identity
    }

    /// A tag that the user gave with `--tag`; empty where there is none.
    fn tag(&self, name: &str) -> String {
        let tags: Option<serde_json::Value> = serde_json::from_str(&self.session.description).ok();
        let tag = tags.and_then(|tags| tags.get(name)?.as_str().map(cut));
        tag.unwrap_or_default()
    }

    /// A batch of this session in which nothing is told yet.
    fn batch(&self) -> Batch {
        let session = self.session.session.clone();
        Batch {
            processes: vec![Process {
                // Its number on the machine is not in the database.
                pid: 1,
                role: Some(Role::Pytest.into()),
                started_us: Some(0),
                command: "pytest (pytest-monitor)".to_owned(),
                session: session.clone(),
                exact: Some(false),
                exact_reason: "imported from pytest-monitor, which samples".to_owned(),
                ..Process::default()
            }],
            sessions: vec![v1::Session {
                id: session,
                began_us: Some(0),
                sampled: true,
                ..v1::Session::default()
            }],
            ..Batch::default()
        }
    }
}

/// That a test has a row says that its call was no failure; what its teardown did is not said, so its outcome is not known.
fn marks(test: &Test<'_>, execution: u32) -> [Mark; 2] {
    let nothing = || "-".to_owned();
    let begin = TestBegin {
        execution,
        path: test.metric.path.clone(),
        nodeid: format!("{}::{}", test.metric.path, test.metric.name),
        time_limit_us: None,
        time_limit_ends_process: None,
    };
    let end = TestEnd {
        outcome: "unknown".to_owned(),
        setup: nothing(),
        call: nothing(),
        teardown: nothing(),
        cause: String::new(),
    };
    [
        (test.began_us, What::TestBegin(begin)),
        (test.ended_us, What::TestEnd(end)),
    ]
    .map(|(t_us, what)| Mark {
        t_us,
        what: Some(what),
        ..Mark::default()
    })
}

/// The highest of each test, told at its middle: when it was is not known.
fn samples(values: &[(i64, u64)]) -> Samples {
    let (mut before_us, mut before) = (0, 0);
    let mut samples = Samples::default();
    let mut value_delta = Vec::new();
    for (t_us, bytes) in values {
        samples.t_us_delta.push(t_us - before_us);
        value_delta.push(bytes.cast_signed() - before);
        (before_us, before) = (*t_us, bytes.cast_signed());
    }
    samples.series = vec![Series {
        metric: v1::Metric::Rss.into(),
        process: Some(0),
        value_delta,
        ..Series::default()
    }];
    samples
}

fn environment(context: &Context) -> Environment {
    let (os, kernel) = context
        .system
        .split_once(" - ")
        .unwrap_or((&context.system, ""));
    let python = context.python.split_whitespace().next().unwrap_or("");
    let mut environment = Environment {
        os: cut(&os.to_lowercase()),
        kernel: cut(kernel),
        arch: cut(&context.machine),
        cpus: u32::try_from(context.cpus).unwrap_or(0),
        memory_total_bytes: u64::try_from(context.memory_mib)
            .map_or(0, |mib| mib.min(1 << 28) << 20),
        ..Environment::default()
    };
    if !python.is_empty() {
        environment
            .versions
            .insert("python".to_owned(), cut(python));
    }
    environment
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_NAME_BYTES)].to_owned()
}

/// µs since 1970 of a time of day, taken as UTC.
fn unix_us(text: &str) -> Option<i64> {
    let at: DateTime = text.parse().ok()?;
    let at = jiff::tz::Offset::UTC.to_timestamp(at).ok()?;
    Some(at.as_microsecond()).filter(|us| *us >= 0)
}
