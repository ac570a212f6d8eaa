//! What writer and sender of a spool tell each other while both live.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use uuid::Uuid;

use crate::bell::Bell;

/// Shared by the writer of a stream and whoever sends it.
#[derive(Debug, Clone, Default)]
pub struct Handoff {
    /// Rung where a batch was appended, or when the sender should look up for another reason.
    pub bell: Bell,
    /// The writer's stream; none where nobody writes any more.
    stream: Option<Uuid>,
    acknowledged: Arc<AtomicU64>,
    appended: Arc<AtomicU64>,
    moved: Arc<Mutex<Option<PathBuf>>>,
}

impl Handoff {
    /// Of the writer of a stream. The spool may hold others, which agents before this one wrote.
    #[must_use]
    pub fn of(stream: Uuid) -> Self {
        Self {
            stream: Some(stream),
            ..Self::default()
        }
    }

    /// Whether a stream is the writer's.
    #[must_use]
    pub fn is_of(&self, stream: Uuid) -> bool {
        self.stream == Some(stream)
    }

    /// A batch of the writer's stream lies in the spool: wakes the sender.
    pub fn appended(&self, seq: u64) {
        self.appended.store(seq + 1, Ordering::Release);
        self.bell.ring();
    }

    /// Whether that batch is the last that the writer has appended until now.
    #[must_use]
    pub fn is_last(&self, stream: Uuid, seq: u64) -> bool {
        self.is_of(stream) && self.appended.load(Ordering::Acquire) == seq + 1
    }

    /// The job's folder lies elsewhere from now on.
    pub(super) fn move_to(&self, folder: &Path) {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        *moved = Some(folder.to_path_buf());
    }

    /// Where the job's folder lies, if not where it was made.
    #[must_use]
    pub fn moved(&self) -> Option<PathBuf> {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.clone()
    }

    /// All batches of the writer's stream below this number are on the server's disk.
    pub fn set_acknowledged(&self, below: u64) {
        self.acknowledged.store(below, Ordering::Release);
    }

    /// The number below which all batches of the writer's stream are acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }
}
