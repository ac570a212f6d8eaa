//! Samples as columns: packed into pages with their pyramid, restored from them, and read for a span of time in as many points
//! as are wanted.

use std::collections::BTreeMap;

use highwater_analysis::{
    digest::TreePoint,
    recording::{Group, ProcessKey, Rate, Recording, Run, SeriesKey, Subject},
};
use highwater_store::{
    SeriesRow, Snapshot, StoredPage,
    pages::{self, FACTOR, PAGE_VALUES, Summary},
    rate_columns,
};
use highwater_wire::v1::Metric;

use super::FinaliseError;

/// Levels of the pyramid above the values.
const LEVELS: i64 = 2;
/// Metric number of the job's curve, which is worked out and not sent.
const TREE: i32 = 0;
const RATES: [Rate; 3] = [Rate::Grid, Rate::Second, Rate::Slow];

/// A series in the points that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) id: i64,
    pub(crate) process: Option<u32>,
    pub(crate) cgroup: Option<String>,
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) t_us: Vec<i64>,
    pub(crate) min: Vec<i64>,
    pub(crate) max: Vec<i64>,
    pub(crate) last: Vec<i64>,
}

/// Name and unit of a metric in the API.
fn name_of(metric: i32) -> (&'static str, &'static str) {
    match Metric::try_from(metric) {
        Ok(Metric::Unspecified) | Err(_) => ("tree", "bytes"),
        Ok(Metric::Rss) => ("rss", "bytes"),
        Ok(Metric::Anon) => ("anon", "bytes"),
        Ok(Metric::Swap) => ("swap", "bytes"),
        Ok(Metric::Pss) => ("pss", "bytes"),
        Ok(Metric::CgroupUsage) => ("cgroup_usage", "bytes"),
        Ok(Metric::CgroupWorkingSet) => ("cgroup_working_set", "bytes"),
        Ok(Metric::CgroupLimit) => ("cgroup_limit", "bytes"),
        Ok(Metric::CgroupPeak) => ("cgroup_peak", "bytes"),
        Ok(Metric::CgroupOomKills) => ("cgroup_oom_kills", "count"),
        Ok(Metric::MachineTotal) => ("machine_total", "bytes"),
        Ok(Metric::MachineAvailable) => ("machine_available", "bytes"),
        Ok(Metric::MachineSwapUsed) => ("machine_swap_used", "bytes"),
        Ok(Metric::MachineOomKills) => ("machine_oom_kills", "count"),
        Ok(Metric::MachinePsiSome) => ("machine_psi_some", "hundredths of a percent"),
        Ok(Metric::MachinePsiFull) => ("machine_psi_full", "hundredths of a percent"),
    }
}

fn rate_number(rate: Rate) -> i64 {
    match rate {
        Rate::Grid => 0,
        Rate::Second => 1,
        Rate::Slow => 2,
    }
}

/// The job's curve as runs on the ticks of the grid.
fn tree_runs(tree: &[TreePoint], ticks: &[i64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for point in tree {
        let tick = ticks.partition_point(|t_us| *t_us < point.t_us);
        match runs.last_mut() {
            Some(run) if run.first + run.values.len() == tick => run.values.push(point.bytes),
            _ => runs.push(Run {
                first: tick,
                values: vec![point.bytes],
            }),
        }
    }
    runs
}

/// Everything of a recording that becomes columns, with the job's curve as the last.
fn all_series(
    recording: &Recording,
    tree: &[TreePoint],
    numbers: &BTreeMap<ProcessKey, u32>,
) -> Vec<(SeriesRow, Vec<Run>)> {
    let mut all = Vec::new();
    let mut row = |rate: Rate, metric: i32, subject: Option<&Subject>, runs: Vec<Run>| {
        let key = match subject {
            Some(Subject::Process(key)) => Some(*key),
            _ => None,
        };
        let row = SeriesRow {
            column_no: i64::try_from(all.len()).unwrap_or(i64::MAX),
            rate: rate_number(rate),
            metric,
            process_no: key.and_then(|key| numbers.get(&key).copied()),
            pid: key.map(|key| i64::from(key.pid)),
            start_ticks: key.map(|key| key.start_ticks.cast_signed()),
            cgroup: match subject {
                Some(Subject::Cgroup(path)) => Some(path.clone()),
                _ => None,
            },
        };
        all.push((row, runs));
    };
    for (rate, group) in recording.groups() {
        for (key, runs) in &group.series {
            row(*rate, key.metric.into(), Some(&key.subject), runs.clone());
        }
    }
    if let Some(grid) = recording.groups().get(&Rate::Grid) {
        row(Rate::Grid, TREE, None, tree_runs(tree, &grid.t_us));
    }
    all
}

/// Packs all samples of a recording.
pub(super) fn pack(
    recording: &Recording,
    tree: &[TreePoint],
    numbers: &BTreeMap<ProcessKey, u32>,
) -> (Vec<SeriesRow>, Vec<StoredPage>) {
    let mut stored = Vec::new();
    for (rate, group) in recording.groups() {
        let columns = rate_columns(rate_number(*rate));
        let whole = |values: Vec<i64>| [Run { first: 0, values }];
        pack_column(columns.t_us, &whole(group.t_us.clone()), true, &mut stored);
        let lateness = group
            .lateness_us
            .iter()
            .map(|late| late.cast_signed())
            .collect();
        pack_column(columns.lateness_us, &whole(lateness), false, &mut stored);
    }
    let series = all_series(recording, tree, numbers)
        .into_iter()
        .map(|(row, runs)| {
            pack_column(row.column_no, &runs, true, &mut stored);
            row
        })
        .collect();
    (series, stored)
}

fn pack_column(column_no: i64, runs: &[Run], pyramid: bool, stored: &mut Vec<StoredPage>) {
    let place = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    for run in runs {
        for (chunk, first) in run
            .values
            .chunks(PAGE_VALUES)
            .zip((run.first..).step_by(PAGE_VALUES))
        {
            stored.push(StoredPage {
                column_no,
                level: 0,
                first_index: place(first),
                length: place(chunk.len()),
                content: pages::pack(chunk),
            });
        }
    }
    if !pyramid {
        return;
    }
    let mut below: Vec<(usize, Summary)> = runs
        .iter()
        .map(|run| (run.first / FACTOR, pages::summarise(&run.values, run.first)))
        .collect();
    for level in 1..=LEVELS {
        let joined = join(&below);
        for (first, summary) in &joined {
            for at in (0..summary.min.len()).step_by(PAGE_VALUES) {
                let page = slice(summary, at);
                stored.push(StoredPage {
                    column_no,
                    level,
                    first_index: place(first + at),
                    length: place(page.min.len()),
                    content: pages::pack_summary(&page),
                });
            }
        }
        below = joined
            .iter()
            .map(|(first, summary)| (first / FACTOR, pages::summarise_again(summary, *first)))
            .collect();
    }
}

fn slice(summary: &Summary, at: usize) -> Summary {
    let end = (at + PAGE_VALUES).min(summary.min.len());
    Summary {
        min: summary.min[at..end].to_vec(),
        max: summary.max[at..end].to_vec(),
        last: summary.last[at..end].to_vec(),
    }
}

/// Buckets of several runs in order, those that share one made one, neighbours in one run.
fn join(parts: &[(usize, Summary)]) -> Vec<(usize, Summary)> {
    let mut joined: Vec<(usize, Summary)> = Vec::new();
    for (first, part) in parts {
        for at in 0..part.min.len() {
            let (bucket, min, max, last) = (first + at, part.min[at], part.max[at], part.last[at]);
            match joined.last_mut() {
                Some((start, run)) if *start + run.min.len() == bucket + 1 => {
                    let end = run.min.len() - 1;
                    run.min[end] = run.min[end].min(min);
                    run.max[end] = run.max[end].max(max);
                    run.last[end] = last;
                }
                Some((start, run)) if *start + run.min.len() == bucket => {
                    run.min.push(min);
                    run.max.push(max);
                    run.last.push(last);
                }
                _ => joined.push((
                    bucket,
                    Summary {
                        min: vec![min],
                        max: vec![max],
                        last: vec![last],
                    },
                )),
            }
        }
    }
    joined
}

/// Gives the samples of a finalised job back as they were.
pub(super) async fn restore(
    snapshot: &mut Snapshot,
    job: i64,
) -> Result<BTreeMap<Rate, Group>, FinaliseError> {
    let mut groups: BTreeMap<Rate, Group> = BTreeMap::new();
    for rate in RATES {
        let columns = rate_columns(rate_number(rate));
        let t_us: Vec<i64> = values(snapshot, job, columns.t_us)
            .await?
            .into_iter()
            .flat_map(|run| run.values)
            .collect();
        let late = values(snapshot, job, columns.lateness_us).await?;
        if !t_us.is_empty() {
            let lateness_us = late
                .into_iter()
                .flat_map(|run| run.values)
                .map(i64::cast_unsigned)
                .collect();
            let group = Group {
                t_us,
                lateness_us,
                series: BTreeMap::new(),
            };
            groups.insert(rate, group);
        }
    }
    for row in snapshot
        .series(job)
        .await?
        .into_iter()
        .filter(|row| row.metric != TREE)
    {
        let Ok(metric) = Metric::try_from(row.metric) else {
            continue;
        };
        let subject = match (row.pid, row.cgroup) {
            (Some(pid), _) => Subject::Process(ProcessKey {
                pid: u32::try_from(pid).unwrap_or(0),
                start_ticks: row.start_ticks.unwrap_or(0).cast_unsigned(),
            }),
            (None, Some(path)) => Subject::Cgroup(path),
            (None, None) => Subject::Machine,
        };
        let runs = values(snapshot, job, row.column_no).await?;
        let rate = RATES
            .into_iter()
            .find(|rate| rate_number(*rate) == row.rate);
        if let Some(group) = rate.and_then(|rate| groups.get_mut(&rate)) {
            group.series.insert(SeriesKey { subject, metric }, runs);
        }
    }
    Ok(groups)
}

/// All values of a column, pages that touch put together.
async fn values(snapshot: &mut Snapshot, job: i64, column: i64) -> Result<Vec<Run>, FinaliseError> {
    let mut runs: Vec<Run> = Vec::new();
    for page in snapshot.pages(job, column, 0, 0, i64::MAX).await? {
        let first = usize::try_from(page.first_index).unwrap_or(0);
        let fresh = unpack(job, &page)?;
        match runs.last_mut() {
            Some(run) if run.first + run.values.len() == first => run.values.extend(fresh),
            _ => runs.push(Run {
                first,
                values: fresh,
            }),
        }
    }
    Ok(runs)
}

fn unpack(job: i64, page: &StoredPage) -> Result<Vec<i64>, FinaliseError> {
    let length = usize::try_from(page.length).unwrap_or(0);
    pages::unpack(&page.content, length).map_err(|error| FinaliseError::damaged(job, "page", error))
}

/// One entry of a level: place, least, greatest, last.
type Entry = (usize, i64, i64, i64);

/// Level that is read, its ticks, and the span of places they cover.
type Ticks = (i64, Vec<Entry>, (i64, i64));

async fn entries(
    snapshot: &mut Snapshot,
    job: i64,
    column: i64,
    level: i64,
    span: (i64, i64),
) -> Result<Vec<Entry>, FinaliseError> {
    let mut found = Vec::new();
    for page in snapshot.pages(job, column, level, span.0, span.1).await? {
        let first = usize::try_from(page.first_index).unwrap_or(0);
        if level == 0 {
            found.extend(
                unpack(job, &page)?
                    .into_iter()
                    .zip(first..)
                    .map(|(value, at)| (at, value, value, value)),
            );
        } else {
            let length = usize::try_from(page.length).unwrap_or(0);
            let summary = pages::unpack_summary(&page.content, length)
                .map_err(|error| FinaliseError::damaged(job, "page", error))?;
            let buckets = summary
                .min
                .into_iter()
                .zip(summary.max)
                .zip(summary.last)
                .zip(first..);
            found.extend(buckets.map(|(((min, max), last), at)| (at, min, max, last)));
        }
    }
    Ok(found)
}

/// Reads the columns of a finalised job for a span of time in at most `points` points each, from the level that is fine enough.
pub(crate) async fn load(
    snapshot: &mut Snapshot,
    job: i64,
    from_us: i64,
    to_us: i64,
    points: usize,
) -> Result<Vec<Column>, FinaliseError> {
    let factor = i64::try_from(FACTOR).unwrap_or(i64::MAX);
    let mut ticks: BTreeMap<i64, Ticks> = BTreeMap::new();
    for rate in RATES.map(rate_number) {
        let column = rate_columns(rate).t_us;
        let coarse = entries(snapshot, job, column, LEVELS, (0, i64::MAX)).await?;
        let width = factor.pow(2);
        let starts = i64::try_from(
            coarse
                .partition_point(|entry| entry.1 <= from_us)
                .saturating_sub(1),
        )
        .unwrap_or(0);
        let ends = i64::try_from(coarse.partition_point(|entry| entry.1 <= to_us)).unwrap_or(0);
        let entries_wanted = factor * i64::try_from(points.max(1)).unwrap_or(1);
        let mut level = 0;
        let mut span = (starts * width, ends * width);
        while level < LEVELS && span.1 - span.0 > entries_wanted.max(width) {
            level += 1;
            span = (span.0 / factor, span.1 / factor);
        }
        let fine = entries(snapshot, job, column, level, span).await?;
        ticks.insert(rate, (level, fine, span));
    }
    let mut columns = Vec::new();
    for row in snapshot.series(job).await? {
        let Some((level, times, span)) = ticks.get(&row.rate) else {
            continue;
        };
        let found = entries(snapshot, job, row.column_no, *level, *span).await?;
        columns.push(column(&row, &found, times, from_us, to_us, points));
    }
    Ok(columns)
}

/// The columns of a recording that is not finalised, whole and in full.
pub(super) fn of_recording(
    recording: &Recording,
    tree: &[TreePoint],
    numbers: &BTreeMap<ProcessKey, u32>,
) -> Vec<Column> {
    all_series(recording, tree, numbers)
        .into_iter()
        .map(|(row, runs)| {
            let rate = RATES
                .into_iter()
                .find(|rate| rate_number(*rate) == row.rate);
            let times: Vec<Entry> = rate
                .and_then(|rate| recording.groups().get(&rate))
                .map(|group| {
                    group
                        .t_us
                        .iter()
                        .enumerate()
                        .map(|(at, t_us)| (at, *t_us, *t_us, *t_us))
                        .collect()
                })
                .unwrap_or_default();
            let found: Vec<Entry> = runs
                .iter()
                .flat_map(|run| {
                    run.values
                        .iter()
                        .zip(run.first..)
                        .map(|(value, at)| (at, *value, *value, *value))
                })
                .collect();
            column(&row, &found, &times, i64::MIN, i64::MAX, usize::MAX)
        })
        .collect()
}

fn column(
    row: &SeriesRow,
    found: &[Entry],
    times: &[Entry],
    from_us: i64,
    to_us: i64,
    points: usize,
) -> Column {
    let (metric, unit) = name_of(row.metric);
    let mut column = Column {
        id: row.column_no,
        process: row.process_no,
        cgroup: row.cgroup.clone(),
        metric,
        unit,
        t_us: Vec::new(),
        min: Vec::new(),
        max: Vec::new(),
        last: Vec::new(),
    };
    let first = times.first().map_or(0, |entry| entry.0);
    for (at, min, max, last) in found {
        let Some(time) = at.checked_sub(first).and_then(|at| times.get(at)) else {
            continue;
        };
        // A bucket that begins before the span may reach into it.
        if time.2 >= from_us && time.1 <= to_us {
            column.t_us.push(time.1);
            column.min.push(*min);
            column.max.push(*max);
            column.last.push(*last);
        }
    }
    column.thin(points);
    column
}

impl Column {
    /// Joins neighbours until there are at most `points`.
    pub(crate) fn thin(&mut self, points: usize) {
        let size = self.t_us.len().div_ceil(points.max(1));
        if size <= 1 {
            return;
        }
        let of = |values: &[i64], pick: fn(&[i64]) -> i64| values.chunks(size).map(pick).collect();
        self.t_us = of(&self.t_us, |chunk| chunk[0]);
        self.min = of(&self.min, |chunk| chunk.iter().copied().min().unwrap_or(0));
        self.max = of(&self.max, |chunk| chunk.iter().copied().max().unwrap_or(0));
        self.last = of(&self.last, |chunk| chunk[chunk.len() - 1]);
    }

    /// Keeps what lies in a span of time.
    pub(crate) fn clip(&mut self, from_us: i64, to_us: i64) {
        let start = self.t_us.partition_point(|t_us| *t_us < from_us);
        let end = self.t_us.partition_point(|t_us| *t_us <= to_us).max(start);
        for values in [&mut self.t_us, &mut self.min, &mut self.max, &mut self.last] {
            values.truncate(end);
            values.drain(..start);
        }
    }
}
