//! The lanes: who ran which file when.

use highwater_wire::report::PeakKind;
use serde::{Deserialize, Serialize};

use super::{
    children::Children,
    memory::Memory,
    processes::ProcessFacts,
    walk::{Span, Walk},
};

/// An uninterrupted stretch of executions of one test file on one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Number of the process.
    pub process: u32,
    /// `gw0`; none outside xdist.
    pub worker: Option<String>,
    /// Ordinal of the session.
    pub session: u32,
    /// Path of the test file.
    pub path: String,
    /// µs since the job's start.
    pub began_us: i64,
    /// µs since the job's start; none when its last test never ended.
    pub ended_us: Option<i64>,
    /// RSS when it began.
    pub start_bytes: i64,
    /// RSS when it ended, or the last that was seen.
    pub end_bytes: i64,
    /// Highest RSS inside.
    pub peak_bytes: i64,
    /// Where that comes from.
    pub peak_kind: PeakKind,
    /// Highest simultaneous memory of the process and its descendants inside.
    pub tree_peak_bytes: i64,
    /// Its highest above its start and above what modules that its tests imported, and fixtures that several files share, had taken until then.
    #[serde(default)]
    pub spike_bytes: i64,
    /// The same with what its process's descendants took above what they held when it began.
    #[serde(default)]
    pub tree_spike_bytes: i64,
    /// What those descendants held when it began.
    #[serde(default)]
    pub children_start_bytes: i64,
    /// What they held more when it ended, without those that fixtures started which several files share.
    #[serde(default)]
    pub children_retained_bytes: i64,
    /// Its change without what follows: still held afterwards.
    #[serde(default)]
    pub retained_bytes: i64,
    /// The part of its change that modules which its tests imported made.
    #[serde(default)]
    pub late_import_bytes: i64,
    /// The part of its change that fixtures made which several files share: set-ups, and teardowns of those that outlive files.
    #[serde(default)]
    pub shared_fixture_bytes: i64,
    /// The part of `retained_bytes` that set-ups and teardowns of other fixtures made.
    pub fixture_bytes: i64,
    /// The part of `retained_bytes` that fell between its tests.
    pub between_bytes: i64,
    /// Executions.
    pub tests: u64,
    /// Of them failed or in error.
    pub failed: u64,
}

impl Visit {
    /// The part of its change that is nobody's: of modules that its tests imported, and of fixtures that several files share.
    pub(super) fn of_others_bytes(&self) -> i64 {
        self.late_import_bytes
            .saturating_add(self.shared_fixture_bytes)
    }
}

pub(super) fn kind_of(span: &Span) -> PeakKind {
    if span.sampled {
        PeakKind::Sampled
    } else {
        PeakKind::Exact
    }
}

pub(super) fn rows(
    walks: &[Walk<'_>],
    processes: &[ProcessFacts],
    memory: &Memory,
    children: &[Children<'_>],
) -> Vec<Visit> {
    let mut visits: Vec<Visit> = walks
        .iter()
        .zip(children)
        .flat_map(|(walk, children)| {
            let process = &processes[walk.process];
            walk.visits.iter().map(move |visit| {
                let until = visit.ended_us.unwrap_or(i64::MAX);
                let children = children.of_span(visit.began_us, visit.ended_us, visit.span.peak);
                let subtree = memory.highest_subtree_in(walk.process, visit.began_us, until);
                Visit {
                    process: process.number,
                    worker: process.worker.clone(),
                    session: visit.session,
                    path: visit.path.to_owned(),
                    began_us: visit.began_us,
                    ended_us: visit.ended_us,
                    start_bytes: visit.span.start,
                    end_bytes: visit.span.end,
                    peak_bytes: visit.span.peak,
                    peak_kind: kind_of(&visit.span),
                    tree_peak_bytes: subtree.unwrap_or(0).max(visit.span.peak),
                    spike_bytes: visit.span.spike_bytes,
                    tree_spike_bytes: visit.span.spike_bytes.saturating_add(children.spike_bytes),
                    children_start_bytes: children.start_bytes,
                    children_retained_bytes: children.retained_bytes,
                    retained_bytes: visit.span.retained(),
                    late_import_bytes: visit.span.late_import_bytes,
                    shared_fixture_bytes: visit.span.shared_fixture_bytes,
                    fixture_bytes: visit.fixture_bytes,
                    between_bytes: visit.between_bytes,
                    tests: visit.tests,
                    failed: visit.failed,
                }
            })
        })
        .collect();
    visits.sort_by_key(|visit| (visit.began_us, visit.process));
    visits
}
