//! Reads the memory of the tree on an absolute grid, and everything else more rarely.
//!
//! Runs on a thread of its own that does nothing else, so that neither a slow disk nor a slow reader makes a tick late. What it
//! sees goes to the recorder through a bounded channel; when that is full the values are lost and counted, never waited
//! for.

mod block;
mod grid;
mod rounds;
mod seconds;
mod sights;
mod slow;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use highwater_wire::{codec::MAX_SAMPLES, v1};

use crate::{
    clock::JobClock,
    procfs::{ProcError, Procfs},
    tree::{Discovery, Tree, TreeEvent},
};

pub use block::{Column, GridBlock};
pub use grid::Grid;
pub use rounds::Rounds;
pub use seconds::{SecondReading, Seconds};
pub use sights::{PATIENCE_US, Seeing, Sight, Sights, Unwatched};
pub use slow::{SlowReader, SlowReading, SlowValue};

/// What the sampler tells the recorder.
#[derive(Debug)]
pub enum Seen {
    /// Something happened to the tree.
    Tree(TreeEvent, i64),
    /// About a second of the grid.
    Grid(GridBlock),
    /// Cgroups and machine.
    Second(SecondReading),
    /// PSS and swap.
    Slow(SlowReading),
    /// What pytests without the plugin were seen to do on a tick.
    Sights(Vec<Sight>),
    /// Something that speaks for an ending.
    Event(v1::Event),
    /// A reading failed; `code` names which.
    Failed {
        /// When, µs since the job's start.
        t_us: i64,
        /// Short name of what failed.
        code: &'static str,
        /// What the system said.
        message: String,
    },
}

/// The recorder's end of the channel, seen from those who tell it something.
#[derive(Debug)]
pub struct Teller<T> {
    channel: SyncSender<T>,
    lost: Arc<AtomicU64>,
}

impl<T> Clone for Teller<T> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
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
            lost: Arc::default(),
        }
    }

    /// Says something, unless the channel is full: then it is lost, and counted.
    pub fn tell(&self, message: T) {
        match self.channel.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How much was lost.
    #[must_use]
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}

/// A block with so many values is handed over before its second is full: a batch must hold it.
const BLOCK_VALUES: usize = MAX_SAMPLES / 8;

/// Everything the sampling thread holds.
#[derive(Debug)]
pub struct Sampler<T> {
    clock: JobClock,
    grid: Grid,
    tree: Tree,
    discovery: Discovery,
    seconds: Seconds,
    sights: Sights,
    rounds: Rounds,
    slow: SlowReader,
    block: GridBlock,
    teller: Teller<T>,
    missed_ticks: u64,
}

/// What a sampler is made of.
#[derive(Debug)]
pub struct SamplerProps<T> {
    /// Where to read.
    pub procfs: Procfs,
    /// The job's clock.
    pub clock: JobClock,
    /// Length of the grid, µs.
    pub interval_us: u64,
    /// The tree, with the command in it.
    pub tree: Tree,
    /// How its new processes are found.
    pub discovery: Discovery,
    /// Cgroups and machine.
    pub seconds: Seconds,
    /// Which tests run where there is no plugin.
    pub sights: Sights,
    /// Where to tell.
    pub teller: Teller<T>,
}

impl<T: From<Seen> + Send + 'static> Sampler<T> {
    /// Makes a sampler, and the thread that reads PSS for it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(props: SamplerProps<T>) -> std::io::Result<Self> {
        let slow = SlowReader::start(props.procfs, props.clock, props.teller.clone())?;
        Ok(Self {
            clock: props.clock,
            grid: Grid::new(props.interval_us),
            tree: props.tree,
            discovery: props.discovery,
            seconds: props.seconds,
            sights: props.sights,
            rounds: Rounds::default(),
            slow,
            block: GridBlock::default(),
            teller: props.teller,
            missed_ticks: 0,
        })
    }

    /// Samples until told to stop; whoever stops it unparks this thread. Then takes the last look at cgroups and machine, whose
    /// counters may tell why the command ended. Answers how many ticks of the grid were missed.
    pub fn run(mut self, stop: &AtomicBool) -> u64 {
        while !stop.load(Ordering::Acquire) {
            let now_us = self.clock.now_us();
            let wait_us = self.grid.due_us() - now_us;
            if wait_us > 0 {
                thread::park_timeout(Duration::from_micros(wait_us.cast_unsigned()));
                continue;
            }
            self.tick(now_us);
        }
        let now_us = self.clock.now_us();
        let found = self.bury_the_dead();
        self.report(now_us, "sample_failed", found);
        self.tell_events(now_us);
        self.hand_over_block();
        self.tell_left_out(now_us);
        self.read_second(now_us);
        self.missed_ticks
    }

    fn tick(&mut self, now_us: i64) {
        let turn = self.grid.take(now_us);
        self.missed_ticks += turn.missed;
        if turn.new_second {
            self.hand_over_block();
            self.read_second(now_us);
        }
        let found = self.discovery.look(&mut self.tree, now_us);
        self.report(now_us, "discovery_failed", found);
        let sum = self.read_members(now_us, turn.lateness_us);
        if self.block.most_values() >= BLOCK_VALUES {
            self.hand_over_block();
        }
        let renamed = self.tree.refresh_commands(now_us);
        self.report(now_us, "command_failed", renamed);
        self.tree.bury();
        self.tell_events(now_us);
        if let Some(round) = self
            .rounds
            .due(now_us, sum, self.tree.members(), self.slow.cost())
        {
            self.slow.ask(round, self.tree.members_mut());
        }
    }

    /// Reads every member; answers the sum of their RSS, bytes.
    fn read_members(&mut self, now_us: i64, lateness_us: u64) -> u64 {
        // A tick on which nobody is there says nothing.
        if self.tree.members().is_empty() {
            return 0;
        }
        self.block.begin_tick(now_us, lateness_us);
        self.sights.begin_tick(now_us);
        let mut sum = 0;
        let mut failure = None;
        for member in self.tree.members_mut() {
            match member.read() {
                Ok(Some(statm)) => {
                    sum += statm.resident_bytes;
                    self.block.put(member, statm);
                    self.sights.look(member.key, now_us, statm.resident_bytes);
                }
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        self.report(now_us, "sample_failed", failure.map_or(Ok(()), Err));
        sum
    }

    /// Sees who has ended since the last tick.
    fn bury_the_dead(&mut self) -> Result<(), ProcError> {
        for member in self.tree.members_mut() {
            member.read()?;
        }
        self.tree.bury();
        Ok(())
    }

    fn read_second(&mut self, now_us: i64) {
        let (reading, result) = self.seconds.read(now_us);
        self.rounds.has_swap = reading
            .machine
            .swap_total_bytes
            .is_some_and(|bytes| bytes > 0);
        self.teller.tell(Seen::Second(reading).into());
        self.report(now_us, "second_failed", result);
    }

    fn hand_over_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        for member in self.tree.members_mut() {
            member.column = None;
        }
        let next = self.block.successor();
        let block = std::mem::replace(&mut self.block, next);
        self.teller.tell(Seen::Grid(block).into());
    }

    fn tell_events(&mut self, now_us: i64) {
        // Before the ends of processes: what was seen of one came before its end.
        if let Some(sights) = self.sights.take() {
            self.teller.tell(Seen::Sights(sights).into());
        }
        for event in self.tree.take_events() {
            self.sights.hear(&event, now_us);
            self.teller.tell(Seen::Tree(event, now_us).into());
        }
    }

    fn tell_left_out(&self, t_us: i64) {
        let left_out = self.sights.left_out();
        if left_out > 0 {
            let message = format!(
                "{left_out} looks at the tests of pytests without the plugin were left out for their cost; tests may be missing or seem longer"
            );
            let code = "sights_left_out";
            self.teller.tell(
                Seen::Failed {
                    t_us,
                    code,
                    message,
                }
                .into(),
            );
        }
    }

    fn report(&self, t_us: i64, code: &'static str, result: Result<(), ProcError>) {
        if let Err(error) = result {
            let message = error.to_string();
            self.teller.tell(
                Seen::Failed {
                    t_us,
                    code,
                    message,
                }
                .into(),
            );
        }
    }
}

#[cfg(test)]
mod tests;
