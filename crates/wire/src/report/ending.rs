use serde::{Deserialize, Serialize};

/// How a job ended, why we think so, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ending {
    /// What happened.
    pub verdict: Verdict,
    /// How sure that is.
    pub confidence: Confidence,
    /// It in one plain sentence.
    pub sentence: String,
    /// The figures behind it.
    pub evidence: Vec<Evidence>,
    /// Who held the memory, most first; empty when memory was not the cause.
    pub culprits: Vec<Culprit>,
    /// Node id of the test that was running when the job died; not the cause by itself.
    pub victim: Option<String>,
    /// What to do next.
    pub next_step: String,
}

/// One figure that speaks for a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// When it was seen; none for a figure of the whole job.
    pub at_us: Option<i64>,
    /// In words, with the figure.
    pub sentence: String,
}

/// Something that held memory when the job, or a worker of it, died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Culprit {
    /// `file`, `fixture` or `process`.
    pub kind: String,
    /// Path of a file, name of a fixture with its file (or `session`) in brackets, or command of a process.
    pub name: String,
    /// What it held then. A file's imports count, and its fixtures of a wider scope than a test do not: these are told by themselves.
    pub bytes: i64,
}

/// The closed set of endings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each name is the documentation; the sentences are made in `analysis::ending`"
)]
pub enum Verdict {
    Passed,
    TestsFailed,
    UsageError,
    NoTests,
    InternalError,
    Interrupted,
    Crashed,
    WorkerCrashed,
    OomChild,
    OomCgroup,
    OomMachine,
    OomDaemon,
    RunnerLostMemory,
    RunnerLost,
    MemoryError,
    GuardStopped,
    TimedOut,
    Cancelled,
    Killed,
    AgentLost,
    NoSession,
}

impl Verdict {
    /// The word the API, the store, the pages and the terminal use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::TestsFailed => "tests_failed",
            Self::UsageError => "usage_error",
            Self::NoTests => "no_tests",
            Self::InternalError => "internal_error",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
            Self::WorkerCrashed => "worker_crashed",
            Self::OomChild => "oom_child",
            Self::OomCgroup => "oom_cgroup",
            Self::OomMachine => "oom_machine",
            Self::OomDaemon => "oom_daemon",
            Self::RunnerLostMemory => "runner_lost_memory",
            Self::RunnerLost => "runner_lost",
            Self::MemoryError => "memory_error",
            Self::GuardStopped => "guard_stopped",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Killed => "killed",
            Self::AgentLost => "agent_lost",
            Self::NoSession => "no_session",
        }
    }

    /// True for the endings in which the suite was not run to its own end.
    #[must_use]
    pub fn is_early(self) -> bool {
        !matches!(
            self,
            Self::Passed | Self::TestsFailed | Self::UsageError | Self::NoTests | Self::NoSession
        )
    }
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "plain words")]
pub enum Confidence {
    Possible,
    Likely,
    Certain,
}

impl Confidence {
    /// The word the API, the store, the pages and the terminal use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}
