//! Whether one figure got worse: a value of a new job against those of the jobs before it, in the order of their commits.
//!
//! The figures before it fall into levels ([`changepoint`]), of which the last is what it is compared with. What one newer job already had is its doing and
//! not this one's. A figure is worse only where it passes a test against the noise of the figures themselves, corrected for the number of figures that
//! are tested at once, and floors below which nobody wants to hear of it.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::changepoint::{self, Level};

/// With fewer jobs before it nothing is said.
pub const LEAST_JOBS: usize = 5;
/// Of so many jobs one may tell of a figure that got worse by chance alone.
pub const CLEAN_JOBS: f64 = 1_000.0;
/// Figures that differ by less are the same, bytes.
pub const LEAST_CHANGE_BYTES: f64 = 4.0 * 1_048_576.0;
/// And so are those that differ by less than this part of the size of the file ([`size_of_file`]), or of the job's peak.
pub const LEAST_CHANGE_SHARE: f64 = 0.05;
/// A change that matters, bytes, where it is more than [`MATTERS_SHARE`]: where only larger ones are told, that is said.
pub const MATTERS_BYTES: f64 = 20e6;
/// And this part of the size of the file, or of the job's peak.
pub const MATTERS_SHARE: f64 = 0.1;
/// A file is no larger than so many times what it retains and needs for a while itself: the rest of its peak is what others left behind.
pub const OWN_TIMES: f64 = 2.0;
/// No figure is known better, bytes: the kernel counts pages in batches, and allocators take whole arenas.
pub const LEAST_NOISE_BYTES: f64 = 0.25 * 1_048_576.0;
/// One of so many jobs of the level, the newest left out, may be as wild as it likes; of fewer none was as high as what is called worse.
pub const MANY_JOBS: usize = 10;
/// What is less than this part of what the newest job had above the level did not come with that job.
pub const SAME_CHANGE_SHARE: f64 = 0.5;

/// For [`LEAST_JOBS`] jobs and each one more, so many times Student's t counts: the noise is no standard deviation, and of few jobs it is too low more often. Of more jobs t does by itself.
/// Solved for 1.5 of 1000 clean jobs (of 173 normal figures with noise far above the floors) from 250 000 simulated baselines each, drawn as the test `clean_jobs_are_clean_however_few_are_before`
/// draws them; from 18 on for 3 of 1000, so that steps stay found.
/// Where fewer jobs would then ask for less than more jobs do (the median of an odd number lies otherwise), they ask for as much.
pub const FEW_JOBS: [f64; 18] = [
    1.95, 2.4, 1.72, 1.41, 1.39, 1.47, 1.54, 1.37, 1.19, 1.22, 1.24, 1.26, 1.16, 1.03, 1.04, 1.05,
    1.06, 1.04,
];

/// A figure of a new job, with what it is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// It itself, bytes; more is worse.
    pub bytes: f64,
    /// What the floors are shares of, bytes: the size of the file ([`size_of_file`]), or the job's peak.
    pub size_bytes: f64,
}

/// What is told of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told {
    /// Too few jobs before it have it.
    TooFew,
    /// It was compared.
    Compared(Compared),
}

/// A figure beside those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// What it was before, bytes.
    pub before_bytes: f64,
    /// How far it lay from that without a reason, bytes: a standard deviation.
    pub noise_bytes: f64,
    /// By how much more it is now, bytes; negative where it is less.
    pub change_bytes: f64,
    /// From which change on it is worse, bytes.
    pub least_bytes: f64,
    /// Place of the first job of the level that it is compared with.
    pub since: usize,
    /// What became of it.
    pub standing: Standing,
}

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As before, as far as anybody can tell.
    Same,
    /// Less than before, and surely.
    Better,
    /// More than before, and surely.
    Worse,
    /// More than the level before, and about as in the newest job before this one: it came with that job.
    WorseBefore,
}

/// Compares a figure with those of the jobs before it, in the order of commits, as one of `tested` figures.
#[must_use]
pub fn compare(before: &[f64], figure: Figure, tested: usize) -> Told {
    if before.len() < LEAST_JOBS {
        return Told::TooFew;
    }
    let floor = least_change(figure.size_bytes);
    // Bonferroni.
    let part = 1.0 / CLEAN_JOBS / tested.max(1) as f64;
    let Some(ground) = Ground::of(before, floor, part) else {
        return Told::TooFew;
    };
    let ground = ground.of_climb(before, part);
    let least_bytes = ground.least_bytes;
    let change_bytes = figure.bytes - ground.level.value;
    let newest = before[before.len() - 1];
    // One wild job is no cover for whatever comes below it.
    let is_alike = |newest: f64| {
        figure.bytes - newest < least_bytes
            && change_bytes >= SAME_CHANGE_SHARE * (newest - ground.level.value)
    };
    let standing = if -change_bytes > least_bytes {
        Standing::Better
    } else if !ground.is_below(figure.bytes) {
        Standing::Same
    } else if ground.is_below(newest) && is_alike(newest) {
        Standing::WorseBefore
    } else {
        Standing::Worse
    };
    Told::Compared(Compared {
        before_bytes: ground.level.value,
        noise_bytes: ground.noise_bytes,
        change_bytes,
        least_bytes,
        since: ground.level.from,
        standing,
    })
}

/// What a figure is compared with.
struct Ground {
    level: Level,
    /// A figure that is no higher is not worse, bytes.
    highest: f64,
    noise_bytes: f64,
    /// From which change on a figure is worse, bytes.
    least_bytes: f64,
    floor: f64,
    /// How far two figures lie apart by chance, bytes.
    apart_bytes: f64,
}

impl Ground {
    /// The last level; none of no jobs.
    fn of(before: &[f64], floor: f64, part: f64) -> Option<Self> {
        let levels = sure(before, changepoint::levels(before, floor / 2.0), part);
        let level = *levels.last()?;
        let apart_bytes = apart_by_chance(before, &levels, part);
        Some(Self {
            level,
            highest: highest(before, &level),
            noise_bytes: noise(before, &levels).max(LEAST_NOISE_BYTES),
            least_bytes: least(apart_bytes, level.len(), floor),
            floor,
            apart_bytes,
        })
    }

    /// The same without the newest jobs, where all of these are surely above the level that is there without them: several regressions in a row are neither noise, nor do they
    /// hide the next. What the newest two of them have both is then the level.
    fn of_climb(self, before: &[f64], part: f64) -> Self {
        let first = LEAST_JOBS.max(self.level.from + 1);
        let (mut found, mut lesser) = (None, f64::INFINITY);
        for place in (first..before.len()).rev() {
            lesser = lesser.min(before[place]);
            let earlier = &before[self.level.from..place];
            let lowest = earlier.iter().copied().fold(f64::INFINITY, f64::min);
            // No level of these lies lower.
            if lesser - lowest <= self.floor {
                break;
            }
            // The test below would say so too, and takes longer.
            let recent = earlier.iter().rev().skip(1).take(LEAST_JOBS);
            if recent.filter(|bytes| **bytes >= lesser).count() > 1 {
                continue;
            }
            let without = Self::of(&before[..place], self.floor, part);
            // What goes up and down is noise that the jobs before did not have.
            let goes_up =
                |it: &Self| before.len() - place <= 2 || !falls(&before[place..], it.least_bytes);
            let without = without.filter(|it| {
                it.level.from >= self.level.from && it.is_below(lesser) && goes_up(it)
            });
            found = without.or(found);
        }
        match (found, before) {
            (None, _) => self,
            (Some(without), [.., one, other]) if without.level.to + 2 <= before.len() => {
                let value = one.min(*other);
                let level = Level {
                    from: before.len() - 2,
                    to: before.len(),
                    value,
                };
                Self {
                    level,
                    highest: value,
                    least_bytes: least(without.apart_bytes, 1, without.floor),
                    ..without
                }
            }
            (Some(without), _) => without,
        }
    }

    /// Whether a figure is surely more.
    fn is_below(&self, bytes: f64) -> bool {
        bytes - self.level.value > self.least_bytes && bytes > self.highest
    }
}

/// Whether a figure is less than one before it by so much.
fn falls(values: &[f64], least: f64) -> bool {
    let mut highest = f64::NEG_INFINITY;
    values.iter().any(|value| {
        highest = highest.max(*value);
        highest - value > least
    })
}

/// From which change on a figure is worse than a level of so many jobs, bytes.
fn least(apart_bytes: f64, jobs: usize, floor: f64) -> f64 {
    floor.max(apart_bytes * (1.0 + 1.0 / jobs as f64).sqrt())
}

/// Whether a figure varies so much that a change of it that matters may stay untold, where it is told from so many bytes on.
#[must_use]
pub fn is_unsteady(least_bytes: f64, size_bytes: f64) -> bool {
    least_bytes > MATTERS_BYTES.max(MATTERS_SHARE * size_bytes)
}

/// The change that anybody wants to hear of, of a file of this size, or a job of this peak, bytes.
#[must_use]
pub fn least_change(size_bytes: f64) -> f64 {
    LEAST_CHANGE_BYTES.max(LEAST_CHANGE_SHARE * size_bytes)
}

/// How large a file is that retains and needs for a while so much itself, bytes: its tree peak, of which in a large process most is what others left behind; so no
/// more than [`OWN_TIMES`] its own, or than what [`MATTERS_BYTES`] is a share of that matters.
#[must_use]
pub fn size_of_file(tree_peak_bytes: f64, own_bytes: f64) -> f64 {
    let own = (OWN_TIMES * own_bytes).max(MATTERS_BYTES / MATTERS_SHARE);
    tree_peak_bytes.min(own)
}

/// Levels that are no further apart than noise explains are made one, those that are least so first: a cut that chance made leaves less noise than there is.
fn sure(before: &[f64], mut levels: Vec<Level>, part: f64) -> Vec<Level> {
    while levels.len() > 1 {
        let unit = apart_by_chance(before, &levels, part);
        let apart = |at: &usize| {
            let (one, other) = (&levels[*at], &levels[at + 1]);
            let error = (1.0 / one.len() as f64 + 1.0 / other.len() as f64).sqrt();
            (other.value - one.value).abs() / (unit * error)
        };
        let least = (0..levels.len() - 1)
            .filter(|at| apart(at) < 1.0)
            .min_by(|one, other| apart(one).total_cmp(&apart(other)));
        let Some(at) = least else { break };
        let to = levels.remove(at + 1).to;
        levels[at] = changepoint::level(before, levels[at].from, to);
    }
    levels
}

/// How far two figures lie apart by chance in this part of the cases at the most, bytes. Only noise that was estimated is hardly known: the least of it is not.
fn apart_by_chance(before: &[f64], levels: &[Level], part: f64) -> f64 {
    let quantile = quantile(before.len().saturating_sub(levels.len()), part);
    let factor = before.len().checked_sub(LEAST_JOBS);
    let factor = factor.and_then(|at| FEW_JOBS.get(at)).unwrap_or(&1.0);
    quantile * (factor * noise(before, levels)).max(LEAST_NOISE_BYTES)
}

/// How far the figures lie from their levels.
fn noise(before: &[f64], levels: &[Level]) -> f64 {
    let of = |level: &Level| {
        let values = &before[level.from..level.to];
        values
            .iter()
            .map(|value| value - level.value)
            .collect::<Vec<f64>>()
    };
    changepoint::noise(&levels.iter().flat_map(of).collect::<Vec<f64>>())
}

/// What a job of the level had without being another level; of many one in [`MANY_JOBS`] may be wild and does not count, nor does the newest, of which nobody knows yet.
fn highest(before: &[f64], level: &Level) -> f64 {
    let mut values = before[level.from..level.to].to_vec();
    if level.len() > 1 && level.to == before.len() {
        values.pop();
    }
    values.sort_unstable_by(f64::total_cmp);
    let wild = values.len() / MANY_JOBS;
    values[values.len() - 1 - wild]
}

/// Standard deviations above which by chance lies this part of figures, by Student's (1908) distribution: the noise of few jobs is itself hardly known.
pub(crate) fn quantile(degrees: usize, part: f64) -> f64 {
    // Infinite where no distribution has so few degrees of freedom: then nothing is sure.
    StudentsT::new(0.0, 1.0, degrees as f64)
        .map_or(f64::INFINITY, |student| student.inverse_cdf(1.0 - part))
}

#[cfg(test)]
mod tests;
