//! The server's addresses, remembered for a while: a name is looked up by a thread of its own, since no look-up of the system's can be given up, and one thread
//! a batch costs more than the batch. Where no answer came it is looked up again: a server that moved is found with the next try.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// How long addresses count: a name server seldom lets them be kept for less.
const KEPT: Duration = Duration::from_secs(60);

/// Asks another resolver, and remembers what it said last.
#[derive(Debug)]
pub(super) struct Addresses<R = DefaultResolver> {
    asked: R,
    kept: Duration,
    last: Remembered,
}

/// What a resolver said last, for whoever learns that it does not hold any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Remembered(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    uri: Uri,
    addresses: ResolvedSocketAddrs,
    since: Instant,
}

impl Default for Addresses {
    fn default() -> Self {
        Self::of(DefaultResolver::default(), KEPT)
    }
}

impl<R: Resolver> Addresses<R> {
    fn of(asked: R, kept: Duration) -> Self {
        Self {
            asked,
            kept,
            last: Remembered::default(),
        }
    }

    /// What is remembered, to be forgotten.
    pub(super) fn remembered(&self) -> Remembered {
        self.last.clone()
    }

    /// What is known of where that leads, unless it is too old.
    fn known(&self, uri: &Uri) -> Option<ResolvedSocketAddrs> {
        let last = self.last.lock();
        let known = last.as_ref()?;
        let is_same =
            known.uri.scheme() == uri.scheme() && known.uri.authority() == uri.authority();
        (is_same && known.since.elapsed() < self.kept).then(|| known.addresses.clone())
    }
}

impl Remembered {
    /// Nobody answered there: the server may have moved.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_none()
    }
}

impl<R: Resolver> Resolver for Addresses<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        if let Some(addresses) = self.known(uri) {
            return Ok(addresses);
        }
        let addresses = self.asked.resolve(uri, config, timeout)?;
        let known = Known {
            uri: uri.clone(),
            addresses: addresses.clone(),
            since: Instant::now(),
        };
        *self.last.lock() = Some(known);
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, Ordering};

    use super::*;

    /// Says with each answer how often it was asked.
    #[derive(Debug, Default)]
    struct Counting(AtomicU16);

    impl Resolver for Counting {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            let asked = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let mut addresses = self.empty();
            addresses.push(([127, 0, 0, 1], asked).into());
            Ok(addresses)
        }
    }

    fn ask(addresses: &Addresses<Counting>, uri: &'static str) -> u16 {
        let answer = addresses.resolve(
            &Uri::from_static(uri),
            &Config::default(),
            NextTimeout::default(),
        );
        answer.unwrap()[0].port()
    }

    #[test]
    fn a_name_is_looked_up_once_for_many_requests() {
        let addresses = Addresses::of(Counting::default(), Duration::from_secs(600));
        assert_eq!(ask(&addresses, "http://one.example/a"), 1);
        assert_eq!(ask(&addresses, "http://one.example/b"), 1);
        assert_eq!(ask(&addresses, "http://one.example:8080/a"), 2);
        assert_eq!(ask(&addresses, "https://one.example/a"), 3);
        assert_eq!(ask(&addresses, "http://two.example/a"), 4);
    }

    #[test]
    fn what_does_not_hold_any_more_is_asked_again() {
        let addresses = Addresses::of(Counting::default(), Duration::from_secs(600));
        assert_eq!(ask(&addresses, "http://one.example/a"), 1);
        addresses.remembered().forget();
        assert_eq!(ask(&addresses, "http://one.example/a"), 2);
        assert_eq!(ask(&addresses, "http://one.example/a"), 2);
    }

    #[test]
    fn what_is_too_old_is_asked_again() {
        let addresses = Addresses::of(Counting::default(), Duration::ZERO);
        assert_eq!(ask(&addresses, "http://one.example/a"), 1);
        assert_eq!(ask(&addresses, "http://one.example/a"), 2);
    }
}
