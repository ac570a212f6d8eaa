//! Memory that goes from one thread to another and comes back, so that neither has to ask the system for more.

use std::sync::{Arc, Mutex, PoisonError};

/// As many as are kept: more would be memory that one busy moment needed and nobody since.
const MOST_KEPT: usize = 16;

/// What was used and can be used again, shared by those who fill it and those who empty it.
#[derive(Debug)]
pub struct Pool<T> {
    kept: Arc<Mutex<Vec<T>>>,
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self {
            kept: Arc::clone(&self.kept),
        }
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            kept: Arc::new(Mutex::new(Vec::with_capacity(MOST_KEPT))),
        }
    }
}

impl<T: Default> Pool<T> {
    /// One that came back, as it was given; a new one where there is none, or where somebody has a hand in the pool just now: whoever
    /// takes does not wait.
    #[must_use]
    pub fn take(&self) -> T {
        let kept = self.kept.try_lock().ok().and_then(|mut kept| kept.pop());
        kept.unwrap_or_default()
    }
}

impl<T> Pool<T> {
    /// Gives one back.
    pub fn give(&self, used: T) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST_KEPT {
            kept.push(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_taken_again_and_no_more_is_kept_than_that() {
        let pool = Pool::default();
        assert_eq!(pool.take(), Vec::<u8>::new());
        for _ in 0..MOST_KEPT + 5 {
            pool.clone().give(vec![7_u8]);
        }
        for _ in 0..MOST_KEPT {
            assert_eq!(pool.take(), [7]);
        }
        assert!(pool.take().is_empty());
    }
}
