//! The documents that `GET /api/v1/…` answers and `--summary` writes, made alike by server and agent.
//!
//! Sizes are bytes and durations microseconds, as integers; times of day are RFC 3339 in UTC; `…_us` without
//! "duration" in its name counts from the job's start.

mod acknowledgement;
mod check;
mod collected;
mod compare;
mod diagnosis;
mod ending;
mod files;
mod forecast;
mod growth;
mod history;
mod job;
mod plan;
mod processes;
mod remarks;
mod tests_and_fixtures;

pub use acknowledgement::{
    Acknowledged, Acknowledgement, AcknowledgementsPage, MOST_BY, MOST_DAYS, MOST_REASON,
    NewAcknowledgement,
};
pub use check::{
    Baseline, BaselineJob, ChangedFixture, CheckFigure, CheckLimits, CheckReport, CheckVerdict,
    Finding, FindingCause, LimitName, MovedFile, Refuted, Remeasured, SetLimit, TestCounts,
    Unsteady,
};
pub use collected::CollectedRow;
pub use compare::{
    ComparedFigure, ComparedFile, ComparedFixture, ComparedJob, ComparedSide, ComparisonReport,
    FileChange, FileComparison, FileCounts, FixtureComparison,
};
pub use diagnosis::{Advice, Diagnosis, Grown, PytestKeeps, Why};
pub use ending::{Confidence, Culprit, Ending, Evidence, RUNNING, Verdict};
pub use files::{FileRow, FilesPage, LateImport, WorkerFigures};
pub use forecast::{ForecastReport, LimitCrossing};
pub use growth::{Course, GrowthReport, GrowthStep, Room, Span};
pub use history::{Change, ChangeKind, ChangesReport, Direction, JobsAlike};
pub use job::{
    EnvironmentReport, Fallen, JobReport, JobState, LimitKind, LimitUse, MARKS_MISSING,
    NoticeReport, PeakMetric, RecorderReport, RunReport, SAMPLES_THINNED, SPOOL_REMOVED,
    SessionReport, ShardReport, leg,
};
pub use plan::{
    Alternative, AlternativeKind, Bound, BudgetLimit, PlanHint, PlanReport, PlannedJob, Predicted,
    Together,
};
pub use processes::{Books, Collection, PeakKind, ProcessRow, ProcessesPage, Role};
pub use remarks::{Remark, RemarkKind, ReportDocument, Severity};
pub use tests_and_fixtures::{FixtureRow, FixturesPage, PhaseRow, TestRow, TestsPage};
