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
    /// `file`, `fixture`, `module`, `process`, `running` for a test that ran then, or `other` for a process outside the job.
    pub kind: String,
    /// Path of a file, node id of a test that ran, name of a fixture with its file (or `session`) in brackets, name of a module that tests imported while they ran, or command of a
    /// process; of one outside the job with its number in brackets.
    pub name: String,
    /// What it held then; a test that ran, what its process had grown by since it began, by the samples until then. A file's imports count, and its fixtures of a wider scope than a test do not: these are told by themselves.
    pub bytes: i64,
}

/// Kind of a [`Culprit`] that is a test which ran.
pub const RUNNING: &str = "running";

impl Culprit {
    /// What it is, as it stands before the name.
    #[must_use]
    pub fn what(&self) -> &str {
        match self.kind.as_str() {
            "other" => "outside the job",
            kind => kind,
        }
    }

    /// What stands behind the figure: of a test that ran nobody knows what more it would have taken.
    #[must_use]
    pub fn so_far(&self) -> &'static str {
        match self.kind.as_str() {
            RUNNING => " so far",
            _ => "",
        }
    }
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
    /// Every verdict there is.
    pub const ALL: [Self; 21] = [
        Self::Passed,
        Self::TestsFailed,
        Self::UsageError,
        Self::NoTests,
        Self::InternalError,
        Self::Interrupted,
        Self::Crashed,
        Self::WorkerCrashed,
        Self::OomChild,
        Self::OomCgroup,
        Self::OomMachine,
        Self::OomDaemon,
        Self::RunnerLostMemory,
        Self::RunnerLost,
        Self::MemoryError,
        Self::GuardStopped,
        Self::TimedOut,
        Self::Cancelled,
        Self::Killed,
        Self::AgentLost,
        Self::NoSession,
    ];

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

    /// True for the endings in which the suite was not run to its own end. Tests that got no memory or no time may have failed one by one
    /// in a suite that was: whether a job was cut short is told with it.
    #[must_use]
    pub fn is_early(self) -> bool {
        !matches!(
            self,
            Self::Passed | Self::TestsFailed | Self::UsageError | Self::NoTests | Self::NoSession
        )
    }

    /// True where want of memory was the cause.
    #[must_use]
    pub fn is_of_memory(self) -> bool {
        matches!(
            self,
            Self::OomChild
                | Self::OomCgroup
                | Self::OomMachine
                | Self::OomDaemon
                | Self::RunnerLostMemory
                | Self::MemoryError
                | Self::GuardStopped
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page for users says of endings.
    const PAGE: &str = include_str!("../../../../docs/endings.md");

    #[test]
    fn the_page_of_endings_tells_of_each_verdict_and_of_no_other() {
        let told: Vec<&str> = PAGE
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(word, _)| word)
            .collect();
        for verdict in Verdict::ALL {
            let rows = told.iter().filter(|word| **word == verdict.as_str());
            assert_eq!(rows.count(), 1, "{}", verdict.as_str());
        }
        assert_eq!(told.len(), Verdict::ALL.len(), "{told:?}");
    }
}
