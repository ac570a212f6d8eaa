use serde::{Deserialize, Serialize};

/// A suite cut into jobs that fit a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanReport {
    /// The job whose recording it rests on.
    pub of: uuid::Uuid,
    /// What a job may take at its peak.
    pub budget_bytes: i64,
    /// What each stands at before its first file, imports and session fixtures included.
    pub base_bytes: i64,
    /// The jobs, the longest first.
    pub jobs: Vec<PlannedJob>,
    /// All files in one job, in the order in which they were recorded, for comparison.
    pub as_recorded: Predicted,
    /// All files in one job, in the order with the lowest peak.
    pub best_order: Predicted,
    /// The recorded job did not run to its end: what it had not even imported is not in the plan.
    pub is_partial: bool,
    /// Files that were imported and did not run in that recording: planned with the figures of those in the middle.
    pub not_run: Vec<String>,
    /// Files whose recording was cut short, so that they need more than is known.
    pub cut_short: Vec<String>,
}

/// One job of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedJob {
    /// From 1.
    pub index: usize,
    /// Its files, in the order that keeps the peak lowest.
    pub files: Vec<String>,
    /// What it leads to.
    #[serde(flatten)]
    pub predicted: Predicted,
}

/// What files run one after another in one process lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Predicted {
    /// Peak.
    pub peak_bytes: i64,
    /// Time.
    pub duration_us: i64,
}
