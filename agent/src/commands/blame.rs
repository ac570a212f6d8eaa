//! `highwater blame`: with which commits the memory of a test file or a suite changed, as the server tells it.

use std::{
    fmt::Write as _,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use highwater_analysis::figures::shown;
use highwater_wire::{ids::ProjectSlug, report::ChangesReport};
use uuid::Uuid;

use super::{CommandError, answers::understood, environment, tell, working_folder};
use crate::{
    cli::{BlameTask, CheckForm},
    exit_codes,
    settings::{self, Given, Settings},
    shipper::Client,
    terminal,
};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What its answer may weigh, bytes: a change has some hundred.
const MOST_BYTES: u64 = 16 << 20;

/// Prints what the server says.
///
/// # Errors
/// When no server is named, or it does not tell.
pub fn blame(task: &BlameTask) -> Result<u8, CommandError> {
    let env = environment();
    let given = Given {
        server: task.server.clone(),
        project: task.project.clone(),
        ..Given::default()
    };
    let folder = working_folder();
    let settings = settings::resolve(given, &env, &folder, &[])?;
    tell(&settings.places.problems);
    let Settings { places, job, .. } = &settings;
    let server = places.server.as_ref().ok_or(CommandError::NoServerToAsk)?;
    let file = task.file.as_deref();
    let file = file.map(|file| as_recorded(file, &folder, &settings.repo_root));
    let what = match &file {
        Some(file) => format!("{file} of {}", job.project),
        None => job.project.clone(),
    };
    let unread = |why| CommandError::ChangesNotRead(what.clone(), why);
    let client = Client::new(server, places.token.as_ref(), &env, Uuid::nil());
    let path = address(&job.project, file.as_deref(), task);
    let answer = client.read(&path, PATIENCE, MOST_BYTES).map_err(unread)?;
    let report: ChangesReport = understood(&answer).map_err(unread)?;
    let answer = match task.form {
        CheckForm::Text => text(&report),
        CheckForm::Json => serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?,
    };
    terminal::print(&answer).map_err(CommandError::NotPrinted)?;
    Ok(exit_codes::OK)
}

/// A file as it is recorded, relative to the repository, where it is here; else as it was named.
pub(super) fn as_recorded(file: &str, folder: &Path, repo_root: &Path) -> String {
    let here = folder.join(file);
    let mut plain = PathBuf::new();
    for component in here.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    let recorded = plain.strip_prefix(repo_root).ok().and_then(Path::to_str);
    match recorded {
        Some(recorded) if here.exists() => recorded.to_owned(),
        _ => file.strip_prefix("./").unwrap_or(file).to_owned(),
    }
}

fn address(project: &str, file: Option<&str>, task: &BlameTask) -> String {
    let mut path = format!("/api/v1/projects/{}/changes", ProjectSlug::path_of(project));
    if let Some(file) = file {
        // In a path a blank is no plus.
        let encoded: String = form_urlencoded::byte_serialize(file.as_bytes()).collect();
        path.push('/');
        path.push_str(&encoded.replace('+', "%20"));
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, word) in [("name", &task.job), ("branch", &task.branch)] {
        if let Some(word) = word {
            query.append_pair(name, word);
        }
    }
    format!("{path}?{}", query.finish())
}

fn text(report: &ChangesReport) -> String {
    let mut text = format!("{}\n", shown(&report.sentence));
    // Writing into a string cannot fail.
    for change in &report.changes {
        let _ = writeln!(text, "  {}", shown(&change.sentence));
    }
    if report.left_out > 0 {
        let _ = writeln!(text, "  and {} older", report.left_out);
    }
    for jobs in &report.looked_at {
        let alike = match jobs.alike.as_str() {
            "" => String::new(),
            alike => format!(" ({})", shown(alike)),
        };
        let name = shown(&jobs.name);
        let _ = writeln!(text, "Looked at: {} of job {name}{alike}.", jobs.jobs);
    }
    text
}

#[cfg(test)]
mod tests {
    use highwater_analysis::figures;
    use highwater_wire::report::JobsAlike;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_as_text() {
        let report = ChangesReport {
            path: None,
            branch: "main".to_owned(),
            looked_at: vec![JobsAlike {
                name: "unit\u{1b}[2J".to_owned(),
                alike: "os=\u{202e}".to_owned(),
                jobs: 9,
                first: None,
                last: None,
            }],
            sentence: "Nothing of test_\r\u{1b}]0;a changed.".to_owned(),
            changes: Vec::new(),
            left_out: 0,
        };
        let text = text(&report);
        assert!(
            text.lines()
                .all(|line| figures::shown(line) == line && line.is_ascii()),
            "{text:?}"
        );
    }

    #[test]
    fn a_file_is_named_as_it_is_recorded() {
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("tests/unit")).unwrap();
        std::fs::write(root.join("tests/unit/test_a.py"), "").unwrap();
        for (file, from, recorded) in [
            ("tests/unit/test_a.py", "", "tests/unit/test_a.py"),
            ("./unit/test_a.py", "tests", "tests/unit/test_a.py"),
            ("../unit/test_a.py", "tests/unit", "tests/unit/test_a.py"),
            ("tests/test_gone.py", "", "tests/test_gone.py"),
            ("./tests/test_gone.py", "tests", "tests/test_gone.py"),
        ] {
            assert_eq!(
                as_recorded(file, &root.join(from), root),
                recorded,
                "{file}"
            );
        }
        let absolute = root.join("tests/unit/test_a.py");
        let absolute = absolute.to_str().unwrap();
        assert_eq!(as_recorded(absolute, root, root), "tests/unit/test_a.py");
    }

    #[test]
    fn a_name_of_any_kind_stays_one_part_of_the_address() {
        let task = BlameTask {
            project: None,
            job: Some("unit & more".to_owned()),
            branch: None,
            form: CheckForm::Text,
            server: None,
            file: None,
        };
        assert_eq!(
            address("owner/repo", Some("tests/a b+?.py"), &task),
            "/api/v1/projects/owner~repo/changes/tests%2Fa%20b%2B%3F.py?name=unit+%26+more"
        );
    }
}
