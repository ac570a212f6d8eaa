//! The page that shows before and after.

use askama::Template;
use highwater_analysis::compare::{self, Total};
use highwater_wire::report::{
    ComparedFile, ComparedFixture, ComparedJob, ComparedSide, ComparisonReport, FileChange,
    FileComparison, FixtureComparison, Verdict,
};

use super::{
    filters, format,
    jobs::{detail_of, project_href},
};

/// Most test files that are shown where nothing is said.
pub(crate) const USUAL_SHOWN: usize = 50;
/// How wide a bar is, in its own units.
const BAR: i64 = 1_000;
/// What the widest bar stands for at least, bytes: less is nothing to look at.
const LEAST_SPAN: i64 = 1 << 20;
/// What is written as 0.0 MiB has no bar, bytes.
const LEAST_DRAWN: i64 = 52_429;

#[derive(Template)]
#[template(path = "compare.html")]
pub(crate) struct ComparePage {
    crumbs: Vec<(String, String)>,
    sentence: String,
    tone: &'static str,
    counts: String,
    notes: Vec<String>,
    totals: Vec<Total>,
    sides: Vec<(&'static str, Vec<JobOfSide>)>,
    files: Vec<FileLine>,
    files_left: u64,
    fixtures: Vec<FixtureLine>,
    fixtures_left: u64,
    /// Whether files and fixtures are compared at all.
    has_files: bool,
    /// What comes after the question mark.
    address: String,
}

struct JobOfSide {
    href: String,
    name: String,
    detail: String,
    ending: String,
    tone: &'static str,
    values: [String; 4],
    started: String,
    started_at: String,
    branch: String,
    commit: String,
}

struct FileLine {
    path: String,
    href: String,
    moved_from: String,
    what: String,
    is_told: bool,
    retained: Pair,
    spike: Pair,
    import: Pair,
    tests: [String; 2],
    duration: [String; 2],
}

/// A size before and after, with bars of them.
struct Pair {
    before: String,
    after: String,
    change: String,
    /// Whether there is anything to draw.
    has_bars: bool,
    /// Begin and width of either bar.
    bars: [(i64, i64); 2],
}

struct FixtureLine {
    name: String,
    base: String,
    what: String,
    /// Scope, set-ups, what one takes, what all retain.
    before: [String; 4],
    after: [String; 4],
}

pub(crate) fn page(report: ComparisonReport, address: String) -> ComparePage {
    let totals = compare::totals(&report);
    let ComparisonReport {
        sentence,
        notes,
        before,
        after,
        counts,
        files,
        files_left,
        fixtures,
        fixtures_left,
    } = report;
    let figures = [
        Figure::of(&files, |file| file.retained_bytes),
        Figure::of(&files, |file| file.tree_spike_bytes),
        Figure::of(&files, |file| file.import_bytes),
    ];
    ComparePage {
        crumbs: crumbs(&before, &after),
        tone: tone(&before, &after),
        counts: counts.as_ref().map(compare::counted).unwrap_or_default(),
        has_files: counts.is_some(),
        totals,
        files: files
            .into_iter()
            .map(|file| file_line(file, &before, &after, &figures))
            .collect(),
        fixtures: fixtures.into_iter().map(fixture_line).collect(),
        sides: vec![
            ("Before", before.jobs.into_iter().map(job_line).collect()),
            ("After", after.jobs.into_iter().map(job_line).collect()),
        ],
        sentence,
        notes,
        files_left,
        fixtures_left,
        address,
    }
}

/// The projects that the jobs are of.
fn crumbs(before: &ComparedSide, after: &ComparedSide) -> Vec<(String, String)> {
    let jobs = before.jobs.iter().chain(&after.jobs);
    let mut projects: Vec<&String> = jobs.map(|job| &job.project).collect();
    projects.dedup();
    let crumb = |project: &&String| (project_href(project), (*project).clone());
    projects.iter().map(crumb).collect()
}

fn job_line(job: ComparedJob) -> JobOfSide {
    let verdict = job.verdict.map(Verdict::as_str);
    let tests = match job.failed {
        0 => job.tests.to_string(),
        failed => format!("{} ({failed} failed)", job.tests),
    };
    JobOfSide {
        href: format!("/jobs/{}", job.uuid),
        detail: detail_of(
            &job.variant,
            job.shard.map(|shard| (shard.index, shard.total)),
            job.attempt,
        ),
        ending: verdict.unwrap_or("running").replace('_', " "),
        tone: format::tone(verdict),
        values: [
            format!(
                "{} {}",
                format::mebibytes(job.peak_bytes.cast_signed()),
                job.peak_kind.as_str()
            ),
            job.headroom_bytes
                .map_or_else(|| "–".to_owned(), format::mebibytes),
            tests,
            format::duration(job.duration_us),
        ],
        started: format::whole_moment(&job.started_at),
        started_at: job.started_at,
        branch: job.branch,
        commit: format::commit(&job.commit),
        name: job.name,
    }
}

/// How it ended is good news where it did not before; of two that went well the figures tell.
fn tone(before: &ComparedSide, after: &ComparedSide) -> &'static str {
    let [was, is] = [before, after].map(|side| format::tone(side.verdict.map(Verdict::as_str)));
    if was == is && is == "good" { "" } else { is }
}

/// A figure of all files that are shown, so that their bars are of one scale.
struct Figure {
    of: fn(&ComparedFile) -> i64,
    least: i64,
    span: i64,
}

impl Figure {
    fn of(files: &[FileComparison], of: fn(&ComparedFile) -> i64) -> Self {
        let sides = files.iter().flat_map(|file| [&file.before, &file.after]);
        let sizes = || sides.clone().flatten().map(of);
        let least = sizes().min().unwrap_or(0).min(0);
        let most = sizes().max().unwrap_or(0).max(0);
        Self {
            of,
            least,
            span: most.saturating_sub(least).max(LEAST_SPAN),
        }
    }

    fn pair(&self, file: &FileComparison) -> Pair {
        let [before, after] = compare::sizes(file, self.of);
        let sides = [&file.before, &file.after].map(|side| side.as_ref().map(self.of));
        let change = match sides {
            [Some(was), Some(is)] => compare::signed(is.saturating_sub(was), format::mebibytes),
            _ => String::new(),
        };
        Pair {
            before,
            after,
            change,
            bars: sides.map(|size| self.bar(size.unwrap_or(0))),
            has_bars: sides.iter().flatten().any(|size| size.abs() >= LEAST_DRAWN),
        }
    }

    /// From nothing to a size, to the left of it where memory was given back.
    fn bar(&self, bytes: i64) -> (i64, i64) {
        let at = |bytes: i64| {
            let part = i128::from(bytes.saturating_sub(self.least)) * i128::from(BAR);
            i64::try_from(part / i128::from(self.span)).unwrap_or(BAR)
        };
        let (from, to) = (at(bytes.min(0)), at(bytes.max(0)));
        (from, to - from)
    }
}

fn file_line(
    file: FileComparison,
    before: &ComparedSide,
    after: &ComparedSide,
    [retained, spike, import]: &[Figure; 3],
) -> FileLine {
    let what = compare::changed(&file);
    let sides = [&file.before, &file.after];
    let told = |words: fn(&ComparedFile) -> String| {
        sides.map(|side| side.as_ref().map_or_else(|| "–".to_owned(), words))
    };
    // The history of a file is that of the side that has it now, or had it.
    let owner = if file.after.is_some() { after } else { before };
    let job = owner.jobs.first();
    let href = match (file.path.as_str(), job) {
        // No address names these.
        ("" | "." | "..", _) | (_, None) => String::new(),
        (path, Some(job)) => format!(
            "{}/files/{}?name={}",
            project_href(&job.project),
            format::in_address(path),
            format::in_address(&job.name)
        ),
    };
    FileLine {
        href,
        is_told: file.change != FileChange::Alike,
        what,
        retained: retained.pair(&file),
        spike: spike.pair(&file),
        import: import.pair(&file),
        tests: told(|file| match file.failed {
            0 => file.tests.to_string(),
            failed => format!("{} ({failed} failed)", file.tests),
        }),
        duration: told(|file| format::duration(file.duration_us)),
        moved_from: file.moved_from.unwrap_or_default(),
        path: file.path,
    }
}

fn fixture_line(fixture: FixtureComparison) -> FixtureLine {
    let words = |side: &Option<ComparedFixture>| match side {
        None => std::array::from_fn(|_| "–".to_owned()),
        Some(side) => [
            side.scope.clone(),
            side.setups.to_string(),
            format::mebibytes(
                side.setup_bytes / i64::try_from(side.setups.max(1)).unwrap_or(i64::MAX),
            ),
            format::mebibytes(side.retained_bytes),
        ],
    };
    let figures: Vec<&str> = fixture.beyond_noise.iter().map(|it| it.words()).collect();
    let word = fixture.change.as_str().replace('_', " ");
    FixtureLine {
        before: words(&fixture.before),
        after: words(&fixture.after),
        what: match fixture.change {
            FileChange::Changed => format!("changed: {}", figures.join(", ")),
            _ => word,
        },
        name: fixture.name,
        base: fixture.base,
    }
}
