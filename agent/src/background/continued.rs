//! The spool of a job that an agent goes on with after another: the plugin's files are read again from their begin, so the marks that are in
//! the spool already are left out.

use std::{collections::HashSet, error::Error, fs::File};

use highwater_wire::v1::Batch;
use uuid::Uuid;

use super::state::Beside;
use crate::{
    recorder::BatchSink,
    spool::{Handoff, Less, MarkIdentity, Recorded, Removed, Spool},
};

/// A spool, and the marks that agents before this one put there.
#[derive(Debug)]
pub(super) struct Continued {
    spool: Spool,
    known: HashSet<MarkIdentity>,
    known_until_us: Option<i64>,
    beside: Option<Beside>,
}

impl Continued {
    /// A spool that is new.
    #[must_use]
    pub(super) fn new(spool: Spool) -> Self {
        Self {
            spool,
            known: HashSet::new(),
            known_until_us: None,
            beside: None,
        }
    }

    /// Keeps what else lies in the job's folder, where somebody removes it.
    #[must_use]
    pub(super) fn with(mut self, beside: Beside) -> Self {
        self.beside = Some(beside);
        self
    }

    /// Writes no more, as [`Spool::into_lock`].
    #[must_use]
    pub(super) fn into_lock(self) -> Option<File> {
        self.spool.into_lock()
    }

    /// A spool that was written before.
    #[must_use]
    pub(super) fn after(spool: Spool, recorded: &Recorded) -> Self {
        let batches = recorded.batches.iter().map(|(_, _, batch)| batch);
        Self {
            spool,
            known: recorded.mark_identities(),
            known_until_us: Some(batches.map(|batch| batch.to_us).max().unwrap_or(0)),
            beside: None,
        }
    }

    /// Identity of this start of the agent.
    #[must_use]
    pub(super) fn stream(&self) -> Uuid {
        self.spool.stream()
    }

    /// How its sender is told of what is written.
    pub(super) fn handoff(&self) -> Handoff {
        self.spool.handoff()
    }

    /// Until when agents before this one recorded, µs since the job's start; `None` where there was none.
    #[must_use]
    pub(super) fn known_until_us(&self) -> Option<i64> {
        self.known_until_us
    }
}

impl BatchSink for Continued {
    fn append(&mut self, seq: u64, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.known.is_empty() {
            self.spool.append(seq, batch)?;
        } else {
            let mut rest = batch.clone();
            rest.marks
                .retain(|mark| !self.known.contains(&MarkIdentity::of(batch, mark)));
            self.spool.append(seq, &rest)?;
        }
        if let Some(beside) = &self.beside {
            beside.keep(self.spool.folder());
        }
        Ok(())
    }

    fn take_less(&mut self) -> Less {
        self.spool.take_less()
    }

    fn take_removed(&mut self) -> Option<Removed> {
        self.spool.take_removed()
    }

    fn be_quick(&mut self) {
        self.spool.be_quick();
    }
}
