//! One file with its chart and its style, that needs nothing else and asks nobody for anything.

use askama::Template;
use highwater_analysis::{
    counts::Counts,
    figures::{duration, mebibytes, shown, web_address, whole_moment},
    plan,
};
use highwater_wire::report::{
    FileRow, FixtureRow, Grown, JobReport, JobState, PlanHint, Remark, TestRow,
};

use crate::{
    Source, WriteError, diagnosis, imports, limits,
    names::fitted,
    rank,
    timeline::{Chart, chart},
};

/// The pages' own: one look for both.
const STYLE: &str = include_str!("../../../static/highwater.css");
const MOST_FILES: usize = 500;
const MOST_TESTS: usize = 100;
const MOST_MODULES: usize = 50;
const MOST_FIXTURES: usize = 100;
const MOST_NAME_COLUMNS: usize = 2_000;
/// A fixture that kept less would be a row of 0.0 MiB.
const LEAST_SHOWN_BYTES: i64 = 52_429;

/// Filters of the template.
#[expect(unreachable_pub, reason = "the macro makes public structs")]
mod filters {
    /// Bytes in MiB.
    #[askama::filter_fn]
    pub(super) fn mebibytes(bytes: &i64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::mebibytes(*bytes))
    }

    /// A text in one line that turns no direction.
    #[askama::filter_fn]
    pub(super) fn shown(
        text: impl std::fmt::Display,
        _: &dyn askama::Values,
    ) -> askama::Result<String> {
        Ok(super::shown(&text.to_string()))
    }

    /// A duration in the unit that fits.
    #[askama::filter_fn]
    pub(super) fn duration(us: &i64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::duration(*us))
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    style: &'static str,
    job: &'a JobReport,
    name: String,
    tone: &'static str,
    sentence: String,
    next_step: Option<&'a str>,
    checked: &'a str,
    plan_hint: Option<&'a str>,
    /// Why no cut fits, where none does.
    no_plan: Option<&'a str>,
    plan_cuts: String,
    facts: Vec<(&'static str, String)>,
    remarks: &'a [Remark],
    chart: Chart,
    /// Why there are no tables; empty where they are there.
    files_gone: &'a str,
    /// A table each: its heading, what it shows, its columns, its rows of a name and figures.
    tables: Vec<Table>,
    notices: Vec<String>,
    page: &'a str,
}

struct Table {
    heading: &'static str,
    caption: String,
    columns: &'static [&'static str],
    rows: Vec<(String, Vec<String>)>,
}

pub(crate) fn write(source: &Source<'_>) -> Result<String, WriteError> {
    let digest = source.digest;
    let job = &digest.job;
    let mut visits = digest.visits.clone();
    for visit in &mut visits {
        visit.path = shown(&visit.path);
    }
    let chart = chart(
        job,
        &digest.processes,
        &visits,
        &source.curves,
        &source.samples_gone,
        false,
    );
    let page = Page {
        style: STYLE,
        job,
        name: rank::job_name(job),
        tone: tone(job),
        sentence: sentence(job),
        next_step: source.next_step.as_deref(),
        checked: &source.checked,
        plan_hint: source.plan_hint.as_ref().and_then(PlanHint::command),
        no_plan: source.plan_hint.as_ref().and_then(PlanHint::why_not),
        plan_cuts: plan::cuts(job),
        facts: facts(job),
        remarks: &source.remarks,
        chart: chart.map_err(|error| WriteError::Chart(error.to_string()))?,
        files_gone: &source.files_gone,
        tables: vec![
            files(source),
            late_imports(source),
            left(source),
            grown(source),
            tests(source),
            fixtures(source),
        ],
        notices: job.notices.iter().map(ToString::to_string).collect(),
        page: source.page.map_or("", web_address),
    };
    Ok(page.render()? + "\n")
}

fn tone(job: &JobReport) -> &'static str {
    match job.ending.as_ref().map(|ending| ending.verdict) {
        None => "",
        Some(verdict) if verdict.as_str() == "passed" => "good",
        Some(verdict) if verdict.is_early() => "bad",
        Some(_) => "warn",
    }
}

fn sentence(job: &JobReport) -> String {
    match (&job.ending, job.state) {
        (Some(ending), _) => ending.sentence.clone(),
        (None, JobState::Running) => {
            "The job still runs; the figures are of what has been recorded so far.".to_owned()
        }
        (None, _) => "How the job ended is not known.".to_owned(),
    }
}

fn facts(job: &JobReport) -> Vec<(&'static str, String)> {
    let kind = job.peak_kind.as_str();
    let peak = mebibytes(job.peak_bytes.cast_signed());
    let mut facts = vec![("Peak", format!("{peak} ({kind})"))];
    facts.extend(
        job.headroom_bytes
            .map(|bytes| ("Headroom", mebibytes(bytes))),
    );
    let limits = job.limits.iter();
    facts.extend(limits.map(|it| {
        (
            "Limit",
            format!("{}: {}", limits::name(it), limits::used(it)),
        )
    }));
    facts.push(("Duration", duration(job.duration_us)));
    for session in &job.sessions {
        let outcome = match session.sampled {
            true => "outcomes not known".to_owned(),
            false => format!("{} failed", session.failed),
        };
        let tests = Counts::of_session(session, job).words();
        let text = format!("{}: {tests}; {outcome}", session.ordinal);
        facts.push(("Session", text));
    }
    let told = [
        ("Project", &job.project),
        ("Branch", &job.branch),
        ("Commit", &job.commit),
        ("Began", &whole_moment(&job.started_at)),
        ("Agent", &job.agent_version),
    ];
    let told = told.into_iter().filter(|(_, value)| !value.is_empty());
    facts.extend(told.map(|(name, value)| (name, value.clone())));
    facts
}

fn files(source: &Source<'_>) -> Table {
    let job = &source.digest.job;
    let mut ranked: Vec<&FileRow> = source.digest.files.iter().collect();
    ranked.sort_by_key(|file| std::cmp::Reverse(file.tree_retained_bytes()));
    let rows = ranked.iter().take(MOST_FILES).map(|file| {
        let note = match (file.censored, file.visits) {
            (true, _) => " (cut short: lower bounds)",
            (false, 0) => " (imported only)",
            (false, _) => "",
        };
        let figures = [
            file.peak_bytes,
            file.tree_peak_bytes,
            file.spike_bytes,
            file.fixture_bytes,
            file.imported_bytes(),
        ];
        let mut cells = vec![rank::retained_words(file)];
        cells.extend(figures.map(mebibytes));
        cells.push(file.tests.to_string());
        cells.push(duration(file.duration_us));
        let running = rank::left_running(file.children_retained_bytes);
        let comma = if running.is_empty() { "" } else { ", " };
        let name = named(&file.path, job, file.session);
        (format!("{name}{comma}{running}{note}"), cells)
    });
    Table {
        heading: "Test files",
        caption: caption("What retained most first", ranked.len(), MOST_FILES),
        columns: &[
            "File",
            "Retained",
            "Peak",
            "Tree peak (sampled)",
            "Spike",
            "Of fixtures",
            "Import",
            "Tests",
            "Duration",
        ],
        rows: rows.collect(),
    }
}

/// Modules that tests imported while they ran, where imports are a relevant part of the job.
fn late_imports(source: &Source<'_>) -> Table {
    let job = &source.digest.job;
    let imports = imports::of(source.digest);
    let modules = imports.iter().flat_map(|it| &it.modules);
    let rows = modules.take(MOST_MODULES).map(|it| {
        let cells = vec![
            named(&it.file.path, job, it.file.session),
            mebibytes(it.bytes),
        ];
        (fitted(it.name, MOST_NAME_COLUMNS), cells)
    });
    Table {
        heading: "Modules that tests imported while they ran",
        caption: imports
            .as_ref()
            .map_or_else(String::new, imports::Imports::sentence),
        columns: &["Module", "First in", "Took"],
        rows: rows.collect(),
    }
}

/// What a diagnosed job left, taken apart.
fn left(source: &Source<'_>) -> Table {
    const COLUMNS: [&str; 8] = {
        let [a, b, c, d, e, f, g] = diagnosis::PARTS;
        ["File", a, b, c, d, e, f, g]
    };
    let job = &source.digest.job;
    let files = diagnosis::diagnosed(&source.digest.files);
    let rows = files.iter().take(MOST_FILES).map(|(file, found)| {
        let cells: Vec<String> = diagnosis::parts(found).map(mebibytes).into();
        (named(&file.path, job, file.session), cells)
    });
    let what = "What each test file left, taken apart at its end";
    Table {
        heading: "Why memory stays",
        caption: caption(what, files.len(), MOST_FILES),
        columns: &COLUMNS,
        rows: rows.collect(),
    }
}

fn grown(source: &Source<'_>) -> Table {
    let rows = diagnosis::grown(source.digest);
    let row = |(what, it): (&str, &Grown)| {
        let cells = vec![
            what.to_owned(),
            format!("{:+}", it.count),
            mebibytes(it.bytes),
        ];
        (fitted(&it.name, MOST_NAME_COLUMNS), cells)
    };
    Table {
        heading: "What grew most over the job",
        caption: "Types of live objects, and lines where tracemalloc was asked for".to_owned(),
        columns: &["Type or line", "Kind", "Count", "Bytes"],
        rows: rows.into_iter().map(row).collect(),
    }
}

fn tests(source: &Source<'_>) -> Table {
    let job = &source.digest.job;
    let ranked = rank::spikes(source.digest);
    let row = |test: &&TestRow| {
        let (peak, kind) = rank::peak(test);
        let cells = vec![
            test.outcome.clone(),
            mebibytes(test.tree_spike_bytes),
            format!("{} {}", mebibytes(peak), kind.as_str()),
            mebibytes(test.retained_bytes),
            duration(test.duration_us),
        ];
        (named(&test.name(), job, test.session), cells)
    };
    Table {
        heading: "Heaviest tests",
        caption: caption(
            "Tests that rose most, with the processes below them",
            ranked.len(),
            MOST_TESTS,
        ),
        columns: &["Test", "Outcome", "Spike", "Peak", "Retained", "Duration"],
        rows: ranked.iter().take(MOST_TESTS).map(row).collect(),
    }
}

fn fixtures(source: &Source<'_>) -> Table {
    let job = &source.digest.job;
    let all = source.digest.fixtures.iter();
    let mut ranked: Vec<&FixtureRow> = all
        .filter(|fixture| fixture.size_bytes() >= LEAST_SHOWN_BYTES)
        .collect();
    ranked.sort_by_key(|fixture| std::cmp::Reverse(fixture.retained_bytes));
    let row = |fixture: &&FixtureRow| {
        let mut name = format!("{} ({})", fixture.name, fixture.path);
        if fixture.children_bytes >= LEAST_SHOWN_BYTES {
            name += &format!(
                ", started processes ({})",
                mebibytes(fixture.children_bytes)
            );
        }
        let cells = vec![
            fixture.scope.clone(),
            mebibytes(fixture.setup_bytes),
            mebibytes(fixture.released_bytes),
            mebibytes(fixture.retained_bytes),
        ];
        (named(&name, job, fixture.session), cells)
    };
    Table {
        heading: "Fixtures",
        caption: caption("What retained most first", ranked.len(), MOST_FIXTURES),
        columns: &["Fixture", "Scope", "Set-up", "Released", "Retained"],
        rows: ranked.iter().take(MOST_FIXTURES).map(row).collect(),
    }
}

fn named(name: &str, job: &JobReport, session: u32) -> String {
    fitted(name, MOST_NAME_COLUMNS) + &rank::of_session(job, session)
}

fn caption(what: &str, all: usize, most: usize) -> String {
    match all.checked_sub(most) {
        None | Some(0) => what.to_owned(),
        Some(_) => format!("{what}: the first {most} of {all}"),
    }
}
