//! The part of a job's page that says why memory stays.

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
    /// What grew most over the job, each kind under its name.
    pub(super) grown: Vec<(&'static str, Vec<Line>)>,
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
    let mut diagnosed: Vec<(&FileRow, &Diagnosis)> = files
        .iter()
        .filter_map(|file| Some((file, file.diagnosis.as_ref()?)))
        .collect();
    diagnosed.sort_by_key(|(_, found)| std::cmp::Reverse(found.retained_bytes));
    let traced = job.tracing_bytes != 0;
    let mut columns = vec![
        "Stayed",
        "Garbage",
        "Free in the heap",
        "Free in pymalloc",
        "Live Python",
        "Native rest",
    ];
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
            ("Type of live objects", &job.types),
            ("Line that allocated", &job.lines),
        ]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(what, rows)| (what, rows.iter().map(grown_line).collect()))
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
    let mut values = vec![
        found.retained_bytes,
        found.garbage_bytes,
        found.allocator_bytes.saturating_sub(found.pymalloc_bytes),
        found.pymalloc_bytes,
        found.live_bytes,
        found.rest_bytes,
    ];
    values.extend(traced.then_some(found.tracing_bytes));
    let rows = match found.garbage_bytes > found.live_bytes {
        true => &found.garbage,
        false => &found.types,
    };
    let is_seen = |row: &&Grown| row.bytes >= highwater_analysis::diagnosis::LEAST_SHOWN_BYTES;
    let largest = rows.first().filter(is_seen);
    Line {
        name: file.path.clone(),
        values: values.into_iter().map(format::mebibytes).collect(),
        mostly: largest.map(|row| row.name.clone()).unwrap_or_default(),
    }
}

fn grown_line(row: &Grown) -> Line {
    Line {
        name: row.name.clone(),
        values: vec![format!("{:+}", row.count), format::mebibytes(row.bytes)],
        mostly: String::new(),
    }
}
