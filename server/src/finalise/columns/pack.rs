//! Samples packed into pages, each column with its pyramid.

use std::collections::BTreeMap;

use highwater_analysis::{
    digest::TreePoint,
    recording::{ProcessKey, Recording, Run},
};
use highwater_store::{
    SeriesRow, StoredPage,
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
