//! What of a batch gives way first when its disk is full: the fine grid of its samples. Marks, processes, sessions, notices and events never do.
//!
//! Of each second stays the tick on which the processes together held most, whole, so that the highest of the second is what it was; and,
//! where a process was not there on it or held clearly more at another time, the tick on which it held most, whole too. What is read once a
//! second or more rarely stays as it is.

use std::collections::BTreeSet;

use highwater_wire::v1::{Batch, Metric, Samples, Series};

const SECOND_US: i64 = 1_000_000;
/// A process that held more than on the ticks that stay by this share of it, and by so many bytes, gets a tick of its own.
const CLEARLY_SHARE: i64 = 16;
const CLEARLY_BYTES: i64 = 4 << 20;

/// How much is kept of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// All of it.
    Full,
    /// About one value a second of each process.
    Thin,
    /// No samples. Only for what is on the server's disk.
    Bare,
}

/// Takes from a batch what goes beyond a detail; answers the time of whose values fewer are left, µs, 0 when it held no more.
pub fn thin(batch: &mut Batch, detail: Detail) -> i64 {
    match detail {
        Detail::Full => 0,
        Detail::Bare => {
            let time = |samples: &Samples| {
                let times = sums(&samples.t_us_delta);
                by_seconds(&times).map(time_of).sum::<i64>().max(1)
            };
            let grids = batch.samples.iter().filter(|samples| is_grid(samples));
            // Where there were only rare values something is gone all the same.
            let gone_us = grids.map(time).sum::<i64>();
            let gone_us = gone_us.max(i64::from(!batch.samples.is_empty()));
            batch.samples.clear();
            gone_us
        }
        Detail::Thin => batch.samples.iter_mut().map(thin_grid).sum(),
    }
}

fn is_grid(samples: &Samples) -> bool {
    let is_grid = |series: &Series| matches!(series.metric(), Metric::Rss | Metric::Anon);
    !samples.series.is_empty() && samples.series.iter().all(is_grid)
}

fn by_seconds(times: &[i64]) -> impl Iterator<Item = &[i64]> {
    times.chunk_by(|a, b| a.div_euclid(SECOND_US) == b.div_euclid(SECOND_US))
}

/// The time that ticks cover, µs: each as much as lies between two of them.
fn time_of(ticks: &[i64]) -> i64 {
    match ticks {
        [first, .., last] => {
            let distances = ticks.len() as i64 - 1;
            (last - first) / distances * (distances + 1)
        }
        _ => 0,
    }
}

fn thin_grid(samples: &mut Samples) -> i64 {
    if !is_grid(samples) {
        return 0;
    }
    let times = sums(&samples.t_us_delta);
    let values: Vec<_> = samples
        .series
        .iter()
        .map(|series| sums(&series.value_delta))
        .collect();
    let mut kept = BTreeSet::new();
    let (mut begin, mut thinned_us) = (0, 0);
    for second in by_seconds(&times) {
        let before = kept.len();
        keep_of_second(begin, second.len(), &samples.series, &values, &mut kept);
        if kept.len() - before < second.len() {
            thinned_us += time_of(second);
        }
        begin += second.len();
    }
    if kept.len() == times.len() {
        return 0;
    }
    let series = samples.series.iter().zip(&values);
    let series = series.flat_map(|(series, values)| runs(series, values, &kept));
    let thinned = Samples {
        t_us_delta: deltas(kept.iter().map(|tick| times[*tick])),
        lateness_us: kept
            .iter()
            .filter_map(|tick| samples.lateness_us.get(*tick).copied())
            .collect(),
        series: series.collect(),
    };
    *samples = thinned;
    thinned_us
}

/// Chooses the ticks that stay of `ticks` ticks from `begin`.
fn keep_of_second(
    begin: usize,
    ticks: usize,
    series: &[Series],
    values: &[Vec<i64>],
    kept: &mut BTreeSet<usize>,
) {
    let at = |number: usize, tick: usize| {
        let first = series[number].first as usize;
        tick.checked_sub(first)
            .and_then(|place| values[number].get(place).copied())
    };
    let resident: Vec<usize> = (0..series.len())
        .filter(|number| series[*number].metric() == Metric::Rss)
        .collect();
    let sum = |tick: &usize| {
        let held = resident.iter().filter_map(|number| at(*number, *tick));
        held.fold(0_i64, i64::saturating_add)
    };
    // Of equals the last: what came nearest to what followed.
    let second = begin..begin + ticks;
    let Some(highest) = second.clone().max_by_key(sum) else {
        return;
    };
    let mut chosen = vec![highest];
    // A process may have several series, one after each hole.
    let processes: BTreeSet<_> = resident
        .iter()
        .map(|number| series[*number].process)
        .collect();
    for process in processes {
        let own = |tick: usize| {
            let mut own = resident.iter().filter(|n| series[**n].process == process);
            own.find_map(|number| at(*number, tick))
        };
        let Some((most, tick)) = second
            .clone()
            .filter_map(|tick| own(tick).map(|value| (value, tick)))
            .max()
        else {
            continue;
        };
        let known = chosen.iter().filter_map(|tick| own(*tick)).max();
        let clearly = |known: i64| most - known > CLEARLY_BYTES.max(most / CLEARLY_SHARE);
        if known.is_none_or(clearly) {
            chosen.push(tick);
        }
    }
    kept.extend(chosen);
}

/// What of a series lies on the ticks that stay; a hole between them begins another.
fn runs(series: &Series, values: &[i64], kept: &BTreeSet<usize>) -> Option<Series> {
    let first = series.first as usize;
    let there = kept
        .iter()
        .enumerate()
        .filter(|(_, tick)| (first..first + values.len()).contains(tick));
    let mut there = there.peekable();
    // The values of a series are without holes, so those on the ticks that stay are too.
    let (place, _) = there.peek()?;
    Some(Series {
        metric: series.metric,
        process: series.process,
        cgroup: series.cgroup.clone(),
        first: *place as u32,
        value_delta: deltas(there.map(|(_, tick)| values[*tick - first])),
    })
}

fn sums(deltas: &[i64]) -> Vec<i64> {
    let mut sum = 0_i64;
    deltas
        .iter()
        .map(|delta| {
            sum = sum.saturating_add(*delta);
            sum
        })
        .collect()
}

fn deltas(values: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut before = 0;
    values
        .map(|value| value - std::mem::replace(&mut before, value))
        .collect()
}

#[cfg(test)]
mod tests {
    use highwater_wire::{
        codec::Checked,
        v1::{Mark, Process},
    };

    use super::*;

    const MB: i64 = 1 << 20;

    fn series(metric: Metric, process: u32, first: u32, values: &[i64]) -> Series {
        Series {
            metric: metric.into(),
            process: Some(process),
            first,
            value_delta: deltas(values.iter().copied()),
            ..Series::default()
        }
    }

    fn batch(series: Vec<Series>) -> Batch {
        let times = [0, 250_000, 500_000, 750_000, 1_000_000, 1_250_000];
        Batch {
            version: highwater_wire::VERSION,
            to_us: 1_500_000,
            processes: [7, 8]
                .map(|pid| Process {
                    pid,
                    ..Process::default()
                })
                .into(),
            samples: vec![Samples {
                t_us_delta: deltas(times.into_iter()),
                lateness_us: vec![1, 2, 3, 4, 5, 6],
                series,
            }],
            marks: vec![Mark::default()],
            ..Batch::default()
        }
    }

    /// Ticks that stay, with the values of each series.
    fn thinned(mut batch: Batch) -> (Vec<i64>, Vec<(u32, Vec<i64>)>) {
        assert_eq!(thin(&mut batch, Detail::Thin), 1_500_000);
        assert_eq!(batch.marks.len(), 1);
        batch.marks.clear();
        batch.check().unwrap();
        let mut again = batch.clone();
        assert_eq!(thin(&mut again, Detail::Thin), 0, "as thin as it gets");
        let samples = &batch.samples[0];
        let series = samples.series.iter();
        let series = series.map(|series| (series.first, sums(&series.value_delta)));
        (sums(&samples.t_us_delta), series.collect())
    }

    #[test]
    fn of_each_second_the_highest_moment_stays() {
        let (times, values) = thinned(batch(vec![
            series(Metric::Rss, 0, 0, &[10, 11, 30, 12, 13, 14]),
            series(Metric::Anon, 0, 0, &[1, 2, 3, 4, 5, 6]),
            series(Metric::Rss, 1, 0, &[20, 20, 20, 20, 20, 20]),
        ]));
        assert_eq!(times, [500_000, 1_250_000]);
        assert_eq!(
            values,
            [(0, vec![30, 14]), (0, vec![3, 6]), (0, vec![20, 20])]
        );
    }

    #[test]
    fn who_held_most_at_another_time_or_was_there_only_then_is_not_lost() {
        let (times, values) = thinned(batch(vec![
            series(Metric::Rss, 0, 0, &[90 * MB, MB, MB, MB, MB, MB]),
            series(Metric::Rss, 1, 1, &[80 * MB, 85 * MB, MB, MB, MB]),
        ]));
        assert_eq!(times, [0, 500_000, 1_250_000]);
        assert_eq!(values, [(0, vec![90 * MB, MB, MB]), (1, vec![85 * MB, MB])]);
    }

    #[test]
    fn what_is_rare_anyway_stays_and_bare_means_no_samples() {
        let mut rare = batch(vec![series(Metric::Pss, 0, 0, &[1, 2, 3, 4, 5, 6])]);
        let before = rare.clone();
        assert_eq!(thin(&mut rare, Detail::Thin), 0);
        assert_eq!(rare, before);
        assert_eq!(thin(&mut rare, Detail::Bare), 1);
        assert!(rare.samples.is_empty() && rare.marks.len() == 1);
        assert_eq!(thin(&mut rare, Detail::Bare), 0);
    }
}
