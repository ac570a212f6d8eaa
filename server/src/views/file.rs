//! The page of a test file.

use askama::Template;
use highwater_analysis::time::rfc3339;
use highwater_charts::{HistoryBar, history};
use highwater_report::{at_least, left_running};
use highwater_store::HistoryPoint;
use highwater_wire::report::{Change, ChangesReport, CheckFigure, TestRow};

use super::{
    changes::{self, ChangeLine},
    filters, format,
    jobs::{detail_of_history, project_href},
};

const MOST_TESTS: usize = 200;
const MOST_NAMES: usize = 50;

#[derive(Template)]
#[template(path = "file.html")]
pub(crate) struct FilePage {
    path: String,
    project: String,
    project_href: String,
    /// Of which jobs the page tells.
    job: String,
    /// Where there are others: address, name and whether it is the one shown.
    choices: Vec<(String, String, bool)>,
    choices_left: usize,
    chart: String,
    chart_words: String,
    /// What is said of its changes, and they.
    changed: String,
    changes: Vec<ChangeLine>,
    rows: Vec<Row>,
    tests: Vec<TestRow>,
    tests_left: usize,
    /// Why its tests are not shown; empty where they are.
    tests_gone: String,
}

struct Row {
    href: String,
    name: String,
    detail: String,
    started: String,
    started_at: String,
    censored: bool,
    values: [String; 7],
    ending: String,
    branch: String,
    commit: String,
}

/// Of which jobs a file's page tells: those of one name.
pub(crate) struct FileJobs {
    pub(crate) name: String,
    /// All names to choose from.
    pub(crate) names: Vec<String>,
}

impl FileJobs {
    fn others(&self) -> impl Iterator<Item = &String> {
        self.names.iter().filter(|name| **name != self.name)
    }

    fn choices_left(&self) -> usize {
        self.others().count().saturating_sub(MOST_NAMES)
    }

    fn choices(&self) -> Vec<(String, String, bool)> {
        let mut names: Vec<&String> = self.others().take(MOST_NAMES).collect();
        if names.is_empty() {
            return Vec::new();
        }
        names.push(&self.name);
        names.sort();
        let choice = |name: &String| {
            let href = format!("?name={}", format::in_address(name));
            (href, name.clone(), *name == self.name)
        };
        names.into_iter().map(choice).collect()
    }
}

/// The tests are those of the newest job, or why these are gone.
pub(crate) fn page(
    project: &str,
    path: String,
    jobs: FileJobs,
    points: &[HistoryPoint],
    changes: Option<ChangesReport>,
    tests: Result<Vec<TestRow>, String>,
) -> FilePage {
    let (changed, changes) =
        changes.map_or_else(Default::default, |report| (report.sentence, report.changes));
    // The chart shows what the file retained.
    let number = |point: &HistoryPoint| {
        let is_its = |change: &&Change| {
            change.figure == CheckFigure::Retained && change.since.uuid == point.uuid
        };
        Some(changes.iter().position(|change| is_its(&change))? + 1)
    };
    let mut marked = None;
    let bars: Vec<HistoryBar> = points
        .iter()
        .rev()
        .map(|point| HistoryBar {
            bytes: point.tree_retained_bytes(),
            censored: point.censored,
            // A job may have several sessions with the file.
            change: number(point).filter(|number| marked.replace(*number) != Some(*number)),
        })
        .collect();
    let marks: Vec<String> = bars
        .iter()
        .filter_map(|bar| {
            let number = bar.change?;
            let change = changes.get(number - 1)?;
            let commit = format::commit(&change.since.commit);
            Some(format!("{number} {commit}").trim_end().to_owned())
        })
        .collect();
    let chart = history(&bars).unwrap_or_else(|error| {
        tracing::error!(%error, "cannot draw the history");
        String::new()
    });
    let (mut tests, tests_gone) = match tests {
        Ok(tests) => (tests, String::new()),
        Err(gone) => (Vec::new(), gone),
    };
    tests.retain(|test| test.path == path);
    tests.sort_by_key(|test| std::cmp::Reverse(test.retained_bytes));
    let tests_left = tests.len().saturating_sub(MOST_TESTS);
    tests.truncate(MOST_TESTS);
    FilePage {
        project: project.to_owned(),
        project_href: project_href(project),
        choices_left: jobs.choices_left(),
        choices: jobs.choices(),
        job: jobs.name,
        chart_words: words(points, &marks),
        changes: changes::of_file(&changes),
        changed,
        chart,
        rows: points.iter().map(|point| row(point, points)).collect(),
        tests,
        tests_left,
        tests_gone,
        path,
    }
}

fn words(points: &[HistoryPoint], marks: &[String]) -> String {
    let marks = match marks.is_empty() {
        true => String::new(),
        false => format!(
            " A line stands where a change of the list below began: {}.",
            marks.join(", ")
        ),
    };
    let retained = || points.iter().map(HistoryPoint::tree_retained_bytes);
    match (retained().min(), retained().max(), points.first()) {
        (_, _, Some(newest)) if points.len() == 1 => format!(
            "In the one job that there is it retained {}.",
            at_least(newest.tree_retained_bytes(), newest.censored)
        ),
        (Some(least), Some(most), Some(newest)) => format!(
            "Retained memory over the last {} of its jobs, oldest first: between {} and {}, in the newest {}. A hollow bar was cut short.{marks}",
            points.len(),
            format::mebibytes(least),
            format::mebibytes(most),
            at_least(newest.tree_retained_bytes(), newest.censored)
        ),
        _ => "No finished job of this name ran this file.".to_owned(),
    }
}

/// A row names its session where the job has several with this file.
fn row(point: &HistoryPoint, points: &[HistoryPoint]) -> Row {
    let mut detail = detail_of_history(point);
    let of_job = points.iter().filter(|other| other.job == point.job);
    if of_job.count() > 1 {
        let comma = if detail.is_empty() { "" } else { ", " };
        detail += &format!("{comma}session {}", point.session);
    }
    let running = left_running(point.children_retained_bytes);
    if !running.is_empty() {
        let comma = if detail.is_empty() { "" } else { ", " };
        detail += &format!("{comma}{running}");
    }
    Row {
        href: format!("/jobs/{}", point.uuid),
        name: point.name.clone(),
        detail,
        started: format::moment(point.started_unix_us),
        started_at: rfc3339(point.started_unix_us),
        censored: point.censored,
        values: [
            at_least(point.tree_retained_bytes(), point.censored),
            format!(
                "{} {}",
                format::mebibytes(point.spike_bytes),
                point.peak_kind
            ),
            format::mebibytes(point.peak_bytes),
            format::mebibytes(point.tree_peak_bytes),
            format::mebibytes(point.import_bytes.saturating_add(point.late_import_bytes)),
            point.tests.to_string(),
            format::duration(point.duration_us),
        ],
        ending: point.verdict.clone().unwrap_or_default().replace('_', " "),
        branch: point.branch.clone(),
        commit: format::commit(&point.head_commit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_shown_are_counted() {
        let page_of = |others: usize| {
            let jobs = FileJobs {
                name: "unit".to_owned(),
                names: (0..others)
                    .map(|number| format!("job-{number}"))
                    .chain(["unit".to_owned()])
                    .collect(),
            };
            let path = "a.py".to_owned();
            let page = page("owner/repo", path, jobs, &[], None, Ok(Vec::new()));
            page.render().expect("a page of a file")
        };
        assert!(!page_of(MOST_NAMES).contains("more name"));
        assert!(page_of(MOST_NAMES + 1).contains(">and 1 more name<"));
        assert!(page_of(MOST_NAMES + 9).contains(">and 9 more names<"));
    }
}
