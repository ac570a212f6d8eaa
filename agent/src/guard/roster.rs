//! Who runs pytest, as the plugin tells: shared by the recorder, which hears it, and the guard, which must know whom to tell.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use highwater_wire::{
    marks::SessionLine,
    v1::{Mark, mark::What},
};

use crate::tree::ProcessKey;

/// So many begins and ends of tests are kept of each process: what comes between a look of the guard and the reading that it makes due.
const KEPT_CHANGES: usize = 64;

/// One pytest process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Player {
    /// Whether it leads a session that goes on: pytest itself, or the controller of xdist.
    pub leads: bool,
    /// Whether it has workers.
    pub has_workers: bool,
    /// `gw0`, or empty.
    pub worker: String,
    /// Node id of the test that it runs.
    pub test: Option<String>,
    /// When it began or ended its last test, µs since the job's start.
    pub changed_us: i64,
    /// The last of those times, each with the test that ran from then on.
    changes: VecDeque<(i64, Option<String>)>,
}

impl Player {
    fn turned_to(&mut self, test: Option<String>, t_us: i64) {
        if self.changes.len() == KEPT_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((t_us, test.clone()));
        (self.test, self.changed_us) = (test, t_us);
    }

    /// Node id of the test that it ran at a time, as far as what was read reaches back to it.
    #[must_use]
    pub fn test_at(&self, t_us: i64) -> Option<&str> {
        let mut changes = self.changes.iter().rev();
        let (_, test) = changes.find(|(since_us, _)| *since_us <= t_us)?;
        test.as_deref()
    }
}

/// The pytest processes of the job.
#[derive(Debug, Clone, Default)]
pub struct Roster(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    news: Condvar,
}

#[derive(Debug)]
struct Known {
    players: HashMap<ProcessKey, Player>,
    /// What they had written by then is read, µs since the job's start.
    read_us: i64,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            players: HashMap::new(),
            read_us: i64::MIN,
        }
    }
}

impl Roster {
    /// A process joined a session.
    pub fn joined(&self, key: ProcessKey, line: &SessionLine) {
        let player = Player {
            leads: line.role != "worker",
            has_workers: line.role == "controller",
            worker: line.worker.clone(),
            ..Player::default()
        };
        self.known().players.insert(key, player);
    }

    /// A process told of itself.
    pub fn heard(&self, key: ProcessKey, mark: &Mark) {
        let test = match &mark.what {
            Some(What::TestBegin(test)) => Some(test.nodeid.clone()),
            Some(What::TestEnd(_)) => None,
            Some(What::SessionEnd(_)) => {
                if let Some(player) = self.known().players.get_mut(&key) {
                    player.leads = false;
                }
                return;
            }
            _ => return,
        };
        if let Some(player) = self.known().players.get_mut(&key) {
            player.turned_to(test, mark.t_us);
        }
    }

    /// All that was written by a time is read, µs since the job's start.
    pub fn read_until(&self, t_us: i64) {
        self.known().read_us = t_us;
        self.0.news.notify_all();
    }

    /// Waits until what was written by a time is read; false where that takes longer than the patience.
    #[must_use]
    pub fn is_read_until(&self, t_us: i64, patience: Duration) -> bool {
        let waits = |known: &mut Known| known.read_us < t_us;
        let waited = self
            .0
            .news
            .wait_timeout_while(self.known(), patience, waits);
        let (known, _) = waited.unwrap_or_else(PoisonError::into_inner);
        known.read_us >= t_us
    }

    /// What is known of a process.
    #[must_use]
    pub fn of(&self, key: ProcessKey) -> Option<Player> {
        self.known().players.get(&key).cloned()
    }

    /// What another thread left half done here cannot be wrong: each entry stands for itself.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
