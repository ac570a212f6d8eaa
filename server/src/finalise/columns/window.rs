//! All samples of a series of a finalised job, so many at a time.

use highwater_store::{SeriesRow, Snapshot, pages::PAGE_VALUES, rate_columns};

use super::span::{Entry, entries};
use crate::finalise::FinaliseError;

/// Ticks that are looked at at once: four pages.
const WINDOW: usize = 4 * PAGE_VALUES;

/// The ticks of a window, which all series of a rate share.
#[derive(Debug, Default)]
pub(crate) struct KeptTicks {
    rate: i64,
    from: usize,
    entries: Vec<Entry>,
}

impl KeptTicks {
    async fn read(
        &mut self,
        snapshot: &mut Snapshot,
        job: i64,
        rate: i64,
        from: usize,
    ) -> Result<&[Entry], FinaliseError> {
        let is_there = self.rate == rate && self.from == from && !self.entries.is_empty();
        if !is_there {
            let column = rate_columns(rate).t_us;
            self.entries = entries(snapshot, job, column, 0, span(from)).await?;
            (self.rate, self.from) = (rate, from);
        }
        Ok(&self.entries)
    }
}

/// Some samples of a series.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Time (µs since the job's start) and value.
    pub(crate) samples: Vec<(i64, i64)>,
    /// The place to go on from, where there are more ticks.
    pub(crate) next: Option<usize>,
}

/// What a series has on the ticks from a place on; `kept` are the ticks of the window that was read last.
pub(crate) async fn window(
    snapshot: &mut Snapshot,
    job: i64,
    row: &SeriesRow,
    from: usize,
    kept: &mut KeptTicks,
) -> Result<Window, FinaliseError> {
    let next = from + WINDOW;
    let ticks = kept.read(snapshot, job, row.rate, from).await?;
    let (Some((first, ..)), Some((last, ..))) = (ticks.first().copied(), ticks.last().copied())
    else {
        return Ok(Window::default());
    };
    let values = entries(snapshot, job, row.column_no, 0, span(from)).await?;
    let samples = values
        .into_iter()
        .filter(|(at, ..)| (from..next).contains(at))
        .filter_map(|(at, value, ..)| {
            let (_, t_us, ..) = ticks.get(at.checked_sub(first)?)?;
            Some((*t_us, value))
        });
    Ok(Window {
        samples: samples.collect(),
        next: (last + 1 >= next).then_some(next),
    })
}

/// The places of the window that begins at one.
fn span(from: usize) -> (i64, i64) {
    let place = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
    (place(from), place(from + WINDOW))
}
