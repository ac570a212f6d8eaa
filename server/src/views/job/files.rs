//! The table of test files.

use highwater_report::{at_least, left_running, retained_words};
use highwater_wire::report::{FileRow, JobReport, JobState, LateImport, PeakKind};

use super::{file_href, format};

/// Columns of the table of files: key and name.
pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("retained", "Retained"),
    ("start", "Start"),
    ("peak", "Peak"),
    ("tree_peak", "Tree peak (sampled)"),
    ("spike", "Spike"),
    ("fixtures", "Of fixtures"),
    ("import", "Import"),
    ("tests", "Tests"),
    ("duration", "Duration"),
];

pub(super) struct FileLine {
    pub(super) href: String,
    pub(super) path: String,
    pub(super) note: String,
    pub(super) values: Vec<String>,
}

pub(super) fn sort_key(file: &FileRow, sort: &str) -> i64 {
    match sort {
        "start" => file.start_bytes,
        "peak" => file.peak_bytes,
        "tree_peak" => file.tree_peak_bytes,
        "spike" => file.spike_bytes,
        "fixtures" => file.fixture_bytes,
        "import" => file.imported_bytes(),
        "tests" => file.tests.cast_signed(),
        "duration" => file.duration_us,
        _ => file.tree_retained_bytes(),
    }
}

pub(super) fn files_words(files: &[FileRow]) -> String {
    let kept: i64 = files.iter().map(FileRow::tree_retained_bytes).sum();
    let is_cut = files.iter().any(|file| file.censored);
    let most = files.iter().max_by_key(|file| file.tree_retained_bytes());
    let ran = files.iter().filter(|file| file.visits > 0).count();
    match most {
        Some(most) if most.tree_retained_bytes() > 0 => format!(
            "{} ran and retained {} together; the most by {}, {}.",
            format::count(ran, "file"),
            at_least(kept, is_cut),
            most.path,
            at_least(most.tree_retained_bytes(), most.censored)
        ),
        _ => format!("{} ran; none retained memory.", format::count(ran, "file")),
    }
}

/// A module that tests of a file imported is named from here on, and so many of them; of fixtures that files share it is told.
const LEAST_NAMED_BYTES: i64 = 4 << 20;
const MOST_NAMED: usize = 2;

pub(super) fn file_line(file: &FileRow, job: &JobReport, project_href: &str) -> FileLine {
    let mut notes = Vec::new();
    if job.sessions.len() > 1 {
        notes.push(format!("session {}", file.session));
    }
    if file.visits == 0 {
        notes.push("imported only".to_owned());
    } else if file.peak_kind == PeakKind::Sampled {
        notes.push("sampled".to_owned());
    }
    let large = |module: &&LateImport| module.bytes >= LEAST_NAMED_BYTES;
    let modules = file.late_imports.iter().filter(large).take(MOST_NAMED);
    let modules: Vec<String> = modules
        .map(|module| format!("{} ({})", module.module, format::mebibytes(module.bytes)))
        .collect();
    if !modules.is_empty() {
        notes.push(format!("first to import {}", modules.join(", ")));
    }
    let shared = file.shared_fixture_bytes;
    if shared.abs() >= LEAST_NAMED_BYTES {
        let what = if shared > 0 { "set up" } else { "tore down" };
        let size = format::mebibytes(shared.abs());
        notes.push(format!("{what} shared fixtures ({size})"));
    }
    let running = left_running(file.children_retained_bytes);
    if !running.is_empty() {
        notes.push(running);
    }
    match (file.censored, job.state) {
        (true, JobState::Running) => notes.push("still running".to_owned()),
        (true, _) => notes.push("cut short: lower bounds".to_owned()),
        (false, _) => {}
    }
    let tests = if file.failed > 0 {
        format!("{} ({} failed)", file.tests, file.failed)
    } else {
        file.tests.to_string()
    };
    FileLine {
        href: file_href(project_href, &file.path, &job.name),
        path: file.path.clone(),
        note: notes.join(", "),
        values: vec![
            retained_words(file),
            format::mebibytes(file.start_bytes),
            format::mebibytes(file.peak_bytes),
            format::mebibytes(file.tree_peak_bytes),
            format::mebibytes(file.spike_bytes),
            format::mebibytes(file.fixture_bytes),
            format::mebibytes(file.imported_bytes()),
            tests,
            format::duration(file.duration_us),
        ],
    }
}
