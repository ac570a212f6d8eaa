//! One process of the tree.

use super::facts::FactLooks;
use crate::procfs::{ProcError, Statm, StatmFile};

pub use highwater_analysis::recording::ProcessKey;

/// When the command of a process is asked for again, µs after it was first seen: a forked child shows its parent's until it
/// calls exec, and where that runs the same program the size of its code does not betray it.
const LOOKS_AT_COMMAND_US: [i64; 3] = [200_000, 1_000_000, 5_000_000];

/// An address space is about as large as another from this share of it on, percent, and the other way round: a fork has its parent's until one of them maps more.
const AS_LARGE_PERCENT: u64 = 95;

/// Where a process has its values among those that are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which column they go to.
    pub column: usize,
    /// The last tick that has one.
    pub tick: usize,
}

/// A living process of the tree.
#[derive(Debug)]
pub struct Member {
    /// Which process.
    pub key: ProcessKey,
    /// When it was first seen, µs since the job's start.
    pub seen_us: i64,
    /// Set once it was read and there was nothing left.
    pub ended: bool,
    /// Where its values of the running second are gathered.
    pub place: Option<Place>,
    /// Whether its PSS was read before.
    pub has_pss: bool,
    /// When it is looked at beside its memory, and what was seen.
    pub facts: FactLooks,
    /// Whether nothing but this job can be meant: its environment names the job, or all that descends from the runner is of it. Only such a process
    /// may be acted on; one that is merely below a shell or a runner that serves others too is watched.
    pub is_sure: bool,
    /// Whether it is a fork of a pytest whose command it shows.
    pub is_copy: bool,
    /// Whether its end will be heard of.
    pub is_held: bool,
    /// Its RSS when it was last read, bytes.
    pub resident_bytes: u64,
    statm: StatmFile,
    /// Its address space as it was last read.
    size_bytes: Option<u64>,
    text_bytes: Option<u64>,
    command: String,
    may_be_renamed: bool,
    looks: usize,
}

impl Member {
    pub(super) fn new(key: ProcessKey, statm: StatmFile, command: String, seen_us: i64) -> Self {
        Self {
            key,
            seen_us,
            ended: false,
            place: None,
            has_pss: false,
            facts: FactLooks::default(),
            is_sure: true,
            is_copy: false,
            is_held: false,
            resident_bytes: 0,
            statm,
            size_bytes: None,
            text_bytes: None,
            command,
            may_be_renamed: false,
            looks: 0,
        }
    }

    /// Its command as one line, as it was last seen.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Reads its memory; `None`, and [`ended`](Self::ended), when it is gone.
    ///
    /// # Errors
    /// When the kernel's file cannot be read or understood.
    pub fn read(&mut self) -> Result<Option<Statm>, ProcError> {
        let statm = self.statm.read()?;
        match statm {
            Some(statm) => {
                self.resident_bytes = statm.resident_bytes;
                self.facts.saw_size(statm.size_bytes);
                self.size_bytes = Some(statm.size_bytes);
                let before = self.text_bytes.replace(statm.text_bytes);
                self.may_be_renamed |= before.is_some_and(|before| before != statm.text_bytes);
            }
            None => self.ended = true,
        }
        Ok(statm)
    }

    /// Whether the address space of this process, which was just born, is about as large as that of its parent is, or was at any time since the last tick;
    /// `None` where one of them is gone.
    pub(super) fn is_as_large_as(&mut self, parent: &mut Self) -> Result<Option<bool>, ProcError> {
        let (Some(own), Some(now)) = (self.statm.read()?, parent.statm.read()?) else {
            return Ok(None);
        };
        let (own, now) = (own.size_bytes, now.size_bytes);
        let before = parent.size_bytes.unwrap_or(now);
        let is_least = own.saturating_mul(100) >= now.min(before).saturating_mul(AS_LARGE_PERCENT);
        let is_most = now.max(before).saturating_mul(100) >= own.saturating_mul(AS_LARGE_PERCENT);
        Ok(Some(is_least && is_most))
    }

    pub(super) fn takes_look_at_command(&mut self, now_us: i64) -> bool {
        let due = LOOKS_AT_COMMAND_US
            .get(self.looks)
            .is_some_and(|after| now_us - self.seen_us >= *after);
        if due {
            self.looks += 1;
        }
        std::mem::take(&mut self.may_be_renamed) || due
    }

    pub(super) fn rename(&mut self, command: String) -> bool {
        let other = self.command != command;
        self.command = command;
        if other {
            self.facts.begin_anew();
        }
        other
    }
}
