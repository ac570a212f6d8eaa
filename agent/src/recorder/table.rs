//! Every process of the recording, and which of what is known of it has not been said yet.

use std::collections::HashMap;

use highwater_wire::{
    codec::MAX_NAME_BYTES,
    marks::{Header, SessionLine},
    v1::{Process, Role},
};

use crate::{
    clock::JobClock,
    procfs::command_line,
    tree::{Birth, ProcessKey},
};

/// A process that ended is forgotten this long after, µs: until then late marks and its end may come.
const REMEMBERED_US: i64 = 10_000_000;

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
    /// Whether its plugin wrote a header.
    pub(super) has_plugin: bool,
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
}

impl Table {
    pub(super) fn born(&mut self, birth: Birth, t_us: i64, clock: JobClock) {
        let known = self.change(birth.key, t_us);
        known.born_us = t_us;
        known.word.parent_pid = birth.parent_pid;
        known.word.command = command_line(&birth.words);
        known.words = birth.words;
        // Clock ticks are 10 ms, so the start may seem to lie before the job's; it cannot lie after the first sight either.
        known.word.started_us = Some(clock.at_ticks(birth.key.start_ticks).clamp(0, t_us.max(0)));
        if known.word.role() == Role::Unspecified {
            known.word.set_role(Role::Child);
        }
    }

    pub(super) fn renamed(&mut self, key: ProcessKey, words: &[String], t_us: i64) {
        let known = self.change(key, t_us);
        known.word.command = command_line(words);
        known.words = words.to_vec();
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

    fn change(&mut self, key: ProcessKey, t_us: i64) -> &mut Known {
        let known = self.known.entry(key).or_default();
        known.word.pid = key.pid;
        known.word.start_ticks = key.start_ticks;
        // The sampler's news may be older than what the plugin told since.
        known.word.seen_us = t_us.max(known.joined_us);
        known.is_news = true;
        known
    }

    /// Whether the tree saw this process.
    pub(super) fn was_born(&self, key: ProcessKey) -> bool {
        self.known.get(&key).is_some_and(Known::was_born)
    }

    /// The process that has a number, or had it last, as the tree saw it.
    pub(super) fn newest(&self, pid: u32) -> Option<ProcessKey> {
        let born = self.known.iter().filter(|(_, known)| known.was_born());
        born.map(|(key, _)| *key).filter(|key| key.pid == pid).max()
    }

    /// The one process that started then, has such words, and of whose plugin nothing was heard.
    pub(super) fn silent(
        &self,
        start_ticks: u64,
        has_words: impl Fn(&[String]) -> bool,
    ) -> Option<ProcessKey> {
        let mut silent = self.known.iter().filter(|(key, known)| {
            key.start_ticks == start_ticks
                && known.was_born()
                && !known.has_plugin
                && has_words(&known.words)
        });
        let (key, _) = silent.next()?;
        silent.next().is_none().then_some(*key)
    }

    /// Everybody of whom something is to be said.
    pub(super) fn news(&self) -> impl Iterator<Item = ProcessKey> {
        self.known
            .iter()
            .filter(|(_, known)| known.is_news)
            .map(|(key, _)| *key)
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

    /// A word for each session that a process left before any batch named it: two of one process may both lie within a second.
    pub(super) fn past_sessions(&mut self) -> impl Iterator<Item = Process> {
        let past = self.known.values_mut().flat_map(|known| &mut known.past);
        past.filter_map(|(word, is_said)| (!std::mem::replace(is_said, true)).then(|| word.clone()))
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

    pub(super) fn forget_the_dead(&mut self, now_us: i64) {
        let is_kept = |known: &Known| {
            known.is_news
                || known
                    .gone_us
                    .is_none_or(|gone| now_us - gone < REMEMBERED_US)
        };
        self.known.retain(|_, known| is_kept(known));
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

    pub(super) fn is_gone(&self) -> bool {
        self.gone_us.is_some()
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_NAME_BYTES / 4).collect()
}
