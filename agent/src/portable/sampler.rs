//! Samples the tree on a coarse grid.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use sysinfo::Pid;

use super::{Processes, SeenProcess};
use crate::{
    budget::Budget,
    clock::{JobClock, thread_cpu_us},
    procfs::command_line,
    sampler::{Column, Grid, GridBlock, SecondReading, Seen, Tellable, Teller},
    tree::{Birth, ProcessKey, TreeEvent},
};

/// Share of one core that looking for new processes may take.
const DISCOVERY_SHARE: f64 = 0.01;
/// So much of that time may be used at once, µs: processes are born together, when a suite and its workers start.
const DISCOVERY_SAVED_US: i64 = 10_000_000;
/// When the command of a process is asked for again, µs after it was first seen: until it calls exec it shows its parent's.
const LOOKS_AT_COMMAND_US: [i64; 3] = [200_000, 1_000_000, 5_000_000];

/// What a portable sampler is made of.
#[derive(Debug)]
pub struct PortableProps<T> {
    /// Where to read.
    pub processes: Processes,
    /// The job's clock.
    pub clock: JobClock,
    /// Length of the grid, µs.
    pub interval_us: u64,
    /// Descendants of this process are the job's.
    pub agent_pid: u32,
    /// The command, just started.
    pub command_pid: u32,
    /// Its words, for one that ends before it can be looked at.
    pub words: Vec<String>,
    /// Where to tell.
    pub teller: Teller<T>,
}

/// A living process of the job.
#[derive(Debug)]
struct Kin {
    key: ProcessKey,
    seen_us: i64,
    command: String,
    looks: usize,
    column: Option<usize>,
}

/// Everything the sampling thread holds.
#[derive(Debug)]
pub struct PortableSampler<T> {
    processes: Processes,
    clock: JobClock,
    grid: Grid,
    agent_pid: u32,
    kin: Vec<Kin>,
    pids: HashSet<u32>,
    /// The same, as sysinfo wants them.
    asked: Vec<Pid>,
    budget: Budget,
    block: GridBlock,
    teller: Teller<T>,
    missed_ticks: u64,
}

impl<T: From<Seen> + Tellable> PortableSampler<T> {
    /// Makes a sampler that knows the command.
    #[must_use]
    pub fn new(props: PortableProps<T>) -> Self {
        let mut sampler = Self {
            processes: props.processes,
            clock: props.clock,
            grid: Grid::new(props.interval_us),
            agent_pid: props.agent_pid,
            kin: Vec::new(),
            pids: HashSet::new(),
            asked: Vec::new(),
            budget: Budget::saving(DISCOVERY_SHARE, DISCOVERY_SAVED_US),
            block: GridBlock::default(),
            teller: props.teller,
            missed_ticks: 0,
        };
        sampler.processes.look_at_command(props.command_pid);
        if let Some(seen) = sampler.processes.seen(props.command_pid) {
            let now_us = sampler.clock.now_us();
            sampler.add(seen, props.words, now_us);
        }
        sampler
    }

    /// Samples until told to stop; whoever stops it unparks this thread. Answers how many ticks of the grid were missed.
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
        self.processes.look_at(&self.asked);
        self.bury(now_us);
        self.hand_over_block();
        self.read_second(now_us);
        self.missed_ticks
    }

    pub(super) fn tick(&mut self, now_us: i64) {
        let turn = self.grid.take(now_us);
        self.missed_ticks += turn.missed;
        if turn.new_second {
            self.hand_over_block();
            self.read_second(now_us);
        }
        if self.budget.allows(now_us) {
            let began = thread_cpu_us();
            self.processes.look_at_all();
            self.find(now_us);
            self.budget.spend(now_us, thread_cpu_us() - began);
        } else {
            self.processes.look_at(&self.asked);
        }
        self.bury(now_us);
        if !self.kin.is_empty() {
            self.block.t_us.push(now_us);
            self.block.lateness_us.push(turn.lateness_us);
            self.put();
        }
        self.ask_for_commands(now_us);
    }

    /// Takes in who descends from the agent or from one of the job. Which of them is looked at first is chance, so the look is repeated until
    /// nobody is added.
    fn find(&mut self, now_us: i64) {
        loop {
            let is_new = |seen: &SeenProcess| {
                !self.pids.contains(&seen.key.pid)
                    && (seen.parent_pid == self.agent_pid || self.pids.contains(&seen.parent_pid))
            };
            let found: Vec<_> = self.processes.all().filter(is_new).collect();
            if found.is_empty() {
                return;
            }
            for seen in found {
                let words = self.processes.words(seen.key.pid);
                self.add(seen, words, now_us);
            }
        }
    }

    fn add(&mut self, seen: SeenProcess, words: Vec<String>, now_us: i64) {
        self.pids.insert(seen.key.pid);
        self.asked.push(Pid::from_u32(seen.key.pid));
        self.kin.push(Kin {
            key: seen.key,
            seen_us: now_us,
            command: command_line(&words),
            looks: 0,
            column: None,
        });
        let birth = Birth {
            key: seen.key,
            parent_pid: seen.parent_pid,
            words,
            is_copy: false,
            is_as_large: None,
        };
        self.tell(Seen::Tree(TreeEvent::Born(birth), now_us));
    }

    /// Lets go of those that are not there any more.
    fn bury(&mut self, now_us: i64) {
        let (processes, pids, teller) = (&self.processes, &mut self.pids, &self.teller);
        let before = self.kin.len();
        self.kin.retain(|kin| {
            let lives = processes
                .seen(kin.key.pid)
                .is_some_and(|seen| seen.key == kin.key);
            if !lives {
                pids.remove(&kin.key.pid);
                teller.tell(Seen::Tree(TreeEvent::Gone { key: kin.key }, now_us).into());
            }
            lives
        });
        if self.kin.len() != before {
            self.asked.clear();
            self.asked
                .extend(self.kin.iter().map(|kin| Pid::from_u32(kin.key.pid)));
        }
    }

    /// Puts everybody's memory on the running tick.
    fn put(&mut self) {
        let tick = self.block.t_us.len() - 1;
        for kin in &mut self.kin {
            let Some(seen) = self.processes.seen(kin.key.pid) else {
                continue;
            };
            let open = kin.column.and_then(|at| self.block.columns.get_mut(at));
            if let Some(column) = open
                && column.first + column.rss.len() == tick
            {
                column.rss.push(seen.resident_bytes);
                continue;
            }
            kin.column = Some(self.block.columns.len());
            self.block.columns.push(Column {
                key: kin.key,
                first: tick,
                rss: vec![seen.resident_bytes],
                anon: Vec::new(),
            });
        }
    }

    fn ask_for_commands(&mut self, now_us: i64) {
        for kin in &mut self.kin {
            let is_due = LOOKS_AT_COMMAND_US
                .get(kin.looks)
                .is_some_and(|after| now_us - kin.seen_us >= *after);
            if !is_due {
                continue;
            }
            kin.looks += 1;
            self.processes.look_at_command(kin.key.pid);
            let words = self.processes.words(kin.key.pid);
            let command = command_line(&words);
            if !words.is_empty() && command != kin.command {
                kin.command = command;
                let key = kin.key;
                let renamed = TreeEvent::Renamed {
                    key,
                    words,
                    is_copy: false,
                };
                self.teller.tell(Seen::Tree(renamed, now_us).into());
            }
        }
    }

    fn read_second(&mut self, now_us: i64) {
        let machine = self.processes.machine();
        self.tell(Seen::Second(SecondReading {
            t_us: now_us,
            machine,
            cgroups: Vec::new(),
        }));
    }

    fn hand_over_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        for kin in &mut self.kin {
            kin.column = None;
        }
        let block = std::mem::take(&mut self.block);
        self.tell(Seen::Grid(block));
    }

    fn tell(&self, seen: Seen) {
        self.teller.tell(seen.into());
    }
}
