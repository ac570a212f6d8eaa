use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CheckLimits, Diagnosis, Ending, ForecastReport, GrowthReport, PeakKind};

/// One job: what it was, what it used, how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobReport {
    /// Identity of the job.
    pub uuid: Uuid,
    /// Whether it still runs.
    pub state: JobState,
    /// Raised each time the job is finalised again; 0 while it runs.
    pub revision: u32,
    /// Slug of the project, `owner/repo`.
    pub project: String,
    /// The run it belongs to.
    pub run: RunReport,
    /// Name of the job in its run.
    pub name: String,
    /// The matrix leg.
    pub variant: BTreeMap<String, String>,
    /// Which part of a split suite it is.
    pub shard: Option<ShardReport>,
    /// From 1.
    pub attempt: u32,
    /// The job of which this one runs files again; none for every other job.
    #[serde(default)]
    pub confirms: Option<Uuid>,
    /// Branch of the run; empty when not known.
    pub branch: String,
    /// Commit under test; empty when not known.
    pub commit: String,
    /// What its numbers may depend on.
    pub environment: EnvironmentReport,
    /// The command it recorded, as words.
    pub command: Vec<String>,
    /// Its pytest sessions, in the order they began.
    pub sessions: Vec<SessionReport>,
    /// Wall time of the start, RFC 3339: by the server's clock where it knows that the machine's differs, else by the machine's.
    pub started_at: String,
    /// How far the machine's clock was ahead of the server's, µs; negative where it was behind, none where nobody compared them.
    #[serde(default)]
    pub clock_skew_us: Option<i64>,
    /// Wall time of the end, RFC 3339; none while it runs.
    pub ended_at: Option<String>,
    /// From start to end, or to the last thing known.
    pub duration_us: i64,
    /// Highest simultaneous memory of the job's processes that was measured.
    pub peak_bytes: u64,
    /// When it was reached.
    pub peak_at_us: i64,
    /// The tests that ran then, one a worker at most, by the path of the file; none between tests.
    pub peak_during: Vec<String>,
    /// The sum of the processes' own peaks around that moment: the true peak is not above it.
    pub peak_high_bytes: u64,
    /// What `peak_bytes` adds up.
    pub peak_metric: PeakMetric,
    /// Exact where the kernel's mark of the only process gave `peak_bytes`; else the true peak may be higher.
    pub peak_kind: PeakKind,
    /// How far `peak_bytes` may be off by the kernel's own counting.
    pub peak_error_bytes: u64,
    /// Every constraint with its own use.
    pub limits: Vec<LimitUse>,
    /// What the project lets its jobs and files take, which a check holds them to; none where it sets nothing, or an agent did not tell yet.
    #[serde(default)]
    pub check_limits: Option<CheckLimits>,
    /// The smallest room left under any limit; none when there was no limit to compare with.
    pub headroom_bytes: Option<i64>,
    /// Exit code of the command.
    pub exit_code: Option<i32>,
    /// Signal that ended the command.
    pub signal: Option<i32>,
    /// True when the job died early, so that its figures are lower bounds.
    pub censored: bool,
    /// How it ended; none while it runs.
    pub ending: Option<Ending>,
    /// How the memory of each session went from file to file, of those with enough of them.
    #[serde(default)]
    pub growth: Vec<GrowthReport>,
    /// Why memory stayed; none where the job was recorded without `--diagnose`.
    #[serde(default)]
    pub diagnosis: Option<Diagnosis>,
    /// What it comes to by the end; of a job that ended early, what it would have come to. None where nothing was to come, or too little is known.
    #[serde(default)]
    pub forecast: Option<ForecastReport>,
    /// What the recorder has to say about the recording itself.
    pub notices: Vec<NoticeReport>,
    /// What recording took itself; none until the agent says it, at its end.
    pub recorder: Option<RecorderReport>,
    /// Page of the job at its CI provider; empty when there is none.
    pub ci_url: String,
    /// Version of the agent that recorded it.
    pub agent_version: String,
    /// Address of the job's page; only in `--summary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Folder that holds what is not yet acknowledged; only in `--summary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool: Option<String>,
}

/// Code of the notice that counts the seconds of which fine-grained samples gave way to a full disk.
pub const SAMPLES_THINNED: &str = "samples_thinned";
/// Code of the notice that a spool was removed while the recording went on.
pub const SPOOL_REMOVED: &str = "spool_removed";
/// Code of the notice that the marks of a process end before it left pytest, since its file was removed.
pub const MARKS_MISSING: &str = "marks_missing";

/// A loss, a limit or a doubt of the recorder's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoticeReport {
    /// A short name, such as `marks_malformed`.
    pub code: String,
    /// What there was, the first time.
    pub message: String,
    /// How often.
    pub count: u64,
}

impl fmt::Display for NoticeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code == SAMPLES_THINNED {
            let Self { count, message, .. } = self;
            return write!(
                f,
                "{count} s of the recording are kept with about one value a second instead of all: {message}"
            );
        }
        match (self.message.as_str(), self.count) {
            ("", count) => write!(f, "{}: {count}", self.code),
            (message, 1) => write!(f, "{}: {message}", self.code),
            (message, count) => write!(f, "{}: {message} ({count} times)", self.code),
        }
    }
}

/// What recording took itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecorderReport {
    /// CPU time of the agent, user and system.
    pub cpu_us: u64,
    /// Highest RSS of the agent.
    pub rss_bytes: u64,
}

/// Life cycle of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Batches are coming.
    Running,
    /// Its end was reported and every announced batch is there.
    Finished,
    /// Its end was reported, but batches are still missing.
    Incomplete,
    /// It fell silent without an end.
    Lost,
}

/// One CI workflow run or one local invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunReport {
    /// `github`, `gitlab`, …, or `local`.
    pub provider: String,
    /// The provider's run id.
    pub id: String,
    /// Branch; empty when not known.
    pub branch: String,
    /// The commit under test.
    pub head_commit: String,
    /// The commit it is compared with: where a pull request or a branch began, or what a push to the trunk came after; empty when not known.
    pub base_commit: String,
    /// Committer time of the head commit, RFC 3339; empty when not known.
    pub commit_at: String,
    /// Number of the pull request; empty outside.
    pub pull_request: String,
    /// True when the run belongs to a fork.
    pub fork: bool,
    /// What set it off, in the provider's word.
    pub event: String,
    /// Page of the run at its provider.
    pub url: String,
}

/// A matrix leg as people write it: `key=value` of each of its parts.
#[must_use]
pub fn leg(variant: &BTreeMap<String, String>) -> Vec<String> {
    let parts = variant.iter();
    parts.map(|(key, value)| format!("{key}={value}")).collect()
}

/// Shard `index` of `total`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShardReport {
    /// From 1.
    pub index: u32,
    /// How many there are.
    pub total: u32,
}

/// What a job's numbers may depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentReport {
    /// `linux`, …
    pub os: String,
    /// `x86_64`, …
    pub arch: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Processors.
    pub cpus: u32,
    /// Memory of the machine.
    pub memory_total_bytes: u64,
    /// Swap of the machine.
    pub swap_total_bytes: u64,
    /// Size of a page.
    pub page_bytes: u64,
    /// 0 (none), 1 or 2.
    pub cgroup_version: u32,
    /// Versions of python, pytest and the plugin.
    pub versions: BTreeMap<String, String>,
}

/// A pytest session inside the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionReport {
    /// From 1, in the order they began.
    pub ordinal: u32,
    /// Identity made by the plugin; 32 hexadecimal digits.
    pub id: String,
    /// Its root directory.
    pub root: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// xdist's distribution mode; `no` without.
    pub dist: String,
    /// Workers asked for with `-n`; 0 without xdist.
    pub numprocesses: u32,
    /// When it began.
    pub began_us: Option<i64>,
    /// When it ended; none when that was not seen.
    pub ended_us: Option<i64>,
    /// pytest's exit status; none when it never said one.
    pub exit_status: Option<i32>,
    /// Executions of tests.
    pub tests: u64,
    /// Of them without an end: they ran when their process was gone, or the job still runs.
    #[serde(default)]
    pub unfinished: u64,
    /// Tests that were to run and never began; none where that is not known.
    #[serde(default)]
    pub not_begun: Option<u64>,
    /// Of the executions failed or in error.
    pub failed: u64,
    /// Its tests were read from the memory of its processes, without the plugin: their outcomes are not known, what lies between two samples is
    /// missing, and there are no fixtures and imports.
    #[serde(default)]
    pub sampled: bool,
    /// How its pytest was gone without telling an end, while the job goes on; of a job that ended its ending tells that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallen: Option<Fallen>,
}

/// The end of a pytest that told none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fallen {
    /// When it was gone, µs since the job's start.
    pub at_us: i64,
    /// Whether the kernel killed it for memory.
    pub by_kernel: bool,
    /// It in a sentence.
    pub sentence: String,
}

impl SessionReport {
    /// Whether it has begun and goes on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended_us.is_none() && self.exit_status.is_none() && self.fallen.is_none()
    }

    /// What it was asked to run, as its command line has it; where nothing was, its root directory.
    #[must_use]
    pub fn asked(&self) -> String {
        match self.args.is_empty() {
            true => self.root.clone(),
            false => self.args.join(" "),
        }
    }
}

/// What a peak of several processes adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PeakMetric {
    /// RSS of one process: the only one, or one whose mark alone is above all that was measured together.
    #[default]
    Rss,
    /// RSS corrected by the last measured PSS, so that shared pages count once.
    PssCorrected,
    /// Sum of RSS: PSS could not be read, shared pages count once a process.
    RssSum,
}

/// A constraint on memory, with its own measure of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitUse {
    /// Which constraint.
    pub kind: LimitKind,
    /// Path of the cgroup; empty for others.
    pub path: String,
    /// The most it allows.
    pub limit_bytes: u64,
    /// The most that was used of it.
    pub worst_used_bytes: u64,
}

impl LimitUse {
    /// What was left at the worst, bytes; less than nothing where it was passed.
    #[must_use]
    pub fn left_bytes(&self) -> i64 {
        let used = self.worst_used_bytes.cast_signed();
        self.limit_bytes.cast_signed().saturating_sub(used)
    }

    /// The one with the least room.
    #[must_use]
    pub fn tightest(limits: &[Self]) -> Option<&Self> {
        limits.iter().min_by_key(|limit| limit.left_bytes())
    }
}

/// Which constraint a limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// A memory cgroup; use is the working set (usage minus inactive_file).
    Cgroup,
    /// The machine; use is total minus MemAvailable.
    Machine,
    /// A budget set by the user; use is the tree's memory.
    Budget,
}

impl LimitKind {
    /// The word that the API, the wire and the pages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Machine => "machine",
            Self::Budget => "budget",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gave_way_to_a_full_disk_is_told_as_a_time() {
        let notice = NoticeReport {
            code: SAMPLES_THINNED.to_owned(),
            message: "the disk of the spool was full".to_owned(),
            count: 412,
        };
        assert_eq!(
            notice.to_string(),
            "412 s of the recording are kept with about one value a second instead of all: the disk of the spool was full"
        );
    }
}
