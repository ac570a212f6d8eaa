use serde::{Deserialize, Serialize};

use super::PeakKind;

/// Answer of `GET /api/v1/jobs/{uuid}/tests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestsPage {
    /// One row an execution.
    pub tests: Vec<TestRow>,
    /// Key of the next page.
    pub next: Option<String>,
}

/// One execution of one node id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestRow {
    /// pytest's name of the test.
    pub nodeid: String,
    /// Path of its test file.
    pub path: String,
    /// Ordinal of the session.
    pub session: u32,
    /// From 1, counted over the whole session in order of time.
    pub execution: u32,
    /// `passed`, `failed`, `error`, `skipped`, `xfailed`, `xpassed`, `rerun`, or `unknown` when it never ended or was sampled (see the session).
    pub outcome: String,
    /// `gw0`; none outside xdist.
    pub worker: Option<String>,
    /// Number of the process that ran it.
    pub process: u32,
    /// When its set-up began.
    pub started_us: i64,
    /// From set-up to the end of teardown.
    pub duration_us: i64,
    /// RSS before the set-up.
    pub start_bytes: i64,
    /// RSS after the teardown.
    pub end_bytes: i64,
    /// Highest RSS of the process inside.
    pub peak_bytes: i64,
    /// Where `peak_bytes` comes from.
    pub peak_kind: PeakKind,
    /// Highest simultaneous memory of the process and its descendants inside; sampled.
    pub tree_peak_bytes: i64,
    /// Highest above the start and above what had been taken until then by modules that it imported and by fixtures that several files share.
    pub spike_bytes: i64,
    /// `spike_bytes`, and what the process and its descendants together rose further than its own peak, where each of these counts with what it took above what
    /// it held at the begin, and one that a fixture started meanwhile which several files share does not; sampled where it is more than `spike_bytes`.
    pub tree_spike_bytes: i64,
    /// End minus start, without `late_import_bytes` and `shared_fixture_bytes`.
    pub retained_bytes: i64,
    /// Change across the imports of modules that it made first in its process.
    #[serde(default)]
    pub late_import_bytes: i64,
    /// Change in it across set-ups and teardowns of fixtures that several files share, as in the row of a file.
    #[serde(default)]
    pub shared_fixture_bytes: i64,
    /// The part of `retained_bytes` that set-ups and teardowns of other fixtures changed.
    pub fixture_bytes: i64,
    /// Change and peak of each phase that ran: set-up, call, teardown.
    pub phases: Vec<PhaseRow>,
}

impl TestRow {
    /// The test under the path of its file: pytest's own name is relative to its root directory.
    #[must_use]
    pub fn name(&self) -> String {
        match self.nodeid.split_once("::") {
            Some((_, name)) => format!("{}::{name}", self.path),
            None => self.nodeid.clone(),
        }
    }
}

/// One phase of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseRow {
    /// `setup`, `call` or `teardown`.
    pub phase: String,
    /// As pytest reported it; `-` when it did not.
    pub outcome: String,
    /// Its duration.
    pub duration_us: i64,
    /// RSS when it began.
    pub start_bytes: i64,
    /// RSS when it ended.
    pub end_bytes: i64,
    /// Highest RSS inside.
    pub peak_bytes: i64,
}

/// Answer of `GET /api/v1/jobs/{uuid}/fixtures`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FixturesPage {
    /// One row a name, scope, defining place and test file.
    pub fixtures: Vec<FixtureRow>,
    /// Key of the next page.
    pub next: Option<String>,
}

/// A fixture, over all its set-ups for one test file (for the session, where its scope is that).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FixtureRow {
    /// Its name.
    pub name: String,
    /// `function`, `class`, `module`, `package` or `session`.
    pub scope: String,
    /// The test file it was set up for; empty for session scope.
    pub path: String,
    /// Node id of where it is defined; empty for a plugin's.
    pub base: String,
    /// Ordinal of the session.
    pub session: u32,
    /// How often it was set up, over all workers.
    pub setups: u64,
    /// Change across its set-ups, without the fixtures it asks for; summed.
    pub setup_bytes: i64,
    /// What its teardowns gave back; summed.
    pub released_bytes: i64,
    /// `setup_bytes` minus `released_bytes`.
    pub retained_bytes: i64,
    /// Largest RSS above its start that one set-up reached, by peaks inside it, without the fixtures it asks for.
    pub spike_bytes: i64,
    /// What the processes held that a set-up of it started, at the end of the visit of a test file that it was set up in; sampled, and the most of any set-up.
    /// Told of scopes `session` and `package` where no test file defines it; else 0.
    #[serde(default)]
    pub children_bytes: i64,
    /// Time in set-ups and teardowns, summed.
    pub duration_us: i64,
    /// Set-ups whose teardown was never seen.
    pub open: u64,
}

impl FixtureRow {
    /// The most that it took, gave back or had processes hold that it started, bytes.
    #[must_use]
    pub fn size_bytes(&self) -> i64 {
        let own = self.setup_bytes.abs().max(self.retained_bytes.abs());
        own.max(self.children_bytes)
    }
}
