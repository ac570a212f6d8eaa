//! The guard: before the kernel strikes for want of memory, it says so, or ends pytest in an orderly way.
//!
//! The sampler drives it at each tick with what the members hold. Cgroups and machine are measured each second, and at each tick once
//! they are near.
//!
//! Architecture invariant: the guard, when it was asked to stop, is the only thing in the agent that signals the tests of its own accord.

mod held;
mod ladder;
mod measure;
mod roster;
mod whom;
mod words;

use highwater_wire::v1::GuardAction;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGKILL};

use crate::{
    procfs::Procfs,
    signals,
    tree::{Member, ProcessKey},
};
use held::Held;
use ladder::{Ladder, Look, Step};
use measure::{Measured, Measures};

pub use roster::{Player, Roster};

/// How long a pytest that was told to stop has, µs, before it is told more.
pub const GRACE_US: i64 = 10_000_000;
/// The same for one with workers: xdist itself gives these 10 s to end.
pub const GRACE_WITH_WORKERS_US: i64 = 20_000_000;
/// The same for one whose test has ended since: it tears down its fixtures and writes its reports, which a second signal would break off.
pub const GRACE_FOR_REPORTS_US: i64 = 60_000_000;

/// What is done at the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnLimit {
    /// It is said.
    #[default]
    Warn,
    /// Pytest is told to stop.
    Stop,
}

/// Where the limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitSize {
    /// At so many percent of what the cgroup or the machine allows, whichever is nearer.
    Share(u8),
    /// At so many bytes that the job's processes hold; or at [`LimitSize::DEFAULT`] of what cgroup or machine allow, where that is less.
    Bytes(u64),
}

impl LimitSize {
    /// Where nothing is said.
    pub const DEFAULT: Self = Self::Share(90);

    fn share(self) -> f64 {
        match self {
            Self::Share(percent) => f64::from(percent) / 100.0,
            Self::Bytes(_) => Self::DEFAULT.share(),
        }
    }
}

/// What a guard guards, and how loud it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Where it is.
    pub size: LimitSize,
    /// What is done there.
    pub on_limit: OnLimit,
    /// Whether a mere warning is left to the recording alone.
    pub quiet: bool,
    /// Whether GitHub is told in its own way too.
    pub annotates: bool,
}

/// The guard of a job.
#[derive(Debug)]
pub struct Guard {
    limit: Limit,
    procfs: Procfs,
    roster: Roster,
    measures: Measures,
    ladder: Ladder,
    held: Held,
    /// Who was told to stop.
    told: Vec<ProcessKey>,
    told_us: i64,
}

impl Guard {
    /// A guard of the limits that a process is under, the agent itself or another member of the job's cgroup.
    #[must_use]
    pub fn open(limit: Limit, procfs: Procfs, pid: u32, roster: Roster) -> Self {
        Self {
            limit,
            measures: Measures::open(limit.size, &procfs, pid),
            procfs,
            roster,
            ladder: Ladder::new(limit.on_limit),
            held: Held::default(),
            told: Vec::new(),
            told_us: 0,
        }
    }

    /// Watches the cgroup of a member too, from the text of its `/proc/PID/cgroup`: tests may be put into another than the agent's.
    pub fn watch(&mut self, text: &[u8]) {
        self.measures.watch(text);
    }

    /// Takes what a round of PSS found to be shared, RSS minus PSS of each process in bytes.
    pub fn learn(&mut self, shared: Vec<(ProcessKey, u64)>, members: &[Member]) {
        self.held.learn(shared, members);
    }

    /// Looks, and acts where it must; answers what it did.
    pub fn look(&mut self, now_us: i64, members: &[Member]) -> Option<GuardAction> {
        let own_bytes = self.held.bytes(members);
        let measured = self.measures.nearest(now_us, own_bytes)?;
        let is_member = |key: &ProcessKey| members.iter().any(|member| member.key == *key);
        self.told.retain(is_member);
        let step = self.ladder.next(Look {
            now_us,
            pressure: measured.pressure(),
            are_gone: self.told.is_empty(),
            grace_us: self.grace_us(),
        });
        match step? {
            Step::Warn => Some(self.warn(now_us, &measured, members, "")),
            Step::Signal(signal) => self.stop(now_us, signal, own_bytes, &measured, members),
        }
    }

    fn warn(
        &self,
        now_us: i64,
        measured: &Measured,
        members: &[Member],
        more: &str,
    ) -> GuardAction {
        if !self.limit.quiet {
            let situation = words::Situation::of(now_us, measured, members, &self.roster);
            words::tell(situation, more.to_owned(), self.limit.annotates);
        }
        action("warned", measured, &[], 0)
    }

    fn stop(
        &mut self,
        now_us: i64,
        signal: i32,
        own_bytes: u64,
        measured: &Measured,
        members: &[Member],
    ) -> Option<GuardAction> {
        if !measured.is_of_the_job(own_bytes) {
            let why = "; pytest is not stopped, since what the job holds is little of it";
            return self
                .ladder
                .nobody(now_us)
                .then(|| self.warn(now_us, measured, members, why));
        }
        let is_first = self.told.is_empty();
        let mut whom = whom::leaders(&self.procfs, members, &self.roster);
        let others = self.told.iter().filter(|key| !whom.contains(key));
        let others: Vec<_> = others.copied().collect();
        whom.extend(others);
        let is_deaf = |key: &ProcessKey| signals::ignores(&self.procfs, key.pid, SIGINT);
        // As whoever runs in the background of a shell. Memory is short, and to wait for them is in vain.
        let signal = match signal {
            SIGINT if !whom.is_empty() && whom.iter().all(is_deaf) => {
                self.ladder.pass_over_asking()
            }
            signal => signal,
        };
        if signal == SIGKILL {
            whom = whom::with_descendants(&self.procfs, members, &whom);
        }
        whom.retain(|key| signals::send(&self.procfs, *key, signal).is_ok());
        if whom.is_empty() {
            let why = "; no pytest is seen that could be stopped";
            return self
                .ladder
                .nobody(now_us)
                .then(|| self.warn(now_us, measured, members, why));
        }
        let pids: Vec<u32> = whom.iter().map(|key| key.pid).collect();
        let situation = words::Situation::of(now_us, measured, members, &self.roster);
        let deed = words::deed(signal, &pids, is_first);
        words::tell(situation, format!("; {deed}"), self.limit.annotates);
        self.told = whom;
        self.told_us = now_us;
        self.ladder.told(now_us);
        Some(action("stopped", measured, &pids, signal))
    }

    /// How long those who were told have; it follows what they have done since.
    fn grace_us(&self) -> i64 {
        let of_one = |key: &ProcessKey| match self.roster.of(*key) {
            Some(player) if player.has_workers => GRACE_WITH_WORKERS_US,
            Some(player) if player.test.is_none() && player.changed_us >= self.told_us => {
                GRACE_FOR_REPORTS_US
            }
            _ => GRACE_US,
        };
        self.told.iter().map(of_one).max().unwrap_or(GRACE_US)
    }
}

fn action(what: &str, measured: &Measured, pids: &[u32], signal: i32) -> GuardAction {
    GuardAction {
        action: what.to_owned(),
        limit: measured.kind.to_owned(),
        used_bytes: measured.used_bytes,
        limit_bytes: measured.limit_bytes,
        pids: pids.to_vec(),
        signal,
    }
}

#[cfg(test)]
mod tests;
