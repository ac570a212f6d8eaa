//! `highwater compare`: jobs before and after, as the server tells them.

mod forms;

use std::{path::Path, time::Duration};

use highwater_wire::{ids::ProjectSlug, report::ComparisonReport};
use uuid::Uuid;

use super::{CommandError, answers::understood, environment, named, tell, working_folder};
use crate::{
    cli::{CompareForm, CompareTask},
    exit_codes,
    settings::{self, Given},
    shipper::Client,
    terminal,
};

/// How long the server may take: it may have to work out figures of jobs that run.
const PATIENCE: Duration = Duration::from_secs(60);
/// What an answer may weigh, bytes: ten thousand test files take about six million.
const MOST_ANSWER_BYTES: u64 = 64 << 20;
/// Most test files that are asked for where all are wanted.
const ALL_FILES: usize = 10_000;
/// Test files that are shown in a table.
const SHOWN_FILES: usize = 30;

/// Prints the comparison.
///
/// # Errors
/// When no server is named, or it does not tell.
pub fn compare(task: &CompareTask) -> Result<u8, CommandError> {
    let (env, folder) = (environment(), working_folder());
    let given = Given {
        server: task.server.clone(),
        project: task.project.clone(),
        ..Given::default()
    };
    let places = settings::places(given.clone(), &env, &folder)?;
    tell(&places.problems);
    let server = places.server.as_ref().ok_or(CommandError::NoServer)?;
    let needs_project = |side: &str| side.starts_with("run:") || side.starts_with("branch:");
    let project = match task
        .before
        .iter()
        .chain(&task.after)
        .any(|it| needs_project(it))
    {
        true => Some(settings::project(given, &env, &folder)),
        false => None,
    };
    let client = Client::new(server, places.token.as_ref(), &env, Uuid::nil());
    let sides = [jobs_of(&task.before)?, jobs_of(&task.after)?];
    let path = address(task, &sides, project.as_deref());
    let answer = client
        .read(&path, PATIENCE, MOST_ANSWER_BYTES)
        .map_err(CommandError::NotCompared)?;
    let report: ComparisonReport = understood(&answer).map_err(CommandError::NotCompared)?;
    let text = match task.form {
        CompareForm::Text => forms::text(&report),
        CompareForm::Json => {
            serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?
        }
        CompareForm::Markdown => forms::markdown(&report),
    };
    terminal::print(&text).map_err(CommandError::NotPrinted)?;
    Ok(exit_codes::OK)
}

/// A side, with the job of each file that `--summary` wrote in its place.
fn jobs_of(side: &[String]) -> Result<Vec<String>, CommandError> {
    let one = |word: &String| match Path::new(word).is_file() {
        true => named::of_summary(Path::new(word)).map(|job| job.to_string()),
        false => Ok(word.clone()),
    };
    side.iter().map(one).collect()
}

/// What is asked of the server.
fn address(
    task: &CompareTask,
    [before, after]: &[Vec<String>; 2],
    project: Option<&str>,
) -> String {
    let files = match task.form {
        CompareForm::Json => ALL_FILES,
        CompareForm::Text | CompareForm::Markdown => SHOWN_FILES,
    };
    let mut address = format!("/api/v1/compare?limit={files}");
    let before = before.iter().map(|value| ("before", value.as_str()));
    let after = after.iter().map(|value| ("after", value.as_str()));
    let project = project.map(ProjectSlug::path_of);
    let once = [
        ("project", project.as_deref()),
        ("name", task.name.as_deref()),
    ];
    let once = once
        .iter()
        .filter_map(|(key, value)| Some((*key, (*value)?)));
    for (key, value) in before.chain(after).chain(once) {
        address.push_str(&format!("&{key}={}", encoded(value)));
    }
    address
}

/// A word as part of a query.
fn encoded(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encode = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    word.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_stands_for_its_job() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("other.json");
        std::fs::write(&path, "{}").unwrap();
        let words = ["branch:main".to_owned(), path.display().to_string()];
        assert_eq!(jobs_of(&words[..1]).unwrap(), &words[..1]);
        let why = jobs_of(&words).unwrap_err().to_string();
        assert!(why.contains("other.json: this is neither"), "{why}");
    }

    #[test]
    fn what_is_asked_stands_in_the_address() {
        let task = CompareTask {
            before: vec!["branch:fix/ü&x".to_owned()],
            after: vec!["a".to_owned(), "b".to_owned()],
            form: CompareForm::Json,
            project: None,
            name: Some("unit tests".to_owned()),
            server: None,
        };
        assert_eq!(
            address(
                &task,
                &[task.before.clone(), task.after.clone()],
                Some("owner/repo")
            ),
            "/api/v1/compare?limit=10000&before=branch%3Afix%2F%C3%BC%26x&after=a&after=b&project=owner~repo&name=unit%20tests"
        );
    }
}
