//! Who runs pytest, as the plugin tells: shared by the recorder, which hears it, and the guard, which must know whom to tell.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use highwater_wire::{
    marks::SessionLine,
    v1::{Mark, mark::What},
};

use crate::tree::ProcessKey;

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
}

/// The pytest processes of the job.
#[derive(Debug, Clone, Default)]
pub struct Roster(Arc<Mutex<HashMap<ProcessKey, Player>>>);

impl Roster {
    /// A process joined a session.
    pub fn joined(&self, key: ProcessKey, line: &SessionLine) {
        let player = Player {
            leads: line.role != "worker",
            has_workers: line.role == "controller",
            worker: line.worker.clone(),
            ..Player::default()
        };
        self.players().insert(key, player);
    }

    /// A process told of itself.
    pub fn heard(&self, key: ProcessKey, mark: &Mark) {
        let test = match &mark.what {
            Some(What::TestBegin(test)) => Some(test.nodeid.clone()),
            Some(What::TestEnd(_)) => None,
            Some(What::SessionEnd(_)) => {
                if let Some(player) = self.players().get_mut(&key) {
                    player.leads = false;
                }
                return;
            }
            _ => return,
        };
        if let Some(player) = self.players().get_mut(&key) {
            player.test = test;
            player.changed_us = mark.t_us;
        }
    }

    /// What is known of a process.
    #[must_use]
    pub fn of(&self, key: ProcessKey) -> Option<Player> {
        self.players().get(&key).cloned()
    }

    /// What another thread left half done here cannot be wrong: each entry stands for itself.
    fn players(&self) -> MutexGuard<'_, HashMap<ProcessKey, Player>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
