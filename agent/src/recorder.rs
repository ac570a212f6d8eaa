//! Puts together what the sampler saw, what the plugin told and how processes ended, and makes a batch of it with each block of the grid.
//!
//! One recorder a run, on a thread of its own. It may wait for the disk; nothing waits for it. When a batch cannot be kept (a
//! full disk), recording goes on: what fits in memory is tried again, the rest is lost and said so.

mod advice;
mod batch;
mod hearing;
mod keeper;
mod names;
mod notices;
mod reuse;
mod sessions;
mod sieve;
mod sighted;
mod table;
mod test_paths;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use highwater_wire::{
    report::{MARKS_MISSING, SAMPLES_THINNED, SPOOL_REMOVED},
    v1,
};

use crate::{
    clock::{JobClock, monotonic_us},
    forecaster::Forecaster,
    guard::Roster,
    marks::{Tailer, Told},
    pace::CALM_US,
    portable::Processes,
    sampler::{Backlog, Seen, Spares, Tellable, Writers},
    tree::{ProcessKey, TreeEvent},
};
use batch::Gathered;
use names::Names;
use notices::Notices;
use reuse::Reuse;
use sessions::Sessions;
use sieve::leave_out_impossible;
use table::Table;

pub use hearing::is_on_the_plugin;
pub use keeper::{BatchSink, Keeper};
pub use sighted::Sighted;
pub use table::Ending;

/// How long after a look the events files are looked at again where no block of the grid comes, which looks too: longer than one lasts, since each look wakes
/// this thread, and what it finds goes with the next block.
const LOOK_AFTER: Duration = Duration::from_millis(1_100);
/// The same where a guard waits for what they say.
const LOOK_SOON_AFTER: Duration = Duration::from_millis(200);
/// What a batch covers at most where no block of the grid comes, µs: later than one is due, so that it is not missed by a moment.
const MOST_US: i64 = CALM_US + 250_000;
/// A batch with so many bytes of marks is handed on at once.
const MARKS_BYTES: usize = 512 << 10;
/// And one with so many new processes: a batch holds four times as many.
const HEADS: usize = 4_000;

/// What the recorder hears.
#[derive(Debug)]
pub enum Message {
    /// From the sampler.
    Seen(Seen),
    /// The agent reaped a child: the command, or an orphan it had adopted.
    Reaped {
        /// Its number.
        pid: u32,
        /// When, µs since the job's start.
        t_us: i64,
        /// How it ended.
        ending: Ending,
    },
    /// The command has ended and the sampler has stopped: read what is left and finish.
    Finish {
        /// Ticks of the grid that were missed.
        missed_ticks: u64,
    },
}

impl Tellable for Message {
    fn is_bulk(&self) -> bool {
        matches!(self, Self::Seen(seen) if seen.is_bulk())
    }
}

impl From<Seen> for Message {
    fn from(seen: Seen) -> Self {
        Self::Seen(seen)
    }
}

/// What a recorder is made of.
#[derive(Debug)]
pub struct RecorderProps<S> {
    /// The job's clock.
    pub clock: JobClock,
    /// Follows the plugin's files.
    pub tailer: Tailer,
    /// Where batches go.
    pub sink: S,
    /// Turns what is seen of pytests without the plugin into marks.
    pub sights: Sighted,
    /// What it hears.
    pub messages: Receiver<Message>,
    /// How many messages did not fit into the channel.
    pub lost: Arc<AtomicU64>,
    /// Where what was emptied goes back to the sampler.
    pub spares: Spares,
}

/// What a recorder leaves.
#[derive(Debug)]
pub struct Recorded<S> {
    /// Where the batches went.
    pub sink: S,
    /// How many were made, those among them that were lost: what is announced and not there makes a recording incomplete.
    pub batches: u64,
    /// Those that the sink had no room for to the last, with their numbers.
    pub unwritten: Vec<(u64, v1::Batch)>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// The state of a recording.
#[derive(Debug)]
pub struct Recorder<S> {
    clock: JobClock,
    tailer: Tailer,
    messages: Receiver<Message>,
    lost: Arc<AtomicU64>,
    keeper: Keeper<S>,
    table: Table,
    names: Names,
    sessions: Sessions,
    sights: Sighted,
    notices: Notices,
    gathered: Gathered,
    reuse: Reuse,
    told: Vec<Told>,
    backlog: Backlog,
    writers: Writers,
    /// Told of whoever runs pytest, where a guard wants to know.
    roster: Option<Roster>,
    /// Told of all that a forecast rests on, where one is wanted.
    forecaster: Option<Forecaster>,
}

impl<S: BatchSink> Recorder<S> {
    /// A recorder that has heard nothing yet.
    #[must_use]
    pub fn new(props: RecorderProps<S>) -> Self {
        Self {
            clock: props.clock,
            tailer: props.tailer,
            messages: props.messages,
            lost: props.lost,
            keeper: Keeper::new(props.sink),
            table: Table::default(),
            names: Names::default(),
            sessions: Sessions::default(),
            sights: props.sights,
            notices: Notices::default(),
            gathered: Gathered::new(props.spares),
            reuse: Reuse::default(),
            told: Vec::new(),
            backlog: Backlog::default(),
            writers: Writers::default(),
            roster: None,
            forecaster: None,
        }
    }

    /// From now on processes are known as sysinfo knows them; says so in the recording.
    pub fn is_told_by(&mut self, processes: Processes) {
        self.names.use_sysinfo(processes);
        let message = "processes were read through sysinfo: RSS alone, shared memory counts for each process, no cgroups, and peaks \
                       sampled but for the plugin's own marks";
        self.notices
            .report(0, "backend_sysinfo", message.to_owned(), 1);
    }

    /// Says of each message that it was taken out of the channel.
    #[must_use]
    pub fn clearing(mut self, backlog: Backlog) -> Self {
        self.backlog = backlog;
        self
    }

    /// Names to the sampler whoever writes and was not seen yet.
    #[must_use]
    pub fn naming(mut self, writers: Writers) -> Self {
        self.writers = writers;
        self
    }

    /// Keeps a roster of those who run pytest.
    #[must_use]
    pub fn keeping(mut self, roster: Option<Roster>) -> Self {
        self.roster = roster;
        self
    }

    /// Has it forecast what memory comes to.
    #[must_use]
    pub fn forecasting(mut self, forecaster: Option<Forecaster>) -> Self {
        self.forecaster = forecaster;
        self
    }

    /// Records until told to finish, or until nobody is left to tell.
    pub fn run(mut self) -> Recorded<S> {
        let mut next_look_us = monotonic_us();
        let missed_ticks = loop {
            if monotonic_us() >= next_look_us {
                let more = self.look(false);
                next_look_us = monotonic_us() + self.pause_us(more);
                self.flush_if_due();
            }
            let wait =
                Duration::from_micros((next_look_us - monotonic_us()).max(0).cast_unsigned());
            match self.messages.recv_timeout(wait) {
                Ok(Message::Finish { missed_ticks }) => break missed_ticks,
                Ok(Message::Seen(seen)) => {
                    self.backlog.taken(&seen);
                    let is_block = matches!(seen, Seen::Grid(_) | Seen::WholeSecond(..));
                    let is_of_guard = matches!(&seen, Seen::Event(event) if matches!(event.what, Some(v1::event::What::Guard(_))));
                    self.see(seen);
                    if is_block {
                        // As it comes, so that a death costs no more than the block that was being gathered.
                        let more = self.look(false);
                        self.flush_now();
                        next_look_us = monotonic_us() + self.pause_us(more);
                    } else if is_of_guard {
                        // It waits to say which tests run.
                        self.tailer.hurry();
                        let more = self.look(false);
                        next_look_us = monotonic_us() + self.pause_us(more);
                    }
                }
                Ok(Message::Reaped { pid, t_us, ending }) => self.table.reaped(pid, t_us, ending),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break 0,
            }
        };
        self.finish(missed_ticks)
    }

    /// How long nobody need look at the events files again, µs.
    fn pause_us(&self, is_more_there: bool) -> i64 {
        let pause = match &self.roster {
            _ if is_more_there => Duration::ZERO,
            Some(_) => LOOK_SOON_AFTER,
            None => LOOK_AFTER,
        };
        pause.as_micros() as i64
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Tree(TreeEvent::Born(birth), t_us) => self.table.born(birth, t_us, self.clock),
            Seen::Tree(
                TreeEvent::Renamed {
                    key,
                    words,
                    is_copy,
                },
                t_us,
            ) => {
                self.table.renamed(key, &words, is_copy, t_us);
            }
            Seen::Tree(TreeEvent::Gone { key }, t_us) => {
                self.table.gone(key, t_us);
                self.sights.gone(key, t_us);
                if let Some(forecaster) = &mut self.forecaster {
                    forecaster.gone(key);
                }
            }
            Seen::Grid(block) => {
                if let Some(forecaster) = &mut self.forecaster {
                    forecaster.saw(&block);
                }
                if self.gathered.has_no_room_for(&block) {
                    self.flush(false);
                }
                self.gathered.grids.push(block);
            }
            Seen::Second(reading) => {
                if let Some(forecaster) = &mut self.forecaster {
                    forecaster.read(&reading);
                }
                self.gathered.seconds.push(reading);
            }
            Seen::WholeSecond(block, reading) => {
                self.see(Seen::Second(reading));
                self.see(Seen::Grid(block));
            }
            Seen::Slow(reading) => {
                if let Some(forecaster) = &mut self.forecaster {
                    forecaster.shares(&reading);
                }
                self.gathered.add_slow(reading);
            }
            Seen::Facts { key, t_us, facts } => self.table.facts(key, facts, t_us),
            Seen::Exit {
                key,
                t_us,
                exit_code,
                signal,
            } => self.table.exited(key, t_us, Ending { exit_code, signal }),
            Seen::Rest(reading) => {
                self.table.bystanders(&reading);
                self.gathered.rest.push(reading);
            }
            Seen::Sights(sights) => sights.into_iter().for_each(|sight| self.sighted(sight)),
            Seen::Event(event) => self.gathered.events.push(event),
            Seen::Failed {
                t_us,
                code,
                message,
            } => self.notices.report(t_us, code, message, 1),
        }
    }

    /// Reads the plugin's files; true when more is waiting there.
    fn look(&mut self, to_the_end: bool) -> bool {
        let mut told = std::mem::take(&mut self.told);
        let before_us = self.clock.now_us();
        let is_more = match to_the_end {
            true => self.tailer.drain(&mut told),
            false => {
                let (table, names) = (&self.table, &self.names);
                let lives = |key| table.lives(names.outside(key));
                self.tailer.look(monotonic_us(), lives, &mut told)
            }
        };
        let has_failed = told.iter().any(|news| matches!(news, Told::Unread { .. }));
        for news in told.drain(..) {
            self.hear(news);
            if self.gathered.marks_bytes >= MARKS_BYTES || self.gathered.heads >= HEADS {
                self.flush(false);
            }
        }
        self.told = told;
        if let (Some(roster), false) = (&self.roster, is_more || has_failed) {
            roster.read_until(before_us);
        }
        is_more
    }

    fn flush_if_due(&mut self) {
        if self.clock.now_us() - self.keeper.covered_us() >= MOST_US {
            self.flush_now();
        }
    }

    fn flush_now(&mut self) {
        self.settle_sighted(false);
        self.advise(false);
        self.flush(false);
    }

    /// False when what was said must be said again.
    fn flush(&mut self, is_last: bool) -> bool {
        let now_us = self.clock.now_us().max(self.keeper.covered_us());
        let mut batch = self.reuse.batch();
        batch.version = highwater_wire::VERSION;
        batch.from_us = self.keeper.covered_us();
        batch.to_us = now_us;
        self.sessions.say_news(&mut batch.sessions);
        self.gathered
            .fill(&mut batch, &mut self.table, &mut self.reuse);
        for left in leave_out_impossible(&mut batch) {
            let message = format!("what cannot be was left out: {}", left.reason);
            self.notices.report(now_us, left.code, message, left.count);
        }
        if is_last {
            self.notices.sum_up(now_us);
            self.notices.own_cost(now_us);
        }
        self.notices.say_news(&mut batch.notices);
        let is_kept = self.keeper.keep(batch, &mut self.notices, &mut self.reuse);
        if !is_kept {
            // Whoever reads the rest must still learn who is who.
            self.table.say_all_again();
            self.sessions.say_all_again();
        }
        self.table.forget_the_dead(now_us);
        is_kept
    }

    fn finish(mut self, missed_ticks: u64) -> Recorded<S> {
        while self.look(true) {}
        self.tell_cut_off();
        self.settle_sighted(true);
        self.advise(true);
        let now_us = self.clock.now_us();
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 {
            let message = "messages did not fit into the recorder's queue and are lost".to_owned();
            self.notices
                .report(now_us, "samples_dropped", message, lost);
        }
        if missed_ticks > 0 {
            let message = "samples were not taken, since the machine was too busy for the agent to run in time; sampled peaks may be low".to_owned();
            self.notices
                .report(now_us, "ticks_missed", message, missed_ticks);
        }
        self.keeper.be_quick();
        self.flush(true);
        // What gave way to the last batch, or was removed before it, is told in one more.
        let codes = [SAMPLES_THINNED, SPOOL_REMOVED];
        if codes.iter().any(|code| self.notices.has_more_of(code)) {
            self.notices.sum_up(now_us);
            self.flush(false);
        }
        self.say_the_rest();
        self.keeper.finish(&mut self.reuse)
    }

    /// Says what one batch could not hold, in as many as all that is known takes. Where what was said is thrown away again, so would more be.
    fn say_the_rest(&mut self) {
        for _ in 0..self.sessions.batches().max(self.table.batches()) {
            let is_more = self.sessions.has_news() || self.table.has_news();
            if !is_more || !self.flush(false) {
                return;
            }
        }
    }

    /// Says whose marks end before they left pytest, since their files were removed, and that some may have been that nobody ever read.
    fn tell_cut_off(&mut self) {
        let now_us = self.clock.now_us();
        if !self.tailer.has_folder() {
            let message = "the folder to which the plugin writes was removed and is not there any more; what was told in it last may be missing".to_owned();
            self.notices.report(now_us, MARKS_MISSING, message, 1);
        }
        for key in self.tailer.cut_off() {
            let pid = self.names.outside(key).pid;
            let message = format!(
                "the file to which the plugin of process {pid} wrote was removed, and what it told from then on is missing"
            );
            self.notices.report(now_us, MARKS_MISSING, message, 1);
        }
    }

    /// Says once of each pytest process that it has no plugin.
    fn advise(&mut self, at_the_end: bool) {
        let now_us = self.clock.now_us();
        let tailer = &self.tailer;
        let unheard = |key: ProcessKey| !tailer.has_file_of(key.pid);
        let wanted = self.sights.wants_plugin();
        for message in advice::without_plugin(&mut self.table, now_us, at_the_end, wanted, unheard)
        {
            self.notices
                .report(now_us, "pytest_without_plugin", message, 1);
        }
    }
}

#[cfg(test)]
mod tests;
