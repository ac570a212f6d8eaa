//! Statistics that a few wild values do not move.

/// Two-sided 90 % of the normal distribution.
const NINETY: f64 = 1.644_854;
/// Makes the median absolute deviation of normal values their standard deviation (Hampel 1974).
const OF_NORMAL: f64 = 1.482_602;
/// Of more points every so many are taken: all pairs are compared.
const MOST_POINTS: usize = 512;

/// A figure with the interval that covers it nine times in ten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure itself.
    pub value: f64,
    /// The low end of the interval.
    pub low: f64,
    /// The high end.
    pub high: f64,
}

/// The value in the middle, of an even number of values the mean of both; `None` where there is none. Sorts what it is given.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// How far values lie from their middle: the median absolute deviation, on the scale of a standard deviation. 0 where more than half are the same.
#[must_use]
pub fn spread(values: &[f64]) -> f64 {
    let Some(middle) = median(&mut values.to_vec()) else {
        return 0.0;
    };
    let mut away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&mut away).unwrap_or(0.0) * OF_NORMAL
}

/// Slope of a line through points in order of x: the median of the slopes of all pairs (Theil 1950, Sen 1968), with Sen's 90 % interval, which counts pairs
/// from the middle outwards by the variance of Kendall's S. `None` with fewer than two different x.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> Option<Estimate> {
    let points: Vec<(f64, f64)> = points
        .iter()
        .step_by(points.len().div_ceil(MOST_POINTS).max(1))
        .copied()
        .collect();
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (at, (x, y)) in points.iter().enumerate() {
        let later = points[at + 1..].iter().filter(|(later, _)| later > x);
        slopes.extend(later.map(|(later, there)| (there - y) / (later - x)));
    }
    let value = median(&mut slopes)?;
    let (pairs, n) = (slopes.len() as f64, points.len() as f64);
    let deviation = NINETY * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let last = slopes.len() - 1;
    // Counted from one, the interval goes from place (pairs - deviation) / 2 to one behind (pairs + deviation) / 2; between two places the wider.
    let low = ((pairs - deviation) / 2.0).floor() as usize;
    let high = ((pairs + deviation) / 2.0).ceil() as usize;
    Some(Estimate {
        value,
        low: slopes[low.saturating_sub(1).min(last)],
        high: slopes[high.min(last)],
    })
}

/// Whether values rise (positive) or fall: Kendall's S over its standard deviation, corrected for ties and for continuity (Mann 1945, Kendall 1975). About
/// normal where there is no trend, from ten values on.
#[must_use]
pub fn trend(values: &[f64]) -> f64 {
    let values: Vec<f64> = values
        .iter()
        .step_by(values.len().div_ceil(MOST_POINTS).max(1))
        .copied()
        .collect();
    let mut score = 0_i64;
    for (at, value) in values.iter().enumerate() {
        for later in &values[at + 1..] {
            score += i64::from(later > value) - i64::from(later < value);
        }
    }
    let mut sorted = values;
    sorted.sort_unstable_by(f64::total_cmp);
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let ties: f64 = sorted
        .chunk_by(|one, other| one == other)
        .map(|same| term(same.len() as f64))
        .sum();
    let variance = (term(sorted.len() as f64) - ties) / 18.0;
    if variance <= 0.0 || score == 0 {
        return 0.0;
    }
    (score - score.signum()) as f64 / variance.sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(per_step: f64, wild: &[(usize, f64)]) -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = (0..20)
            .map(|at| (f64::from(at), 7.0 + per_step * f64::from(at)))
            .collect();
        for (at, by) in wild {
            points[*at].1 += by;
        }
        points
    }

    #[test]
    fn a_few_wild_points_turn_no_line() {
        let found = slope(&line(3.0, &[(4, 500.0), (11, -900.0), (19, 40.0)])).unwrap();
        assert!((found.value - 3.0).abs() < 1e-9, "{found:?}");
        assert!(found.low <= 3.0 && found.high >= 3.0);
    }

    #[test]
    fn sens_own_example() {
        // Sen (1968), section 6: x 1, 2, 3, 4, 10, 12, 18 and y 9, 15, 19, 20, 45, 55, 78 give 4.
        let points = [1.0, 2.0, 3.0, 4.0, 10.0, 12.0, 18.0]
            .into_iter()
            .zip([9.0, 15.0, 19.0, 20.0, 45.0, 55.0, 78.0]);
        let found = slope(&points.collect::<Vec<_>>()).unwrap();
        assert!((found.value - 4.0).abs() < 1e-9, "{found:?}");
        // At 93 % he has the fourth and the eighteenth of 21 slopes, 26/7 and 35/8; at 90 % it is the fifth and the seventeenth.
        assert!(
            found.low > 26.0 / 7.0
                && found.low < 4.0
                && found.high > 4.0
                && found.high < 35.0 / 8.0,
            "{found:?}"
        );
    }

    #[test]
    fn too_few_points_have_no_slope() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 5.0)]), None);
        assert_eq!(slope(&[(1.0, 5.0), (1.0, 6.0)]), None);
        let two = slope(&[(1.0, 5.0), (3.0, 6.0)]).unwrap();
        assert!((two.value - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_trend_is_told_from_none() {
        let rising: Vec<f64> = (0..12).map(f64::from).collect();
        // S is 66 and its variance 212.67 without ties.
        assert!((trend(&rising) - 65.0 / 212.666_667_f64.sqrt()).abs() < 1e-6);
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert!((trend(&falling) + trend(&rising)).abs() < 1e-12);
        assert!(trend(&[4.0; 30]).abs() < 1e-12);
        assert!(trend(&[]).abs() < 1e-12);
    }

    #[test]
    fn the_spread_of_normal_values_is_their_deviation() {
        // The quantiles of a normal distribution with deviation 1 at 5, 15, … 95 %.
        let quantiles = [
            -1.645, -1.036, -0.674, -0.385, -0.126, 0.126, 0.385, 0.674, 1.036, 1.645,
        ];
        assert!((spread(&quantiles) - 1.0).abs() < 0.01);
        assert!(spread(&[3.0; 9]).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_slope_lies_in_its_interval_and_moves_with_the_points(
            ys in proptest::collection::vec(-1e6..1e6_f64, 2..60), by in -1e3..1e3_f64,
        ) {
            let points: Vec<(f64, f64)> = ys.iter().zip(0..).map(|(y, x)| (f64::from(x), *y)).collect();
            let found = slope(&points).unwrap();
            prop_assert!(found.low <= found.value && found.value <= found.high);
            let turned: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x, y + by * x)).collect();
            let other = slope(&turned).unwrap();
            prop_assert!((other.value - found.value - by).abs() < 1e-6);
        }
    }
}
