//! The page of a test file.

use askama::Template;
use highwater_analysis::time::rfc3339;
use highwater_charts::{HistoryBar, history};
use highwater_store::HistoryPoint;
use highwater_wire::report::TestRow;

use super::{filters, format, jobs::project_href};

const MOST_TESTS: usize = 200;

#[derive(Template)]
#[template(path = "file.html")]
pub(crate) struct FilePage {
    path: String,
    project: String,
    project_href: String,
    chart: String,
    chart_words: String,
    rows: Vec<Row>,
    tests: Vec<TestRow>,
    tests_left: usize,
    /// Why its tests are not shown; empty where they are.
    tests_gone: String,
}

struct Row {
    href: String,
    name: String,
    started: String,
    started_at: String,
    censored: bool,
    values: [String; 7],
    ending: String,
    branch: String,
    commit: String,
}

/// The tests are those of the newest job, or why these are gone.
pub(crate) fn page(
    project: &str,
    path: String,
    points: &[HistoryPoint],
    tests: Result<Vec<TestRow>, String>,
) -> FilePage {
    let bars: Vec<HistoryBar> = points
        .iter()
        .rev()
        .map(|point| HistoryBar {
            bytes: point.retained_bytes,
            censored: point.censored,
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
        chart_words: words(points),
        chart,
        rows: points.iter().map(row).collect(),
        tests,
        tests_left,
        tests_gone,
        path,
    }
}

fn words(points: &[HistoryPoint]) -> String {
    let retained = || points.iter().map(|point| point.retained_bytes);
    match (retained().min(), retained().max(), points.first()) {
        (Some(least), Some(most), Some(newest)) => format!(
            "Retained memory over the last {} of its jobs, oldest first: between {} and {}, in the newest {}. A hollow bar was cut short.",
            points.len(),
            format::mebibytes(least),
            format::mebibytes(most),
            format::mebibytes(newest.retained_bytes)
        ),
        _ => "No finished job has this file.".to_owned(),
    }
}

fn row(point: &HistoryPoint) -> Row {
    Row {
        href: format!("/jobs/{}", point.uuid),
        name: point.name.clone(),
        started: format::moment(point.started_unix_us),
        started_at: rfc3339(point.started_unix_us),
        censored: point.censored,
        values: [
            format::mebibytes(point.retained_bytes),
            format!(
                "{} {}",
                format::mebibytes(point.spike_bytes),
                point.peak_kind
            ),
            format::mebibytes(point.peak_bytes),
            format::mebibytes(point.tree_peak_bytes),
            format::mebibytes(point.import_bytes),
            point.tests.to_string(),
            format::duration(point.duration_us),
        ],
        ending: point.verdict.clone().unwrap_or_default().replace('_', " "),
        branch: point.branch.clone(),
        commit: format::commit(&point.head_commit),
    }
}
