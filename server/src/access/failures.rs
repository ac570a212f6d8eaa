//! How often somebody may come with a token that is none.

use std::net::IpAddr;

use governor::{
    Quota, RateLimiter, clock::Clock, clock::DefaultClock, state::keyed::DefaultKeyedStateStore,
};

use crate::error::AppError;

/// So many wrong tokens at once from one address, and then one each few seconds.
const BURST: std::num::NonZeroU32 = std::num::NonZeroU32::new(10).expect("not zero");
/// Addresses that are remembered; those that have been quiet go first.
const MOST: usize = 10_000;

/// Counts failures by address. A token that is right is never refused, or one broken job could shut out its neighbours behind the same
/// address; with 256 random bits nobody guesses one between two refusals.
#[derive(Debug)]
pub(crate) struct Failures {
    clock: DefaultClock,
    limiter: RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            clock: DefaultClock::default(),
            limiter: RateLimiter::keyed(Quota::per_minute(BURST)),
        }
    }
}

impl Failures {
    /// A failure, and what to answer it.
    pub(crate) fn refuse(&self, address: IpAddr, why: &str) -> AppError {
        if self.limiter.len() > MOST {
            self.limiter.retain_recent();
        }
        tracing::warn!(target: "audit", %address, why, "a token was refused");
        match self.limiter.check_key(&address) {
            Ok(()) => AppError::unauthorised(why),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                AppError::too_many_failures(wait)
            }
        }
    }
}
