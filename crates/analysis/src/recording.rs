//! Everything that arrived of one job, put in order.

use std::collections::BTreeMap;

use highwater_wire::v1::{Batch, End, Job, Mark, Metric, Notice, Process, Session};
use uuid::Uuid;

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
