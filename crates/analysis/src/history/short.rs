//! Climbs over a few jobs: too few for a trend to be sure, and yet no step that one commit made.

use super::pieces::{Piece, median};
use crate::changepoint;

/// A climb that fits better by so much, in squares of the noise, takes the place of the steps: by as much as one wild job costs.
pub const CLEARLY_BETTER: f64 = 9.0;
/// A step is not certain where a climb fits better by so much.
pub const BETTER: f64 = 4.0;
/// Fewer jobs between the levels are no climb: one job that is wild beside a step looks the same.
pub const LEAST_BETWEEN: usize = 2;

/// What each job between the levels costs, in squares of the noise, where it may lie anywhere between them and not only on a line.
pub const COST_BETWEEN: f64 = 4.0;

/// A climb between two levels, and how much better it fits than the steps between these.
pub(super) struct Climb {
    /// What takes the place of the levels: what is left of the first, the climb, and what is left of the last.
    pub(super) pieces: Vec<Piece>,
    /// In squares of the noise; negative where the steps fit better.
    pub(super) gain: f64,
}

/// The climb of fewer jobs than `longest` that fits best in the place of the steps between levels in a row, all of which go one way; none where they do not, or where there is no room for one.
pub(super) fn between(
    values: &[f64],
    levels: &[Piece],
    noise: f64,
    longest: usize,
) -> Option<Climb> {
    let [first, .., last] = levels else {
        return None;
    };
    let steps = || levels.windows(2).map(|pair| pair[1].begin - pair[0].begin);
    let goes_one_way = steps().all(|step| step * (last.begin - first.begin) > 0.0);
    let is_short = last.from - first.to + LEAST_BETWEEN < longest;
    if !goes_one_way || !is_short || levels.iter().any(|it| it.slope.is_some()) {
        return None;
    }
    let of_steps: f64 = levels.iter().map(|it| it.loss(values, noise)).sum();
    // A climb is one change, as a step is.
    let of_steps = of_steps + changepoint::cost(values.len()) * (levels.len() - 2) as f64;
    let mut best: Option<Climb> = None;
    for begin in first.from + 1..=first.to {
        for end in last.from.max(begin + LEAST_BETWEEN)..last.to.min(begin + longest - 2) {
            let low = median(values, first.from, begin);
            let high = median(values, end, last.to);
            if (high - low) * (last.begin - first.begin) <= 0.0 {
                continue;
            }
            // How far the slope is sure nobody knows.
            let slope = Some(((high - low) / (end + 1 - begin) as f64, 0.0));
            let piece = |from, to, begin, slope, is_rough| Piece {
                from,
                to,
                begin,
                slope,
                is_rough,
            };
            for is_rough in [false, true] {
                let mut pieces = vec![
                    piece(first.from, begin - 1, low, None, false),
                    piece(begin - 1, end + 1, low, slope, is_rough),
                    piece(end + 1, last.to, high, None, false),
                ];
                let of_climb: f64 = pieces.iter().map(|it| it.loss(values, noise)).sum();
                let of_freedom = match is_rough {
                    true => COST_BETWEEN * (end - begin) as f64,
                    false => 0.0,
                };
                let gain = of_steps - of_climb - of_freedom;
                if best.as_ref().is_none_or(|best| gain > best.gain) {
                    pieces.retain(|it| it.len() > 0);
                    best = Some(Climb { pieces, gain });
                }
            }
        }
    }
    best
}
