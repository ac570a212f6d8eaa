use serde::{Deserialize, Serialize};

/// A test file that a session was to run, as pytest told when it had collected: in exports only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectedRow {
    /// Ordinal of the session.
    pub session: u32,
    /// Its place in the order in which the files were to begin, from 1.
    pub place: u64,
    /// Path of the test file; none for those together of which nothing but their number was told.
    pub path: Option<String>,
    /// How many files it is: 1 where it has a path.
    pub files: u64,
    /// How many of its tests were to run; none where it has no path.
    pub tests: Option<u64>,
}
