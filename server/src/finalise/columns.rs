//! Samples as columns: packed into pages with their pyramid, restored from them, and read for a span of time in as many points
//! as are wanted, or all of them, window by window.

mod pack;
mod span;
mod window;

use std::{borrow::Cow, collections::BTreeMap};

use highwater_analysis::{
    digest::TreePoint,
    recording::{Group, ProcessKey, Rate, Recording, Run, SeriesKey, Subject},
};
use highwater_store::{
    SeriesRow, StoredPage,
    pages::{self, Piece},
    rate_columns,
};
use highwater_wire::v1::Metric;

use super::FinaliseError;

pub(super) use pack::pack;
pub(crate) use span::load;
pub(crate) use window::{KeptTicks, Window, window};

/// Levels of the pyramid above the values.
const LEVELS: i64 = 2;
/// Metric number of the job's curve, which is worked out and not sent.
const TREE: i32 = 0;
const RATES: [Rate; 3] = [Rate::Grid, Rate::Second, Rate::Slow];

/// Which samples, and how many points of each series at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from_us: i64,
    pub(crate) to_us: i64,
    pub(crate) points: usize,
}

/// Points of a series where nothing is said: as fine as a chart is wide.
pub(crate) const USUAL_POINTS: usize = 600;

impl Default for Span {
    /// The whole job.
    fn default() -> Self {
        Self {
            from_us: i64::MIN,
            to_us: i64::MAX,
            points: USUAL_POINTS,
        }
    }
}

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
pub(crate) fn name_of(metric: i32) -> (&'static str, &'static str) {
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
        Ok(Metric::CgroupLimitMet) => ("cgroup_limit_met", "count"),
        Ok(Metric::CgroupOoms) => ("cgroup_ooms", "count"),
        Ok(Metric::CgroupOomGroup) => ("cgroup_oom_group", "bool"),
        Ok(Metric::CgroupOomGroupKills) => ("cgroup_oom_group_kills", "count"),
        Ok(Metric::OtherRss) => ("other_rss", "bytes"),
        Ok(Metric::MachineOthers) => ("machine_others", "bytes"),
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
fn all_series<'a>(
    recording: &'a Recording,
    tree: &[TreePoint],
    numbers: &BTreeMap<ProcessKey, u32>,
) -> Vec<(SeriesRow, Cow<'a, [Run]>)> {
    let mut all = Vec::new();
    let mut row = |rate: Rate, metric: i32, subject: Option<&Subject>, runs: Cow<'a, [Run]>| {
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
            let runs = Cow::Borrowed(runs.as_slice());
            row(*rate, key.metric.into(), Some(&key.subject), runs);
        }
    }
    if let Some(grid) = recording.groups().get(&Rate::Grid) {
        let runs = Cow::Owned(tree_runs(tree, &grid.t_us));
        row(Rate::Grid, TREE, None, runs);
    }
    all
}

/// Gives the samples of a finalised job back as they were.
pub(super) fn restore(
    job: i64,
    series: Vec<SeriesRow>,
    pages: &[StoredPage],
) -> Result<BTreeMap<Rate, Group>, FinaliseError> {
    let mut columns = values(job, pages)?;
    let mut groups: BTreeMap<Rate, Group> = BTreeMap::new();
    for rate in RATES {
        let ticks = rate_columns(rate_number(rate));
        let mut whole = |column| {
            let runs = columns.remove(&column).unwrap_or_default();
            runs.into_iter().flat_map(|run| run.values)
        };
        let mut t_us: Vec<i64> = whole(ticks.t_us).collect();
        let mut late: Vec<i64> = whole(ticks.lateness_us).collect();
        let due: Vec<i64> = whole(ticks.due_us).collect();
        if t_us.is_empty() {
            let both = due.iter().zip(&late);
            t_us = both.map(|(due, late)| due.wrapping_add(*late)).collect();
        } else if late.is_empty() {
            let both = t_us.iter().zip(&due);
            late = both.map(|(t_us, due)| t_us.wrapping_sub(*due)).collect();
        }
        let lateness_us = late.into_iter().map(i64::cast_unsigned).collect();
        if !t_us.is_empty() {
            let group = Group {
                t_us,
                lateness_us,
                series: BTreeMap::new(),
            };
            groups.insert(rate, group);
        }
    }
    for row in series.into_iter().filter(|row| row.metric != TREE) {
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
        let runs = columns.remove(&row.column_no).unwrap_or_default();
        let rate = RATES
            .into_iter()
            .find(|rate| rate_number(*rate) == row.rate);
        if let Some(group) = rate.and_then(|rate| groups.get_mut(&rate)) {
            group.series.insert(SeriesKey { subject, metric }, runs);
        }
    }
    Ok(groups)
}

/// All values of each column, pages that touch put together.
fn values(job: i64, pages: &[StoredPage]) -> Result<BTreeMap<i64, Vec<Run>>, FinaliseError> {
    let mut columns: BTreeMap<i64, Vec<Run>> = BTreeMap::new();
    for page in pages {
        let first = usize::try_from(page.first_index).unwrap_or(0);
        let runs = columns.entry(page.column_no).or_default();
        for (at, fresh) in unpack(job, page)? {
            match runs.last_mut() {
                Some(run) if run.first + run.values.len() == first + at => run.values.extend(fresh),
                _ => runs.push(Run {
                    first: first + at,
                    values: fresh,
                }),
            }
        }
    }
    Ok(columns)
}

fn unpack(job: i64, page: &StoredPage) -> Result<Vec<Piece<Vec<i64>>>, FinaliseError> {
    let length = usize::try_from(page.length).unwrap_or(0);
    pages::unpack_pieces(&page.content, length)
        .map_err(|error| FinaliseError::damaged(job, "page", error))
}

/// The columns of a recording that is not finalised.
pub(super) fn of_recording(
    recording: &Recording,
    tree: &[TreePoint],
    numbers: &BTreeMap<ProcessKey, u32>,
    span: Span,
) -> Vec<Column> {
    let ticks = |number: i64| {
        let mut groups = recording.groups().iter();
        let found = groups.find(|(rate, _)| rate_number(**rate) == number);
        found.map_or(&[][..], |(_, group)| group.t_us.as_slice())
    };
    all_series(recording, tree, numbers)
        .into_iter()
        .map(|(row, runs)| thinned(&row, &runs, ticks(row.rate), span))
        .collect()
}

/// A column of so many points at most, made while its values are walked: a long job has millions.
fn thinned(row: &SeriesRow, runs: &[Run], t_us: &[i64], span: Span) -> Column {
    let start = t_us.partition_point(|t_us| *t_us < span.from_us);
    let end = t_us.partition_point(|t_us| *t_us <= span.to_us);
    let within = |run: &Run| run.first.max(start)..(run.first + run.values.len()).min(end);
    let all: usize = runs.iter().map(|run| within(run).len()).sum();
    let size = all.div_ceil(span.points.max(1)).max(1);
    let mut column = Column::empty(row);
    let places = runs
        .iter()
        .flat_map(|run| within(run).map(|at| (t_us[at], run.values[at - run.first])));
    for ((t_us, value), nth) in places.zip(0_usize..) {
        match (
            &mut column.min[..],
            &mut column.max[..],
            &mut column.last[..],
        ) {
            ([.., min], [.., max], [.., last]) if nth % size != 0 => {
                (*min, *max, *last) = (value.min(*min), value.max(*max), value);
            }
            _ => column.push(t_us, value, value, value),
        }
    }
    column
}

impl Column {
    fn empty(row: &SeriesRow) -> Self {
        let (metric, unit) = name_of(row.metric);
        Self {
            id: row.column_no,
            process: row.process_no,
            cgroup: row.cgroup.clone(),
            metric,
            unit,
            t_us: Vec::new(),
            min: Vec::new(),
            max: Vec::new(),
            last: Vec::new(),
        }
    }

    fn push(&mut self, t_us: i64, min: i64, max: i64, last: i64) {
        self.t_us.push(t_us);
        self.min.push(min);
        self.max.push(max);
        self.last.push(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_thinned_to_its_span_and_points_over_holes() {
        let row = SeriesRow {
            column_no: 3,
            rate: 0,
            metric: Metric::Rss.into(),
            process_no: None,
            pid: None,
            start_ticks: None,
            cgroup: None,
        };
        let runs = [
            Run {
                first: 1,
                values: vec![5, 1, 9],
            },
            Run {
                first: 6,
                values: vec![2, 8, 4],
            },
        ];
        let ticks: Vec<i64> = (0..9).map(|at| at * 10).collect();
        let points = |from_us, to_us, points| {
            let span = Span {
                from_us,
                to_us,
                points,
            };
            let column = thinned(&row, &runs, &ticks, span);
            let bounds = column.min.into_iter().zip(column.max).zip(column.last);
            column.t_us.into_iter().zip(bounds).collect::<Vec<_>>()
        };
        assert_eq!(
            points(i64::MIN, i64::MAX, 3),
            [(10, ((1, 5), 1)), (30, ((2, 9), 2)), (70, ((4, 8), 4))]
        );
        assert_eq!(points(20, 60, 600).len(), 3);
        assert_eq!(points(31, 59, 600), []);
        assert_eq!(points(0, 80, 1), [(10, ((1, 9), 4))]);
    }
}
