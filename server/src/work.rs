//! Work that takes a processor for long: away from the threads that answer requests, and no more of it at once than memory has room for.

use std::sync::Arc;

use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    task::{JoinError, spawn_blocking},
};

/// What room is counted in, bytes.
pub(crate) const UNIT: u64 = 1 << 10;

/// Room in memory for one kind of work.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    all: u32,
    least: u32,
}

impl Room {
    /// Room of so many bytes, for so many pieces of work at once.
    pub(crate) fn new(bytes: u64, pieces: u32) -> Self {
        let all = units(bytes).max(1);
        Self {
            free: Arc::new(Semaphore::new(all as usize)),
            all,
            least: (all / pieces.max(1)).max(1),
        }
    }

    /// Does work that takes about so many bytes, once there is room. Work that has begun is done to its end, and keeps its room, though
    /// whoever asked for it may have gone.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        self.claim(bytes).await.run(work).await
    }

    /// Claims so many bytes for what is read before it is worked on, once there is room.
    pub(crate) async fn claim(&self, bytes: u64) -> Claimed {
        let claim = units(bytes).clamp(self.least, self.all);
        Claimed {
            _permit: Arc::clone(&self.free).acquire_many_owned(claim).await,
        }
    }
}

/// Room that was claimed, until it is dropped or the work in it is done. An error only where the room was closed, which nobody does.
#[derive(Debug)]
pub(crate) struct Claimed {
    _permit: Result<OwnedSemaphorePermit, AcquireError>,
}

impl Claimed {
    /// Does work in it, as [`Room::run`].
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        spawn_blocking(move || {
            let _claimed = self;
            work()
        })
        .await
    }
}

/// So many bytes in these.
pub(crate) fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, sync::mpsc, task::Poll, time::Duration};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// On one thread only: were the work done on it, nothing else could go on meanwhile.
    #[tokio::test]
    async fn others_go_on_while_work_is_done() {
        let room = Room::new(1 << 20, 2);
        let (tell, told) = mpsc::channel();
        let work = room.run(1, move || told.recv_timeout(PATIENCE));
        let other = async {
            tokio::task::yield_now().await;
            tell.send(()).unwrap();
        };
        let (done, ()) = tokio::join!(work, other);
        done.unwrap().unwrap();
    }

    #[tokio::test]
    async fn work_waits_until_there_is_room_for_it() {
        let cases = [(1 << 20, 1, 1_u64), (1 << 20, 4, 1 << 19)];
        for (bytes, pieces, claim) in cases {
            let room = Room::new(bytes, pieces);
            let (tell, told) = mpsc::channel();
            let (begun, has_begun) = mpsc::channel();
            let mut first = pin!(room.run(claim, move || told.recv_timeout(PATIENCE)));
            let mut half = pin!(room.run(claim, || ()));
            let mut last = pin!(room.run(bytes, move || begun.send(())));
            let _ = std::future::poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await;
            let pending =
                std::future::poll_fn(|context| Poll::Ready(last.as_mut().poll(context))).await;
            assert!(pending.is_pending() && has_begun.try_recv().is_err());
            tell.send(()).unwrap();
            first.await.unwrap().unwrap();
            last.await.unwrap().unwrap();
            half.as_mut().await.unwrap();
        }
    }

    #[tokio::test]
    async fn room_is_taken_from_the_claim_on_and_free_after_the_work() {
        let room = Room::new(1 << 20, 1);
        let claimed = room.claim(1).await;
        let mut next = pin!(room.claim(1));
        let waits = std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
        assert!(waits.is_pending());
        claimed.run(|| ()).await.unwrap();
        drop(next.await);
        room.run(1, || ()).await.unwrap();
    }
}
