//! The recorder's end of the channel, seen from those who tell it something.
//!
//! Nobody waits for a recorder that waits for its disk. Of what comes all the time so much may wait and the rest is lost and counted; what comes
//! rarely, and may tell how the job ended, has room of its own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
    mpsc::{SyncSender, TrySendError},
};

/// So many messages that come all the time may wait: about a minute of them. A channel should have room for as many others.
pub const MOST_BULK: usize = 512;

/// Something that can be told.
pub trait Tellable {
    /// Whether it comes all the time, so that the next says nearly the same.
    fn is_bulk(&self) -> bool;
}

/// How many of the messages that come all the time wait.
#[derive(Debug, Clone, Default)]
pub struct Backlog(Arc<AtomicUsize>);

impl Backlog {
    /// A message was taken out of the channel.
    pub fn taken(&self, message: &impl Tellable) {
        if message.is_bulk() {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Tells through a channel.
#[derive(Debug)]
pub struct Teller<T> {
    channel: SyncSender<T>,
    backlog: Backlog,
    lost: Arc<AtomicU64>,
}

impl<T> Clone for Teller<T> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
            backlog: self.backlog.clone(),
            lost: Arc::clone(&self.lost),
        }
    }
}

impl<T> Teller<T> {
    /// Tells through a channel.
    #[must_use]
    pub fn new(channel: SyncSender<T>) -> Self {
        Self {
            channel,
            backlog: Backlog::default(),
            lost: Arc::default(),
        }
    }

    /// How many were lost.
    #[must_use]
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }

    /// What waits; whoever takes messages out of the channel tells it.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }
}

impl<T: Tellable> Teller<T> {
    /// Says something, unless there is no room for it: then it is lost, and counted.
    pub fn tell(&self, message: T) {
        let is_bulk = message.is_bulk();
        let waiting = &self.backlog.0;
        let has_room = !is_bulk || waiting.fetch_add(1, Ordering::Relaxed) < MOST_BULK;
        let is_told = has_room
            && match self.channel.try_send(message) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            };
        if is_told {
            return;
        }
        if is_bulk {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    impl Tellable for bool {
        fn is_bulk(&self) -> bool {
            *self
        }
    }

    #[test]
    fn what_comes_all_the_time_leaves_room_for_what_comes_rarely() {
        let (sender, taken) = sync_channel(2 * MOST_BULK);
        let teller = Teller::new(sender);
        for _ in 0..3 * MOST_BULK {
            teller.tell(true);
        }
        teller.tell(false);
        assert_eq!(teller.lost().load(Ordering::Relaxed), 2 * MOST_BULK as u64);
        let backlog = teller.backlog();
        let told: Vec<bool> = taken
            .try_iter()
            .inspect(|message| backlog.taken(message))
            .collect();
        assert_eq!(told.len(), MOST_BULK + 1);
        assert_eq!(told.last(), Some(&false));
        teller.tell(true);
        assert_eq!(taken.try_iter().count(), 1, "there is room again");
    }
}
