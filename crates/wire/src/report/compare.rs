use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Confidence, JobState, PeakKind, ShardReport, Span, Verdict};

/// Two jobs, or two groups of jobs that each make a suite, side by side: answer of `GET /api/v1/compare`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparisonReport {
    /// What became of peak, headroom and ending, in one sentence.
    pub sentence: String,
    /// What is to be kept in mind with the figures: what was cut short, what differs around the tests.
    pub notes: Vec<String>,
    /// What it was.
    pub before: ComparedSide,
    /// What it is.
    pub after: ComparedSide,
    /// How many test files there are of each kind; none where the files of a side are not there any more.
    pub counts: Option<FileCounts>,
    /// The test files, those that changed most first.
    pub files: Vec<FileComparison>,
    /// Test files that are not in `files`, because there are more than were asked for.
    pub files_left: u64,
    /// The fixtures that changed by more than noise, those that changed most first.
    pub fixtures: Vec<FixtureComparison>,
    /// Such fixtures that are not in `fixtures`.
    pub fixtures_left: u64,
}

/// One or several jobs that together ran a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedSide {
    /// The jobs: by shard, name and start.
    pub jobs: Vec<ComparedJob>,
    /// The worst of their endings; none while one of them runs.
    pub verdict: Option<Verdict>,
    /// True when one of them was cut short: peaks, tests and what was retained are lower bounds, headroom an upper one.
    pub censored: bool,
    /// The largest peak of a job.
    pub peak_bytes: u64,
    /// Where that comes from.
    pub peak_kind: PeakKind,
    /// Highest simultaneous memory of a worker and its descendants inside a test file, of all files; sampled. None where there are no files to ask.
    pub tree_peak_bytes: Option<i64>,
    /// The smallest room left under a limit.
    pub headroom_bytes: Option<i64>,
    /// The limit that this is under.
    pub limit_bytes: Option<u64>,
    /// How long the longest job took.
    pub duration_us: i64,
    /// How long all of them took, one after another.
    pub duration_sum_us: i64,
    /// Executions of tests.
    pub tests: u64,
    /// Of them failed or in error.
    pub failed: u64,
    /// Different test files that ran; none where there are no files to ask.
    pub files: Option<u64>,
    /// What these retained, all together; none where there are no files to ask.
    pub retained_bytes: Option<i64>,
    /// Growth a file: of the session that grew most; none where nothing is said of any, or the sides ran in other numbers of jobs or workers, since it is of
    /// one process over the files that it ran.
    pub growth_per_file_bytes: Option<Span>,
}

/// A job in a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedJob {
    /// Identity of the job.
    pub uuid: Uuid,
    /// Slug of the project, `owner/repo`.
    pub project: String,
    /// Name of the job in its run.
    pub name: String,
    /// The matrix leg.
    pub variant: BTreeMap<String, String>,
    /// Which part of a split suite it is.
    pub shard: Option<ShardReport>,
    /// From 1.
    pub attempt: u32,
    /// Branch of the run; empty when not known.
    pub branch: String,
    /// Commit under test; empty when not known.
    pub commit: String,
    /// Wall time of the start, RFC 3339.
    pub started_at: String,
    /// Whether it still runs.
    pub state: JobState,
    /// How it ended; none while it runs.
    pub verdict: Option<Verdict>,
    /// How sure that is.
    pub confidence: Option<Confidence>,
    /// True when it died early, so that its figures are lower bounds.
    pub censored: bool,
    /// Highest simultaneous memory of its processes that was measured.
    pub peak_bytes: u64,
    /// Where that comes from.
    pub peak_kind: PeakKind,
    /// The smallest room left under any limit.
    pub headroom_bytes: Option<i64>,
    /// From start to end.
    pub duration_us: i64,
    /// Executions of tests.
    pub tests: u64,
    /// Of them failed or in error.
    pub failed: u64,
}

/// How many test files became what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the words of `FileChange`")]
pub struct FileCounts {
    pub new: u64,
    pub gone: u64,
    pub moved: u64,
    pub changed: u64,
    pub alike: u64,
    pub not_run_before: u64,
    pub not_run_after: u64,
}

/// What became of a test file or a fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It was not there before.
    New,
    /// It is not there any more.
    Gone,
    /// Its tests, or a file of its name, were elsewhere before.
    Moved,
    /// One of its figures changed by more than noise.
    Changed,
    /// None did.
    Alike,
    /// It did not run before, though it may have been there: it was imported only, or that job was cut short.
    NotRunBefore,
    /// It did not run after, though it may be there.
    NotRunAfter,
}

impl FileChange {
    /// The word the API, the pages and the terminal use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Moved => "moved",
            Self::Changed => "changed",
            Self::Alike => "alike",
            Self::NotRunBefore => "not_run_before",
            Self::NotRunAfter => "not_run_after",
        }
    }
}

/// A figure of a test file or a fixture that is held against noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ComparedFigure {
    /// `retained_bytes`.
    Retained,
    /// `tree_spike_bytes`.
    TreeSpike,
    /// `import_bytes`.
    Import,
    /// `setup_bytes` of one set-up of a fixture.
    Setup,
    /// The scope of a fixture.
    Scope,
}

impl ComparedFigure {
    /// The figure in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Retained => "retained",
            Self::TreeSpike => "spike",
            Self::Import => "import",
            Self::Setup => "set-up",
            Self::Scope => "scope",
        }
    }
}

/// A test file before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileComparison {
    /// Path of the test file; of a moved one where it is now.
    pub path: String,
    /// Where it was, if it moved.
    pub moved_from: Option<String>,
    /// What became of it.
    pub change: FileChange,
    /// The figures that changed by more than noise.
    pub beyond_noise: Vec<ComparedFigure>,
    /// What it took before; none where it did not run.
    pub before: Option<ComparedFile>,
    /// What it takes after; none where it did not run.
    pub after: Option<ComparedFile>,
    /// After minus before, where it ran both times.
    pub retained_change_bytes: Option<i64>,
    /// After minus before, where it ran both times.
    pub tree_spike_change_bytes: Option<i64>,
}

/// The figures of a test file over the jobs of a side. What was retained, imports, tests and durations are sums, peaks and spikes the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedFile {
    /// Jobs that ran it.
    pub jobs: u32,
    /// Highest RSS of a worker inside a visit.
    pub peak_bytes: i64,
    /// Where that comes from.
    pub peak_kind: PeakKind,
    /// Highest simultaneous memory of a worker and its descendants inside a visit; sampled.
    pub tree_peak_bytes: i64,
    /// Largest peak of a visit above its start and above what modules that its tests imported had taken until then.
    pub spike_bytes: i64,
    /// The same with what children took above what they held as it began; sampled where that is more.
    pub tree_spike_bytes: i64,
    /// End minus start, summed over visits, without what modules that its tests imported late and fixtures took that several files share; with what children
    /// hold that it left running.
    pub retained_bytes: i64,
    /// What descendants of its workers held when it began, of several the most; sampled.
    #[serde(default)]
    pub children_start_bytes: i64,
    /// The part of `retained_bytes` that they held more as it ended; sampled.
    #[serde(default)]
    pub children_retained_bytes: i64,
    /// The part of `retained_bytes` that set-ups and teardowns of the file's own fixtures changed.
    pub fixture_bytes: i64,
    /// Change across its imports and those of modules that its tests imported late.
    pub import_bytes: i64,
    /// Executions of its tests.
    pub tests: u64,
    /// Of them failed or in error.
    pub failed: u64,
    /// Time in its visits.
    pub duration_us: i64,
    /// True when a visit never ended: its figures are lower bounds.
    pub censored: bool,
}

/// A fixture before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FixtureComparison {
    /// Its name.
    pub name: String,
    /// Node id of where it is defined; empty for a plugin's.
    pub base: String,
    /// What became of it.
    pub change: FileChange,
    /// What changed, by more than noise where it is a figure.
    pub beyond_noise: Vec<ComparedFigure>,
    /// What it took before; none where it was not set up.
    pub before: Option<ComparedFixture>,
    /// What it takes after; none where it was not set up.
    pub after: Option<ComparedFixture>,
    /// After minus before of what one set-up takes; all of it where it was set up on one side only.
    pub setup_change_bytes: i64,
    /// After minus before of what is retained, both at the smaller number of set-ups; all of it where it was set up on one side only.
    pub retained_change_bytes: i64,
}

/// A fixture over the test files and jobs of a side: sums.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedFixture {
    /// `function`, `class`, `module`, `package` or `session`.
    pub scope: String,
    /// How often it was set up.
    pub setups: u64,
    /// Change across its set-ups, without the fixtures it asks for.
    pub setup_bytes: i64,
    /// What its teardowns gave back.
    pub released_bytes: i64,
    /// `setup_bytes` minus `released_bytes`.
    pub retained_bytes: i64,
    /// Set-ups whose teardown was never seen.
    pub open: u64,
}
