//! Every process of the recording, and which of what is known of it has not been said yet.

use std::collections::HashMap;

use highwater_wire::{
    codec::{MAX_NAME_BYTES, MAX_TEXT_BYTES},
    marks::{Header, SessionLine},
    v1::{Process, Role},
};

use crate::{
    bounds::cut,
    clock::JobClock,
    procfs::command_line,
    sampler::RestReading,
    tree::{Birth, Facts, ProcessKey},
};

/// A process that ended is forgotten this long after, µs: until then late marks and its end may come.
const REMEMBERED_US: i64 = 10_000_000;

/// So many are said in one batch for being news, which holds four times as many: beside them it names those of whom it has samples and marks.
const MOST_SAID: usize = 4_000;

/// So many are remembered whom the tree never saw.
const MOST_UNSEEN: usize = MOST_SAID;

/// Why the peaks of a process without the plugin are sampled.
const SAMPLED: &str = "the tests were read from the memory of a pytest without the plugin";

/// The same of a worker whose memory is closed.
pub(super) const BY_TITLE: &str =
    "the tests were read from the title of a pytest-xdist worker without the plugin";

/// How far up ancestors are followed.
const MAX_DEPTH: usize = 64;

/// How a child of the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ending {
    /// Its exit code, when it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, otherwise.
    pub signal: Option<i32>,
}

/// What is known of one process.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) word: Process,
    pub(super) words: Vec<String>,
    /// Whether those are the words of the pytest that it was forked from.
    pub(super) is_copy: bool,
    /// Whether its plugin wrote a header.
    pub(super) has_plugin: bool,
    /// Whether its plugin told of a session.
    pub(super) speaks: bool,
    /// Whether its tests are read from its memory.
    pub(super) is_sampled: bool,
    /// Why they cannot be.
    pub(super) unseen: Option<String>,
    /// Whether its lack of a plugin was decided on.
    pub(super) is_advised: bool,
    pub(super) born_us: i64,
    is_news: bool,
    gone_us: Option<i64>,
    /// When it joined the session that its word names.
    joined_us: i64,
    /// Whether a batch named that session.
    has_said_session: bool,
    /// The sessions before that one, and whether a batch named them.
    past: Vec<(Process, bool)>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    known: HashMap<ProcessKey, Known>,
    /// Those that the tree saw, by their start: anybody can write the headers of thousands that are none.
    started: HashMap<u64, Vec<ProcessKey>>,
}

impl Table {
    pub(super) fn born(&mut self, birth: Birth, t_us: i64, clock: JobClock) {
        let started = self.started.entry(birth.key.start_ticks).or_default();
        if !started.contains(&birth.key) {
            started.push(birth.key);
        }
        let known = self.change(birth.key, t_us);
        known.born_us = t_us;
        known.word.parent_pid = birth.parent_pid;
        known.word.command = command_line(&birth.words);
        known.words = birth.words;
        known.word.as_large_as_parent = birth.is_as_large;
        known.is_copy = birth.is_copy;
        // Clock ticks are 10 ms, so the start may seem to lie before the job's; it cannot lie after the first sight either.
        known.word.started_us = Some(clock.at_ticks(birth.key.start_ticks).clamp(0, t_us.max(0)));
        // One of the largest beside the job may turn out to be of it.
        if matches!(known.word.role(), Role::Unspecified | Role::Other) {
            known.word.set_role(Role::Child);
            known.gone_us = None;
        }
    }

    pub(super) fn renamed(&mut self, key: ProcessKey, words: &[String], is_copy: bool, t_us: i64) {
        let known = self.change(key, t_us);
        known.word.command = command_line(words);
        known.words = words.to_vec();
        known.is_copy = is_copy;
    }

    pub(super) fn gone(&mut self, key: ProcessKey, t_us: i64) {
        let known = self.change(key, t_us);
        known.word.ended_us.get_or_insert(t_us);
        known.gone_us = Some(t_us);
    }

    /// A child of the agent ended. One that lived between two looks is not known, and not worth a line.
    pub(super) fn reaped(&mut self, pid: u32, t_us: i64, ending: Ending) {
        let ours = |(key, _): &(&ProcessKey, &Known)| key.pid == pid;
        let Some(key) = self.known.iter().filter(ours).map(|(key, _)| *key).max() else {
            return;
        };
        let known = self.change(key, t_us);
        known.word.ended_us = Some(t_us);
        known.word.exit_code = ending.exit_code;
        known.word.signal = ending.signal;
    }

    /// Somebody saw the end of a process of the tree; who reaped it knows better, and may have said so before.
    pub(super) fn exited(&mut self, key: ProcessKey, t_us: i64, ending: Ending) {
        let known = self.change(key, t_us);
        known.word.ended_us.get_or_insert(t_us);
        if known.word.exit_code.is_none() && known.word.signal.is_none() {
            known.word.exit_code = ending.exit_code;
            known.word.signal = ending.signal;
        }
    }

    pub(super) fn facts(&mut self, key: ProcessKey, facts: Facts, t_us: i64) {
        let word = &mut self.change(key, t_us).word;
        if let Some(cgroup) = facts.cgroup {
            word.cgroup = cgroup.to_string();
            cut(&mut word.cgroup, MAX_TEXT_BYTES);
        }
        word.address_space_limit_bytes = facts.address_space_limit_bytes;
        word.address_space_peak_bytes = facts.address_space_peak_bytes;
        word.data_limit_bytes = facts.data_limit_bytes;
        word.oom_score_adj = facts.oom_score_adj;
    }

    /// The largest processes beside the job; who is not among them any more is forgotten like one that ended.
    pub(super) fn bystanders(&mut self, reading: &RestReading) {
        let largest = &reading.scan.largest;
        for bystander in largest {
            let is_known = self.known.contains_key(&bystander.key);
            if !is_known {
                let word = &mut self.change(bystander.key, reading.t_us).word;
                word.command.clone_from(&bystander.command);
                word.set_role(Role::Other);
            }
        }
        for (key, known) in &mut self.known {
            if known.word.role() == Role::Other {
                let is_there = largest.iter().any(|bystander| bystander.key == *key);
                known.gone_us = (!is_there).then(|| known.gone_us.unwrap_or(reading.t_us));
            }
        }
    }

    pub(super) fn plugin(&mut self, header: &Header, t_us: i64) {
        let key = ProcessKey {
            pid: header.pid,
            start_ticks: header.start_ticks,
        };
        let known = self.change(key, t_us);
        known.has_plugin = true;
        known.word.exact = Some(header.exact);
        known.word.exact_reason = short(&header.exact_reason);
        known.word.peak_error_bytes = Some(header.peak_error_bytes);
        known.word.python = short(&header.python);
        known.word.pytest = short(&header.pytest);
        known.word.plugin = short(&header.plugin);
        known.word.forked_from = header.forked_from;
    }

    pub(super) fn joined(&mut self, key: ProcessKey, line: &SessionLine, t_us: i64) {
        let known = self.change(key, t_us);
        known.speaks = true;
        known.leave_session();
        // Whoever reads this puts the sessions of a process in the order of their words.
        known.joined_us = t_us.max(known.joined_us + 1);
        known.word.seen_us = known.joined_us;
        known.word.session = short(&line.session);
        known.word.worker = short(&line.worker);
        known.word.set_role(match line.role.as_str() {
            "controller" => Role::Controller,
            "worker" => Role::Worker,
            _ => Role::Pytest,
        });
    }

    /// A process without the plugin takes part in a session, as was seen from outside.
    pub(super) fn sampled(
        &mut self,
        key: ProcessKey,
        session: &str,
        role: Role,
        worker: &str,
        t_us: i64,
    ) {
        self.take_part(key, session, role, worker, t_us);
        self.read_by(key, SAMPLED);
    }

    /// A worker of such a session, whose memory is closed.
    pub(super) fn sampled_by_title(
        &mut self,
        key: ProcessKey,
        session: &str,
        worker: &str,
        t_us: i64,
    ) {
        self.take_part(key, session, Role::Worker, worker, t_us);
        self.read_by(key, BY_TITLE);
    }

    fn read_by(&mut self, key: ProcessKey, how: &str) {
        if let Some(known) = self.known.get_mut(&key) {
            known.is_sampled = true;
            known.word.exact = Some(false);
            how.clone_into(&mut known.word.exact_reason);
        }
    }

    fn take_part(&mut self, key: ProcessKey, session: &str, role: Role, worker: &str, t_us: i64) {
        let known = self.change(key, t_us);
        if known.word.session != session {
            known.leave_session();
            known.joined_us = t_us.max(known.joined_us + 1);
            known.word.seen_us = known.joined_us;
            known.word.session = session.to_owned();
        }
        known.word.worker = short(worker);
        known.word.set_role(role);
    }

    /// The tests of a process without the plugin cannot be read.
    pub(super) fn unseen(&mut self, key: ProcessKey, reason: String) {
        if let Some(known) = self.known.get_mut(&key) {
            known.unseen.get_or_insert(reason);
        }
    }

    fn change(&mut self, key: ProcessKey, t_us: i64) -> &mut Known {
        let known = self.known.entry(key).or_default();
        known.word.pid = key.pid;
        known.word.start_ticks = key.start_ticks;
        // The sampler's news may be older than what the plugin told since.
        known.word.seen_us = t_us.max(known.joined_us);
        known.is_news = true;
        known
    }

    /// Whether it is a forked child that goes on with its parent's test.
    pub(super) fn is_forked(&self, key: ProcessKey) -> bool {
        self.known
            .get(&key)
            .is_some_and(|known| known.word.forked_from != 0)
    }

    /// Whether the tree saw this process.
    pub(super) fn was_born(&self, key: ProcessKey) -> bool {
        self.known.get(&key).is_some_and(Known::was_born)
    }

    /// Whether the tree sees this process and has not seen its end.
    pub(super) fn lives(&self, key: ProcessKey) -> bool {
        let known = self.known.get(&key);
        known.is_some_and(|known| known.was_born() && !known.is_gone())
    }

    /// The process that has a number, or had it last, as the tree saw it.
    pub(super) fn newest(&self, pid: u32) -> Option<ProcessKey> {
        let born = self.known.iter().filter(|(_, known)| known.was_born());
        born.map(|(key, _)| *key).filter(|key| key.pid == pid).max()
    }

    /// Whether its plugin told of a session; one that failed as it began has a header alone.
    pub(super) fn speaks(&self, key: ProcessKey) -> bool {
        self.known.get(&key).is_some_and(|known| known.speaks)
    }

    pub(super) fn has_plugin(&self, key: ProcessKey) -> bool {
        self.known.get(&key).is_some_and(|known| known.has_plugin)
    }

    /// The words of its command; none of a process that is not known.
    pub(super) fn words_of(&self, key: ProcessKey) -> &[String] {
        self.known.get(&key).map_or(&[], |known| &known.words)
    }

    /// Who started it, as far as they are known, the nearest first.
    pub(super) fn ancestors(&self, key: ProcessKey) -> Vec<ProcessKey> {
        let mut ancestors = Vec::new();
        let mut child = key;
        while ancestors.len() < MAX_DEPTH
            && let Some(known) = self.known.get(&child)
            && let Some(parent) = self.started_before(known.word.parent_pid, child)
        {
            ancestors.push(parent);
            child = parent;
        }
        ancestors
    }

    fn started_before(&self, pid: u32, child: ProcessKey) -> Option<ProcessKey> {
        let keys = self
            .known
            .keys()
            .filter(|key| key.pid == pid && **key != child && key.start_ticks <= child.start_ticks);
        keys.max().copied()
    }

    /// How many that its parent started before it have such words.
    pub(super) fn elder_siblings(
        &self,
        key: ProcessKey,
        has_words: impl Fn(&[String]) -> bool,
    ) -> usize {
        let parent = self.known.get(&key).map(|known| known.word.parent_pid);
        let age = |key: ProcessKey| (key.start_ticks, key.pid);
        let elder = self.known.iter().filter(|(other, known)| {
            Some(known.word.parent_pid) == parent
                && age(**other) < age(key)
                && has_words(&known.words)
        });
        elder.count()
    }

    /// When the last child of a process with such words was first seen, µs since the job's start.
    pub(super) fn last_child_us(
        &self,
        parent: ProcessKey,
        has_words: impl Fn(&[String]) -> bool,
    ) -> Option<i64> {
        let children = self.known.values().filter(|known| {
            known.word.parent_pid == parent.pid && known.was_born() && has_words(&known.words)
        });
        children.map(|known| known.born_us).max()
    }

    /// How a child of the agent ended, once it has.
    pub(super) fn ending(&self, key: ProcessKey) -> Option<Ending> {
        let word = &self.known.get(&key)?.word;
        let ending = Ending {
            exit_code: word.exit_code,
            signal: word.signal,
        };
        (ending != Ending::default()).then_some(ending)
    }

    /// The one process that started then, has such words, and of whose plugin nothing was heard.
    pub(super) fn silent(
        &self,
        start_ticks: u64,
        has_words: impl Fn(&[String]) -> bool,
    ) -> Option<ProcessKey> {
        let is_silent = |key: &&ProcessKey| {
            let known = self.known.get(key);
            known.is_some_and(|known| !known.has_plugin && has_words(&known.words))
        };
        let mut silent = self.started.get(&start_ticks)?.iter().filter(is_silent);
        let key = silent.next()?;
        silent.next().is_none().then_some(*key)
    }

    /// Of whom something is to be said, as many as one batch says; the rest waits for the next.
    pub(super) fn news(&self) -> impl Iterator<Item = ProcessKey> {
        let news = self.known.iter().filter(|(_, known)| known.is_news);
        news.take(MOST_SAID).map(|(key, _)| *key)
    }

    pub(super) fn has_news(&self) -> bool {
        let mut known = self.known.values();
        known.any(|known| known.is_news || known.past.iter().any(|(_, is_said)| !is_said))
    }

    /// How many batches it takes to say all that is known.
    pub(super) fn batches(&self) -> usize {
        let past = self.known.values().map(|known| known.past.len()).sum();
        self.known.len().max(past).div_ceil(MOST_SAID)
    }

    /// What a batch says of a process: all that is known when it is news, otherwise who it is.
    pub(super) fn word_of(&mut self, key: ProcessKey) -> Process {
        match self.known.get_mut(&key) {
            Some(known) if known.is_news => {
                known.is_news = false;
                known.has_said_session = true;
                known.word.clone()
            }
            _ => Process {
                pid: key.pid,
                start_ticks: key.start_ticks,
                ..Process::default()
            },
        }
    }

    /// A word for each session that a process left before any batch named it: two of one process may both lie within a second. As many as one
    /// batch says.
    pub(super) fn past_sessions(&mut self) -> impl Iterator<Item = Process> {
        let past = self.known.values_mut().flat_map(|known| &mut known.past);
        past.filter_map(|(word, is_said)| (!std::mem::replace(is_said, true)).then(|| word.clone()))
            .take(MOST_SAID)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ProcessKey, &mut Known)> {
        self.known.iter_mut().map(|(key, known)| (*key, known))
    }

    /// Parent and plugin of the process that has a number.
    pub(super) fn parents(&self) -> HashMap<u32, (u32, bool)> {
        let line = |(key, known): (&ProcessKey, &Known)| {
            (key.pid, (known.word.parent_pid, known.has_plugin))
        };
        self.known.iter().map(line).collect()
    }

    pub(super) fn say_all_again(&mut self) {
        for known in self.known.values_mut() {
            known.is_news = true;
            known.has_said_session = false;
            known
                .past
                .iter_mut()
                .for_each(|(_, is_said)| *is_said = false);
        }
    }

    /// Forgets who ended, and of those who are known by their own word alone the ones that were silent longest.
    pub(super) fn forget_the_dead(&mut self, now_us: i64) {
        let before = self.known.len();
        let last_heard = |key: &ProcessKey, known: &Known| (known.word.seen_us, *key);
        let unseen = self.known.iter().filter(|(_, known)| known.is_unseen());
        let mut heard: Vec<_> = unseen.map(|(key, known)| last_heard(key, known)).collect();
        let too_many = heard.len().saturating_sub(MOST_UNSEEN);
        let silent = (too_many > 0).then(|| *heard.select_nth_unstable(too_many - 1).1);
        let is_kept = |key: &ProcessKey, known: &Known| match known.gone_us {
            _ if known.is_news => true,
            None if known.is_unseen() => silent.is_none_or(|last| last_heard(key, known) > last),
            gone_us => gone_us.is_none_or(|gone| now_us - gone < REMEMBERED_US),
        };
        self.known.retain(|key, known| is_kept(key, known));
        if self.known.len() < before {
            let known = &self.known;
            self.started.retain(|_, keys| {
                keys.retain(|key| known.contains_key(key));
                !keys.is_empty()
            });
        }
    }
}

impl Known {
    fn leave_session(&mut self) {
        let word = Process {
            pid: self.word.pid,
            start_ticks: self.word.start_ticks,
            session: std::mem::take(&mut self.word.session),
            seen_us: self.joined_us,
            ..Process::default()
        };
        if !word.session.is_empty() {
            self.past.push((word, self.has_said_session));
        }
        self.has_said_session = false;
    }

    fn was_born(&self) -> bool {
        self.word.started_us.is_some()
    }

    /// Whether nobody but itself tells of it.
    fn is_unseen(&self) -> bool {
        self.has_plugin && !self.was_born()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone_us.is_some()
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_NAME_BYTES / 4).collect()
}

#[cfg(test)]
mod tests;
