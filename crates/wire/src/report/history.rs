use serde::{Deserialize, Serialize};

use super::{BaselineJob, CheckFigure, Confidence};

/// Answer of `GET /api/v1/projects/{project}/changes`, of a whole suite or of one file: where its figures changed for good, over jobs alike in the
/// order of their commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesReport {
    /// The file; none for the whole suite.
    pub path: Option<String>,
    /// Branch of the jobs.
    pub branch: String,
    /// Which jobs were looked at.
    pub looked_at: Vec<JobsAlike>,
    /// What came out in plain sentences.
    pub sentence: String,
    /// What changed, the newest first.
    pub changes: Vec<Change>,
    /// How many older changes are not here, as more were found than were asked for.
    pub left_out: u64,
}

/// Jobs that went well and ran alike, so that their figures make a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobsAlike {
    /// Their name.
    pub name: String,
    /// What they have the same: matrix leg, shard, distribution, system and Python.
    pub alike: String,
    /// How many.
    pub jobs: u64,
    /// The one with the oldest commit.
    pub first: Option<BaselineJob>,
    /// The one with the newest.
    pub last: Option<BaselineJob>,
}

/// A figure that changed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// Which figure: `peak` or `imports` of the job, `retained` or `spike` of a file.
    pub figure: CheckFigure,
    /// Of which file; none for one of the job.
    pub path: Option<String>,
    /// Name of the jobs.
    pub name: String,
    /// What they have the same.
    pub alike: String,
    /// At once, or little by little.
    pub kind: ChangeKind,
    /// Whether it takes more since, or less.
    pub direction: Direction,
    /// How sure it is that it changed, and that it did so there.
    pub confidence: Confidence,
    /// It in a plain sentence.
    pub sentence: String,
    /// The first job of the new level; of a creep the first job of the climb.
    pub since: BaselineJob,
    /// The job before that one: the change is of a commit after this one's. None where a series begins with a creep.
    pub last_before: Option<BaselineJob>,
    /// The last job of the new level, or of the climb.
    pub until: BaselineJob,
    /// Whether that is the newest job that has the figure, so that it is still so.
    pub is_current: bool,
    /// The figure since; of a creep at its end.
    pub bytes: i64,
    /// What it was before; of a creep at its beginning.
    pub before_bytes: i64,
    /// The one minus the other.
    pub change_bytes: i64,
    /// Of a creep how much a job; none of a step.
    pub per_job_bytes: Option<i64>,
    /// How far the figure lies from its level without a reason, a standard deviation.
    pub noise_bytes: i64,
    /// Jobs of the new level, or of the climb.
    pub jobs: u64,
    /// Jobs of the level before; of a creep those of the series before it.
    pub jobs_before: u64,
}

/// How a figure changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// From one job to the next.
    Step,
    /// Little by little over many jobs, of which none shows it.
    Creep,
}

/// Where a figure went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It takes more.
    Worse,
    /// It takes less.
    Better,
}
