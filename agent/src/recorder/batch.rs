//! What was gathered in about a second, written as one message.

use std::{collections::HashMap, sync::Arc};

use highwater_wire::{
    codec::MAX_SAMPLES,
    v1::{Batch, Event, Mark, Metric, Samples, Series},
};

use super::{
    reuse::{Reuse, Shelf},
    table::Table,
};
use crate::{
    cgroup::CgroupReading,
    procfs::MachineReading,
    sampler::{GridBlock, RestReading, SecondReading, SlowReading, SlowValue, Spares},
    tree::ProcessKey,
};

/// Readings of one round closer than this share a tick, µs.
const SAME_TICK_US: i64 = 10_000;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) grids: Vec<GridBlock>,
    pub(super) seconds: Vec<SecondReading>,
    pub(super) rest: Vec<RestReading>,
    pub(super) marks: Vec<(ProcessKey, Mark)>,
    pub(super) events: Vec<Event>,
    /// About what the marks take on the wire.
    pub(super) marks_bytes: usize,
    /// How often a process told who it is.
    pub(super) heads: usize,
    slow: Vec<SlowValue>,
    /// Where in `slow` each round begins.
    rounds: Vec<usize>,
    places: Places,
    /// Cgroups that the readings name.
    names: Vec<Arc<str>>,
    spares: Spares,
}

impl Gathered {
    /// Nothing yet; what is emptied goes back by `spares`.
    pub(super) fn new(spares: Spares) -> Self {
        Self {
            spares,
            ..Self::default()
        }
    }

    /// Whether a batch could not hold this block too, beside the few values that are no columns of a grid.
    pub(super) fn has_no_room_for(&self, block: &GridBlock) -> bool {
        let held: usize = self.grids.iter().map(GridBlock::most_values).sum();
        held + block.most_values() > MAX_SAMPLES / 2
    }

    pub(super) fn add_slow(&mut self, mut reading: SlowReading) {
        if !reading.values.is_empty() {
            self.rounds.push(self.slow.len());
        }
        self.slow.append(&mut reading.values);
        self.spares.values.give(reading.values);
    }

    /// Moves everything into an empty batch, with every process it speaks of.
    pub(super) fn fill(&mut self, batch: &mut Batch, table: &mut Table, reuse: &mut Reuse) {
        let places = &mut self.places;
        places.clear();
        for key in table.news() {
            places.of(key);
        }
        for block in self.grids.drain(..) {
            batch.samples.push(grid(&block, places, &mut reuse.grids));
            self.spares.blocks.give(block);
        }
        if !self.seconds.is_empty() {
            let samples = seconds(&self.seconds, &mut self.names, &mut reuse.seconds);
            batch.samples.push(samples);
            for reading in self.seconds.drain(..) {
                self.spares.seconds.give(reading);
            }
        }
        if !self.slow.is_empty() {
            batch
                .samples
                .push(slow(&self.slow, &self.rounds, places, &mut reuse.slow));
            self.slow.clear();
        }
        self.rounds.clear();
        if !self.rest.is_empty() {
            batch
                .samples
                .push(rest(&self.rest, places, &mut reuse.rest));
            self.rest.clear();
        }
        for (key, mut mark) in self.marks.drain(..) {
            mark.process = places.of(key);
            batch.marks.push(mark);
        }
        self.marks_bytes = 0;
        self.heads = 0;
        batch.events.append(&mut self.events);
        let order = places.order.iter();
        batch.processes.extend(order.map(|key| table.word_of(*key)));
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
    fn clear(&mut self) {
        self.order.clear();
        self.positions.clear();
    }

    fn of(&mut self, key: ProcessKey) -> u32 {
        let next = self.order.len() as u32;
        *self.positions.entry(key).or_insert_with(|| {
            self.order.push(key);
            next
        })
    }
}

fn put_deltas(into: &mut Vec<i64>, values: impl Iterator<Item = i64>) {
    let mut before = 0;
    into.extend(values.map(|value| value - std::mem::replace(&mut before, value)));
}

fn grid(block: &GridBlock, places: &mut Places, shelf: &mut Shelf) -> Samples {
    let mut samples = shelf.samples();
    put_deltas(&mut samples.t_us_delta, block.t_us.iter().copied());
    samples.lateness_us.extend_from_slice(&block.lateness_us);
    for column in &block.columns {
        let process = Some(places.of(column.key));
        for (metric, values) in [(Metric::Rss, &column.rss), (Metric::Anon, &column.anon)] {
            // Not every backend knows what is shared.
            if values.is_empty() {
                continue;
            }
            let mut series = shelf.series(metric);
            series.process = process;
            series.first = column.first as u32;
            let values = values.iter().map(|bytes| bytes.cast_signed());
            put_deltas(&mut series.value_delta, values);
            samples.series.push(series);
        }
    }
    samples
}

fn slow(values: &[SlowValue], rounds: &[usize], places: &mut Places, shelf: &mut Shelf) -> Samples {
    let mut samples = shelf.samples();
    let mut last_us = None;
    let mut rounds = rounds.iter().copied().peekable();
    for (at, value) in values.iter().enumerate() {
        // Another round reads the same processes again, and a process has one value on a tick.
        let begins_round = rounds.next_if(|round| *round <= at).is_some();
        if begins_round || last_us.is_none_or(|last| value.t_us - last > SAME_TICK_US) {
            samples.t_us_delta.push(value.t_us - last_us.unwrap_or(0));
            last_us = Some(value.t_us);
        }
        let process = Some(places.of(value.key));
        for (metric, bytes) in [
            (Metric::Pss, value.pss_bytes),
            (Metric::Swap, value.swap_bytes),
        ] {
            samples.series.extend(bytes.map(|bytes| {
                let mut series = shelf.series(metric);
                series.process = process;
                series.first = samples.t_us_delta.len() as u32 - 1;
                series.value_delta.push(bytes.cast_signed());
                series
            }));
        }
    }
    samples
}

fn rest(readings: &[RestReading], places: &mut Places, shelf: &mut Shelf) -> Samples {
    let mut samples = shelf.samples();
    put_deltas(
        &mut samples.t_us_delta,
        readings.iter().map(|reading| reading.t_us),
    );
    let mut others = shelf.series(Metric::MachineOthers);
    let bytes = readings.iter().map(|reading| reading.scan.rss_bytes);
    put_deltas(&mut others.value_delta, bytes.map(u64::cast_signed));
    samples.series.push(others);
    for (first, reading) in readings.iter().enumerate() {
        for bystander in &reading.scan.largest {
            let mut series = shelf.series(Metric::OtherRss);
            series.process = Some(places.of(bystander.key));
            series.first = first as u32;
            series.value_delta.push(bystander.rss_bytes.cast_signed());
            samples.series.push(series);
        }
    }
    samples
}

type CgroupField = fn(&CgroupReading) -> Option<u64>;
type MachineField = fn(&MachineReading) -> Option<u64>;

const CGROUP_METRICS: [(Metric, CgroupField); 9] = [
    (Metric::CgroupUsage, |reading| reading.usage_bytes),
    (Metric::CgroupWorkingSet, |reading| {
        reading.working_set_bytes
    }),
    (Metric::CgroupLimit, |reading| reading.limit_bytes),
    (Metric::CgroupPeak, |reading| reading.peak_bytes),
    (Metric::CgroupOomKills, |reading| reading.oom_kills),
    (Metric::CgroupLimitMet, |reading| reading.limit_met),
    (Metric::CgroupOoms, |reading| reading.ooms),
    (Metric::CgroupOomGroup, |reading| reading.oom_group),
    (Metric::CgroupOomGroupKills, |reading| {
        reading.oom_group_kills
    }),
];

const MACHINE_METRICS: [(Metric, MachineField); 6] = [
    (Metric::MachineTotal, |reading| reading.total_bytes),
    (Metric::MachineAvailable, |reading| reading.available_bytes),
    (Metric::MachineSwapUsed, |reading| reading.swap_used_bytes),
    (Metric::MachineOomKills, |reading| reading.oom_kills),
    (Metric::MachinePsiSome, |reading| reading.psi_some),
    (Metric::MachinePsiFull, |reading| reading.psi_full),
];

fn seconds(readings: &[SecondReading], names: &mut Vec<Arc<str>>, shelf: &mut Shelf) -> Samples {
    let mut samples = shelf.samples();
    let times = readings.iter().map(|reading| reading.t_us);
    put_deltas(&mut samples.t_us_delta, times);
    for (metric, field) in MACHINE_METRICS {
        let values = readings.iter().map(|reading| field(&reading.machine));
        in_runs(values, metric, "", &mut samples.series, shelf);
    }
    let named = readings.iter().flat_map(|reading| &reading.cgroups);
    names.extend(named.map(|(name, _)| Arc::clone(name)));
    names.sort_unstable();
    names.dedup();
    for name in names.drain(..) {
        for (metric, field) in CGROUP_METRICS {
            let values = readings.iter().map(|reading| {
                let mut cgroups = reading.cgroups.iter();
                let found = cgroups.find(|(other, _)| *other == name);
                found.and_then(|(_, cgroup)| field(cgroup))
            });
            in_runs(values, metric, &name, &mut samples.series, shelf);
        }
    }
    samples
}

/// One series for each run of values without a hole.
fn in_runs(
    values: impl Iterator<Item = Option<u64>>,
    metric: Metric,
    cgroup: &str,
    all: &mut Vec<Series>,
    shelf: &mut Shelf,
) {
    let mut before = None;
    for (at, value) in values.enumerate() {
        let value = value.map(u64::cast_signed);
        match (value, before, all.last_mut()) {
            (Some(value), Some(before), Some(run)) => run.value_delta.push(value - before),
            (Some(value), ..) => {
                let mut run = shelf.series(metric);
                run.cgroup.push_str(cgroup);
                run.first = at as u32;
                run.value_delta.push(value);
                all.push(run);
            }
            (None, ..) => {}
        }
        before = value;
    }
}
