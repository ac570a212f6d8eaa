//! How the memory of a worker went from one test file to the next: not at all, up and then level, up in a few steps, or on and on.
//!
//! What counts is the RSS at the end of each visit, so that what comes before the first one ends (imports, session fixtures) is nobody's
//! growth. Slopes and steps are of ranks and medians: what one file leaves and the next gives back moves none of them.

use crate::robust::{self, Estimate};

/// With fewer visits nothing is said.
pub const LEAST_VISITS: usize = 6;
/// Growth below this is none, bytes: arenas and caches of a calm suite move as much.
pub const LEAST_GROWTH_BYTES: f64 = 4.0 * 1_048_576.0;
/// How sure a trend must be, as Mann and Kendall count it: 1 in 200 by chance.
pub const SURE: f64 = 2.576;
/// Part of the visits whose middle is the level half-way; at least [`LEVEL_VISITS`].
pub const LEVEL_SHARE: f64 = 0.1;
/// See [`LEVEL_SHARE`].
pub const LEVEL_VISITS: usize = 3;
/// Growth levels off where its second half is less than this share of the first.
pub const LEVEL_OFF: f64 = 0.25;
/// So many steps are a few.
pub const MOST_STEPS: usize = 3;
/// A step is so many times as large as what visits otherwise change.
pub const STEP_SPREADS: f64 = 6.0;
/// And at least this share of all growth.
pub const STEP_SHARE: f64 = 0.1;
/// What is left without the steps is no more than this share of all growth.
pub const REST_SHARE: f64 = 0.2;
/// Growth is steady where the slope makes this share of it; else it came in steps, however many.
pub const STEADY_SHARE: f64 = 0.5;
/// Steps within this share of the visits from the begin are a warm-up.
pub const WARM_UP_SHARE: f64 = 0.25;

/// The worker at the end of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When it ended, µs since the job's start.
    pub t_us: i64,
    /// RSS then.
    pub bytes: i64,
}

/// What memory did over the visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Course {
    /// Too few visits to tell.
    TooFew,
    /// It did not grow.
    Level,
    /// It grew and levelled off.
    LevelsOff,
    /// It grew in steps for the most part.
    Steps,
    /// It grew on and on.
    Steady,
}

/// The growth of a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// What memory did.
    pub course: Course,
    /// From the end of the first visit to that of the last, bytes.
    pub grown_bytes: f64,
    /// A visit; none where there are too few.
    pub per_visit_bytes: Option<Estimate>,
    /// A minute; none where there are too few.
    pub per_minute_bytes: Option<Estimate>,
    /// The visits in which it stepped up, by their place, and by how many bytes; only of [`Course::Steps`].
    pub steps: Vec<(usize, f64)>,
}

/// Tells the growth over visits in order of time.
#[must_use]
pub fn of(points: &[Point]) -> Growth {
    let values: Vec<f64> = points.iter().map(|point| point.bytes as f64).collect();
    if values.len() < LEAST_VISITS {
        return Growth {
            course: Course::TooFew,
            grown_bytes: 0.0,
            per_visit_bytes: None,
            per_minute_bytes: None,
            steps: Vec::new(),
        };
    }
    let calm = calm(&values);
    let (begin, end) = (calm[0], calm[calm.len() - 1]);
    let grown_bytes = end - begin;
    let (steps, are_few) = steps(&calm, grown_bytes);
    // A late step makes few of the pairs rise.
    let is_growth = grown_bytes >= LEAST_GROWTH_BYTES
        && (are_few || !steps.is_empty() || robust::trend(&values) >= SURE);
    let over = |x: &dyn Fn(usize) -> f64| {
        let points: Vec<(f64, f64)> = (0..values.len()).map(|at| (x(at), values[at])).collect();
        robust::slope(&points)
    };
    let per_visit_bytes = over(&|at| at as f64);
    let slope = per_visit_bytes.map_or(0.0, |each| each.value) * (values.len() - 1) as f64;
    let middle = level_in_the_middle(&values);
    let course = if !is_growth {
        Course::Level
    } else if are_few {
        let warm = (values.len() as f64 * WARM_UP_SHARE) as usize;
        match steps.iter().all(|(at, _)| *at <= warm) {
            true => Course::LevelsOff,
            false => Course::Steps,
        }
    } else if end - middle < (LEVEL_OFF * (middle - begin)).max(0.0) {
        Course::LevelsOff
    } else if !steps.is_empty() && slope < STEADY_SHARE * grown_bytes {
        Course::Steps
    } else {
        Course::Steady
    };
    Growth {
        course,
        grown_bytes,
        per_visit_bytes,
        per_minute_bytes: over(&|at| points[at].t_us as f64 / 60e6),
        steps: if course == Course::Steps {
            steps
        } else {
            Vec::new()
        },
    }
}

/// Values without what one visit left and the next gave back: the running median of three, the first and the last as they are.
pub(crate) fn calm(values: &[f64]) -> Vec<f64> {
    let mut calm = values.to_vec();
    for (at, three) in (1..).zip(values.windows(3)) {
        calm[at] = robust::median(&mut three.to_vec()).unwrap_or(three[1]);
    }
    calm
}

/// The middle of the visits in the middle.
fn level_in_the_middle(values: &[f64]) -> f64 {
    let width = ((values.len() as f64 * LEVEL_SHARE) as usize).clamp(LEVEL_VISITS, values.len());
    let from = (values.len() - width) / 2;
    robust::median(&mut values[from..from + width].to_vec()).unwrap_or(0.0)
}

/// The visits that changed far more than is usual, and whether they are few and made nearly all of the growth.
fn steps(calm: &[f64], grown_bytes: f64) -> (Vec<(usize, f64)>, bool) {
    let changes: Vec<f64> = calm.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let usual = robust::median(&mut changes.clone()).unwrap_or(0.0);
    let least = (STEP_SPREADS * robust::spread(&changes))
        .max(STEP_SHARE * grown_bytes)
        .max(LEAST_GROWTH_BYTES / 2.0);
    let steps: Vec<(usize, f64)> = (1..)
        .zip(&changes)
        .filter(|(_, change)| **change - usual > least)
        .map(|(at, change)| (at, *change))
        .collect();
    let held: f64 = steps.iter().map(|(_, bytes)| bytes).sum();
    let rest = grown_bytes - held;
    let few = !steps.is_empty() && steps.len() <= MOST_STEPS;
    let are_few = few && rest.abs() <= REST_SHARE * grown_bytes;
    (steps, are_few)
}

#[cfg(test)]
mod tests;
