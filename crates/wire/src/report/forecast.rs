use serde::{Deserialize, Serialize};

use super::{LimitKind, Span};

/// What memory comes to by the end of a session, if it goes on as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForecastReport {
    /// Ordinal of the session.
    pub session: u32,
    /// It in plain sentences.
    pub sentence: String,
    /// Test files that ended.
    pub files_done: u64,
    /// Those and the ones to come.
    pub files: u64,
    /// Of the files to come, those that a job of the same name ran before.
    pub files_known: u64,
    /// The branch or pull request of that job, in words, where it is neither the job's own nor a baseline's, so that its code may be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    /// Whether it is worth a warning: the session goes on, and with a chance of three in four a limit is crossed before the last file ends.
    pub is_warning: bool,
    /// The peak of the job at the end, bytes.
    pub peak_bytes: Span,
    /// Each limit that was not reached yet, the one first that is most likely crossed.
    pub crossings: Vec<LimitCrossing>,
}

/// Where a limit would be crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitCrossing {
    /// Which constraint.
    pub kind: LimitKind,
    /// Path of the cgroup; empty for others.
    pub path: String,
    /// The most it allows.
    pub limit_bytes: u64,
    /// How likely it is crossed before the last file ends, of a hundred.
    pub percent: u32,
    /// At which file, counted from 1 in the order in which they end; none where that is not likely.
    pub file: Option<u64>,
    /// The low end of the interval that covers it nine times in ten; none where the limit holds nineteen times in twenty.
    pub file_low: Option<u64>,
    /// The high end; none where it may not be crossed at all.
    pub file_high: Option<u64>,
    /// Path of that file; empty where the order is not known, as with several workers.
    pub test_file: String,
}
