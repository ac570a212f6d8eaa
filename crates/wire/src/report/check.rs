use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Acknowledged;

/// Answer of `GET /api/v1/jobs/{uuid}/check`: whether the memory of a job got worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckReport {
    /// The job that was checked.
    pub job: Uuid,
    /// What came out.
    pub verdict: CheckVerdict,
    /// It in plain sentences.
    pub sentence: String,
    /// What it was compared with.
    pub baseline: Baseline,
    /// Figures that were compared.
    pub compared: u64,
    /// What got worse, and what is over or near a limit; what fails the check first, then the largest.
    pub findings: Vec<Finding>,
    /// What got better, the largest first.
    pub better: Vec<Finding>,
    /// Files of the job that no job of the baseline ran.
    pub new_files: Vec<String>,
    /// Files that the newest job of the baseline ran and this one did not.
    pub gone_files: Vec<String>,
    /// Files that have another name since jobs of the baseline, and are compared with what they were under the old one.
    #[serde(default)]
    pub moved_files: Vec<MovedFile>,
    /// Files of which too few jobs of the baseline have figures.
    pub too_few: Vec<String>,
    /// Files that are not compared, since tests of them failed or were cut short.
    pub left_out: Vec<String>,
    /// Figures that varied so much before that only a large change of them is told, those that vary most first.
    #[serde(default)]
    pub unsteady: Vec<Unsteady>,
    /// Globs that limits of files were given for and no file of the job is like.
    pub unmatched_limits: Vec<String>,
}

/// A file that has another name now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MovedFile {
    /// Its path.
    pub path: String,
    /// Its path before.
    pub moved_from: String,
}

/// A figure of which a change that matters may stay untold: more than 20 MB and a tenth of the job's peak, or of the file's, of which in a large process no more counts than 200 MB or twice what the file itself took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Unsteady {
    /// Which figure.
    pub figure: CheckFigure,
    /// Of which test file; none of the job's own.
    pub path: Option<String>,
    /// From which change on it would have been told, bytes.
    pub least_bytes: i64,
}

/// What came out of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// Nothing got worse, as far as anybody can tell.
    Clean,
    /// Something did, or is over a limit, and nobody has acknowledged it.
    Regression,
    /// There is too little to compare with.
    NotEnoughData,
}

/// The jobs that a job was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Baseline {
    /// Their branch.
    pub branch: String,
    /// They, in the order of their commits, the newest last.
    pub jobs: Vec<BaselineJob>,
    /// Figures of them that confirming runs refuted: each counts as what it was then.
    #[serde(default)]
    pub refuted: Vec<Refuted>,
}

/// A figure of a file that was worse than in the jobs before, and was not so when its file ran again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refuted {
    /// The job that it was of.
    pub job: Uuid,
    /// Which figure.
    pub figure: CheckFigure,
    /// Of which file.
    pub path: String,
    /// What it was in that job.
    pub bytes: i64,
    /// What it was when the file ran again.
    pub again: Remeasured,
}

/// A job of a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BaselineJob {
    /// Which job.
    pub uuid: Uuid,
    /// Its commit; empty when not known.
    pub commit: String,
    /// What it is ordered by: when that was committed, or where that is not known when the job began; RFC 3339.
    pub ordered_at: String,
}

/// A figure that got worse or better, or is over or near a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Which figure.
    pub figure: CheckFigure,
    /// Of which file; none for one of the job.
    pub path: Option<String>,
    /// Why it is told.
    pub cause: FindingCause,
    /// The limit that it is over or near; none where no limit is the cause.
    #[serde(default)]
    pub limit: Option<SetLimit>,
    /// It in a plain sentence.
    pub sentence: String,
    /// The figure of this job.
    pub bytes: i64,
    /// What it was before; none for a limit.
    pub before_bytes: Option<i64>,
    /// Which change would have been told; the limit itself for a limit.
    pub least_bytes: i64,
    /// How far the figure lay from its level in the jobs before without a reason, a standard deviation; none for a limit.
    pub noise_bytes: Option<i64>,
    /// Where a job before this one has it already: which, the first of them.
    pub since: Option<BaselineJob>,
    /// Tests of the file in this job, and in the newest before; none for a figure of the job.
    pub tests: Option<TestCounts>,
    /// Where somebody knows of it: it is told, and does not fail the check.
    #[serde(default)]
    pub acknowledged: Option<Acknowledged>,
    /// Where its file ran again: what it was then. What is not confirmed does not fail the check.
    #[serde(default)]
    pub again: Option<Remeasured>,
    /// Of a change of the job's peak or headroom: shared fixtures of which one set-up takes more than it did before the change, the largest first, three at most.
    #[serde(default)]
    pub fixtures: Vec<ChangedFixture>,
}

/// A shared fixture (of scope `session` or `package`, defined in a `conftest.py` or a plugin) of which one set-up takes more than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangedFixture {
    /// Its name.
    pub name: String,
    /// Node id of where it is defined; empty for a plugin's.
    pub base: String,
    /// What one set-up takes in this job, in the mean.
    pub bytes: i64,
    /// What it took in the last job of the baseline without the change; none where it was not set up there.
    pub before_bytes: Option<i64>,
}

/// What a project lets its jobs and files take, as it was set where the job was recorded; bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CheckLimits {
    /// The job's peak at the most.
    pub max_peak_bytes: Option<i64>,
    /// The job's headroom at the least.
    pub min_headroom_bytes: Option<i64>,
    /// What each file retains at the most.
    pub max_retained_bytes: Option<i64>,
    /// What each file needs for a while at the most.
    pub max_spike_bytes: Option<i64>,
    /// Of some files, each as `file_limit` of the check takes it.
    pub files: Vec<String>,
}

/// A limit of a check, and whom it was set for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetLimit {
    /// Which limit.
    pub name: LimitName,
    /// The files that it was set for, a glob; none where it is of the job or of every file.
    pub files: Option<String>,
}

/// A limit of a check, by the name that the query has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// What a peak is at the most: of the job, or of files the tree peak.
    MaxPeak,
    /// The job's headroom at the least.
    MinHeadroom,
    /// What a file retains at the most.
    MaxRetained,
    /// What a file needs for a while at the most.
    MaxSpike,
}

impl LimitName {
    /// The word that settings and flags use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxPeak => "max-peak",
            Self::MinHeadroom => "min-headroom",
            Self::MaxRetained => "max-retained",
            Self::MaxSpike => "max-spike",
        }
    }
}

/// A second measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Remeasured {
    /// The job that made it.
    pub job: Uuid,
    /// What the figure was then; of a peak, and of the job's headroom, what it is without what files took less.
    pub bytes: i64,
    /// Whether the lesser of both measurements is a finding too.
    pub confirms: bool,
}

impl Finding {
    /// Whether it fails the check.
    #[must_use]
    pub fn fails(&self) -> bool {
        matches!(self.cause, FindingCause::Changed | FindingCause::Limit)
            && self.acknowledged.is_none()
            && self.again.is_none_or(|again| again.confirms)
    }
}

/// How many tests a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestCounts {
    /// In this job.
    pub now: u64,
    /// In the newest job of the baseline that ran the file.
    pub before: u64,
}

/// A figure that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckFigure {
    /// The peak of the job, or the tree peak of a file, which is held to limits alone.
    Peak,
    /// The job's headroom; less is worse.
    Headroom,
    /// What the imports of the job's test files took, and of modules that their tests imported late.
    Imports,
    /// What a file retained.
    Retained,
    /// What a file needed for a while, its children's memory included.
    Spike,
}

impl CheckFigure {
    /// The word that every form uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Peak => "peak",
            Self::Headroom => "headroom",
            Self::Imports => "imports",
            Self::Retained => "retained",
            Self::Spike => "spike",
        }
    }
}

impl std::str::FromStr for CheckFigure {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        use CheckFigure::{Headroom, Imports, Peak, Retained, Spike};
        let mut all = [Peak, Headroom, Imports, Retained, Spike].into_iter();
        all.find(|figure| figure.as_str() == word).ok_or_else(|| {
            format!("{word:?} is no figure of a check: peak, headroom, imports, retained or spike")
        })
    }
}

/// Why a figure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingCause {
    /// It changed with this job.
    Changed,
    /// It changed before: the newest job of the baseline has it already. It does not fail the check.
    ChangedBefore,
    /// It is over a limit that was set.
    Limit,
    /// It is within a tenth of a limit that was set. It does not fail the check.
    NearLimit,
}
