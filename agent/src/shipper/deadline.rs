//! Until when to try.

use std::time::{Duration, Instant};

use crate::spool::Unwritten;

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// With a server that answered at least once.
    answered: Instant,
    /// With one that never did.
    never_answered: Instant,
    /// What each acknowledgement gives anew, where nobody waits who has better things to do than to wait for a slow server.
    renewal: Option<Duration>,
}

/// The recording is over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) deadline: Deadline,
    /// What the disk had no room for.
    pub(super) unwritten: Option<Unwritten>,
}

impl Deadline {
    /// For a caller who waits: however much the server takes meanwhile, it is over then.
    pub(super) fn fixed(patience: Duration, never_answered: u32) -> Self {
        let now = Instant::now();
        Self {
            answered: now + patience,
            never_answered: now + patience / never_answered,
            renewal: None,
        }
    }

    /// For a caller who has nothing else to do.
    pub(super) fn renewed(patience: Duration, never_answered: u32) -> Self {
        Self {
            renewal: Some(patience),
            ..Self::fixed(patience, never_answered)
        }
    }

    /// Something was acknowledged.
    pub(super) fn progress(&mut self) {
        if let Some(patience) = self.renewal {
            self.answered = Instant::now() + patience;
        }
    }

    /// Whether it is over even for a server that takes everything, but slowly.
    pub(super) fn is_over_for_a_slow_server(&self) -> bool {
        self.renewal.is_none() && self.left(true).is_zero()
    }

    pub(super) fn left(&self, answered: bool) -> Duration {
        self.until(answered)
            .saturating_duration_since(Instant::now())
    }

    pub(super) fn until(&self, answered: bool) -> Instant {
        if answered {
            self.answered
        } else {
            self.never_answered
        }
    }
}
