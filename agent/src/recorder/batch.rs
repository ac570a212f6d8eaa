//! What was gathered in about a second, written as one message.

use std::{collections::HashMap, sync::Arc};

use highwater_wire::{
    codec::MAX_SAMPLES,
    v1::{Batch, Event, Mark, Metric, Samples, Series},
};

use super::table::Table;
use crate::{
    cgroup::CgroupReading,
    procfs::MachineReading,
    sampler::{GridBlock, SecondReading, SlowValue},
    tree::ProcessKey,
};

/// Readings closer than this share a tick, µs.
const SAME_TICK_US: i64 = 10_000;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) grids: Vec<GridBlock>,
    pub(super) seconds: Vec<SecondReading>,
    pub(super) slow: Vec<SlowValue>,
    pub(super) marks: Vec<(ProcessKey, Mark)>,
    pub(super) events: Vec<Event>,
    /// About what the marks take on the wire.
    pub(super) marks_bytes: usize,
}

impl Gathered {
    /// Whether a batch could not hold this block too, beside the few values that are no columns of a grid.
    pub(super) fn has_no_room_for(&self, block: &GridBlock) -> bool {
        let held: usize = self.grids.iter().map(GridBlock::most_values).sum();
        held + block.most_values() > MAX_SAMPLES / 2
    }

    /// Moves everything into a batch, with every process it speaks of.
    pub(super) fn fill(&mut self, batch: &mut Batch, table: &mut Table) {
        let mut places = Places::default();
        for key in table.news() {
            places.of(key);
        }
        batch
            .samples
            .extend(self.grids.drain(..).map(|block| grid(block, &mut places)));
        if !self.seconds.is_empty() {
            batch.samples.push(seconds(&self.seconds));
            self.seconds.clear();
        }
        if !self.slow.is_empty() {
            batch.samples.push(slow(&self.slow, &mut places));
            self.slow.clear();
        }
        for (key, mut mark) in self.marks.drain(..) {
            mark.process = places.of(key);
            batch.marks.push(mark);
        }
        self.marks_bytes = 0;
        batch.events.append(&mut self.events);
        batch.processes = places
            .order
            .into_iter()
            .map(|key| table.word_of(key))
            .collect();
        // Said once more under another session, each process that was in several since the last batch.
        batch.processes.extend(table.past_sessions());
    }
}

/// Positions in the batch's table of processes.
#[derive(Debug, Default)]
struct Places {
    order: Vec<ProcessKey>,
    positions: HashMap<ProcessKey, u32>,
}

impl Places {
    fn of(&mut self, key: ProcessKey) -> u32 {
        let next = self.order.len() as u32;
        *self.positions.entry(key).or_insert_with(|| {
            self.order.push(key);
            next
        })
    }
}

fn deltas(values: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut before = 0;
    values
        .into_iter()
        .map(|value| value - std::mem::replace(&mut before, value))
        .collect()
}

fn bytes(values: &[u64]) -> Vec<i64> {
    deltas(values.iter().map(|value| value.cast_signed()))
}

fn grid(block: GridBlock, places: &mut Places) -> Samples {
    let mut series = Vec::with_capacity(block.columns.len() * 2);
    for column in &block.columns {
        let process = Some(places.of(column.key));
        for (metric, values) in [(Metric::Rss, &column.rss), (Metric::Anon, &column.anon)] {
            // Not every backend knows what is shared.
            if values.is_empty() {
                continue;
            }
            series.push(Series {
                metric: metric.into(),
                process,
                first: column.first as u32,
                value_delta: bytes(values),
                ..Series::default()
            });
        }
    }
    Samples {
        t_us_delta: deltas(block.t_us),
        lateness_us: block.lateness_us,
        series,
    }
}

fn slow(values: &[SlowValue], places: &mut Places) -> Samples {
    let mut ticks: Vec<i64> = Vec::new();
    let mut series = Vec::new();
    for value in values {
        if ticks
            .last()
            .is_none_or(|last| value.t_us - last > SAME_TICK_US)
        {
            ticks.push(value.t_us);
        }
        let process = Some(places.of(value.key));
        for (metric, bytes) in [
            (Metric::Pss, value.pss_bytes),
            (Metric::Swap, value.swap_bytes),
        ] {
            series.extend(bytes.map(|bytes| Series {
                metric: metric.into(),
                process,
                first: ticks.len() as u32 - 1,
                value_delta: vec![bytes.cast_signed()],
                ..Series::default()
            }));
        }
    }
    Samples {
        t_us_delta: deltas(ticks),
        lateness_us: Vec::new(),
        series,
    }
}

type CgroupField = fn(&CgroupReading) -> Option<u64>;
type MachineField = fn(&MachineReading) -> Option<u64>;

const CGROUP_METRICS: [(Metric, CgroupField); 5] = [
    (Metric::CgroupUsage, |reading| reading.usage_bytes),
    (Metric::CgroupWorkingSet, |reading| {
        reading.working_set_bytes
    }),
    (Metric::CgroupLimit, |reading| reading.limit_bytes),
    (Metric::CgroupPeak, |reading| reading.peak_bytes),
    (Metric::CgroupOomKills, |reading| reading.oom_kills),
];

const MACHINE_METRICS: [(Metric, MachineField); 6] = [
    (Metric::MachineTotal, |reading| reading.total_bytes),
    (Metric::MachineAvailable, |reading| reading.available_bytes),
    (Metric::MachineSwapUsed, |reading| reading.swap_used_bytes),
    (Metric::MachineOomKills, |reading| reading.oom_kills),
    (Metric::MachinePsiSome, |reading| reading.psi_some),
    (Metric::MachinePsiFull, |reading| reading.psi_full),
];

fn seconds(readings: &[SecondReading]) -> Samples {
    let mut series = Vec::new();
    for (metric, field) in MACHINE_METRICS {
        let values: Vec<_> = readings
            .iter()
            .map(|reading| field(&reading.machine))
            .collect();
        in_runs(&values, metric, "", &mut series);
    }
    let mut names: Vec<&Arc<str>> = readings
        .iter()
        .flat_map(|reading| &reading.cgroups)
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        for (metric, field) in CGROUP_METRICS {
            let find = |reading: &SecondReading| {
                let found = reading.cgroups.iter().find(|(other, _)| other == name);
                found.and_then(|(_, cgroup)| field(cgroup))
            };
            let values: Vec<_> = readings.iter().map(find).collect();
            in_runs(&values, metric, name, &mut series);
        }
    }
    Samples {
        t_us_delta: deltas(readings.iter().map(|reading| reading.t_us)),
        lateness_us: Vec::new(),
        series,
    }
}

/// One series for each run of values without a hole.
fn in_runs(values: &[Option<u64>], metric: Metric, cgroup: &str, series: &mut Vec<Series>) {
    let mut first = 0;
    for run in values.split(Option::is_none) {
        if !run.is_empty() {
            series.push(Series {
                metric: metric.into(),
                cgroup: cgroup.to_owned(),
                first: first as u32,
                value_delta: deltas(run.iter().flatten().map(|value| value.cast_signed())),
                ..Series::default()
            });
        }
        first += run.len() + 1;
    }
}
