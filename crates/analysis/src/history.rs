//! Where a figure changed for good over jobs alike, in the order of their commits: at once, or little by little.
//!
//! A series falls into pieces: levels ([`crate::changepoint`]), and climbs, which explain levels in a row better than steps between these do: a line through
//! all of their jobs, or a short one from one level to the next. Between two pieces that do not meet lies a step; a climb is a creep, which no single step shows.

mod open;
mod pieces;
mod short;
mod suite;
mod words;

use highwater_wire::report::Confidence;

use pieces::{Cut, Piece};

pub use open::LEAST_RISING;
pub use short::{BETTER, CLEARLY_BETTER, COST_BETWEEN, LEAST_BETWEEN};
pub use suite::{Series, newest_first, of_file, of_suite, tells};
pub use words::{of_change, of_report, tell_apart};

/// Of so many jobs alike at most, the newest, it is told where they changed.
pub const MOST_JOBS: usize = 60;
/// With fewer jobs nothing is said.
pub const LEAST_JOBS: usize = 5;
/// Of so many series without a change one may show a step by chance; a suite of 85 files has 172.
pub const CLEAN_SERIES: f64 = 20_000.0;
/// A step is certain where each of both levels has so many jobs,
pub const CERTAIN_JOBS: usize = 5;
/// and they differ by so many times the noise.
pub const CERTAIN_NOISES: f64 = 6.0;
/// A step is likely where each of both levels has so many jobs,
pub const LIKELY_JOBS: usize = 3;
/// and they differ by so many times the noise; else it is possible.
pub const LIKELY_NOISES: f64 = 4.0;
/// A step is no more than possible where a job beside it has this part of it already, or not yet.
pub const SHARED: f64 = 0.5;
/// Fewer jobs make no creep whose trend is sure; a shorter one is possible at the most ([`CLEARLY_BETTER`]).
pub const LEAST_CREEP_JOBS: usize = 12;
/// How sure the trend of a creep must be, up or down, as Mann and Kendall count it: 1 in 30,000 by chance each way.
pub const CREEP_SURE: f64 = 4.0;
/// A creep is certain where it has so many jobs and the low end of its interval alone is worth telling; likely where half of that is.
pub const CERTAIN_CREEP_JOBS: usize = 20;

/// A figure that changed for good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// How much a job; none of a step.
    pub per_job: Option<f64>,
    /// Place of the first value of the piece before; of a creep that of the series.
    pub before_from: usize,
    /// Place of the first value since.
    pub from: usize,
    /// Place behind the last one.
    pub to: usize,
    /// What it was before.
    pub before: f64,
    /// What it is since; of a creep at its end.
    pub after: f64,
    /// How far values lie from their pieces, a standard deviation.
    pub noise: f64,
    /// How sure that is.
    pub confidence: Confidence,
}

/// The changes of a series by `floor` or more, in order.
#[must_use]
pub fn shifts(values: &[f64], floor: f64) -> Vec<Shift> {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    if values.len() < LEAST_JOBS || highest - lowest < floor {
        return Vec::new();
    }
    let cut = Cut::new(values, floor);
    let noise = cut.noise();
    let mut shifts = Vec::new();
    for (at, piece) in cut.pieces.iter().enumerate() {
        let before = at.checked_sub(1);
        let step = before.filter(|before| cut.apart(&cut.pieces[*before], piece, noise) >= 1.0);
        shifts.extend(step.map(|before| {
            let step = step_of(&cut.pieces[before], piece, noise);
            match step.confidence {
                // The job beside the step may have brought it, or most of it.
                Confidence::Certain | Confidence::Likely if cut.is_shared_at(at, noise) => Shift {
                    confidence: Confidence::Possible,
                    ..step
                },
                Confidence::Certain if cut.may_be_a_climb(before, noise) => Shift {
                    confidence: Confidence::Likely,
                    ..step
                },
                _ => step,
            }
        }));
        shifts.extend(creep_of(piece, values, floor, noise));
    }
    shifts
}

fn step_of(before: &Piece, after: &Piece, noise: f64) -> Shift {
    let change = (after.begin - before.end()).abs();
    let jobs = before.len().min(after.len());
    let confidence = if jobs >= CERTAIN_JOBS && change >= CERTAIN_NOISES * noise {
        Confidence::Certain
    } else if jobs >= LIKELY_JOBS && change >= LIKELY_NOISES * noise {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    Shift {
        per_job: None,
        before_from: before.from,
        from: after.from,
        to: after.to,
        before: before.end(),
        after: after.begin,
        noise,
        confidence,
    }
}

fn creep_of(piece: &Piece, values: &[f64], floor: f64, noise: f64) -> Option<Shift> {
    let (slope, nearer) = piece.slope?;
    let to = piece.to - piece.off_at_end(values, noise);
    // A line through a level and the climb behind it begins where nothing was ever measured.
    let had = &values[piece.from.saturating_sub(1)..to];
    let lowest = had.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = had.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let measured = |bytes: f64| bytes.max(lowest).min(highest);
    let at_least = nearer.abs() * (piece.len() - 1) as f64;
    let confidence = if piece.len() >= CERTAIN_CREEP_JOBS && at_least >= floor {
        Confidence::Certain
    } else if at_least >= floor / 2.0 {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    Some(Shift {
        per_job: Some(slope),
        before_from: 0,
        from: piece.from,
        to,
        before: measured(piece.begin),
        after: measured(piece.at(to - 1)),
        noise,
        confidence,
    })
}

#[cfg(test)]
mod tests;
