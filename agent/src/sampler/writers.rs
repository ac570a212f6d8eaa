//! Processes whose plugin writes before the sampler came across them. Where others start processes by the dozen, looking for new ones is held to its
//! share of a core and may come late; who writes an events file names itself.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Told by the recorder, taken by the sampler.
#[derive(Debug, Clone, Default)]
pub struct Writers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_news: AtomicBool,
    pids: Mutex<Vec<u32>>,
}

impl Writers {
    /// Names one.
    pub fn name(&self, pid: u32) {
        let mut pids = self.0.pids.lock().unwrap_or_else(PoisonError::into_inner);
        pids.push(pid);
        self.0.is_news.store(true, Ordering::Release);
    }

    /// Shows each that was named since the last call.
    pub(super) fn take(&self, mut show: impl FnMut(u32)) {
        if self.0.is_news.swap(false, Ordering::Acquire) {
            let mut pids = self.0.pids.lock().unwrap_or_else(PoisonError::into_inner);
            pids.drain(..).for_each(&mut show);
        }
    }
}
