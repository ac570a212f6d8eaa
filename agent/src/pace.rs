//! How often the agent hands on what it saw: the less memory is left, the sooner its own end may come with everything else's.
//!
//! The sampler's thread, which alone knows what is left, sets it on each tick and hands its blocks over by it; each block is made a batch and sent
//! as it comes. Whoever else should hurry may ask it too.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// What a batch covers while nothing presses, µs.
pub const CALM_US: i64 = 1_000_000;
/// Below this headroom, in thousandths of the tightest limit, a batch covers [`TIGHT_US`].
pub const TIGHT_PER_MILLE: u32 = 200;
/// What a batch covers when memory is tight, µs.
pub const TIGHT_US: i64 = 250_000;
/// Below this headroom a batch covers [`LAST_US`].
pub const LAST_PER_MILLE: u32 = 100;
/// What a batch covers when any may be the last, µs.
pub const LAST_US: i64 = 100_000;
/// How often cgroups and machine are read when memory is tight, µs.
pub const TIGHT_READING_US: i64 = 200_000;

/// The headroom that was seen last, shared by the agent's threads.
#[derive(Debug, Clone)]
pub struct Pace {
    headroom: Arc<AtomicU32>,
}

impl Default for Pace {
    /// Nothing is known of any limit: there is no hurry.
    fn default() -> Self {
        Self {
            headroom: Arc::new(AtomicU32::new(1_000)),
        }
    }
}

impl Pace {
    /// Tells how much is left of the tightest limit, in thousandths of it.
    pub fn set_headroom(&self, per_mille: u32) {
        self.headroom.store(per_mille, Ordering::Relaxed);
    }

    /// What a batch should cover now, µs.
    #[must_use]
    pub fn period_us(&self) -> i64 {
        match self.headroom.load(Ordering::Relaxed) {
            ..LAST_PER_MILLE => LAST_US,
            LAST_PER_MILLE..TIGHT_PER_MILLE => TIGHT_US,
            _ => CALM_US,
        }
    }

    /// Whether memory is short, so that nothing waits for a whole second.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.period_us() < CALM_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_is_left_the_sooner_it_is_handed_on() {
        let pace = Pace::default();
        let other = pace.clone();
        assert!(!pace.is_tight());
        for (per_mille, period_us) in [
            (1_000, 1_000_000),
            (200, 1_000_000),
            (199, 250_000),
            (100, 250_000),
            (99, 100_000),
            (0, 100_000),
        ] {
            other.set_headroom(per_mille);
            assert_eq!(pace.period_us(), period_us, "{per_mille}");
        }
        assert!(pace.is_tight());
    }
}
