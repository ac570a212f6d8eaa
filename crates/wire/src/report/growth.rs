use serde::{Deserialize, Serialize};

use super::LimitKind;

/// How the memory of a session went from one test file to the next, and how far it can go on so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrowthReport {
    /// Ordinal of the session.
    pub session: u32,
    /// What memory did.
    pub course: Course,
    /// It in plain sentences.
    pub sentence: String,
    /// Test files that ran.
    pub files: u64,
    /// What all workers grew by, from the end of their first files to that of their last, bytes; what came before (imports, session fixtures) is nobody's growth.
    pub grown_bytes: i64,
    /// Growth a file, bytes.
    pub per_file_bytes: Span,
    /// Growth a minute, all workers together, bytes.
    pub per_minute_bytes: Span,
    /// The files in which it stepped up, where it grew in steps.
    pub steps: Vec<GrowthStep>,
    /// How far it can go on so; none where it does not grow on, or there is no limit to compare with.
    pub room: Option<Room>,
}

/// What memory did over the test files of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// It ended about where it was after the first file, or went up and down.
    Level,
    /// It grew and levelled off.
    LevelsOff,
    /// It grew in steps for the most part.
    Steps,
    /// It grew on and on.
    Steady,
}

/// A whole number with the interval that covers it nine times in ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Span {
    /// The figure itself.
    pub value: i64,
    /// The low end of the interval.
    pub low: i64,
    /// The high end.
    pub high: i64,
}

/// A file in which memory stepped up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrowthStep {
    /// Path of the file.
    pub path: String,
    /// By so many bytes.
    pub bytes: i64,
}

/// How far memory can go on growing as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Room {
    /// The limit that is met first.
    pub kind: LimitKind,
    /// What is left below it, bytes; negative where it was passed.
    pub bytes: i64,
    /// Files that still fit.
    pub files: Span,
    /// How long that takes, µs.
    pub duration_us: Span,
}
