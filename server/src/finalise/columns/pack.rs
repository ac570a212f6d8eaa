//! Samples packed into pages, each column with its pyramid.

use std::collections::BTreeMap;

use highwater_analysis::{
    digest::TreePoint,
    recording::{Group, ProcessKey, Recording, Run},
};
use highwater_store::{
    SeriesRow, StoredPage, TicksColumn,
    pages::{self, FACTOR, PAGE_VALUES, Summary},
    rate_columns,
};

use super::{LEVELS, all_series, rate_number};

/// Packs all samples of a recording.
pub(in crate::finalise) fn pack(
    recording: &Recording,
    tree: &[TreePoint],
    numbers: &BTreeMap<ProcessKey, u32>,
) -> (Vec<SeriesRow>, Vec<StoredPage>) {
    let mut stored = Vec::new();
    for (rate, group) in recording.groups() {
        pack_ticks(group, rate_columns(rate_number(*rate)), &mut stored);
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

/// Of the times of ticks, when they were due, and how late they were, each follows from the other two: the two that take least. Late ticks
/// of a grid were due at even distances.
fn pack_ticks(group: &Group, columns: TicksColumn, stored: &mut Vec<StoredPage>) {
    let late = group.lateness_us.iter().map(|late| late.cast_signed());
    let late: Vec<i64> = late.collect();
    let due = group.t_us.iter().zip(&late);
    let due = due.map(|(t_us, late)| t_us.wrapping_sub(*late)).collect();
    let packed = |column, values| {
        let mut stored = Vec::new();
        let runs = [Run { first: 0, values }];
        pack_column(column, &runs, column == columns.t_us, &mut stored);
        stored
    };
    let all = [
        packed(columns.due_us, due),
        packed(columns.lateness_us, late),
        packed(columns.t_us, group.t_us.clone()),
    ];
    let bytes = |pages: &[StoredPage]| {
        let values = pages.iter().filter(|page| page.level == 0);
        values.map(|page| page.content.len()).sum::<usize>()
    };
    let largest = all.iter().map(|pages| bytes(pages)).max();
    let mut left_out = false;
    for mut pages in all {
        if !left_out && Some(bytes(&pages)) == largest {
            left_out = true;
            pages.retain(|page| page.level > 0);
        }
        stored.append(&mut pages);
    }
}

fn pack_column(column_no: i64, runs: &[Run], pyramid: bool, stored: &mut Vec<StoredPage>) {
    let place = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    let pieces = runs.iter().map(|run| (run.first, run.values.as_slice()));
    for page in pages::cut(pieces) {
        let (first, length, content) = pages::pack_pieces(&page);
        stored.push(StoredPage {
            column_no,
            level: 0,
            first_index: place(first),
            length: place(length),
            content,
        });
    }
    if !pyramid {
        return;
    }
    let mut below: Vec<(usize, Summary)> = runs
        .iter()
        .map(|run| (run.first / FACTOR, pages::summarise(&run.values, run.first)))
        .collect();
    let mut entries: usize = runs.iter().map(|run| run.values.len()).sum();
    for level in 1..=LEVELS {
        // So few are read as fast themselves.
        if entries <= FACTOR {
            return;
        }
        let joined = join(&below);
        entries = joined.iter().map(|(_, summary)| summary.min.len()).sum();
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

#[cfg(test)]
mod tests {
    use highwater_analysis::recording::{Rate, SeriesKey, Subject};
    use highwater_wire::v1::{Batch, Job, Metric};

    use super::*;
    use crate::finalise::columns::restore;

    fn groups(lateness_us: Vec<u64>, t_us: Vec<i64>, runs: Vec<Run>) -> BTreeMap<Rate, Group> {
        let key = SeriesKey {
            subject: Subject::Process(ProcessKey {
                pid: 7,
                start_ticks: 9,
            }),
            metric: Metric::Rss,
        };
        let group = Group {
            t_us,
            lateness_us,
            series: BTreeMap::from([(key, runs)]),
        };
        BTreeMap::from([(Rate::Grid, group)])
    }

    /// Ten runs of ten values, a tick without one after each.
    fn runs() -> Vec<Run> {
        let run = |first: usize| Run {
            first,
            values: (0..10).map(|value| 4096 * value).collect(),
        };
        (0..110).step_by(11).map(run).collect()
    }

    fn packed(groups: &BTreeMap<Rate, Group>) -> (Vec<SeriesRow>, Vec<StoredPage>) {
        let recording = Recording::restore(Job::default(), None, groups, &Batch::default());
        pack(&recording, &[], &BTreeMap::new())
    }

    fn values_of(mut pages: Vec<StoredPage>) -> Vec<StoredPage> {
        pages.retain(|page| page.level == 0);
        pages.sort_by_key(|page| (page.column_no, page.first_index));
        pages
    }

    #[test]
    fn late_ticks_of_a_grid_are_kept_by_when_they_were_due() {
        let ticks = rate_columns(rate_number(Rate::Grid));
        let mut random = fastrand::Rng::with_seed(1);
        let late: Vec<u64> = (0..3000).map(|_| random.u64(..1000)).collect();
        let on_grid = |late: &u64, at: i64| at * 10_000 + late.cast_signed();
        let t_us: Vec<i64> = late
            .iter()
            .zip(0..)
            .map(|(late, at)| on_grid(late, at))
            .collect();
        let cases = [
            (groups(late, t_us.clone(), runs()), ticks.t_us),
            (groups(vec![0; 3000], t_us, runs()), ticks.due_us),
        ];
        for (groups, left_out) in cases {
            let (series, pages) = packed(&groups);
            let pages = values_of(pages);
            let has = |column| pages.iter().any(|page| page.column_no == column);
            let all = [ticks.t_us, ticks.due_us, ticks.lateness_us];
            assert_eq!(all.map(has), all.map(|column| column != left_out));
            assert_eq!(restore(1, series, &pages).unwrap(), groups);
        }
    }

    #[test]
    fn runs_share_a_page_and_few_values_have_no_pyramid() {
        let groups = groups(vec![0; 110], (0..110).collect(), runs());
        let (series, pages) = packed(&groups);
        let of_series = |pages: &[StoredPage]| {
            let pages = pages.iter().filter(|page| page.column_no == 0);
            pages.map(|page| page.level).collect::<Vec<_>>()
        };
        // A hundred values make two buckets, and two are too few for another level.
        assert_eq!(of_series(&pages), [0, 1]);
        assert_eq!(restore(1, series, &values_of(pages)).unwrap(), groups);
    }

    #[test]
    fn pages_of_a_run_each_with_their_lateness_are_still_read() {
        let groups = groups(
            (0..110).collect(),
            (0..110).map(|at| at * 50).collect(),
            runs(),
        );
        let (series, _) = packed(&groups);
        let page = |column_no, first, values: &[i64]| StoredPage {
            column_no,
            level: 0,
            first_index: first,
            length: values.len().try_into().unwrap(),
            content: pages::pack(values),
        };
        let ticks = rate_columns(rate_number(Rate::Grid));
        let group = &groups[&Rate::Grid];
        let late: Vec<i64> = (0..110).collect();
        let mut pages = vec![
            page(ticks.t_us, 0, &group.t_us),
            page(ticks.lateness_us, 0, &late),
        ];
        for run in runs() {
            pages.push(page(0, run.first.try_into().unwrap(), &run.values));
        }
        assert_eq!(restore(1, series, &values_of(pages)).unwrap(), groups);
    }
}
