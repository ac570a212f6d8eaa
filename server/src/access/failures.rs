//! How often somebody may come with a token that is none.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::{
    Quota, RateLimiter, clock::Clock, clock::DefaultClock, state::keyed::DefaultKeyedStateStore,
};

use crate::error::AppError;

/// So many wrong tokens at once from one address, and then one each few seconds.
const BURST: std::num::NonZeroU32 = std::num::NonZeroU32::new(10).expect("not zero");
/// Addresses that are remembered; those that have been quiet go first.
const MOST: usize = 10_000;
/// Those that have been quiet are looked for so often.
const SWEPT_EACH: Duration = Duration::from_secs(1);

/// Counts failures by address. A token that is right is never refused, or one broken job could shut out its neighbours behind the same
/// address; with 256 random bits nobody guesses one between two refusals.
#[derive(Debug)]
pub(crate) struct Failures {
    clock: DefaultClock,
    swept: Mutex<Option<Instant>>,
    limiter: RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            clock: DefaultClock::default(),
            swept: Mutex::default(),
            limiter: RateLimiter::keyed(Quota::per_minute(BURST)),
        }
    }
}

impl Failures {
    /// Whom a failure counts against: all together, where there are more addresses than are remembered.
    fn counted(&self, address: IpAddr) -> IpAddr {
        if self.limiter.len() <= MOST {
            return address;
        }
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_none_or(|swept| swept.elapsed() > SWEPT_EACH) {
            self.limiter.retain_recent();
            *swept = Some(Instant::now());
        }
        Ipv6Addr::UNSPECIFIED.into()
    }

    /// A failure, and what to answer it.
    pub(crate) fn refuse(&self, address: IpAddr, why: &str) -> AppError {
        let address = self.counted(address);
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
