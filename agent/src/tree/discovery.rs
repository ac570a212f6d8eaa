//! How new processes are found, and how often it may be tried.
//!
//! Where the newest number of the pid namespace can be read ([`BirthCounter`]), a look that finds it unmoved costs little more than two
//! microseconds; when it moved by little, only the numbers it passed are looked at, so even children of a tenth of a second
//! are seen. As long as nothing was born for a while not every tick is worth even that. Where it cannot be trusted, the kernel's lists of children are read, or all of `/proc`. All of it together is held to
//! a share of a core; a scan of everything now and then corrects what the cheap way may have missed.

use super::Tree;
use crate::{
    budget::Budget,
    clock::thread_cpu_us,
    procfs::{BirthCounter, ProcError},
};

/// Share of one core that finding processes may take.
const DISCOVERY_SHARE: f64 = 0.000_5;
/// So much of that time may be used at once, µs: processes are born together, when a suite and its workers start.
const DISCOVERY_SAVED_US: i64 = 20_000_000;
/// Share of one core that following the lists of children may take, where the budget above is used up.
const FOLLOW_SHARE: f64 = 0.000_5;
/// Share of one core that scans may take where they only correct a cheaper way.
const CORRECTION_SHARE: f64 = 0.000_5;
/// Above this many new numbers a scan costs less than to look at each.
const MAX_PROBES: u32 = 64;
/// How far beyond the command's own number the newest one may be when both are compared at the start.
const PLAUSIBLE_DISTANCE: u32 = 4_096;
/// How often everything is looked at at most, however well the cheap way works, µs.
const SCAN_EVERY_US: i64 = 5_000_000;
/// A process can be seen so long after its number was given, µs: who was born before is in a scan that comes later.
const SEEN_AFTER_US: i64 = 1_000_000;
/// A number is given before its process can be seen (a large parent takes milliseconds to copy), so one that shows nothing is
/// looked at on so many later ticks.
const LATER_LOOKS: u8 = 2;

/// Without a birth for so long the newest number is looked at more rarely, µs.
const CALM_AFTER_US: i64 = 5_000_000;
/// So far apart then, µs: less than two ticks of the usual grid, so that it is every second one.
const CALM_LOOK_US: i64 = 80_000;

/// Finds the processes of a tree.
#[derive(Debug)]
pub struct Discovery {
    births: Option<BirthCounter>,
    newest: u32,
    unborn: Vec<(u32, u8)>,
    has_children_files: bool,
    budget: Budget,
    /// For following the lists of children where the rest is used up by what others start.
    follow_budget: Budget,
    next_scan_us: i64,
    scanned_us: Option<i64>,
    /// When the newest number was last seen to move, and when it was last looked at.
    moved_us: i64,
    looked_us: i64,
    found: Vec<u32>,
    buffer: Vec<u8>,
}

impl Discovery {
    /// Begins with the command, which must just have been started: the newest number is compared with its own.
    #[must_use]
    pub fn begin(tree: &Tree, command_pid: u32, now_us: i64) -> Self {
        let trusted = |counter: &BirthCounter| {
            let newest = counter.newest().ok()?;
            let distance = newest.checked_sub(command_pid)?;
            (distance < PLAUSIBLE_DISTANCE).then_some(())
        };
        let births = tree
            .procfs
            .open_births()
            .ok()
            .filter(|counter| trusted(counter).is_some());
        Self {
            births,
            newest: command_pid,
            unborn: Vec::new(),
            has_children_files: tree.procfs.has_children_files(tree.agent_pid),
            follow_budget: Budget::saving(FOLLOW_SHARE, DISCOVERY_SAVED_US),
            budget: Budget::saving(DISCOVERY_SHARE, DISCOVERY_SAVED_US),
            next_scan_us: now_us + SCAN_EVERY_US,
            scanned_us: None,
            moved_us: now_us,
            looked_us: now_us,
            found: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Begins among processes that run already: the first look is at all of them.
    #[must_use]
    pub fn begin_among(tree: &Tree, now_us: i64) -> Self {
        Self {
            next_scan_us: now_us,
            ..Self::begin(tree, tree.agent_pid, now_us)
        }
    }

    /// Uses up what finding processes may cost for an hour.
    #[cfg(test)]
    pub(crate) fn use_up(&mut self, now_us: i64) {
        self.next_scan_us = i64::MAX;
        let hour_us = 3_600_000_000.0;
        let cost_us = (hour_us * DISCOVERY_SHARE) as i64;
        self.budget.spend(now_us, cost_us);
    }

    /// Looks for new members, if there is reason to and the budget allows.
    ///
    /// # Errors
    /// When the kernel's files cannot be read or understood; what was found until then stays.
    pub fn look(&mut self, tree: &mut Tree, now_us: i64) -> Result<(), ProcError> {
        let found = self.find(tree, now_us);
        match tree.is_below_the_agent() {
            true => found,
            false => found.and(tree.settle_rivals()),
        }
    }

    fn find(&mut self, tree: &mut Tree, now_us: i64) -> Result<(), ProcError> {
        if now_us >= self.next_scan_us && !self.is_all_seen(tree) {
            let began = thread_cpu_us();
            let result = self.scan(tree, now_us);
            // One that broke off has not seen everybody.
            self.scanned_us = result.is_ok().then_some(now_us);
            let wait_us = (thread_cpu_us() - began) as f64 / CORRECTION_SHARE;
            self.next_scan_us = now_us + SCAN_EVERY_US.max(wait_us as i64);
            return result;
        }
        let is_calm = now_us - self.moved_us >= CALM_AFTER_US && self.unborn.is_empty();
        if is_calm && now_us - self.looked_us < CALM_LOOK_US {
            return Ok(());
        }
        self.looked_us = now_us;
        let newest = match &self.births {
            Some(births) => Some(births.newest()?),
            None => None,
        };
        if newest == Some(self.newest) && self.unborn.is_empty() {
            return Ok(());
        }
        self.moved_us = now_us;
        if !self.budget.allows(now_us) {
            return self.follow(tree, now_us);
        }
        let began = thread_cpu_us();
        let result = match newest {
            Some(newest) if newest >= self.newest && newest - self.newest <= MAX_PROBES => {
                self.probe(tree, newest, now_us)
            }
            None if self.has_children_files && tree.is_below_the_agent() => {
                self.descend(tree, now_us)
            }
            // Where so many were born, those of the job are found by who started them; whoever is not stands in the next look at all.
            Some(newest) if newest > self.newest && self.has_children_files => {
                self.follow(tree, now_us)
            }
            _ => self.scan(tree, now_us),
        };
        if let Some(newest) = newest {
            self.newest = newest;
        }
        self.budget.spend(now_us, thread_cpu_us() - began);
        result
    }

    /// Whether the last scan has seen everybody, since nobody was born after it. Where whoever lives already may become a member, it has not.
    fn is_all_seen(&self, tree: &Tree) -> bool {
        let is_after = |scanned_us: i64| scanned_us - self.moved_us >= SEEN_AFTER_US;
        self.births.is_some() && tree.is_below_the_agent() && self.scanned_us.is_some_and(is_after)
    }

    /// Looks at each number given since the last look.
    fn probe(&mut self, tree: &mut Tree, newest: u32, now_us: i64) -> Result<(), ProcError> {
        let mut result = Ok(());
        let fresh = (self.newest + 1..=newest).map(|pid| (pid, LATER_LOOKS));
        let pids: Vec<_> = self.unborn.drain(..).chain(fresh).collect();
        for (pid, looks) in pids {
            match tree.consider_newborn(pid, now_us) {
                Ok(true) => {}
                Ok(false) if looks > 0 => self.unborn.push((pid, looks - 1)),
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Follows the kernel's lists of children of those who are known, so that what others start, however much, hides nobody of the job.
    fn follow(&mut self, tree: &mut Tree, now_us: i64) -> Result<(), ProcError> {
        if !self.has_children_files || !self.follow_budget.allows(now_us) {
            return Ok(());
        }
        let began = thread_cpu_us();
        let mut result = Ok(());
        self.found.clear();
        tree.parents(&mut self.found);
        let mut next = 0;
        while let Some(parent) = self.found.get(next).copied() {
            next += 1;
            let first = self.found.len();
            let listed = tree
                .procfs
                .children(parent, &mut self.buffer, &mut self.found);
            result = result.and(listed);
            let mut at = first;
            while let Some(child) = self.found.get(at).copied() {
                // Whoever is known already is among the parents, or none of the job.
                let is_member = match tree.is_known(child) {
                    true => false,
                    false => match tree.consider(child, now_us) {
                        Ok(_) => tree.is_member(child),
                        Err(error) => {
                            result = Err(error);
                            false
                        }
                    },
                };
                if is_member {
                    at += 1;
                } else {
                    self.found.swap_remove(at);
                }
            }
        }
        self.follow_budget.spend(now_us, thread_cpu_us() - began);
        result
    }

    /// Follows the kernel's lists of children from the agent down.
    fn descend(&mut self, tree: &mut Tree, now_us: i64) -> Result<(), ProcError> {
        let mut result = Ok(());
        self.found.clear();
        self.found.push(tree.agent_pid);
        let mut next = 0;
        while let Some(pid) = self.found.get(next).copied() {
            next += 1;
            let seen = tree.consider(pid, now_us).map(|_| ());
            let listed = tree.procfs.children(pid, &mut self.buffer, &mut self.found);
            result = result.and(seen).and(listed);
        }
        result
    }

    /// Looks at every process there is.
    fn scan(&mut self, tree: &mut Tree, now_us: i64) -> Result<(), ProcError> {
        let mut result = Ok(());
        self.unborn.clear();
        tree.forget_outsiders();
        result = result.and(tree.settle_rivals());
        self.found.clear();
        tree.procfs.pids_into(&mut self.found)?;
        for pid in self.found.iter().copied() {
            result = result.and(tree.look_again(pid, now_us));
        }
        result
    }
}
