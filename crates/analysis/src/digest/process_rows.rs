//! One row a process: who it was, its highest RSS, and the balance of its memory.

use highwater_wire::{
    report::{PeakKind, ProcessRow, Role},
    v1::Metric,
};

use super::{
    memory::Memory,
    processes::ProcessFacts,
    readings::values,
    walk::{self, Walk},
};
use crate::recording::{Recording, Subject};

pub(super) fn rows(
    recording: &Recording,
    processes: &[ProcessFacts],
    walks: &[Walk<'_>],
    memory: &Memory,
) -> Vec<ProcessRow> {
    let walks = walk::by_process(walks, processes.len());
    let row = |(position, process): (usize, &ProcessFacts)| {
        let walk = walks[position];
        let sampled = if process.role == Role::Other {
            let subject = Subject::Process(process.key);
            values(recording, &subject, Metric::OtherRss).max()
        } else {
            memory.highest_rss(position).map(|(_, bytes)| bytes)
        };
        let sampled = sampled.unwrap_or(0);
        let (mut peak, mut kind) = walk
            .and_then(|walk| walk.peak)
            .map_or((0, PeakKind::Sampled), |peak| (peak.bytes, peak.kind));
        // A sample may be above the kernel's mark of the same moment by what the kernel counts late.
        if sampled > peak.saturating_add(process.peak_error_bytes.cast_signed()) {
            (peak, kind) = (sampled, PeakKind::Sampled);
        }
        ProcessRow {
            id: process.number,
            pid: process.key.pid,
            parent_pid: process.parent_pid,
            role: process.role,
            worker: process.worker.clone(),
            session: walk.and_then(first_session),
            command: process.command.clone(),
            started_us: process.started_us,
            ended_us: process.ended_us,
            peak_bytes: peak.max(0).cast_unsigned(),
            peak_kind: kind,
            exact_reason: process.exact_reason.clone(),
            oom_score_adj: process.oom_score_adj,
            as_large_as_parent: process.as_large_as_parent,
            books: walk.and_then(|walk| walk.books),
            // A controller leaves that to its workers.
            collections: walk
                .filter(|_| process.role != Role::Controller)
                .map_or_else(Vec::new, |walk| walk.collections.clone()),
        }
    };
    processes.iter().enumerate().map(row).collect()
}

/// The session of its first test, else the one it began.
fn first_session(walk: &Walk<'_>) -> Option<u32> {
    walk.tests.first().map(|test| test.session).or(walk.session)
}
