//! Processes that the recorder heard of by their plugin: whoever was born while finding processes had used up its share of a core, on a machine where
//! many are born, is sampled all the same.

use std::sync::{Arc, Mutex, PoisonError};

/// Numbers that are to be looked at; shared by the recorder, which hears them, and the sampler.
#[derive(Debug, Clone, Default)]
pub struct Called(Arc<Mutex<Vec<u32>>>);

impl Called {
    /// A process says that it runs pytest.
    pub fn put(&self, pid: u32) {
        let mut pids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pids.push(pid);
    }

    /// Takes one of them; while the recorder puts one there, none.
    pub(super) fn take(&self) -> Option<u32> {
        self.0.try_lock().ok()?.pop()
    }
}
