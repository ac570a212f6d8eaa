//! How to cut a suite into jobs that fit a budget.
//!
//! What is known of a test file: it needs its spike while it runs and leaves behind what it retains. A process that runs files one after another stands at
//! its base before the first; its peak is the highest level and spike on the way.
//!
//! [`Facts`] takes a suite from the rows of a job; [`cut`] makes jobs of it; [`report`] makes the document of these, with what else could be done, [`notes`]
//! says what is to be known of it, and [`forms`] is what programs read of it.

mod alternatives;
mod eased;
mod facts;
mod fit;
pub mod forms;
mod given;
mod ground;
mod hint;
pub mod notes;
mod recalled;
mod refusal;
mod report;
mod together;

use std::borrow::Borrow;

use fit::{Bin, Unit};

pub use facts::Facts;
pub use ground::Ground;
pub use hint::{SHARE, cuts, grows_near, has_limit, hint, is_due, workers, written};
pub use recalled::{MOST_EARLIER, Ran};
pub use refusal::{Each, Refusal};
pub use report::{Asked, report};
pub use together::{Group, groups, is_like};

/// What a test file takes, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path of the file.
    pub path: String,
    /// Needed above the level while it runs, its children's memory included, bytes; not negative.
    pub spike_bytes: i64,
    /// Left behind, bytes; negative where it gives back.
    pub retained_bytes: i64,
    /// How long it takes, µs.
    pub duration_us: i64,
}

impl File {
    /// The same if it gave back all that it took.
    fn given_back(&self) -> Self {
        Self {
            spike_bytes: top(self),
            retained_bytes: self.retained_bytes.min(0),
            ..self.clone()
        }
    }
}

/// The files of one job, in the order that keeps its peak lowest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The files.
    pub files: Vec<File>,
    /// The peak they lead to, bytes.
    pub peak_bytes: i64,
    /// How long they take, µs.
    pub duration_us: i64,
}

/// A suite cut into jobs, or why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// The jobs, each with a file at least; none where there are no files.
    Shards(Vec<Shard>),
    /// One file, alone or with those that stay together with it, needs more than the budget on top of the base, also behind files that give back.
    Infeasible {
        /// The file that needs most.
        path: String,
        /// So many files stay together with it.
        with: usize,
        /// What it needs without files that give back before it, bytes.
        alone_bytes: i64,
        /// The least budget that was found to bear all files, bytes.
        least_bytes: i64,
    },
    /// More jobs would be needed than were asked for.
    TooFew {
        /// So many fit.
        least_jobs: usize,
    },
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// What a job may take at its peak, bytes.
    pub budget_bytes: i64,
    /// How many jobs; the fewest that fit where none is named.
    pub jobs: Option<usize>,
}

/// Puts files in the order with the lowest peak: first those that give back more than they take, by rising spike, since each makes room for
/// the next; then the others by falling spike above what they retain. It is the order that makes the highest cumulative cost of independent jobs lowest
/// (Abdel-Wahab and Kameda 1978), as Liu (1986) orders the children of a node by what they need above what they leave.
pub fn order<F: Borrow<File>>(files: &mut [F]) {
    files.sort_by(|one, other| key(one.borrow()).cmp(&key(other.borrow())));
}

/// Where a file stands in that order.
fn key(file: &File) -> (u8, i64, &str) {
    match file.retained_bytes < 0 {
        true => (0, file.spike_bytes.max(0), &file.path),
        false => (1, file.retained_bytes - top(file), &file.path),
    }
}

/// The peak of files run one after another on top of a base, bytes.
#[must_use]
pub fn peak<F: Borrow<File>>(base_bytes: i64, files: &[F]) -> i64 {
    let (mut level, mut peak) = (base_bytes, base_bytes);
    for file in files.iter().map(Borrow::borrow) {
        peak = peak.max(level + top(file));
        level += file.retained_bytes;
    }
    peak
}

/// What a file takes above the level at most: what it leaves is there before it ends.
fn top(file: &File) -> i64 {
    file.spike_bytes.max(file.retained_bytes).max(0)
}

/// Cuts a suite into the fewest jobs found whose peaks are inside the budget, of about the same duration, and leaves room below the budget where that takes
/// no job more. Each file goes to one job, whole, and each group of files that stay together too.
///
/// The fewest jobs are a packing problem that nobody solves in time; the number found is held against the sum of what is retained, below which it
/// cannot be, and against every way to cut, for few files, by the tests.
#[must_use]
pub fn cut(ground: Ground, files: &[File], groups: &[Group], wanted: Wanted) -> Plan {
    let units = fit::units(files, groups);
    let Some(units) = eased::eased(ground, units.clone(), wanted.budget_bytes) else {
        let Heaviest {
            path,
            with,
            alone_bytes,
            least_bytes,
        } = heaviest(ground, &units);
        return Plan::Infeasible {
            path,
            with,
            alone_bytes,
            least_bytes,
        };
    };
    if units.is_empty() {
        return Plan::Shards(Vec::new());
    }
    let budget_bytes = wanted.budget_bytes;
    let least = || least(ground, &units, budget_bytes);
    let jobs = match wanted.jobs {
        Some(jobs) => jobs.clamp(1, units.len()),
        None => least(),
    };
    match fit::with_room(ground, &units, budget_bytes, jobs) {
        Some(bins) => Plan::Shards(shards(ground, bins)),
        None => Plan::TooFew {
            least_jobs: least(),
        },
    }
}

/// What needs most of a suite, as [`Plan::Infeasible`] tells of it.
#[derive(Debug)]
struct Heaviest {
    path: String,
    with: usize,
    alone_bytes: i64,
    least_bytes: i64,
}

fn heaviest(ground: Ground, units: &[Unit<'_>]) -> Heaviest {
    let needs = |unit: &&Unit<'_>| ground.peak(unit.files());
    let worst = units.iter().max_by_key(needs);
    let files = worst.map_or(&[][..], Unit::files);
    let most = files.iter().max_by_key(|file| top(file));
    Heaviest {
        path: most.map_or_else(String::new, |file| file.path.clone()),
        with: files.len().saturating_sub(1),
        alone_bytes: ground.peak(files),
        least_bytes: eased::least_budget(ground, units),
    }
}

/// The fewest jobs that are found to fit. Not fewer than hold what all files retain together; from there on in growing steps, and back by halves.
fn least(ground: Ground, units: &[Unit<'_>], budget_bytes: i64) -> usize {
    let fits = |jobs: usize| fit::into(ground, units, budget_bytes, jobs).is_some();
    let (mut below, mut jobs) = (None, fewest(ground, units, budget_bytes));
    let mut step = 1;
    while jobs < units.len() && !fits(jobs) {
        below = Some(jobs);
        jobs = (jobs + step).min(units.len());
        step *= 2;
    }
    while let Some(low) = below
        && low + 1 < jobs
    {
        let middle = usize::midpoint(low, jobs);
        match fits(middle) {
            true => jobs = middle,
            false => below = Some(middle),
        }
    }
    jobs
}

/// No fewer jobs can hold what all files retain together.
fn fewest(ground: Ground, units: &[Unit<'_>], budget_bytes: i64) -> usize {
    let retained: i64 = units.iter().map(Unit::retained_bytes).sum();
    let room = budget_bytes.saturating_sub(ground.idle_bytes()).max(1);
    usize::try_from(retained.max(0).div_euclid(room) + i64::from(retained.max(0) % room > 0))
        .unwrap_or(units.len())
        .clamp(1, units.len())
}

fn shards(ground: Ground, bins: Vec<Bin<'_, '_>>) -> Vec<Shard> {
    let shard = |bin: Bin<'_, '_>| Shard {
        peak_bytes: bin.peak(),
        duration_us: ground.duration_us(&bin.files),
        files: bin.files.into_iter().cloned().collect(),
    };
    // A job without files would run all of them.
    let used = bins.into_iter().filter(|bin| !bin.files.is_empty());
    let mut shards: Vec<Shard> = used.map(shard).collect();
    shards.sort_by_key(|shard| std::cmp::Reverse(shard.duration_us));
    shards
}

#[cfg(test)]
mod tests;
