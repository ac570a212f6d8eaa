//! What memory comes to by the end of a suite, and at which file it crosses a limit.
//!
//! Of each file that ended it is known what the workers held before and after it, and how high memory went above that. What is still to come is drawn
//! many times from what was seen, and, where a job of the same name ran before, from what that saw of each file; the figures are the middle of what
//! the draws come to, their intervals what nine in ten of them come to. The draws are the same each time: chance has a fixed seed.

mod pool;
mod settled;
mod steps;
mod told;
mod words;

use crate::{
    chance::Chance,
    growth::{self, Point},
    robust::{self, Estimate},
};
use pool::Pool;

pub use steps::{Ended, Steps};
pub(crate) use words::limit_name;

pub use told::{History, Measured, Situation, report};

/// With fewer files behind it nothing is said of files that no job before has run.
pub const LEAST_FILES: usize = 6;
/// Of more files that ended the last count.
pub const MOST_SEEN: usize = 512;
/// Of more files to come so many are gone through.
pub const MOST_AHEAD: usize = 10_000;
/// How often the rest of the suite is drawn; less often where that makes more than [`MOST_DRAWS`] files, and never less often than a quarter of it.
pub const PATHS: usize = 300;
/// See [`PATHS`].
pub const MOST_DRAWS: usize = 300_000;
/// What chance begins with.
const SEED: u64 = 0x5eed;
/// A crossing is forecast where at least so many of a hundred draws cross.
pub const LIKELY: u32 = 50;
/// From so many of a hundred on it is worth a warning: half of those at [`LIKELY`] would be wrong.
pub const WARN_FROM: u32 = 75;
/// The ends of an interval that covers nine in ten.
const LOW: f64 = 0.05;
/// See [`LOW`].
const HIGH: f64 = 0.95;

/// What a job before saw of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What it retained, bytes.
    pub retained_bytes: i64,
    /// How high it went above what was held before or after it, whichever is more, bytes.
    pub above_bytes: i64,
}

/// A file that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its path.
    pub path: String,
    /// What the workers held before it, bytes.
    pub before_bytes: i64,
    /// What they hold after it.
    pub after_bytes: i64,
    /// The highest that the job held since the file before it ended.
    pub peak_bytes: i64,
    /// Whether a worker had run none before: what first files bring is no measure for others.
    pub is_first: bool,
}

impl Step {
    /// How much more the workers hold after it.
    #[must_use]
    pub fn retained_bytes(&self) -> i64 {
        self.after_bytes.saturating_sub(self.before_bytes)
    }

    /// How high it went above what was held before or after; below nothing where workers share pages, which count once in the job and for each of them.
    #[must_use]
    pub fn above_bytes(&self) -> i64 {
        let held = self.before_bytes.max(self.after_bytes);
        self.peak_bytes.saturating_sub(held)
    }
}

/// The job so far.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The files that ended, in this order, each with what is known of it from before.
    pub steps: &'a [(Step, Option<Known>)],
    /// What the workers hold now, bytes.
    pub held_bytes: i64,
    /// The most that the job held.
    pub peak_bytes: i64,
    /// How many workers run files beside each other.
    pub workers: usize,
}

/// A limit with what counts against it beside the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What it allows, bytes.
    pub limit_bytes: i64,
    /// What is used of it beyond what the job is measured to hold; negative where that counts more than the limit does.
    pub beside_bytes: i64,
}

/// Where a limit is crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// In so many of a hundred draws it is.
    pub percent: u32,
    /// At which of the files to come, from 0; none where fewer than half of the draws cross.
    pub at: Option<usize>,
    /// The low end of that; none where fewer than one in twenty cross.
    pub low: Option<usize>,
    /// The high end; none where the limit may hold.
    pub high: Option<usize>,
}

/// What is to come.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The peak at the end, bytes.
    pub peak_bytes: Estimate,
    /// Whether what history knows of files to come was taken into account.
    pub rests_on_history: bool,
    /// Of each limit, in the order given; none where it was passed already.
    pub crossings: Vec<Option<Crossing>>,
}

/// Looks ahead: `ahead` are the files to come, in order, with what is known of each. `None` where too little was seen to tell, or nothing is to come.
#[must_use]
pub fn forecast(seen: &Seen<'_>, ahead: &[Option<Known>], limits: &[Limit]) -> Option<Forecast> {
    let ahead = &ahead[..ahead.len().min(MOST_AHEAD)];
    if ahead.is_empty() {
        return None;
    }
    let steps = &seen.steps[seen.steps.len().saturating_sub(MOST_SEEN)..];
    // How files known to history meet on several workers too few that ended tell; where enough did, these are a measure for all.
    let counted = || steps.iter().filter(|(step, _)| !step.is_first);
    let known = counted().filter(|(_, known)| known.is_some()).count();
    let unknown = counted().count() - known;
    let is_strange = seen.workers > 1 && known < LEAST_FILES && unknown >= LEAST_FILES;
    let strangers = vec![None; if is_strange { ahead.len() } else { 0 }];
    let ahead = if is_strange { &strangers[..] } else { ahead };
    let pool = Pool::of(steps, ahead, seen.workers)?;
    let paths = (MOST_DRAWS / ahead.len()).clamp(PATHS / 4, PATHS);
    let mut chance = Chance(SEED);
    let mut peaks = Vec::with_capacity(paths);
    // Of each limit the file of each draw that crosses it.
    let mut crossed: Vec<Vec<usize>> = vec![Vec::new(); limits.len()];
    for _ in 0..paths {
        let mut draw = pool.draw(&mut chance);
        let (mut held, mut peak) = (seen.held_bytes as f64, seen.peak_bytes as f64);
        let mut over = vec![false; limits.len()];
        for (at, known) in ahead.iter().enumerate() {
            let left = (ahead.len() - at) as f64;
            let busy = (left / seen.workers.max(1) as f64).min(1.0);
            let (retained, above) = draw.file(*known, busy, &mut chance);
            let after = (held + retained).max(0.0);
            peak = peak.max(held.max(after) + above);
            held = after;
            for ((limit, over), crossed) in limits.iter().zip(&mut over).zip(&mut crossed) {
                if !*over && peak + limit.beside_bytes as f64 > limit.limit_bytes as f64 {
                    *over = true;
                    crossed.push(at);
                }
            }
        }
        peaks.push(peak);
    }
    peaks.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| peaks[((peaks.len() - 1) as f64 * share).round() as usize];
    let is_over =
        |limit: &Limit| seen.peak_bytes.saturating_add(limit.beside_bytes) > limit.limit_bytes;
    let crossings = limits.iter().zip(crossed).map(|(limit, mut files)| {
        files.sort_unstable();
        (!is_over(limit)).then(|| crossing(&files, paths))
    });
    Some(Forecast {
        peak_bytes: Estimate {
            value: at(0.5),
            low: at(LOW),
            high: at(HIGH),
        },
        rests_on_history: ahead.iter().any(Option::is_some),
        crossings: crossings.collect(),
    })
}

/// Of draws that cross nowhere the file is beyond all others.
fn crossing(files: &[usize], paths: usize) -> Crossing {
    let at = |share: f64| {
        files
            .get(((paths - 1) as f64 * share).round() as usize)
            .copied()
    };
    Crossing {
        percent: u32::try_from(files.len() * 100 / paths).unwrap_or(100),
        at: at(0.5),
        low: at(LOW),
        high: at(HIGH),
    }
}

#[cfg(test)]
mod tests;
