//! Wakes the thread that sends as soon as there is something to send.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A bell: rung by one thread, waited for by another. A ring that nobody waited for is heard by the next who waits.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Bell {
    /// Wakes whoever waits. Takes no memory and never waits for long.
    pub fn ring(&self) {
        *self.rung() = true;
        self.inner.1.notify_one();
    }

    /// Waits for a ring, but no longer than that.
    pub fn wait(&self, longest: Duration) {
        let waited = self
            .inner
            .1
            .wait_timeout_while(self.rung(), longest, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }

    /// A flag alone cannot be left half changed.
    fn rung(&self) -> MutexGuard<'_, bool> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_ring_wakes_whoever_waits_or_will_wait() {
        let bell = Bell::default();
        bell.ring();
        bell.wait(LONG);
        let other = bell.clone();
        let ringer = thread::spawn(move || other.ring());
        bell.wait(LONG);
        ringer.join().unwrap();
    }

    #[test]
    fn without_a_ring_it_is_over_in_time() {
        let began = Instant::now();
        Bell::default().wait(Duration::from_millis(20));
        assert!(began.elapsed() >= Duration::from_millis(20));
    }
}
