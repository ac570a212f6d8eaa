//! Values that were read together.

use std::collections::BTreeMap;

use highwater_wire::v1::{Batch, Metric, Process, Role, Samples, Series};

/// Most values of a batch.
const MOST_VALUES: usize = 100_000;
/// Most children in one look.
const MOST_CHILDREN: usize = 10_000;

/// A child by its number on the machine, or, as `None`, the process itself, whose number is not in the file.
type Pid = Option<u32>;

/// One look of mprof at its processes.
#[derive(Debug)]
struct Round {
    t_us: i64,
    bytes: BTreeMap<Pid, u64>,
}

/// Looks that are in no batch yet, and what is known of all.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    waiting: Vec<Round>,
    values: usize,
    /// Looks so far, and the times of the first and the last, µs since 1970.
    seen: u64,
    first_us: Option<i64>,
    last_us: i64,
}

impl Rounds {
    /// mprof looks at its process.
    pub(super) fn begin(&mut self, unix_us: i64, bytes: u64) {
        let first_us = *self.first_us.get_or_insert(unix_us);
        self.seen += 1;
        self.last_us = unix_us;
        self.values += 1;
        self.waiting.push(Round {
            t_us: unix_us - first_us,
            bytes: BTreeMap::from([(None, bytes)]),
        });
    }

    /// In the same look, a child.
    pub(super) fn add(&mut self, pid: u32, bytes: u64) -> Result<(), String> {
        let Some(round) = self.waiting.last_mut() else {
            return Err("CHLD before any MEM".to_owned());
        };
        if round.bytes.len() > MOST_CHILDREN {
            return Err(format!("more than {MOST_CHILDREN} children after one MEM"));
        }
        self.values += 1;
        round.bytes.insert(Some(pid), bytes);
        Ok(())
    }

    pub(super) fn are_many(&self) -> bool {
        self.values >= MOST_VALUES
    }

    pub(super) fn started_us(&self) -> Option<i64> {
        self.first_us
    }

    /// How far two looks are apart on average, µs, within what a job may say.
    pub(super) fn interval_us(&self) -> u64 {
        let span = self.last_us - self.first_us.unwrap_or(0);
        let between = self.seen.saturating_sub(1).max(1);
        (span.max(0).unsigned_abs() / between).clamp(1_000, 3_600_000_000)
    }

    /// Takes the looks that wait.
    pub(super) fn batch(&mut self, command: &str) -> Batch {
        let rounds = std::mem::take(&mut self.waiting);
        self.values = 0;
        let mut pids: Vec<Pid> = rounds
            .iter()
            .flat_map(|round| round.bytes.keys().copied())
            .collect();
        pids.sort_unstable();
        pids.dedup();
        let times = || rounds.iter().map(|round| round.t_us);
        Batch {
            from_us: times().min().unwrap_or(0),
            to_us: times().max().unwrap_or(0),
            processes: pids.iter().map(|pid| process(*pid, command)).collect(),
            // A clock that was set back makes ticks of its own.
            samples: rounds
                .chunk_by(|before, after| before.t_us <= after.t_us)
                .map(|rounds| samples(rounds, &pids))
                .collect(),
            ..Batch::default()
        }
    }
}

fn process(pid: Pid, command: &str) -> Process {
    let (command, start_ticks) = match pid {
        Some(_) => ("(a child)", 1),
        None => (command, 0),
    };
    Process {
        // Where the number is not known it is 1; when it started tells it from a child of that number.
        pid: pid.unwrap_or(1),
        start_ticks,
        command: command.to_owned(),
        role: Some(Role::Child.into()),
        exact: Some(false),
        exact_reason: "imported from mprof, which samples".to_owned(),
        ..Process::default()
    }
}

fn samples(rounds: &[Round], pids: &[Pid]) -> Samples {
    let mut before_us = 0;
    let t_us_delta = rounds.iter().map(|round| {
        let delta = round.t_us - before_us;
        before_us = round.t_us;
        delta
    });
    Samples {
        t_us_delta: t_us_delta.collect(),
        lateness_us: Vec::new(),
        series: (0..)
            .zip(pids)
            .flat_map(|(position, pid)| series(rounds, position, *pid))
            .collect(),
    }
}

/// The values of a process, in stretches without holes.
fn series(rounds: &[Round], position: u32, pid: Pid) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let mut before: Option<(u32, u64)> = None;
    for (tick, round) in (0..).zip(rounds) {
        let Some(bytes) = round.bytes.get(&pid).copied() else {
            continue;
        };
        match (before, all.last_mut()) {
            (Some((last_tick, last)), Some(series)) if last_tick + 1 == tick => {
                series
                    .value_delta
                    .push(bytes.cast_signed() - last.cast_signed());
            }
            _ => all.push(Series {
                metric: Metric::Rss.into(),
                process: Some(position),
                first: tick,
                value_delta: vec![bytes.cast_signed()],
                ..Series::default()
            }),
        }
        before = Some((tick, bytes));
    }
    all
}
