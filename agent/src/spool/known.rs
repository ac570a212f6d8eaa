//! What is in a spool already, for whoever goes on with it.

use std::collections::{BTreeMap, HashSet};

use highwater_wire::v1::{Batch, Mark, StreamCount};
use prost::Message as _;
use uuid::Uuid;

use super::Recorded;

/// A mark and whose it is: process, start, and all it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MarkIdentity(u32, u64, Vec<u8>);

impl MarkIdentity {
    /// The identity of a mark of a batch.
    #[must_use]
    pub fn of(batch: &Batch, mark: &Mark) -> Self {
        let process = batch.processes.get(mark.process as usize);
        let (pid, start_ticks) =
            process.map_or((0, 0), |process| (process.pid, process.start_ticks));
        let mark = Mark {
            process: 0,
            ..mark.clone()
        };
        Self(pid, start_ticks, mark.encode_to_vec())
    }
}

impl Recorded {
    /// Every mark.
    #[must_use]
    pub fn mark_identities(&self) -> HashSet<MarkIdentity> {
        let batches = self.batches.iter().map(|(_, _, batch)| batch);
        batches
            .flat_map(|batch| batch.marks.iter().map(|it| MarkIdentity::of(batch, it)))
            .collect()
    }

    /// How many batches each stream has. Numbers count from 0, so the highest tells, also where some cannot be read any more.
    #[must_use]
    pub fn batches_of_streams(&self) -> BTreeMap<Uuid, u64> {
        let mut counts: BTreeMap<Uuid, u64> = BTreeMap::new();
        for (stream, seq, _) in &self.batches {
            let batches = counts.entry(*stream).or_default();
            *batches = seq.saturating_add(1).max(*batches);
        }
        counts
    }
}

/// The counts as an end announces them.
#[must_use]
pub fn stream_counts(counts: BTreeMap<Uuid, u64>) -> Vec<StreamCount> {
    counts
        .into_iter()
        .map(|(stream, batches)| StreamCount {
            stream: stream.to_string(),
            batches,
        })
        .collect()
}
