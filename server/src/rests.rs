//! How long work on a job that failed is left alone: doubled with each failure, up to the longest rest. What changed meanwhile is tried at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use uuid::Uuid;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// Jobs that some work failed on, each as it was then.
#[derive(Debug)]
pub(crate) struct Rests<T>(HashMap<Uuid, Failure<T>>);

#[derive(Debug)]
struct Failure<T> {
    job: T,
    rest: Duration,
    first: Instant,
    last: Instant,
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    /// How long the job is left alone.
    pub(crate) lasts: Duration,
    /// How long ago it failed for the first time, as it is.
    pub(crate) failing_for: Duration,
}

impl<T: PartialEq> Rests<T> {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Forgets all jobs but these.
    pub(crate) fn keep(&mut self, is_left: impl Fn(&Uuid) -> bool) {
        self.0.retain(|uuid, _| is_left(uuid));
    }

    /// Whether a job is as it was when work on it failed, and its rest is not over.
    pub(crate) fn is_resting(&self, uuid: Uuid, job: &T, now: Instant) -> bool {
        self.same(uuid, job)
            .is_some_and(|known| now.duration_since(known.last) < known.rest)
    }

    /// Notes that work on a job failed.
    pub(crate) fn failed(&mut self, uuid: Uuid, job: T, now: Instant) -> Rest {
        let known = self.same(uuid, &job);
        let (rest, first) = known.map_or((FIRST, now), |known| {
            ((known.rest * 2).min(LONGEST), known.first)
        });
        let failure = Failure {
            job,
            rest,
            first,
            last: now,
        };
        self.0.insert(uuid, failure);
        Rest {
            lasts: rest,
            failing_for: now.duration_since(first),
        }
    }

    /// Notes that work on a job was done.
    pub(crate) fn done(&mut self, uuid: Uuid) {
        self.0.remove(&uuid);
    }

    fn same(&self, uuid: Uuid, job: &T) -> Option<&Failure<T>> {
        self.0.get(&uuid).filter(|known| known.job == *job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest_and_end_with_what_changes() {
        let mut rests = Rests::new();
        let (uuid, began) = (Uuid::from_u128(1), Instant::now());
        let mut now = began;
        let mut lasted = Vec::new();
        for _ in 0..12 {
            assert!(!rests.is_resting(uuid, &1, now));
            let rest = rests.failed(uuid, 1, now);
            assert_eq!(rest.failing_for, now - began);
            assert!(rests.is_resting(uuid, &1, now + rest.lasts - Duration::from_millis(1)));
            lasted.push(rest.lasts.as_secs());
            now += rest.lasts;
        }
        assert_eq!(lasted, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        rests.failed(uuid, 1, now);
        assert!(!rests.is_resting(uuid, &2, now), "it changed");
        let first = Rest {
            lasts: FIRST,
            failing_for: Duration::ZERO,
        };
        assert_eq!(rests.failed(uuid, 2, now), first);
        rests.done(uuid);
        assert!(!rests.is_resting(uuid, &2, now));
        rests.failed(uuid, 2, now);
        rests.keep(|_| false);
        assert_eq!(rests.failed(uuid, 2, now), first);
    }
}
