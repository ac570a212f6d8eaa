//! The forecaster: says while there is still time that a job will cross a limit, and at which file.
//!
//! The recorder tells it what it hears anyway. When a test file has ended, a few seconds after the last time at the earliest, what is known goes to a
//! thread of its own, which works out the forecast and says it.
//!
//! Architecture invariant: nobody waits for it. What comes while it works is left out; the next file brings more.

mod gather;
mod limits;
mod news;

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use highwater_analysis::forecast::{self, History, Measured, Situation, Steps};
use highwater_wire::{marks::SessionLine, v1::Mark};
use serde::{Deserialize, Serialize};

use crate::{
    sampler::{GridBlock, SecondReading, SlowReading},
    terminal,
    tree::ProcessKey,
};
use gather::Gather;
use limits::Limits;
use news::News;

/// So long after a forecast there is no other, µs.
const EVERY_US: i64 = 3_000_000;
/// Stack of the thread; only what is touched counts.
const STACK_BYTES: usize = 256 << 10;
/// What its annotation is headed by.
const TITLE: &str = "Highwater: forecast";

/// How loud a forecaster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forewarn {
    /// Whether GitHub is told in its own way too.
    pub annotates: bool,
}

/// What a forecast rests on, at one moment.
#[derive(Debug)]
struct Moment {
    session: u32,
    steps: Steps,
    workers: usize,
    peak_bytes: i64,
    limits: Vec<Measured>,
}

/// Gathers what is to be known, and has it worked out.
#[derive(Debug)]
pub struct Forecaster {
    gather: Gather,
    limits: Limits,
    moments: SyncSender<Moment>,
    next_us: i64,
}

impl Forecaster {
    /// A forecaster of a job that may take so many bytes (0 without a budget); `None` where there is no thread for it.
    #[must_use]
    pub fn begin(forewarn: Forewarn, budget_bytes: u64) -> Option<Self> {
        let (moments, received) = sync_channel(1);
        thread::Builder::new()
            .name("highwater-forecast".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&received, forewarn))
            .ok()?;
        Some(Self {
            gather: Gather::default(),
            limits: Limits::of_budget(budget_bytes),
            moments,
            next_us: i64::MIN,
        })
    }

    /// A process joined a session.
    pub fn joined(&mut self, key: ProcessKey, line: &SessionLine) {
        self.gather.joined(key, line);
    }

    /// A process is gone.
    pub fn gone(&mut self, key: ProcessKey) {
        self.gather.gone(key);
        self.limits.gone(key);
    }

    /// About a second of the grid.
    pub fn saw(&mut self, block: &GridBlock) {
        if let Some(highest) = self.limits.saw(block) {
            self.gather.holds(highest);
        }
    }

    /// Cgroups and machine.
    pub fn read(&mut self, reading: &SecondReading) {
        self.limits.read(reading);
    }

    /// PSS.
    pub fn shares(&mut self, reading: &SlowReading) {
        self.limits.shares(reading);
    }

    /// A process told of itself. Where a file ended with it, and the last time is long enough ago, what is known goes to the thread.
    pub fn heard(&mut self, key: ProcessKey, mark: &Mark) {
        let is_time = self.gather.heard(key, mark) && mark.t_us >= self.next_us;
        // A look that can tell nothing yet would take the time of the one that can.
        if !is_time || self.gather.steps().counted() < forecast::LEAST_FILES {
            return;
        }
        let moment = Moment {
            session: self.gather.session(),
            steps: self.gather.steps().clone(),
            workers: self.gather.workers(),
            peak_bytes: self.gather.peak_bytes(),
            limits: self.limits.measured(),
        };
        // One that still works has not come to the last: this one is left out.
        if self.moments.try_send(moment).is_ok() {
            self.next_us = mark.t_us.saturating_add(EVERY_US);
        }
    }
}

/// Works until nobody gathers any more.
fn work(moments: &Receiver<Moment>, forewarn: Forewarn) {
    let history = History::default();
    let mut news = News::default();
    while let Ok(moment) = moments.recv() {
        let report = forecast::report(&Situation {
            session: moment.session,
            steps: &moment.steps,
            peak_bytes: moment.peak_bytes,
            held_bytes: 0,
            workers: moment.workers,
            limits: &moment.limits,
            history: &history,
            asked: &[],
            goes_on: true,
        });
        let Some(report) = report else {
            continue;
        };
        if news.is_taken_back(&report) {
            terminal::tell(format_args!(
                "the warning no longer holds. {}",
                report.sentence
            ));
        }
        if !news.is_news(&report) {
            continue;
        }
        if forewarn.annotates {
            terminal::annotate(TITLE, &report.sentence);
        }
        terminal::tell(format_args!("warning: {}", report.sentence));
    }
}
