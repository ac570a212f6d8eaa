//! GitLab's code quality report: a list of issues, each at a line of a file.

use highwater_wire::report::{Remark, Severity};
use serde::Serialize;

use crate::{Source, json::lines, names::fitted};

/// Where an issue is shown that is of no file: GitLab asks for one.
const NO_FILE: &str = "pytest";
const MOST_COLUMNS: usize = 3_000;

/// As GitLab documents it.
#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

pub(crate) fn write(source: &Source<'_>) -> serde_json::Result<String> {
    let issues: Vec<Issue> = source.remarks.iter().map(issue).collect();
    lines(&issues)
}

fn issue(remark: &Remark) -> Issue {
    let path = remark.path.as_deref().unwrap_or(NO_FILE);
    Issue {
        description: fitted(&remark.sentence, MOST_COLUMNS),
        check_name: format!("highwater-{}", remark.kind.as_str()),
        fingerprint: remark.fingerprint.simple().to_string(),
        severity: match remark.severity {
            Severity::Error => "critical",
            Severity::Warning => "major",
            Severity::Notice => "info",
        },
        location: Location {
            // GitLab links to it only so.
            path: path.strip_prefix("./").unwrap_or(path).to_owned(),
            lines: Lines { begin: 1 },
        },
    }
}
