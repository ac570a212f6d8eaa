//! Everything that arrived of one job, put in order.

mod groups;
mod marks;
mod sessions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use highwater_wire::v1::{Batch, End, Event, Job, Metric, Notice, Process, Session};
use prost::Message;
use uuid::Uuid;

pub(crate) use marks::{Mark, Texts, What};

/// Identity of a process: number and start in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// Its number on the machine.
    pub pid: u32,
    /// When it started, in clock ticks since boot; 0 where that is not known.
    pub start_ticks: u64,
}

/// What a series is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A process.
    Process(ProcessKey),
    /// A cgroup, by path.
    Cgroup(String),
    /// The machine.
    Machine,
}

/// One metric of one subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// Of what.
    pub subject: Subject,
    /// Which metric.
    pub metric: Metric,
}

/// Series that share their ticks, because the agent reads them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// Each tick of the grid: RSS and anonymous memory.
    Grid,
    /// Each second: cgroups and the machine.
    Second,
    /// When its cost allows: PSS and swap.
    Slow,
}

/// The ticks of one rate and the series on them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Time of each tick, ascending, µs since the job's start.
    pub t_us: Vec<i64>,
    /// Lateness of each tick against the grid, µs; 0 where none was said.
    pub lateness_us: Vec<u64>,
    /// Values of each series, in runs without holes.
    pub series: BTreeMap<SeriesKey, Vec<Run>>,
}

/// Values on consecutive ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Position of the first value in [`Group::t_us`].
    pub first: usize,
    /// One value a tick.
    pub values: Vec<i64>,
}

impl ProcessKey {
    /// The identity a message speaks of.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        Self {
            pid: process.pid,
            start_ticks: process.start_ticks,
        }
    }
}

/// What arrived of one job, independent of the order in which it came.
#[derive(Debug)]
pub struct Recording {
    job: Job,
    end: Option<End>,
    seen: BTreeSet<(Uuid, u64)>,
    loose: groups::Loose,
    merged: OnceLock<BTreeMap<Rate, Group>>,
    words: BTreeMap<ProcessKey, Vec<Process>>,
    sessions: BTreeMap<String, Session>,
    marks: marks::Marks,
    notices: Vec<Notice>,
    events: Vec<Event>,
    last_us: i64,
}

impl Recording {
    /// A job of which nothing else has arrived.
    #[must_use]
    pub fn new(job: Job) -> Self {
        Self {
            job,
            end: None,
            seen: BTreeSet::new(),
            loose: groups::Loose::default(),
            merged: OnceLock::new(),
            words: BTreeMap::new(),
            sessions: BTreeMap::new(),
            marks: marks::Marks::default(),
            notices: Vec::new(),
            events: Vec::new(),
            last_us: 0,
        }
    }

    /// Adds a batch; the same (stream, seq) twice changes nothing.
    pub fn add(&mut self, stream: Uuid, seq: u64, batch: &Batch) {
        if !self.seen.insert((stream, seq)) {
            return;
        }
        self.merged = OnceLock::new();
        self.take_rest(stream, seq, batch);
        for samples in &batch.samples {
            self.loose.add(samples, &batch.processes);
        }
    }

    fn take_rest(&mut self, stream: Uuid, seq: u64, batch: &Batch) {
        self.last_us = self.last_us.max(batch.to_us);
        for process in &batch.processes {
            let words = self.words.entry(ProcessKey::of(process)).or_default();
            if !says_something(process) {
                continue;
            }
            let mut word = process.clone();
            if word.seen_us == 0 {
                word.seen_us = batch.from_us;
            }
            if !words.contains(&word) {
                words.push(word);
                words.sort_by_cached_key(|word| (word.seen_us, word.encode_to_vec()));
            }
        }
        for session in &batch.sessions {
            self.sessions
                .entry(session.id.clone())
                .and_modify(|known| sessions::merge(known, session))
                .or_insert_with(|| session.clone());
        }
        let marked = batch.marks.iter().map(|mark| mark.t_us).max();
        self.last_us = self.last_us.max(marked.unwrap_or(0));
        self.marks.add(stream, seq, batch);
        self.take_events(&batch.events);
        if !batch.notices.is_empty() {
            self.notices.extend_from_slice(&batch.notices);
            self.notices.sort_by(|a, b| {
                (a.t_us, &a.code, &a.message, a.count).cmp(&(b.t_us, &b.code, &b.message, b.count))
            });
        }
    }

    fn take_events(&mut self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        self.events.extend_from_slice(events);
        self.events
            .sort_by_cached_key(|event| (event.t_us, event.encode_to_vec()));
    }

    /// Sets the end; of several the one with the highest revision counts.
    pub fn set_end(&mut self, end: End) {
        if self
            .end
            .as_ref()
            .is_none_or(|known| known.revision <= end.revision)
        {
            self.end = Some(end);
        }
    }

    /// How the job began.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// How its agent said that it ended.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// All samples, merged; for drawing and for pages.
    pub fn groups(&self) -> &BTreeMap<Rate, Group> {
        self.merged.get_or_init(|| self.loose.merge())
    }

    /// Time of the latest thing known, µs since the job's start.
    #[must_use]
    pub fn last_us(&self) -> i64 {
        let ended = self.end.as_ref().map_or(0, |end| end.ended_us);
        self.last_us.max(ended)
    }

    /// Every word about each process, in the order the agent learnt them.
    pub(crate) fn words(&self) -> &BTreeMap<ProcessKey, Vec<Process>> {
        &self.words
    }

    /// Sessions in the order they began.
    pub(crate) fn sessions(&self) -> Vec<&Session> {
        let mut sessions: Vec<_> = self.sessions.values().collect();
        sessions.sort_by_key(|session| (session.began_us.unwrap_or(i64::MAX), &session.id));
        sessions
    }

    /// Marks of each process, in order.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (ProcessKey, &[Mark])> {
        self.marks.of_each()
    }

    /// The words of the marks.
    pub(crate) fn texts(&self) -> &Texts {
        self.marks.texts()
    }

    /// What the recorder had to say, in order of time.
    pub(crate) fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// What the agent saw happen, in order of time.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The whole recording without its samples as one batch: with [`groups`](Self::groups) nothing is lost.
    #[must_use]
    pub fn residue(&self) -> Batch {
        let mut processes = Vec::new();
        let mut marks = Vec::new();
        let keys: BTreeSet<_> = self
            .words
            .keys()
            .copied()
            .chain(self.marks.of_each().map(|(key, _)| key))
            .collect();
        for key in keys {
            let position = u32::try_from(processes.len()).unwrap_or(u32::MAX);
            let words = self.words.get(&key).map_or(&[][..], Vec::as_slice);
            if words.is_empty() {
                processes.push(Process {
                    pid: key.pid,
                    start_ticks: key.start_ticks,
                    ..Process::default()
                });
            }
            processes.extend_from_slice(words);
            marks.extend(self.marks.sent(key, position));
        }
        Batch {
            version: highwater_wire::VERSION,
            from_us: 0,
            to_us: self.last_us,
            processes,
            sessions: self.sessions.values().cloned().collect(),
            samples: Vec::new(),
            marks,
            notices: self.notices.clone(),
            events: self.events.clone(),
        }
    }

    /// Undoes [`groups`](Self::groups) and [`residue`](Self::residue).
    #[must_use]
    pub fn restore(
        job: Job,
        end: Option<End>,
        groups: &BTreeMap<Rate, Group>,
        residue: &Batch,
    ) -> Self {
        let mut recording = Self::new(job);
        recording.end = end;
        recording.take_rest(Uuid::nil(), 0, residue);
        recording.loose.add_groups(groups);
        recording
    }
}

/// A process named only because samples refer to it says nothing.
fn says_something(word: &Process) -> bool {
    *word
        != Process {
            pid: word.pid,
            start_ticks: word.start_ticks,
            seen_us: word.seen_us,
            ..Process::default()
        }
}
