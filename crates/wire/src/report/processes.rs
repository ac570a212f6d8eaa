use serde::{Deserialize, Serialize};

/// Answer of `GET /api/v1/jobs/{uuid}/processes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcessesPage {
    /// In the order they started.
    pub processes: Vec<ProcessRow>,
    /// Key of the next page.
    pub next: Option<String>,
}

/// A process of the job's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcessRow {
    /// Number of the process in this job, from 1.
    pub id: u32,
    /// Its number on the machine.
    pub pid: u32,
    /// Number on the machine of its parent; 0 when not known.
    pub parent_pid: u32,
    /// What it does.
    pub role: Role,
    /// `gw0`; none outside xdist.
    pub worker: Option<String>,
    /// Ordinal of the session that owns it.
    pub session: Option<u32>,
    /// Its command line.
    pub command: String,
    /// When it started; may lie before the job.
    pub started_us: i64,
    /// When it was gone; none while it lives.
    pub ended_us: Option<i64>,
    /// Its highest RSS.
    pub peak_bytes: u64,
    /// Where that figure comes from.
    pub peak_kind: PeakKind,
    /// Why its peaks are only sampled; empty when they are exact or it has no plugin.
    pub exact_reason: String,
    /// What the agent raised its `oom_score_adj` to, so that the kernel takes it before the agent and the CI's runner; none where it was left alone.
    #[serde(default)]
    pub oom_score_adj: Option<i32>,
    /// Whether its address space was about as large as its parent's when it was first seen, as a fork's is until it calls exec; none where that was not read.
    #[serde(default)]
    pub as_large_as_parent: Option<bool>,
    /// The balance of its memory; none without the plugin.
    pub books: Option<Books>,
    /// When it collected tests: once a session; empty without the plugin, and for a controller, whose workers do.
    #[serde(default)]
    pub collections: Vec<Collection>,
}

/// A stretch in which a process imported the test files of a session and looked for tests in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Collection {
    /// Ordinal of the session.
    pub session: u32,
    /// When it began.
    pub began_us: i64,
    /// When it ended; none when that was not seen.
    pub ended_us: Option<i64>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// No pytest process.
    #[default]
    Child,
    /// pytest without xdist.
    Pytest,
    /// The controller of an xdist session.
    Controller,
    /// A worker of an xdist session.
    Worker,
    /// A process outside the job, one of the largest of the machine; in no sum of the job.
    Other,
}

impl Role {
    /// The word the API, the pages and the terminal use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Child => "child",
            Self::Pytest => "pytest",
            Self::Controller => "controller",
            Self::Worker => "worker",
            Self::Other => "other",
        }
    }
}

/// Where a peak comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PeakKind {
    /// The kernel's high-water mark.
    Exact,
    /// Samples or readings at boundaries only: the true peak may be higher.
    #[default]
    Sampled,
}

impl PeakKind {
    /// The word the API, the pages and the terminal use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Sampled => "sampled",
        }
    }
}

/// How a process went from its first RSS to its last: first + imports + fixtures + tests + between = last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Books {
    /// RSS at the first mark.
    pub first_bytes: i64,
    /// Change inside imports.
    pub import_bytes: i64,
    /// Change inside fixtures' set-ups and teardowns.
    pub fixture_bytes: i64,
    /// Change inside tests, outside fixtures.
    pub test_bytes: i64,
    /// Change between all of these: pytest itself.
    pub between_bytes: i64,
    /// The part of `between_bytes` that diagnoses changed, where the job was recorded with `--diagnose`.
    #[serde(default)]
    pub diagnosis_bytes: i64,
    /// RSS at the last mark.
    pub last_bytes: i64,
}

impl Books {
    /// True when the books balance to the byte.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.first_bytes
            + self.import_bytes
            + self.fixture_bytes
            + self.test_bytes
            + self.between_bytes
            == self.last_bytes
    }
}
