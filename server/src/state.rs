//! What every request shares. Nothing here would be missed by a second server: it is all read again from the store.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use highwater_analysis::digest::Digest;
use highwater_store::Store;
use tokio::sync::Notify;
use uuid::Uuid;

/// Digests of unsettled jobs that are kept for the next look.
const MOST_CACHED: usize = 16;

#[derive(Debug, Clone)]
pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) silence: Duration,
    /// Told when a job may be ready to be settled.
    pub(crate) settle: Arc<Notify>,
    pub(crate) counters: Arc<Counters>,
    cache: Arc<Mutex<Vec<Cached>>>,
}

/// A job, how often something had arrived for it, and its digest as of then.
type Cached = (Uuid, i64, Arc<Digest>);

/// What `/metrics` tells.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) finalised: AtomicU64,
}

impl AppState {
    pub(crate) fn new(store: Store, silence: Duration) -> Self {
        Self {
            store,
            silence,
            settle: Arc::new(Notify::new()),
            counters: Arc::default(),
            cache: Arc::default(),
        }
    }

    /// The digest of a job as it was when so much had arrived.
    pub(crate) fn cached(&self, uuid: Uuid, arrivals: i64) -> Option<Arc<Digest>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .iter()
            .find(|(known, at, _)| *known == uuid && *at == arrivals)
            .map(|(_, _, digest)| Arc::clone(digest))
    }

    pub(crate) fn keep(&self, uuid: Uuid, arrivals: i64, digest: &Arc<Digest>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|(known, _, _)| *known != uuid);
        if cache.len() >= MOST_CACHED {
            cache.remove(0);
        }
        cache.push((uuid, arrivals, Arc::clone(digest)));
    }
}

/// Now by this server's clock, µs since 1970.
pub(crate) fn now_unix_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
