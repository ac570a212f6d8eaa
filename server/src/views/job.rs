//! The page of a job.

mod files;

use askama::Template;
use highwater_analysis::{counts::Counts, next_step, plan, time::by_the_server};
use highwater_charts::time_label;
use highwater_store::JobRow;
use highwater_wire::{
    ids::ProjectSlug,
    report::{
        CheckReport, Finding, FixtureRow, JobReport, JobState, LimitKind, PeakKind, PeakMetric,
        PlanHint, ProcessRow, RecorderReport, Role, TestRow,
    },
};
use serde::Deserialize;

use self::files::{COLUMNS, FileLine, file_line, files_words, sort_key};
use super::{
    check::{self, CheckSection},
    curves,
    diagnosis::{self, DiagnosisPart},
    filters, format,
    jobs::{JobLine, detail_of, file_href, project_href, run_name},
};
use crate::{
    finalise::Column,
    reading::{Removed, Within},
};

const MOST_FILES: usize = 50;
const MOST_TESTS: usize = 30;
const MOST_FIXTURES: usize = 30;
/// Most commands of sessions that are shown where the job has none.
const MOST_COMMANDS: usize = 10;
const MOST_PROCESSES: usize = 50;
const MOST_SIBLINGS: usize = 20;
/// A fixture that took and kept less would be a row of 0.0 MiB.
const LEAST_SHOWN_BYTES: i64 = 52_429;

#[derive(Template)]
#[template(path = "job.html")]
pub(crate) struct JobPage {
    job: JobReport,
    detail: String,
    project_href: String,
    tone: &'static str,
    sentence: String,
    plan_hint: Option<String>,
    /// Why no cut fits; empty where one does, or that is no matter.
    no_plan: String,
    plan_cuts: String,
    /// Page of its plan; empty where there is nothing to plan.
    plan_href: String,
    check: Option<CheckSection>,
    /// What to do next; none of a job that runs well.
    next_step: Option<String>,
    /// Whether the check found something that fails it.
    has_findings: bool,
    facts: Vec<(&'static str, String)>,
    /// Pages at the CI provider: words and address.
    ci: Vec<(&'static str, String)>,
    /// Name and address of its run here.
    run: (String, String),
    /// With what it can be compared: address and words.
    compare: Vec<(String, String)>,
    /// The other jobs of its run.
    siblings: Vec<JobLine>,
    /// Whether the run has more jobs than are listed.
    siblings_left: bool,
    chart: String,
    chart_words: String,
    /// Whether the chart leaves out what came before pytest.
    is_cut: bool,
    /// Why there are no rows within the job; empty where they are kept.
    detail_gone: String,
    legend: Vec<(String, String)>,
    sort: &'static str,
    columns: &'static [(&'static str, &'static str)],
    files: Vec<FileLine>,
    files_words: String,
    files_left: usize,
    is_running: bool,
    /// Whether rows have to say which session they are of.
    has_sessions: bool,
    notices: Vec<String>,
    tests: Vec<TestRow>,
    tests_all: usize,
    fixtures: Vec<FixtureRow>,
    fixtures_all: usize,
    diagnosis: Option<DiagnosisPart>,
    processes: Vec<ProcessLine>,
    raised: String,
    processes_left: usize,
}

struct ProcessLine {
    pid: u32,
    command: String,
    role: String,
    session: Option<u32>,
    peak: String,
    kind: &'static str,
    books: [String; 6],
}

/// Everything that a job's page shows.
pub(crate) struct JobData {
    pub(crate) job: JobReport,
    /// Number of its run.
    pub(crate) run: i64,
    /// The newest jobs of that.
    pub(crate) of_run: Vec<JobRow>,
    /// The job of its name before it.
    pub(crate) previous: Option<JobRow>,
    /// None where they are gone.
    pub(crate) within: Option<Within>,
    pub(crate) columns: Vec<Column>,
    /// Beside the jobs before it; none where that was not worked out.
    pub(crate) check: Option<CheckReport>,
    pub(crate) removed: Removed,
    /// Whether retention passes it by.
    pub(crate) is_pinned: bool,
    /// How to cut its suite, where that is worth a word.
    pub(crate) plan_hint: Option<PlanHint>,
    /// Whether who looks may say that a finding is known.
    pub(crate) may_acknowledge: bool,
}

/// What of a job's page was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    /// Key of the column that the files are sorted by.
    sort: String,
    /// `all`: every file, however many there are.
    files: String,
    /// `whole`: also what came before pytest.
    timeline: String,
}

pub(crate) fn page(data: JobData, shown: &Shown) -> JobPage {
    let JobData {
        job,
        run,
        of_run,
        previous,
        within,
        columns,
        check,
        removed,
        is_pinned,
        plan_hint,
        may_acknowledge,
    } = data;
    let detail_gone = match &within {
        Some(_) => String::new(),
        None => removed.detail_words(),
    };
    let Within {
        processes,
        mut files,
        mut tests,
        mut fixtures,
        visits,
    } = within.unwrap_or_default();
    let samples_gone = removed.samples_words();
    let chart = curves::chart(
        &job,
        &processes,
        &visits,
        &columns,
        &samples_gone,
        shown.timeline == "whole",
    );
    let mut facts = facts(&job, &processes);
    facts.extend(check::runs_again(&job));
    facts.extend(is_pinned.then(|| ("Kept", "for good: the job is pinned".to_owned())));
    let sort = COLUMNS
        .iter()
        .map(|(key, _)| *key)
        .find(|key| *key == shown.sort)
        .unwrap_or("retained");
    let most_files = match shown.files.as_str() {
        "all" => usize::MAX,
        _ => MOST_FILES,
    };
    let diagnosis = diagnosis::part(job.diagnosis.as_ref(), &files);
    files.sort_by_key(|file| std::cmp::Reverse(sort_key(file, sort)));
    tests.sort_by_key(|test| std::cmp::Reverse(test.tree_spike_bytes));
    fixtures.sort_by_key(|fixture| std::cmp::Reverse(fixture.retained_bytes));
    name_open_tests(&mut tests, &job);
    let project_href = project_href(&job.project);
    let others = of_run.into_iter().filter(|row| row.uuid != job.uuid);
    let mut siblings: Vec<JobLine> = others.map(JobLine::from).collect();
    let siblings_left = siblings.len() > MOST_SIBLINGS;
    siblings.truncate(MOST_SIBLINGS);
    let (tests_all, fixtures_all) = (tests.len(), fixtures.len());
    tests.truncate(MOST_TESTS);
    fixtures.retain(|fixture| fixture.size_bytes() >= LEAST_SHOWN_BYTES);
    fixtures.truncate(MOST_FIXTURES);
    JobPage {
        detail: detail_of(
            &job.variant,
            job.shard.map(|shard| (shard.index, shard.total)),
            job.attempt,
        ),
        tone: match &job.forecast {
            Some(forecast) if forecast.is_warning && job.state == JobState::Running => "warn",
            _ => format::tone(job.ending.as_ref().map(|ending| ending.verdict.as_str())),
        },
        sentence: sentence(&job),
        has_findings: check
            .as_ref()
            .is_some_and(|it| it.findings.iter().any(Finding::fails)),
        next_step: next_step::of(&job, check.as_ref().map_or(&[], |it| &it.findings)),
        check: check.and_then(|it| check::section(&job, it, may_acknowledge)),
        no_plan: (plan_hint.as_ref())
            .and_then(PlanHint::why_not)
            .map_or_else(String::new, str::to_owned),
        plan_hint: plan_hint.and_then(|hint| hint.command().map(str::to_owned)),
        plan_cuts: plan::cuts(&job),
        plan_href: match files.is_empty() || job.sessions.iter().any(|session| session.sampled) {
            true => String::new(),
            false => format!("/jobs/{}/plan", job.uuid),
        },
        facts,
        ci: ci(&job),
        run: (
            run_name(&job.run.provider, &job.run.id),
            format!("{project_href}/runs/{run}"),
        ),
        compare: comparisons(&job, previous, run),
        siblings,
        siblings_left,
        chart: chart.svg,
        chart_words: chart.words,
        is_cut: chart.is_cut,
        detail_gone,
        legend: chart.legend,
        sort,
        columns: COLUMNS,
        files_words: files_words(&files),
        files_left: files.len().saturating_sub(most_files),
        is_running: job.state == JobState::Running,
        has_sessions: job.sessions.len() > 1,
        notices: notices(&job),
        files: files
            .iter()
            .take(most_files)
            .map(|file| file_line(file, &job, &project_href))
            .collect(),
        tests,
        tests_all,
        fixtures,
        fixtures_all,
        diagnosis,
        raised: raised(&processes),
        processes_left: processes.len().saturating_sub(MOST_PROCESSES),
        processes: processes
            .iter()
            .take(MOST_PROCESSES)
            .map(process_line)
            .collect(),
        project_href,
        job,
    }
}

/// With what a job can be compared: the one of its name before it, or any other; a shard with all of its run.
fn comparisons(job: &JobReport, previous: Option<JobRow>, run: i64) -> Vec<(String, String)> {
    let uuid = job.uuid;
    let with_previous = previous.map(|row| {
        let of = match (row.branch.as_str(), format::commit(&row.head_commit)) {
            ("", commit) => commit,
            (branch, commit) => format!("{branch} {commit}"),
        };
        let words = format!(
            "Compare with the previous job of this name ({}{}{})",
            format::moment(row.started_unix_us),
            if of.is_empty() { "" } else { ", " },
            of.trim_end()
        );
        (format!("/compare?before={}&after={uuid}", row.uuid), words)
    });
    let all_shards = job.shard.map(|shard| {
        let project = ProjectSlug::path_of(&job.project);
        let name = format::in_address(&job.name);
        (
            format!("/compare?project={project}&after=run:{run}&name={name}"),
            format!("all {} shards with another job", shard.total),
        )
    });
    let with_any = (
        format!("/compare?after={uuid}"),
        match with_previous {
            Some(_) => "with another job".to_owned(),
            None => "Compare with another job".to_owned(),
        },
    );
    let first = with_previous.into_iter();
    first.chain([with_any]).chain(all_shards).collect()
}

/// Says of a test without an outcome that it runs, or that it did not finish; one that was sampled has none after its end either.
fn name_open_tests(tests: &mut [TestRow], job: &JobReport) {
    let sampled = |test: &TestRow| {
        let session = job.sessions.iter().find(|one| one.ordinal == test.session);
        session.is_none_or(|session| session.sampled)
    };
    for test in tests.iter_mut().filter(|test| test.outcome == "unknown") {
        let reaches_the_end = test.started_us.saturating_add(test.duration_us) >= job.duration_us;
        let word = match job.state {
            JobState::Running if reaches_the_end => "running",
            JobState::Running => continue,
            _ if sampled(test) => continue,
            _ => "did not finish",
        };
        test.outcome = word.to_owned();
    }
}

fn sentence(job: &JobReport) -> String {
    match (&job.ending, job.state) {
        (Some(ending), _) => ending.sentence.clone(),
        (None, JobState::Running) => {
            "The job is still running; the figures are of what has arrived. Load the page again for more.".to_owned()
        }
        (None, _) => "How the job ended is not known.".to_owned(),
    }
}

fn facts(job: &JobReport, processes: &[ProcessRow]) -> Vec<(&'static str, String)> {
    let metric = match job.peak_metric {
        PeakMetric::Rss => "RSS",
        PeakMetric::PssCorrected => "RSS corrected by PSS",
        PeakMetric::RssSum => "sum of RSS",
    };
    let mut facts = vec![(
        "Peak",
        format!(
            "{} ({metric}, {})",
            format::mebibytes(job.peak_bytes.cast_signed()),
            job.peak_kind.as_str()
        ),
    )];
    if !job.peak_during.is_empty() {
        facts.push(("Running at the peak", job.peak_during.join(", ")));
    }
    // Beside an exact peak there is nothing that a bound could add.
    if job.peak_high_bytes > job.peak_bytes && job.peak_kind != PeakKind::Exact {
        facts.push((
            "Peak at most",
            format::mebibytes(job.peak_high_bytes.cast_signed()),
        ));
    }
    for limit in &job.limits {
        let name = match limit.kind {
            LimitKind::Cgroup => "Limit of the cgroup",
            LimitKind::Machine => "Memory of the machine",
            LimitKind::Budget => "Budget",
        };
        let used = format::mebibytes(limit.worst_used_bytes.cast_signed());
        facts.push((
            name,
            format!(
                "{used} of {} used",
                format::mebibytes(limit.limit_bytes.cast_signed())
            ),
        ));
    }
    if let Some(headroom) = job.headroom_bytes {
        facts.push(("Headroom", format::mebibytes(headroom)));
    }
    facts.push(("Duration", format::duration(job.duration_us)));
    for session in &job.sessions {
        let workers = if session.numprocesses > 0 {
            format!(", -n {} {}", session.numprocesses, session.dist)
        } else {
            String::new()
        };
        let asked = match (job.sessions.len(), session.asked()) {
            (0 | 1, _) => String::new(),
            (_, asked) if asked.is_empty() => asked,
            (_, asked) => format!(" ({})", asked.chars().take(100).collect::<String>()),
        };
        facts.push((
            "Session",
            format!(
                "{}{asked}: {}; {}{workers}",
                session.ordinal,
                Counts::of_session(session, job).words(),
                match session.sampled {
                    true => "outcomes not known (sampled without the plugin)".to_owned(),
                    false => format!("{} failed", session.failed),
                }
            ),
        ));
    }
    let mut told = |name: &'static str, value: &str| {
        if !value.is_empty() {
            facts.push((name, value.to_owned()));
        }
    };
    told("Branch", &job.branch);
    told("Commit", &format::commit(&job.commit));
    told("Began", &format::whole_moment(&job.started_at));
    told("Clock of the machine", &skew(job.clock_skew_us));
    match job.command.is_empty() {
        false => told("Command", &shortened(&job.command.join(" "))),
        // Beside the steps of a CI job each session has one of its own.
        true => commands_of_sessions(processes).for_each(|command| told("Command", &command)),
    }
    let versions: Vec<String> = job
        .environment
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    told("Versions", &versions.join(", "));
    facts.extend(job.recorder.map(|took| ("Recorder", recorder(took))));
    facts
}

/// Pages at the CI provider: of the job, and of its run where that has another.
fn ci(job: &JobReport) -> Vec<(&'static str, String)> {
    let mut pages = vec![("page of the job", format::web_address(&job.ci_url))];
    if job.run.url != job.ci_url {
        pages.push(("page of the run", format::web_address(&job.run.url)));
    }
    pages.retain(|(_, url)| !url.is_empty());
    let owned = pages
        .into_iter()
        .map(|(words, url)| (words, url.to_owned()));
    owned.collect()
}

fn shortened(command: &str) -> String {
    command.chars().take(300).collect()
}

/// What ran the first sessions, each with its ordinal.
fn commands_of_sessions(processes: &[ProcessRow]) -> impl Iterator<Item = String> {
    let leads = |process: &&ProcessRow| {
        matches!(process.role, Role::Pytest | Role::Controller) && !process.command.is_empty()
    };
    let commands = processes.iter().filter(leads).filter_map(|process| {
        let session = process.session?;
        Some(format!("{session}: {}", shortened(&process.command)))
    });
    commands.take(MOST_COMMANDS)
}

fn recorder(recorder: RecorderReport) -> String {
    format!(
        "{} of CPU, {}",
        format::duration(recorder.cpu_us.cast_signed()),
        format::mebibytes(recorder.rss_bytes.cast_signed())
    )
}

/// What a machine's clock was off by, where that is more than a request takes.
fn skew(clock_skew_us: Option<i64>) -> String {
    let skew_us = clock_skew_us.unwrap_or(0);
    if by_the_server(0, clock_skew_us) == 0 {
        return String::new();
    }
    let direction = if skew_us > 0 { "ahead of" } else { "behind" };
    let off = time_label(skew_us.saturating_abs());
    format!("{off} {direction} the server's, which counts here")
}

/// What the recorder has to say; and what of the recording is missing.
fn notices(job: &JobReport) -> Vec<String> {
    let missing = (job.state == JobState::Incomplete)
        .then(|| "Part of the recording never arrived: the figures are of what did.".to_owned());
    let said = job.notices.iter().map(ToString::to_string);
    missing.into_iter().chain(said).collect()
}

/// Whom the kernel takes first when memory runs out, where the agent saw to that.
fn raised(processes: &[ProcessRow]) -> String {
    let raised = processes.iter().filter_map(|process| process.oom_score_adj);
    match raised.clone().max() {
        Some(highest) => {
            let (whom, them) = match raised.count() {
                1 => ("one".to_owned(), "it"),
                several => (several.to_string(), "them"),
            };
            format!(
                "When memory runs out the kernel takes {whom} of these first: the agent raised {them} to oom_score_adj {highest}."
            )
        }
        None => String::new(),
    }
}

fn process_line(process: &ProcessRow) -> ProcessLine {
    let books = process.books.map_or_else(
        || std::array::from_fn(|_| "–".to_owned()),
        |books| {
            [
                books.first_bytes,
                books.import_bytes,
                books.fixture_bytes,
                books.test_bytes,
                books.between_bytes,
                books.last_bytes,
            ]
            .map(format::mebibytes)
        },
    );
    ProcessLine {
        pid: process.pid,
        command: process.command.chars().take(200).collect(),
        role: process
            .worker
            .clone()
            .unwrap_or_else(|| process.role.as_str().to_owned()),
        session: process.session,
        peak: format::mebibytes(process.peak_bytes.cast_signed()),
        kind: process.peak_kind.as_str(),
        books,
    }
}
