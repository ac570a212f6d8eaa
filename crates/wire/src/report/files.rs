use serde::{Deserialize, Serialize};

use super::{Diagnosis, PeakKind};

/// Answer of `GET /api/v1/jobs/{uuid}/files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FilesPage {
    /// One row a path and session, in the order the files first ran.
    pub files: Vec<FileRow>,
    /// Key of the next page.
    pub next: Option<String>,
}

/// The figures of one test file in one session.
///
/// Over several visits and workers `retained_bytes`, `import_bytes` and `between_bytes` are sums, peaks and spikes
/// the largest, `start_bytes` that of the first visit and `end_bytes` that of the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileRow {
    /// Path of the test file.
    pub path: String,
    /// Ordinal of the session.
    pub session: u32,
    /// Uninterrupted stretches of its tests, over all workers; 0 for a file that was only imported.
    pub visits: u32,
    /// When its first visit began; when it was imported, if it had none.
    pub started_us: i64,
    /// RSS of the worker when the first visit began.
    pub start_bytes: i64,
    /// RSS of the worker when the last visit ended.
    pub end_bytes: i64,
    /// Highest RSS of a worker inside a visit.
    pub peak_bytes: i64,
    /// Where `peak_bytes` comes from.
    pub peak_kind: PeakKind,
    /// Highest simultaneous memory of a worker and its descendants inside a visit; sampled.
    pub tree_peak_bytes: i64,
    /// Largest peak of a visit above its start and above what had been taken until then by modules that its tests imported and by fixtures that several files
    /// share; what these needed for a while is not in it.
    pub spike_bytes: i64,
    /// The same with what the descendants of the worker took at the same time, above what they held when the visit began: a child that an earlier file
    /// left running is no need of this one. Sampled where it is more than `spike_bytes`. 0 of jobs that were settled by a server which did not know it.
    #[serde(default)]
    pub tree_spike_bytes: i64,
    /// What the descendants of the worker held when the first visit began; sampled.
    #[serde(default)]
    pub children_start_bytes: i64,
    /// What they held more when a visit ended, summed over visits: children that outlive the file, below 0 where such of other files ended in it. Of those
    /// that a set-up of a fixture started which several files share, only what they grew by. Sampled, and not part of `retained_bytes`.
    #[serde(default)]
    pub children_retained_bytes: i64,
    /// End minus start, summed over visits, without `late_import_bytes` and `shared_fixture_bytes`: still held afterwards.
    pub retained_bytes: i64,
    /// Change across the imports of this file, summed over workers; not part of `retained_bytes`.
    pub import_bytes: i64,
    /// Change across the imports of modules that its tests made first in their process, summed over visits; not part of `retained_bytes`, since another file
    /// would have paid for them otherwise.
    #[serde(default)]
    pub late_import_bytes: i64,
    /// Of these the modules that took most, each with what it imported in turn; at most 5.
    #[serde(default)]
    pub late_imports: Vec<LateImport>,
    /// Change across set-ups of fixtures of scope `session` and `package` that no test file defines, and across teardowns of all of these scopes, summed over
    /// visits; below 0 where more was given back. Not part of `retained_bytes`: which file sets such a fixture up, and which one meets its teardown, is a
    /// matter of order. 0 of jobs that were settled by a server which did not know it, whose files have it in `retained_bytes`.
    #[serde(default)]
    pub shared_fixture_bytes: i64,
    /// The part of `retained_bytes` that set-ups and teardowns of other fixtures changed.
    pub fixture_bytes: i64,
    /// The part of `retained_bytes` that fell between its tests.
    pub between_bytes: i64,
    /// Executions of its tests.
    pub tests: u64,
    /// Of them failed or in error.
    pub failed: u64,
    /// Time in its visits, summed over workers.
    pub duration_us: i64,
    /// True when a visit never ended: its figures are lower bounds.
    pub censored: bool,
    /// Whether an import of it failed, so that none of its tests is known.
    #[serde(default)]
    pub import_failed: bool,
    /// The same figures a worker.
    pub workers: Vec<WorkerFigures>,
    /// Why its memory stayed; none where the job was recorded without `--diagnose`, or its end was not looked at alone.
    #[serde(default)]
    pub diagnosis: Option<Diagnosis>,
}

impl FileRow {
    /// What its import and those of modules that its tests imported late took, bytes.
    #[must_use]
    pub fn imported_bytes(&self) -> i64 {
        self.import_bytes.saturating_add(self.late_import_bytes)
    }

    /// What it left behind with what children of it that outlive it hold, bytes.
    #[must_use]
    pub fn tree_retained_bytes(&self) -> i64 {
        self.retained_bytes
            .saturating_add(self.children_retained_bytes)
    }
}

/// A module that tests of a file imported while they ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LateImport {
    /// Its name, as `scipy.sparse`.
    pub module: String,
    /// What it took, with what it imported in turn, over all workers, bytes.
    pub bytes: i64,
}

/// The figures of one test file on one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerFigures {
    /// `gw0`; none outside xdist.
    pub worker: Option<String>,
    /// Number of the process in this job.
    pub process: u32,
    /// See [`FileRow::visits`].
    pub visits: u32,
    /// See [`FileRow::started_us`].
    pub started_us: i64,
    /// See [`FileRow::start_bytes`].
    pub start_bytes: i64,
    /// See [`FileRow::end_bytes`].
    pub end_bytes: i64,
    /// See [`FileRow::peak_bytes`].
    pub peak_bytes: i64,
    /// See [`FileRow::peak_kind`].
    pub peak_kind: PeakKind,
    /// See [`FileRow::tree_peak_bytes`].
    pub tree_peak_bytes: i64,
    /// See [`FileRow::spike_bytes`].
    pub spike_bytes: i64,
    /// See [`FileRow::tree_spike_bytes`].
    #[serde(default)]
    pub tree_spike_bytes: i64,
    /// See [`FileRow::children_start_bytes`].
    #[serde(default)]
    pub children_start_bytes: i64,
    /// See [`FileRow::children_retained_bytes`].
    #[serde(default)]
    pub children_retained_bytes: i64,
    /// See [`FileRow::retained_bytes`].
    pub retained_bytes: i64,
    /// See [`FileRow::import_bytes`].
    pub import_bytes: i64,
    /// See [`FileRow::late_import_bytes`].
    #[serde(default)]
    pub late_import_bytes: i64,
    /// See [`FileRow::shared_fixture_bytes`].
    #[serde(default)]
    pub shared_fixture_bytes: i64,
    /// See [`FileRow::fixture_bytes`].
    pub fixture_bytes: i64,
    /// See [`FileRow::between_bytes`].
    pub between_bytes: i64,
    /// See [`FileRow::tests`].
    pub tests: u64,
    /// See [`FileRow::failed`].
    pub failed: u64,
    /// See [`FileRow::duration_us`].
    pub duration_us: i64,
    /// See [`FileRow::censored`].
    pub censored: bool,
}
