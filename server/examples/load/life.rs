//! One live job after the other, on a connection of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    client::Client,
    ledger::{Acknowledged, Ledger, Sent},
    tally::Tally,
    trace::Trace,
};

pub(crate) struct Play {
    pub(crate) address: String,
    pub(crate) trace: Arc<Trace>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) ledger: Ledger,
    /// How long a job lasts, in batches.
    pub(crate) lasts: u32,
    /// From one batch to the next.
    pub(crate) pace: Duration,
    pub(crate) began: Instant,
    /// When everybody stops at once, in the middle of a job too.
    pub(crate) until: Instant,
    /// Once it is set, nobody begins another job.
    pub(crate) is_last: AtomicBool,
}

pub(crate) struct Life {
    play: Arc<Play>,
    /// When within a pace its batches are due, and how long its first job still lasts: as if all had been there for long.
    phase: Duration,
    first_lasts: u32,
    client: Client,
}

impl Life {
    pub(crate) fn new(play: Arc<Play>, number: u32, of: u32) -> Self {
        Self {
            phase: play.pace.mul_f64(fastrand::f64()),
            // Even over the life of a job, so that as many end in each pace.
            first_lasts: 1 + u32::try_from(
                u64::from(number) * u64::from(play.lasts) / u64::from(of),
            )
            .unwrap_or(0),
            client: Client::new(&play.address),
            play,
        }
    }

    /// Plays until the time is over.
    pub(crate) async fn run(mut self) {
        let mut step = 0;
        let mut lasts = self.first_lasts;
        while self.due(step) < self.play.until && !self.play.is_last.load(Relaxed) {
            sleep_until(self.due(step)).await;
            let Some(played) = self.one(step, lasts).await else {
                return;
            };
            step += played;
            lasts = self.play.lasts;
        }
    }

    fn due(&self, step: u32) -> Instant {
        self.play.began + self.phase + self.play.pace * step
    }

    /// Plays a job from a step on; `None` when it was cut off.
    async fn one(&mut self, step: u32, lasts: u32) -> Option<u32> {
        let play = Arc::clone(&self.play);
        let project = format!("load/p{}", fastrand::u8(0..50));
        let job = Acknowledged::new(&play.trace, project).ok()?;
        let place = play.ledger.enter(job.clone());
        self.put(&job.beginning()).await;
        play.ledger.note(place, |job| job.is_begun = true);
        for n in 0..lasts {
            let due = self.due(step + n);
            if due >= play.until {
                return None;
            }
            sleep_until(due).await;
            self.put(&job.batch(&play.trace, n)).await;
            play.tally.acknowledged(due.elapsed());
            play.ledger.note(place, |job| job.batches += 1);
        }
        self.put(&job.end(lasts).ok()?).await;
        play.tally.ended();
        play.ledger.note(place, |job| job.is_ended = true);
        Some(lasts)
    }

    /// Sends until it is acknowledged.
    async fn put(&mut self, sent: &Sent) {
        let mut failures = 0;
        loop {
            match self.client.put(&sent.path, sent.body.clone()).await {
                Ok(answer) if answer.acknowledges(&sent.receipt) => return,
                Ok(answer) => self.play.tally.refused(answer.status.as_u16()),
                Err(_) => self.play.tally.broken(),
            }
            // As the agent: doubling from 200 ms to 10 s, the last half of it at random.
            let full = Duration::from_millis(200 << failures.min(6)).min(Duration::from_secs(10));
            sleep(full.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            failures += 1;
        }
    }
}
