//! All samples of a series of a finalised job, so many at a time.

use highwater_store::{SeriesRow, Snapshot, pages::PAGE_VALUES, rate_columns};

use super::span::entries;
use crate::finalise::FinaliseError;

/// Ticks that are looked at at once: four pages.
const WINDOW: usize = 4 * PAGE_VALUES;

/// Time (µs since the job's start) and value of what a series has on the ticks from a place on, with the place to go on from; `None`
/// when there are no ticks any more.
pub(crate) async fn window(
    snapshot: &mut Snapshot,
    job: i64,
    row: &SeriesRow,
    from: usize,
) -> Result<Option<(Vec<(i64, i64)>, usize)>, FinaliseError> {
    let next = from + WINDOW;
    let place = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
    let span = (place(from), place(next));
    let ticks = entries(snapshot, job, rate_columns(row.rate).t_us, 0, span).await?;
    let Some((first, ..)) = ticks.first().copied() else {
        return Ok(None);
    };
    let values = entries(snapshot, job, row.column_no, 0, span).await?;
    let samples = values
        .into_iter()
        .filter(|(at, ..)| (from..next).contains(at))
        .filter_map(|(at, value, ..)| {
            let (_, t_us, ..) = ticks.get(at.checked_sub(first)?)?;
            Some((*t_us, value))
        });
    Ok(Some((samples.collect(), next)))
}
