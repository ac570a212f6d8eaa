//! Reads the memory of the tree on an absolute grid, and everything else more rarely.
//!
//! Runs on a thread of its own that does nothing else, so that neither a slow disk nor a slow reader makes a tick late. What it
//! sees goes to the recorder through a bounded channel; where the recorder falls behind values are lost and counted, never waited for.

mod block;
#[cfg_attr(
    not(target_os = "linux"),
    expect(
        dead_code,
        reason = "where nobody hears of ends nobody reads because of one"
    )
)]
mod counters;
#[cfg(target_os = "linux")]
mod exits;
#[cfg(not(target_os = "linux"))]
#[path = "sampler/no_exits.rs"]
mod exits;
mod fact_finder;
mod grid;
mod headroom;
mod rest;
mod rounds;
mod seconds;
mod seen;
mod sights;
mod slow;
mod spares;
mod teller;
mod writers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use highwater_wire::{codec::MAX_SAMPLES, v1};

use crate::{
    clock::JobClock,
    guard::Guard,
    pace::{Pace, TIGHT_READING_US},
    procfs::{ProcError, Procfs},
    tree::{Discovery, Tree},
    witness::Protector,
};
use block::RunningBlock;
use counters::Counters;
use exits::Exits;
use fact_finder::FactFinder;
use headroom::Headroom;
use rest::Rest;

pub use block::{Column, GridBlock};
pub use grid::Grid;
pub use rest::RestReading;
pub use rounds::Rounds;
pub use seconds::{SecondReading, Seconds};
pub use seen::Seen;
pub use sights::{Glance, PATIENCE_US, Seeing, Sight, Sights, Unwatched};
pub use slow::{Shared, SlowReader, SlowReading, SlowValue};
pub use spares::Spares;
pub use teller::{Backlog, MOST_BULK, Tellable, Teller};
pub use writers::Writers;

/// A block with so many values is handed over before its second is full: a batch must hold it.
const BLOCK_VALUES: usize = MAX_SAMPLES / 8;

/// Everything the sampling thread holds.
#[derive(Debug)]
pub struct Sampler<T> {
    clock: JobClock,
    grid: Grid,
    tree: Tree,
    discovery: Discovery,
    counters: Arc<Counters<T>>,
    exits: Option<Exits>,
    facts: FactFinder,
    rest: Option<Rest>,
    sights: Sights,
    rounds: Rounds,
    slow: SlowReader,
    block: RunningBlock,
    spares: Spares,
    teller: Teller<T>,
    guard: Option<Guard>,
    writers: Writers,
    missed_ticks: u64,
    interval_us: i64,
    budget_bytes: u64,
    pace: Pace,
    headroom: Headroom,
    /// RSS of all members at the last tick, bytes.
    sum: u64,
    /// When cgroups and machine were last read, µs since the job's start.
    read_us: i64,
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
    /// Lets the kernel take the tree before the agent when memory runs out.
    pub protector: Option<Protector>,
    /// Which tests run where there is no plugin.
    pub sights: Sights,
    /// Where to tell.
    pub teller: Teller<T>,
    /// What the recorder has emptied.
    pub spares: Spares,
    /// What the job may take, bytes; 0 without a budget.
    pub budget_bytes: u64,
    /// Where to tell how much memory is left.
    pub pace: Pace,
}

impl<T: From<Seen> + Tellable + Send + 'static> Sampler<T> {
    /// Makes a sampler, and the thread that reads PSS for it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(props: SamplerProps<T>) -> std::io::Result<Self> {
        let (procfs, clock, teller) = (&props.procfs, props.clock, &props.teller);
        let spares = &props.spares;
        let slow = SlowReader::start(procfs.clone(), clock, teller.clone(), spares.clone())?;
        let counters = Counters::new(props.seconds, procfs, clock, teller.clone(), spares.clone());
        let counters = Arc::new(counters);
        let protector = props.protector;
        // Without these threads less is known of an ending, and that is all.
        let exits = Exits::start(procfs.clone(), clock, teller.clone(), Arc::clone(&counters)).ok();
        let rest = Rest::start(procfs.clone(), clock, teller.clone()).ok();
        Ok(Self {
            counters,
            exits,
            rest,
            facts: FactFinder::new(procfs.clone(), protector),
            clock: props.clock,
            grid: Grid::new(props.interval_us),
            tree: props.tree,
            discovery: props.discovery,
            sights: props.sights,
            rounds: Rounds::default(),
            slow,
            block: RunningBlock::default(),
            spares: props.spares,
            teller: props.teller,
            guard: None,
            writers: Writers::default(),
            missed_ticks: 0,
            interval_us: props.interval_us.cast_signed(),
            budget_bytes: props.budget_bytes,
            pace: props.pace,
            headroom: Headroom::default(),
            sum: 0,
            read_us: 0,
        })
    }

    /// Lets processes be named by what they write.
    #[must_use]
    pub fn told_by(mut self, writers: Writers) -> Self {
        self.writers = writers;
        self
    }

    /// Lets a guard look at each tick.
    #[must_use]
    pub fn guarded(mut self, guard: Option<Guard>) -> Self {
        if guard.is_some() {
            self.rounds = Rounds::guarded();
        }
        self.guard = guard;
        self
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
        // Whoever has ended until now is told before the end of the recording.
        drop(self.exits.take());
        if let Some(rest) = self.rest.take() {
            rest.end(self.tree.members());
        }
        self.tell_left_out(now_us);
        self.read_second(now_us, None);
        self.missed_ticks
    }

    pub(crate) fn tick(&mut self, now_us: i64) {
        let turn = self.grid.take(now_us);
        self.missed_ticks += turn.missed;
        if turn.new_second {
            // The block ends a batch, which should hold this too.
            let block = self.take_block();
            self.read_second(now_us, block);
        } else if self.pace.is_tight() && now_us - self.read_us >= TIGHT_READING_US {
            self.read_second(now_us, None);
        }
        let mut found = self.discovery.look(&mut self.tree, now_us);
        self.writers.take(|pid| {
            if let Err(error) = self.tree.consider(pid, now_us) {
                found = Err(error);
            }
        });
        self.report(now_us, "discovery_failed", found);
        self.sum = self.read_members(now_us, turn.lateness_us);
        self.pace.set_headroom(self.headroom.per_mille(self.sum));
        self.let_guard_look(now_us);
        if self.block.most_values() >= BLOCK_VALUES || self.is_urgent() {
            self.hand_over_block();
        }
        let renamed = self.tree.refresh_commands(now_us);
        self.report(now_us, "command_failed", renamed);
        self.tree.bury();
        self.tell_events(now_us);
        self.look_around(now_us);
        if let Some(round) =
            self.rounds
                .due(now_us, self.sum, self.tree.members(), self.slow.cost())
        {
            self.slow.ask(round, self.tree.members_mut());
        }
    }

    /// Whether memory is short and the block covers what it may then.
    fn is_urgent(&self) -> bool {
        let ticks = i64::try_from(self.block.ticks()).unwrap_or(i64::MAX);
        self.pace.is_tight() && ticks.saturating_mul(self.interval_us) >= self.pace.period_us()
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

    fn let_guard_look(&mut self, now_us: i64) {
        let Some(guard) = &mut self.guard else {
            return;
        };
        if let Some(shared) = self.slow.cost().take_shared() {
            guard.learn(shared, self.tree.members());
        }
        if let Some(action) = guard.look(now_us, self.tree.members()) {
            let event = v1::Event {
                t_us: now_us,
                what: Some(v1::event::What::Guard(action)),
            };
            self.teller.tell(Seen::Event(event).into());
        }
    }

    /// Sees who has ended since the last tick.
    fn bury_the_dead(&mut self) -> Result<(), ProcError> {
        let mut result = Ok(());
        for member in self.tree.members_mut() {
            result = result.and(member.read().map(drop));
        }
        self.tree.bury();
        result
    }

    /// Reads cgroups and machine; a block that ends here is handed over with them.
    fn read_second(&mut self, now_us: i64, block: Option<GridBlock>) {
        let (headroom, sum) = (&mut self.headroom, self.sum);
        let machine = self.counters.read(now_us, block, |reading| {
            headroom.learn(reading, sum, self.budget_bytes);
        });
        self.rounds.has_swap = machine.swap_total_bytes.is_some_and(|bytes| bytes > 0);
        self.read_us = now_us;
    }

    /// Looks at what is read more rarely: cgroups and limits of the members, the rest of the machine.
    fn look_around(&mut self, now_us: i64) {
        let has_new_cgroup = self.facts.look(
            self.tree.members_mut(),
            now_us,
            &self.counters,
            self.exits.as_ref(),
            &self.teller,
            self.guard.as_mut(),
        );
        if has_new_cgroup {
            // What its counters say now is what they are compared with later.
            self.read_second(now_us, None);
        }
        if let Some(rest) = &mut self.rest {
            let (is_short, has_ended) = (self.counters.is_short(), self.counters.take_end());
            rest.ask_if_due(now_us, is_short, has_ended, self.tree.members());
        }
    }

    fn take_block(&mut self) -> Option<GridBlock> {
        let spares = &self.spares;
        self.block
            .hand_over(|| spares.blocks.take(), self.tree.members_mut())
    }

    fn hand_over_block(&mut self) {
        if let Some(block) = self.take_block() {
            self.teller.tell(Seen::Grid(block).into());
        }
    }

    /// Whether a round of PSS is being read.
    #[cfg(test)]
    pub(crate) fn is_reading_slowly(&self) -> bool {
        self.slow.cost().is_busy()
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
