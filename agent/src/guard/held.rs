//! What the members hold together, with shared pages once.
//!
//! RSS counts the pages that forked workers share once for each of them. PSS tells, but is read rarely; so what it found to be shared
//! is kept, and taken off until the next reading. Of a process whose PSS was not read yet, what it had when it was first seen counts as
//! shared, as far as another member has as much: a fork begins with a copy of its parent. What it has come to hold since counts whole.

use std::collections::HashMap;

use crate::tree::{Member, ProcessKey};

/// What each member shares with others, bytes.
#[derive(Debug, Default)]
pub(super) struct Held {
    shared: HashMap<ProcessKey, u64>,
}

impl Held {
    /// Takes RSS minus PSS of those that were read, bytes.
    pub(super) fn learn(&mut self, shared: Vec<(ProcessKey, u64)>, members: &[Member]) {
        self.shared.extend(shared);
        self.shared
            .retain(|key, _| members.iter().any(|member| member.key == *key));
    }

    /// What the members hold, bytes. One alone shares with nobody in the job.
    pub(super) fn bytes(&mut self, members: &[Member]) -> u64 {
        let known = members
            .iter()
            .filter(|member| self.shared.contains_key(&member.key));
        let most = known.map(|member| member.resident_bytes).max().unwrap_or(0);
        let is_alone = members.len() < 2;
        members
            .iter()
            .map(|member| {
                let resident = member.resident_bytes;
                let shared = *self
                    .shared
                    .entry(member.key)
                    .or_insert_with(|| resident.min(most));
                match is_alone {
                    true => resident,
                    false => resident.saturating_sub(shared),
                }
            })
            .sum()
    }
}
