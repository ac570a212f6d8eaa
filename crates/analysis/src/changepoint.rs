//! Where a series of values, one a job in the order of commits, changed its level for good.
//!
//! The levels are those that explain the series best when each change costs something: optimal partitioning (Jackson et al. 2005) of the biweight
//! loss (Fearnhead and Rigaill 2019), under which one wild job costs less than a change, however wild. It is exact, so that the same series gives the
//! same changes each time; of all series with two levels it finds the commit as well as anything that looks at all values can.

use crate::robust;

/// A value so many times the noise from its level counts as no more than that.
pub const WILD: f64 = 3.0;
/// What a change costs at least, in squares of the noise: more than one wild value and less than two.
pub const LEAST_COST: f64 = 13.5;
/// Times the logarithm of the number of values: half more than Schwarz (1978) asks, as a series is looked at after each commit.
pub const COST_BY_LENGTH: f64 = 3.0;
/// Of more values the newest so many are looked at.
pub const MOST_VALUES: usize = 240;
/// The part of the values that [`noise`] is taken from; the rest may be as wild as it likes.
pub const CALM_SHARE: f64 = 0.8;
/// As many standard deviations from their middle lie [`CALM_SHARE`] of normal values.
const OF_CALM: f64 = 1.281_552;

/// Values in a row that share a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Place of the first.
    pub from: usize,
    /// Place behind the last.
    pub to: usize,
    /// Their middle.
    pub value: f64,
}

impl Level {
    /// How many values it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// Never: a level has a value at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to == self.from
    }
}

/// The levels of a series, in order and without a gap; none of no values. Two that follow each other differ by `least` or more, which must not be negative.
#[must_use]
pub fn levels(values: &[f64], least: f64) -> Vec<Level> {
    let skipped = values.len().saturating_sub(MOST_VALUES);
    let newest = &values[skipped..];
    let mut levels = partition(newest, scale(newest, least));
    while let Some(at) = least_different(&levels, least) {
        let end = levels.remove(at + 1).to;
        levels[at] = level(newest, levels[at].from, end);
    }
    for level in &mut levels {
        level.from += skipped;
        level.to += skipped;
    }
    if let Some(first) = levels.first_mut() {
        first.from = 0;
    }
    levels
}

/// What counts as one noise where levels that differ by `least` are looked for.
pub(crate) fn scale(values: &[f64], least: f64) -> f64 {
    // Where there is no noise at all, any difference is a change.
    let noise = noise_between(values).max(least / WILD);
    noise.max(f64::MIN_POSITIVE.sqrt())
}

/// What a change costs in a series of so many values.
pub(crate) fn cost(count: usize) -> f64 {
    LEAST_COST.max(COST_BY_LENGTH * (count as f64).ln())
}

/// What it costs to call a value something that it lies so far away from: the square in units of the noise, no more than that of [`WILD`].
pub(crate) fn loss(away: f64, noise: f64) -> f64 {
    (away / noise).abs().min(WILD).powi(2)
}

/// How far values lie from what they should be, on the scale of a standard deviation: the greater of the median absolute deviation and of what holds four
/// values in five, since allocators give figures that are nearly always the same and now and then not.
#[must_use]
pub fn noise(residuals: &[f64]) -> f64 {
    let mut away: Vec<f64> = residuals.iter().map(|value| value.abs()).collect();
    away.sort_unstable_by(f64::total_cmp);
    let Some(last) = away.len().checked_sub(1) else {
        return 0.0;
    };
    let calm = away[(last as f64 * CALM_SHARE).ceil() as usize];
    robust::spread(residuals).max(calm / OF_CALM)
}

/// The noise of a series whose levels are not known: from what each value differs from the one before it, of which a change of level moves one.
fn noise_between(values: &[f64]) -> f64 {
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    robust::spread(&steps) / f64::sqrt(2.0)
}

fn partition(values: &[f64], noise: f64) -> Vec<Level> {
    let count = values.len();
    if count == 0 {
        return Vec::new();
    }
    let cost = cost(count);
    // The least that the values before a place cost, and where the level that ends there begins.
    let mut best = vec![(0.0, 0); count + 1];
    for end in 1..=count {
        let mut sorted = Vec::with_capacity(end);
        let mut least = (f64::INFINITY, 0);
        for begin in (0..end).rev() {
            let place = sorted.partition_point(|value| *value < values[begin]);
            sorted.insert(place, values[begin]);
            let change = if begin == 0 { 0.0 } else { cost };
            let all = best[begin].0 + change + loss_of_level(&sorted, noise);
            if all < least.0 {
                least = (all, begin);
            }
        }
        best[end] = least;
    }
    let mut levels = Vec::new();
    let mut end = count;
    while end > 0 {
        let begin = best[end].1;
        levels.push(level(values, begin, end));
        end = begin;
    }
    levels.reverse();
    levels
}

/// What it costs to call values one level.
fn loss_of_level(sorted: &[f64], noise: f64) -> f64 {
    let middle = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    sorted.iter().map(|value| loss(value - middle, noise)).sum()
}

/// The values between two places as one level.
pub(crate) fn level(values: &[f64], from: usize, to: usize) -> Level {
    let value = robust::median(&mut values[from..to].to_vec()).unwrap_or(0.0);
    Level { from, to, value }
}

/// Of the levels that differ by less from the one behind them the one that differs least.
fn least_different(levels: &[Level], least: f64) -> Option<usize> {
    let differ = |at: usize| (levels[at + 1].value - levels[at].value).abs();
    (0..levels.len().saturating_sub(1))
        .filter(|at| differ(*at) < least)
        .min_by(|one, other| differ(*one).total_cmp(&differ(*other)))
}

#[cfg(test)]
mod tests;
