//! What a job stands on, whatever it runs: the processes of pytest before their first file.

use std::{borrow::Borrow, collections::BinaryHeap};

use super::{File, peak, top};

/// The processes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// What each that runs tests stands at before its first file, bytes.
    pub base_bytes: i64,
    /// What it needs above that for a while as it sets up the fixtures that files share, bytes.
    pub set_up_bytes: i64,
    /// What the one that hands out the tests takes, where there are several that run them, bytes.
    pub controller_bytes: i64,
    /// How many run tests; 1 without xdist.
    pub workers: u32,
}

impl Ground {
    /// One process that runs everything.
    #[must_use]
    pub fn alone(base_bytes: i64) -> Self {
        Self {
            base_bytes,
            set_up_bytes: 0,
            controller_bytes: 0,
            workers: 1,
        }
    }

    /// Before the first file, bytes.
    pub(super) fn idle_bytes(self) -> i64 {
        match self.workers {
            0 | 1 => self.base_bytes,
            workers => self
                .base_bytes
                .saturating_mul(i64::from(workers))
                .saturating_add(self.controller_bytes),
        }
    }

    /// The peak of one process before its first file, bytes.
    pub(super) fn begin_bytes(self) -> i64 {
        self.base_bytes.saturating_add(self.set_up_bytes)
    }

    /// The peak of files on top of it, bytes. In one process they run in their order. Among workers nobody knows which runs when: a file that is over holds
    /// what it retains, one that runs or sets up what files share needs what it takes at most, and no more do at once than there are workers; so no order and
    /// no share leads higher.
    #[must_use]
    pub fn peak<F: Borrow<File>>(self, files: &[F]) -> i64 {
        if self.workers <= 1 {
            return peak(self.base_bytes, files).max(self.begin_bytes());
        }
        let workers = usize::try_from(self.workers).unwrap_or(usize::MAX);
        let (mut kept, mut highest) = (0, BinaryHeap::new());
        for file in files.iter().map(Borrow::borrow) {
            let retained = file.retained_bytes.max(0);
            kept += retained;
            highest.push(std::cmp::Reverse(top(file) - retained));
            if highest.len() > workers {
                highest.pop();
            }
        }
        let at_once = highest.into_iter().map(|above| above.0);
        let at_once: i64 = at_once.map(|above| above.max(self.set_up_bytes)).sum();
        self.idle_bytes()
            .saturating_add(kept)
            .saturating_add(at_once)
    }

    /// How long files take, µs: each goes to the worker that is free first, in their order.
    #[must_use]
    pub fn duration_us<F: Borrow<File>>(self, files: &[F]) -> i64 {
        // Of more workers than files some have nothing to do.
        let workers = usize::try_from(self.workers)
            .unwrap_or(usize::MAX)
            .clamp(1, files.len().max(1));
        let mut free = BinaryHeap::from(vec![std::cmp::Reverse(0_i64); workers]);
        let mut last = 0;
        for file in files.iter().map(Borrow::borrow) {
            let from = free.pop().map_or(0, |from| from.0);
            let until = from.saturating_add(file.duration_us);
            last = last.max(until);
            free.push(std::cmp::Reverse(until));
        }
        last
    }
}
