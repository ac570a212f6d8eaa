//! Samples of any number of batches, merged onto one row of ticks a rate.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use highwater_wire::v1::{Metric, Process, Samples};

use super::{Group, ProcessKey, Rate, Run, SeriesKey, Subject};

/// Samples as they came, before merging.
#[derive(Debug, Clone, Default)]
pub(super) struct Loose {
    ticks: BTreeMap<Rate, Vec<(i64, u64)>>,
    values: BTreeMap<SeriesKey, Vec<(i64, i64)>>,
}

impl Loose {
    /// Takes the samples of one batch. Series of an unknown metric or process are passed over: the codec refuses them.
    pub(super) fn add(&mut self, samples: &Samples, processes: &[Process]) {
        let times = sums(&samples.t_us_delta);
        let mut covered: BTreeMap<Rate, Vec<Range<usize>>> = BTreeMap::new();
        for series in &samples.series {
            let Ok(metric) = Metric::try_from(series.metric) else {
                continue;
            };
            let Some(subject) = subject_of(metric, series.process, &series.cgroup, processes)
            else {
                continue;
            };
            let first = series.first as usize;
            let ticks = first..(first + series.value_delta.len()).min(times.len());
            let values = self
                .values
                .entry(SeriesKey { subject, metric })
                .or_default();
            values.extend(
                ticks
                    .clone()
                    .map(|tick| times[tick])
                    .zip(sums(&series.value_delta)),
            );
            covered.entry(rate_of(metric)).or_default().push(ticks);
        }
        for (rate, mut spans) in covered {
            let ticks = self.ticks.entry(rate).or_default();
            spans.sort_unstable_by_key(|span| span.start);
            let mut next = 0;
            for span in spans {
                let first = span.start.max(next);
                for (tick, t_us) in times.iter().enumerate().take(span.end).skip(first) {
                    let lateness = samples.lateness_us.get(tick).copied().unwrap_or(0);
                    ticks.push((*t_us, lateness));
                }
                next = next.max(span.end);
            }
        }
    }

    pub(super) fn add_groups(&mut self, groups: &BTreeMap<Rate, Group>) {
        for (rate, group) in groups {
            let ticks = self.ticks.entry(*rate).or_default();
            ticks.extend(
                group
                    .t_us
                    .iter()
                    .copied()
                    .zip(group.lateness_us.iter().copied()),
            );
            for (key, runs) in &group.series {
                let values = self.values.entry(key.clone()).or_default();
                for run in runs {
                    let times = &group.t_us[run.first.min(group.t_us.len())..];
                    values.extend(times.iter().copied().zip(run.values.iter().copied()));
                }
            }
        }
    }

    /// Merges: one tick an instant, with the larger lateness and, should two agents have read the same, the larger value.
    pub(super) fn merge(&self) -> BTreeMap<Rate, Group> {
        let mut groups = BTreeMap::new();
        for (rate, loose) in &self.ticks {
            let mut group = Group::default();
            for (t_us, lateness_us) in in_order(loose).iter().copied() {
                if group.t_us.last() == Some(&t_us) {
                    group.lateness_us.pop();
                } else {
                    group.t_us.push(t_us);
                }
                group.lateness_us.push(lateness_us);
            }
            groups.insert(*rate, group);
        }
        for (key, values) in &self.values {
            if let Some(group) = groups.get_mut(&rate_of(key.metric)) {
                let runs = runs_of(values, &group.t_us);
                group.series.insert(key.clone(), runs);
            }
        }
        groups
    }
}

/// Ascending; batches that came in order are so already.
fn in_order<T: Ord + Copy>(loose: &[T]) -> Cow<'_, [T]> {
    if loose.is_sorted() {
        return Cow::Borrowed(loose);
    }
    let mut ordered = loose.to_vec();
    ordered.sort_unstable();
    Cow::Owned(ordered)
}

fn runs_of(values: &[(i64, i64)], ticks: &[i64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut next_tick = 0;
    let mut last_t = None;
    for (t_us, value) in in_order(values).iter().copied() {
        if last_t == Some(t_us) {
            if let Some(last) = runs.last_mut().and_then(|run| run.values.last_mut()) {
                *last = value;
            }
            continue;
        }
        last_t = Some(t_us);
        let tick = if ticks.get(next_tick) == Some(&t_us) {
            next_tick
        } else {
            next_tick + ticks[next_tick..].partition_point(|tick| *tick < t_us)
        };
        match runs.last_mut() {
            Some(run) if tick == next_tick => run.values.push(value),
            _ => runs.push(Run {
                first: tick,
                values: vec![value],
            }),
        }
        next_tick = tick + 1;
    }
    runs
}

fn rate_of(metric: Metric) -> Rate {
    match metric {
        Metric::Rss | Metric::Anon => Rate::Grid,
        Metric::Pss | Metric::Swap => Rate::Slow,
        _ => Rate::Second,
    }
}

fn subject_of(
    metric: Metric,
    process: Option<u32>,
    cgroup: &str,
    processes: &[Process],
) -> Option<Subject> {
    match metric {
        Metric::Unspecified => None,
        Metric::Rss | Metric::Anon | Metric::Swap | Metric::Pss | Metric::OtherRss => {
            let process = processes.get(process? as usize)?;
            Some(Subject::Process(ProcessKey::of(process)))
        }
        Metric::CgroupUsage
        | Metric::CgroupWorkingSet
        | Metric::CgroupLimit
        | Metric::CgroupPeak
        | Metric::CgroupOomKills
        | Metric::CgroupLimitMet
        | Metric::CgroupOoms
        | Metric::CgroupOomGroup
        | Metric::CgroupOomGroupKills => Some(Subject::Cgroup(cgroup.to_owned())),
        _ => Some(Subject::Machine),
    }
}

fn sums(deltas: &[i64]) -> Vec<i64> {
    deltas
        .iter()
        .scan(0_i64, |sum, delta| {
            *sum = sum.saturating_add(*delta);
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use highwater_wire::v1::Series;

    use super::*;

    #[test]
    fn a_tick_is_kept_once_however_many_series_have_a_value_on_it() {
        let processes: Vec<Process> = (1..=20)
            .map(|pid| Process {
                pid,
                ..Process::default()
            })
            .collect();
        let series = |process, first, metric: Metric| Series {
            metric: metric.into(),
            process: Some(process),
            first,
            value_delta: vec![1; 3],
            ..Series::default()
        };
        let mut samples = Samples {
            t_us_delta: vec![50; 10],
            ..Samples::default()
        };
        for process in 0..20 {
            samples.series.push(series(process, 0, Metric::Rss));
            samples.series.push(series(process, 1, Metric::Anon));
            samples.series.push(series(process, 6, Metric::Rss));
        }
        let mut loose = Loose::default();
        loose.add(&samples, &processes);
        let kept: Vec<i64> = loose.ticks[&Rate::Grid].iter().map(|tick| tick.0).collect();
        assert_eq!(kept, [50, 100, 150, 200, 350, 400, 450]);
        assert_eq!(loose.merge()[&Rate::Grid].t_us, kept);
    }
}
