//! The close of a recording, of a command as of the steps of a CI job: its end is written, and what is left of it is sent.

use std::{path::Path, sync::atomic::AtomicBool, time::Duration};

use highwater_wire::v1;
use uuid::Uuid;

use crate::{
    shipper::{Outcome, Shipper},
    spool::{self, Unwritten},
};

/// How long the end waits for a server that has answered before; one that never did gets a twentieth.
const PATIENCE: Duration = Duration::from_secs(20);

/// A recording that nothing is added to any more, as far as this agent goes.
#[derive(Debug)]
pub struct Closed {
    unwritten: Unwritten,
    unwritten_s: i64,
    has_end: bool,
}

/// What became of the sending.
#[derive(Debug)]
pub struct Sending {
    /// Of what was sent; `None` without a sender.
    pub outcome: Option<Outcome>,
    /// What is lost, for the user.
    pub lost: Option<String>,
}

impl Closed {
    /// Writes the end of a recording. `left`: the batches of a stream that the spool has no room for. Answers also what to tell the user.
    #[must_use]
    pub fn with_end(
        folder: &Path,
        stream: Uuid,
        left: &[(u64, v1::Batch)],
        end: &v1::End,
    ) -> (Self, Option<String>) {
        let written = spool::write_end(folder, end);
        let closed = Self {
            unwritten: Unwritten::of(stream, left, written.is_err().then_some(end)),
            unwritten_s: spool::seconds_of(left),
            has_end: true,
        };
        let warning = written
            .err()
            .map(|error| format!("the end of the recording cannot be written: {error}"));
        (closed, warning)
    }

    /// Leaves a recording open whose recorder did not come to its end. How many batches it made is not known, so none can be announced: an end
    /// that announced fewer would be taken for the whole. Nor is the spool touched, whose disk may hang: to the server the job is lost, until
    /// somebody completes what is in the spool.
    #[must_use]
    pub fn without_end() -> Self {
        Self {
            unwritten: Unwritten::default(),
            unwritten_s: 0,
            has_end: false,
        }
    }

    /// Sends what is left, and not for longer than a caller can be kept waiting.
    #[must_use]
    pub fn send(self, shipper: Option<Shipper>, hurry: &AtomicBool) -> Sending {
        let mut outcome = shipper.map(|shipper| shipper.finish(self.unwritten, PATIENCE, hurry));
        if let Some(outcome) = outcome.as_mut().filter(|_| !self.has_end) {
            outcome.complete = false;
            outcome.problem = Some("the recording did not come to its end".to_owned());
        }
        let is_complete = outcome.as_ref().is_some_and(|outcome| outcome.complete);
        let lost = (self.unwritten_s > 0 && !is_complete).then(|| {
            format!(
                "the last {} s of the recording are lost: the disk had no room for them, and no server took them",
                self.unwritten_s
            )
        });
        Sending { outcome, lost }
    }
}
