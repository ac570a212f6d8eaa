//! Lists in pages: `?limit&after`, answered with `next`.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::AppError;

const DEFAULT_LIMIT: u32 = 100;
const MOST: u32 = 1000;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Most rows, 1 to 1000; 100 where nothing is said.
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<u32, AppError> {
        match self.limit {
            None => Ok(DEFAULT_LIMIT),
            Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
            Some(limit) => Err(AppError::bad_request(
                format!("limit {limit} is not between 1 and {MOST}"),
                "ask for fewer rows and follow `next`",
            )),
        }
    }

    fn bad_key(&self) -> AppError {
        AppError::bad_request(
            format!(
                "after {:?} is no key of this list",
                self.after.as_deref().unwrap_or("")
            ),
            "give the `next` of the page before, unchanged",
        )
    }

    /// Position in a list that is kept as a whole.
    pub(crate) fn offset(&self) -> Result<usize, AppError> {
        self.after
            .as_deref()
            .map_or(Ok(0), |key| key.parse().map_err(|_| self.bad_key()))
    }

    /// Time and number of the last row of the page before.
    pub(crate) fn time_and_id(&self) -> Result<Option<(i64, i64)>, AppError> {
        self.after
            .as_deref()
            .map(|key| {
                let (time, id) = key.split_once('-').ok_or_else(|| self.bad_key())?;
                Ok((
                    time.parse().map_err(|_| self.bad_key())?,
                    id.parse().map_err(|_| self.bad_key())?,
                ))
            })
            .transpose()
    }

    /// One page of rows that are all at hand.
    pub(crate) fn cut<T>(&self, rows: Vec<T>) -> Result<(Vec<T>, Option<String>), AppError> {
        let (offset, limit) = (self.offset()?, self.limit()? as usize);
        let next =
            (rows.len() > offset.saturating_add(limit)).then(|| (offset + limit).to_string());
        Ok((rows.into_iter().skip(offset).take(limit).collect(), next))
    }
}

/// Key of a page of rows that lie by time and number; none when this page was not full.
pub(crate) fn next_by_time<T>(
    rows: &[T],
    limit: u32,
    key: impl Fn(&T) -> (i64, i64),
) -> Option<String> {
    let last = rows.last().filter(|_| rows.len() >= limit as usize)?;
    let (time, id) = key(last);
    Some(format!("{time}-{id}"))
}
