//! The part of a job's page that says why memory stays.

use highwater_analysis::diagnosis::LEAST_SHOWN_BYTES;
use highwater_report::diagnosis::{PARTS, diagnosed, parts};
use highwater_wire::report::{Diagnosis, FileRow, Grown};

use super::format;

const MOST_FILES: usize = 30;

/// What `templates/diagnosis.html` shows.
pub(super) struct DiagnosisPart {
    pub(super) sentence: String,
    /// How long it took, and what the figures lack.
    pub(super) words: String,
    pub(super) advice: Vec<String>,
    /// Files whose end was looked at alone, what left most first.
    pub(super) files: Vec<Line>,
    pub(super) files_left: usize,
    /// What the columns of parts are called.
    pub(super) columns: Vec<&'static str>,
    /// What grew most over the job: caption, name of the kind, rows.
    pub(super) grown: Vec<(&'static str, &'static str, Vec<Line>)>,
}

/// A row of one of its tables.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) values: Vec<String>,
    /// What says most about it.
    pub(super) mostly: String,
}

pub(super) fn part(job: Option<&Diagnosis>, files: &[FileRow]) -> Option<DiagnosisPart> {
    let job = job?;
    let diagnosed = diagnosed(files);
    let traced = job.is_traced();
    let mut columns = PARTS.to_vec();
    columns.extend(traced.then_some("tracemalloc"));
    Some(DiagnosisPart {
        sentence: job.sentence.clone(),
        words: words(job),
        advice: job
            .advice
            .iter()
            .map(|advice| advice.sentence.clone())
            .collect(),
        files_left: diagnosed.len().saturating_sub(MOST_FILES),
        files: diagnosed
            .into_iter()
            .take(MOST_FILES)
            .map(|(file, found)| file_line(file, found, traced))
            .collect(),
        columns,
        grown: [
            (
                "Types of live objects that grew most over the job",
                "Type",
                &job.types,
            ),
            (
                "Lines that allocated most of what the files left, garbage too",
                "Line",
                &job.lines,
            ),
        ]
        .into_iter()
        .map(|(caption, what, rows)| {
            let lines = rows.iter().filter(is_seen).map(grown_line).collect();
            (caption, what, lines)
        })
        .filter(|(_, _, lines): &(_, _, Vec<Line>)| !lines.is_empty())
        .collect(),
    })
}

fn words(job: &Diagnosis) -> String {
    let lacks = match job.trim {
        true => "",
        false => {
            " The C library has no malloc_trim: what its heap keeps is in the native rest or in the garbage."
        }
    };
    format!(
        "This job was diagnosed: at the end of a file garbage was collected and free memory given back, which took {} of CPU in all. So later files began lower than they would have, and the figures of this job differ from those of others.{lacks}",
        format::duration(job.cost_us.cast_signed())
    )
}

fn file_line(file: &FileRow, found: &Diagnosis, traced: bool) -> Line {
    let mut values = parts(found).to_vec();
    values.extend(traced.then_some(found.tracing_bytes));
    let rows = match found.garbage_bytes > found.live_bytes {
        true => &found.garbage,
        false => &found.types,
    };
    let largest = rows.first().filter(is_seen);
    Line {
        name: file.path.clone(),
        values: values.into_iter().map(format::mebibytes).collect(),
        mostly: largest.map(|row| row.name.clone()).unwrap_or_default(),
    }
}

/// It would be a row of 0.0 MiB.
fn is_seen(row: &&Grown) -> bool {
    row.bytes >= LEAST_SHOWN_BYTES
}

fn grown_line(row: &Grown) -> Line {
    Line {
        name: row.name.clone(),
        values: vec![format!("{:+}", row.count), format::mebibytes(row.bytes)],
        mostly: String::new(),
    }
}
