//! What every request shares. Nothing here would be missed by a second server: it is all read again from the store.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use highwater_store::Store;
use highwater_wire::{
    codec::{MAX_BATCH_BYTES, MAX_JOB_WEIGHT},
    report::JobState,
};
use tokio::sync::{Notify, OnceCell, Semaphore, watch};
use uuid::Uuid;

use crate::{
    access::Guard, config::Config, finalise::Live, intake::Intake, metrics::Metrics,
    reading::Histories, work::Room,
};

/// Unsettled jobs of which the figures are kept for the next look.
const MOST_LIVE: usize = 16;
/// Bodies that are decoded at once, jobs that are worked out at once, and jobs that are exported at once.
const PIECES: u32 = 4;
/// Rows of finalised jobs that are read at once; most are read in no time.
const ROWS: u32 = 64;
/// What jobs take that are compared at once, bytes: two comparisons of the largest kind, or many usual ones.
const MAX_COMPARED_BYTES: u64 = 1 << 30;

/// A use of a token is noted once in so long, µs.
const NOTED_EACH_US: i64 = 60_000_000;
/// Those who follow jobs at once: each keeps a connection.
const MOST_WATCHERS: usize = 128;

/// What every request shares, behind one count: a request clones it many times.
#[derive(Debug, Clone)]
pub(crate) struct AppState(Arc<Shared>);

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What all its clones share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    silence: Duration,
    /// How long the body of a request may take to come.
    pub(crate) patience: Duration,
    clock: Clock,
    /// Told when a job may be ready to be settled.
    pub(crate) settle: Notify,
    /// Told when there may be something to tell webhooks of.
    pub(crate) news: Notify,
    /// Told when something waits to be sent to a webhook.
    pub(crate) sending: Notify,
    pub(crate) metrics: Metrics,
    /// Counts what arrives, for whoever follows a job.
    pub(crate) arrived: watch::Sender<u64>,
    /// Turns true when the server stops.
    pub(crate) stop: watch::Sender<bool>,
    /// Places for those who follow jobs.
    pub(crate) watchers: Arc<Semaphore>,
    /// How many of these each token has.
    pub(crate) shares: Mutex<HashMap<String, u32>>,
    /// Room for what is sent.
    pub(crate) intake: Intake,
    /// Who may do what.
    pub(crate) guard: Guard,
    /// Where bodies are decoded.
    pub(crate) decoding: Room,
    /// Where recordings are put together and worked out.
    pub(crate) digesting: Room,
    /// Where rows of finalised jobs are read.
    pub(crate) reading: Room,
    /// Where the figures of jobs are that others are set beside. Whoever has room here may wait for the store and for the other rooms; who keeps a
    /// connection of the store must not wait for room here.
    pub(crate) comparing: Room,
    /// What was found of jobs alike.
    pub(crate) histories: Histories,
    /// Where jobs are written for other programs, as fast as these take it.
    pub(crate) exporting: Room,
    live: Mutex<Vec<(LiveKey, LiveCell)>>,
    /// When the use of each token was noted last, µs since 1970.
    noted: Mutex<HashMap<i64, i64>>,
}

/// What the figures of an unsettled job depend on: how often something had arrived, and where it is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveKey {
    pub(crate) uuid: Uuid,
    pub(crate) arrivals: i64,
    pub(crate) state: JobState,
}

/// Worked out by the first who looks; others wait for it.
type LiveCell = Arc<OnceCell<Arc<Live>>>;

/// The time of day when the server began, and what has passed since: no step of the machine's clock makes a job look silent.
#[derive(Debug, Clone, Copy)]
struct Clock {
    unix_us: i64,
    since: Instant,
}

impl AppState {
    pub(crate) fn new(store: Store, config: &Config) -> Self {
        Self(Arc::new(Shared {
            store,
            silence: config.silence,
            patience: config.patience,
            clock: Clock {
                unix_us: jiff::Timestamp::now().as_microsecond(),
                since: Instant::now(),
            },
            settle: Notify::new(),
            news: Notify::new(),
            sending: Notify::new(),
            metrics: Metrics::default(),
            arrived: watch::Sender::new(0),
            stop: watch::Sender::new(false),
            watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
            shares: Mutex::default(),
            intake: Intake::new(config.intake_bytes),
            guard: Guard::new(config),
            decoding: Room::new(MAX_BATCH_BYTES as u64 * u64::from(PIECES), PIECES),
            digesting: Room::new(MAX_JOB_WEIGHT, PIECES),
            reading: Room::new(MAX_JOB_WEIGHT, ROWS),
            comparing: Room::new(MAX_COMPARED_BYTES, ROWS),
            histories: Histories::default(),
            exporting: Room::new(MAX_JOB_WEIGHT, PIECES),
            live: Mutex::default(),
            noted: Mutex::default(),
        }))
    }

    /// Where the figures of an unsettled job are, or will be.
    pub(crate) fn live(&self, key: LiveKey) -> LiveCell {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = live.iter().find(|(known, _)| *known == key) {
            return Arc::clone(cell);
        }
        live.retain(|(known, _)| known.uuid != key.uuid);
        if live.len() >= MOST_LIVE {
            live.remove(0);
        }
        let cell = LiveCell::default();
        live.push((key, Arc::clone(&cell)));
        cell
    }

    /// Something of a job arrived or was finalised: whoever settles or follows it shall look.
    pub(crate) fn has_arrived(&self) {
        self.settle.notify_one();
        self.arrived
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Forgets what an unsettled job was like.
    pub(crate) fn forget(&self, uuid: Uuid) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|(known, _)| known.uuid != uuid);
    }

    /// Notes that a token is used, once a minute at most, and holds nobody up for it.
    pub(crate) fn note_use(&self, token: i64) {
        let now = self.wall_unix_us();
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let last = noted.entry(token).or_insert(0);
            if now.saturating_sub(*last) < NOTED_EACH_US {
                return;
            }
            *last = now;
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.token_used(token, now).await {
                tracing::warn!(%error, "the use of a token was not noted");
            }
        });
    }

    /// What the clock of the day shows, µs since 1970: for what people set a date to.
    pub(crate) fn wall_unix_us(&self) -> i64 {
        jiff::Timestamp::now().as_microsecond()
    }

    /// Now by a clock that no step moves, µs since 1970: for what lies how long ago.
    pub(crate) fn now_unix_us(&self) -> i64 {
        self.clock.unix_us.saturating_add(self.passed_us())
    }

    fn passed_us(&self) -> i64 {
        i64::try_from(self.clock.since.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Jobs last heard of by this time are silent, µs since 1970. Nobody is before this server has listened for so long itself.
    pub(crate) fn silent_since(&self) -> i64 {
        let silence_us = i64::try_from(self.silence.as_micros()).unwrap_or(i64::MAX);
        if self.passed_us() < silence_us {
            return i64::MIN;
        }
        self.now_unix_us().saturating_sub(silence_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_figures_of_a_running_job_are_not_those_of_a_lost_one() {
        let folder = tempfile::TempDir::new().unwrap();
        let config = Config {
            database: format!("sqlite://{}", folder.path().join("test.db").display()),
            silence: Duration::from_secs(600),
            ..Config::default()
        };
        let store = Store::open(&config.database).await.unwrap();
        let state = AppState::new(store, &config);
        let running = LiveKey {
            uuid: Uuid::nil(),
            arrivals: 3,
            state: JobState::Running,
        };
        let lost = LiveKey {
            state: JobState::Lost,
            ..running
        };
        let first = state.live(running);
        assert!(Arc::ptr_eq(&first, &state.live(running)));
        assert!(!Arc::ptr_eq(&first, &state.live(lost)));
        assert_eq!(state.silent_since(), i64::MIN, "it has not listened long");
    }
}
