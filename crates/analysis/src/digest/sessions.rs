//! The pytest sessions of a job and their ordinals.

use std::collections::BTreeMap;

use highwater_wire::v1::Session;

use super::processes::ProcessFacts;
use crate::recording::Recording;

#[derive(Debug)]
pub(super) struct Sessions {
    ordered: Vec<Session>,
    of_process: BTreeMap<usize, Vec<u32>>,
}

impl Sessions {
    pub(super) fn of(recording: &Recording, processes: &[ProcessFacts]) -> Self {
        let ordered: Vec<Session> = recording.sessions().into_iter().cloned().collect();
        let ordinals: BTreeMap<&str, u32> =
            ordered.iter().map(|s| s.id.as_str()).zip(1..).collect();
        let of_process = processes
            .iter()
            .enumerate()
            .map(|(at, process)| {
                let known = |id: &String| ordinals.get(id.as_str()).copied();
                (at, process.sessions.iter().filter_map(known).collect())
            })
            .collect();
        Self {
            ordered,
            of_process,
        }
    }

    /// In the order of their ordinals.
    pub(super) fn ordered(&self) -> &[Session] {
        &self.ordered
    }

    /// Whether the tests of a session were read from outside.
    pub(super) fn is_sampled(&self, ordinal: u32) -> bool {
        let position = (ordinal as usize).checked_sub(1);
        position
            .and_then(|at| self.ordered.get(at))
            .is_some_and(|session| session.sampled)
    }

    /// Ordinal of the nth session that a process took part in (from 0); 1 where nothing was said.
    pub(super) fn ordinal(&self, process: usize, nth: usize) -> u32 {
        let own = self.of_process.get(&process).map_or(&[][..], Vec::as_slice);
        own.get(nth).or(own.last()).copied().unwrap_or(1)
    }
}
