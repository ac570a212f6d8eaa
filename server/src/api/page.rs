//! Lists in pages: `?limit&after`, answered with `next`.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::AppError;

/// Rows of a page where nothing is said.
pub(crate) const USUAL_ROWS: u32 = 100;
/// Most rows of a page.
pub(crate) const MOST_ROWS: u32 = 1000;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Most rows.
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// How many rows are asked for, and what to do where that is too many.
pub(super) fn limit_of(limit: Option<u32>, hint: &'static str) -> Result<u32, AppError> {
    match limit {
        None => Ok(USUAL_ROWS),
        Some(limit) if (1..=MOST_ROWS).contains(&limit) => Ok(limit),
        Some(limit) => Err(AppError::bad_request(
            format!("limit {limit} is not between 1 and {MOST_ROWS}"),
            hint,
        )),
    }
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<u32, AppError> {
        limit_of(self.limit, "ask for fewer rows and follow `next`")
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

    /// The numbers that place the last row of the page before.
    pub(crate) fn numbers<const N: usize>(&self) -> Result<Option<[i64; N]>, AppError> {
        let Some(key) = self.after.as_deref() else {
            return Ok(None);
        };
        let numbers: Result<Vec<i64>, _> = key.split('_').map(str::parse).collect();
        let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
        numbers.map(Some).ok_or_else(|| self.bad_key())
    }

    /// The page after a key; the first one where it is empty.
    pub(crate) fn after(key: &str) -> Self {
        Self {
            limit: None,
            after: Some(key.to_owned()).filter(|key| !key.is_empty()),
        }
    }

    /// One page of rows that are all at hand.
    pub(crate) fn cut<T>(&self, rows: Vec<T>) -> Result<(Vec<T>, Option<String>), AppError> {
        let (offset, limit) = (self.offset()?, self.limit()? as usize);
        let next =
            (rows.len() > offset.saturating_add(limit)).then(|| (offset + limit).to_string());
        Ok((rows.into_iter().skip(offset).take(limit).collect(), next))
    }
}

/// Key of a page of rows by the numbers they are ordered by; none when this page was not full.
pub(crate) fn next_after<T, const N: usize>(
    rows: &[T],
    limit: u32,
    key: impl Fn(&T) -> [i64; N],
) -> Option<String> {
    let last = rows.last().filter(|_| rows.len() >= limit as usize)?;
    Some(key(last).map(|number| number.to_string()).join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_place_again_and_another_does_not() {
        let next = next_after(&[(-5_i64, 7_i64)], 1, |row| [row.0, row.1]);
        let page = |after: &str| PageQuery {
            limit: None,
            after: Some(after.to_owned()),
        };
        assert_eq!(page(&next.unwrap()).numbers().unwrap(), Some([-5, 7]));
        for bad in ["", "7", "1_2_3", "1_x", "1-2"] {
            assert!(page(bad).numbers::<2>().is_err(), "{bad}");
        }
    }
}
