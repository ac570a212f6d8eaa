//! What CI and git say, without what no server takes: variables of a CI are set by many hands, and none may cost the recording.

use highwater_wire::codec::MAX_TIME_US;

use super::{parse_commit, parse_name, parse_project, parse_url};
use crate::ci::Metadata;

/// The last that a server takes.
const YEAR_9999_US: i64 = 253_402_207_200_000_000;

type Parse = fn(&str) -> Result<String, String>;

/// Empties each field that cannot be, and tells which.
pub(super) fn possible(
    mut metadata: Metadata,
    source: &str,
    problems: &mut Vec<String>,
) -> Metadata {
    let mut keep = |name: &str, text: &mut String, parse: Parse| {
        *text = parse(text).unwrap_or_else(|problem| {
            problems.push(format!("{source}: {name}: {problem}; it is left out"));
            String::new()
        });
    };
    keep("project", &mut metadata.project, parse_project);
    keep("run id", &mut metadata.run_id, parse_name);
    keep("job", &mut metadata.job, parse_name);
    keep("branch", &mut metadata.branch, parse_name);
    keep("commit", &mut metadata.head_commit, parse_commit);
    keep("base commit", &mut metadata.base_commit, parse_commit);
    keep("pull request", &mut metadata.pull_request, parse_name);
    keep("event", &mut metadata.event, parse_name);
    keep("url of the run", &mut metadata.run_url, parse_url);
    keep("url of the job", &mut metadata.job_url, parse_url);
    if metadata.timeout_us > MAX_TIME_US.unsigned_abs() {
        problems.push(format!(
            "{source}: time limit: {} s is more than ten years; it is left out",
            metadata.timeout_us / 1_000_000
        ));
        metadata.timeout_us = 0;
    }
    if metadata.started_unix_us < 0 || metadata.started_unix_us > YEAR_9999_US {
        problems.push(format!("{source}: start: no time; it is left out"));
        metadata.started_unix_us = 0;
    }
    metadata
}
