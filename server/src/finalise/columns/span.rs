//! Columns of a finalised job for a span of time, from the level of the pyramid that is fine enough.

use std::collections::BTreeMap;

use highwater_store::{
    SeriesRow, Snapshot, StoredPage,
    pages::{self, FACTOR},
    rate_columns,
};

use super::{Column, LEVELS, RATES, Span, rate_number, unpack};
use crate::finalise::FinaliseError;

/// One entry of a level: place, least, greatest, last.
pub(super) type Entry = (usize, i64, i64, i64);

/// Level that is read, its ticks, and the span of places they cover.
type Ticks = (i64, Vec<Entry>, (i64, i64));

/// Entries of a level that touch a span of places; the first and the last may lie beyond it. Where there are too few to have that level,
/// they are made from the one below.
pub(super) async fn entries(
    snapshot: &mut Snapshot,
    job: i64,
    column: i64,
    level: i64,
    span: (i64, i64),
) -> Result<Vec<Entry>, FinaliseError> {
    let factor = i64::try_from(FACTOR).unwrap_or(i64::MAX);
    let (mut from, mut to) = span;
    let mut found = Vec::new();
    let mut there = level;
    loop {
        for page in snapshot.pages(job, column, there, from, to).await? {
            unpack_entries(job, &page, &mut found)?;
        }
        if there == 0 && found.is_empty() {
            found = times(snapshot, job, column, (from, to)).await?;
        }
        if there == 0 || !found.is_empty() {
            break;
        }
        there -= 1;
        (from, to) = (from.saturating_mul(factor), to.saturating_mul(factor));
    }
    for _ in there..level {
        found = raise(&found);
    }
    Ok(found)
}

/// Times of ticks from when they were due and how late they were; nothing for other columns.
async fn times(
    snapshot: &mut Snapshot,
    job: i64,
    column: i64,
    (from, to): (i64, i64),
) -> Result<Vec<Entry>, FinaliseError> {
    let mut all = RATES.map(rate_number).map(rate_columns).into_iter();
    let Some(ticks) = all.find(|ticks| ticks.t_us == column) else {
        return Ok(Vec::new());
    };
    let (mut due, mut late) = (Vec::new(), Vec::new());
    for (column, found) in [(ticks.due_us, &mut due), (ticks.lateness_us, &mut late)] {
        for page in snapshot.pages(job, column, 0, from, to).await? {
            unpack_entries(job, &page, found)?;
        }
    }
    // Both begin with the first tick and are cut alike.
    let both = due.into_iter().zip(late);
    let time = |(due, late): (Entry, Entry)| {
        let t_us = due.1.wrapping_add(late.1);
        (due.0, t_us, t_us, t_us)
    };
    Ok(both.map(time).collect())
}

/// The entries of the next level.
fn raise(below: &[Entry]) -> Vec<Entry> {
    let buckets = below.chunk_by(|a, b| a.0 / FACTOR == b.0 / FACTOR);
    let bucket = |bucket: &[Entry]| {
        let (at, first, ..) = bucket[0];
        let min = bucket.iter().map(|entry| entry.1).min().unwrap_or(first);
        let max = bucket.iter().map(|entry| entry.2).max().unwrap_or(first);
        (at / FACTOR, min, max, bucket[bucket.len() - 1].3)
    };
    buckets.map(bucket).collect()
}

fn unpack_entries(
    job: i64,
    page: &StoredPage,
    found: &mut Vec<Entry>,
) -> Result<(), FinaliseError> {
    let first = usize::try_from(page.first_index).unwrap_or(0);
    if page.level == 0 {
        for (at, values) in unpack(job, page)? {
            let places = values.into_iter().zip(first + at..);
            found.extend(places.map(|(value, at)| (at, value, value, value)));
        }
        return Ok(());
    }
    let length = usize::try_from(page.length).unwrap_or(0);
    let summary = pages::unpack_summary(&page.content, length)
        .map_err(|error| FinaliseError::damaged(job, "page", error))?;
    let buckets = summary.min.into_iter().zip(summary.max).zip(summary.last);
    let places = buckets.zip(first..);
    found.extend(places.map(|(((min, max), last), at)| (at, min, max, last)));
    Ok(())
}

/// Reads the columns of a finalised job for a span of time in at most `points` points each, from the level that is fine enough.
pub(crate) async fn load(
    snapshot: &mut Snapshot,
    job: i64,
    wanted: Span,
) -> Result<Vec<Column>, FinaliseError> {
    let Span {
        from_us,
        to_us,
        points,
    } = wanted;
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
        columns.push(column(&row, &found, times, wanted));
    }
    Ok(columns)
}

fn column(row: &SeriesRow, found: &[Entry], times: &[Entry], span: Span) -> Column {
    let mut column = Column::empty(row);
    let first = times.first().map_or(0, |entry| entry.0);
    for (at, min, max, last) in found {
        let Some(time) = at.checked_sub(first).and_then(|at| times.get(at)) else {
            continue;
        };
        // A bucket that begins before the span may reach into it.
        if time.2 >= span.from_us && time.1 <= span.to_us {
            column.push(time.1, *min, *max, *last);
        }
    }
    column.thin(span.points);
    column
}

impl Column {
    /// Joins neighbours until there are at most `points`.
    fn thin(&mut self, points: usize) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_not_there_is_made_as_it_would_be_stored() {
        let values: Vec<i64> = (0..300).map(|at| at * 7919 % 1000).collect();
        let below: Vec<Entry> = values
            .iter()
            .zip(10..)
            .map(|(value, at)| (at, *value, *value, *value))
            .collect();
        let summary = pages::summarise(&values, 10);
        let raised = raise(&below);
        let stored = summary.min.into_iter().zip(summary.max).zip(summary.last);
        let stored = stored
            .zip(0..)
            .map(|(((min, max), last), at)| (at, min, max, last));
        assert_eq!(raised, stored.collect::<Vec<_>>());
    }
}
