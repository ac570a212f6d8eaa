//! Whether the files that grew all came first.
//!
//! Were the files that grew spread over all, the last of them would leave so many behind it that did not grow only now and then. That is held against
//! growth that ended somewhere: each place is as likely, and both ways are before anything is seen (Bayes).

use crate::growth;

/// With fewer behind the last that grew it is not held to have ended.
pub(super) const LEAST_AFTER: usize = 2;

/// Growth that may have ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settled {
    /// The first file after it.
    pub(super) from: usize,
    /// How likely that is.
    pub(super) chance: f64,
}

impl Settled {
    /// From what was held before the first file and after each. `None` where none grew, or one of the last did.
    pub(super) fn of(held: &[f64]) -> Option<Self> {
        let calm = growth::calm(held);
        let grown: Vec<f64> = calm.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = grown.iter().sum::<f64>() / grown.len() as f64;
        let least = (growth::LEVEL_OFF * mean).max(growth::LEAST_GROWTH_BYTES / 2.0);
        let from = 1 + grown.iter().rposition(|bytes| *bytes > least)?;
        let (files, growing) = (
            grown.len(),
            grown.iter().filter(|bytes| **bytes > least).count(),
        );
        if files - from < LEAST_AFTER {
            return None;
        }
        // In how many ways they may lie among all, for each in which they lie among the first.
        let ways = (0..growing).map(|at| (files - at) as f64 / (from - at) as f64);
        let odds = ways.product::<f64>() / files as f64;
        Some(Self {
            from,
            chance: 1.0 - 1.0 / (1.0 + odds),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(grown: &[u32]) -> Option<(usize, u32)> {
        let mut held = vec![100e6];
        for mb in grown {
            held.push(held[held.len() - 1] + f64::from(*mb) * 1e6);
        }
        let settled = Settled::of(&held)?;
        Some((settled.from, (100.0 * settled.chance).round() as u32))
    }

    #[test]
    fn the_more_files_after_the_last_that_grew_the_surer() {
        // 15 ways in which 4 of 6 may lie, over 6 places; 35 over 7; 70 over 8.
        assert_eq!(chance(&[40, 40, 40, 40, 0, 0]), Some((4, 71)));
        assert_eq!(chance(&[40, 40, 40, 40, 0, 0, 0]), Some((4, 83)));
        assert_eq!(chance(&[40, 40, 40, 40, 1, 0, 0, 0]), Some((4, 90)));
        // One that grew among many says little: 20 ways for 10, over 20.
        let mut one = [0; 20];
        one[9] = 40;
        assert_eq!(chance(&one), Some((10, 9)));
    }

    #[test]
    fn growth_that_goes_on_or_never_was_has_no_end() {
        for grown in [
            &[40, 40, 40, 40, 40, 0][..],
            &[40; 9],
            &[1; 9],
            &[0; 9],
            &[],
        ] {
            assert_eq!(chance(grown), None, "{grown:?}");
        }
    }
}
