//! Two jobs, or two groups of jobs that each make a suite (the shards of a split one), side by side: before and after.
//!
//! [`Side`] gathers jobs; [`compare`] holds two of them against each other. Of the peaks of a side the largest counts, of headroom the smallest, of
//! durations the longest and the sum, and its test files are those of all its jobs. What a file or a fixture changed counts where it is more than
//! [`beyond_noise`].

mod files;
mod fixtures;
mod moved;
mod side;
mod table;
mod words;

use highwater_wire::report::ComparisonReport;

pub use files::only_here;
pub use moved::{TestNames, pairs};
pub use side::Side;
pub use table::{Total, changed, counted, signed, sizes, totals};

/// A change of no more is none, bytes: the arenas of a calm suite move as much from one run to the next.
pub const NOISE_BYTES: i64 = 2 << 20;
/// Nor is one of no more than this part of the larger figure.
pub const NOISE_SHARE: f64 = 0.05;
/// Allowed for besides where children make the spike or the change of what was retained, bytes: what a child shares with its parent counts twice until its PSS was read, and that was
/// before its highest moment or not. The same suite differed by 5.3 MiB so.
pub const CHILDREN_BYTES: u64 = 8 << 20;

/// Most test files and fixtures that are told.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Test files.
    pub files: usize,
    /// Fixtures.
    pub fixtures: usize,
}

/// Whether two figures differ by more than noise, and what else is allowed for. It is the same whichever of them was before.
#[must_use]
pub fn beyond_noise(before_bytes: i64, after_bytes: i64, allowed_bytes: u64) -> bool {
    let larger = before_bytes.unsigned_abs().max(after_bytes.unsigned_abs());
    let floor = ((larger as f64 * NOISE_SHARE) as u64).max(NOISE_BYTES.unsigned_abs());
    before_bytes.abs_diff(after_bytes) > floor.saturating_add(allowed_bytes)
}

/// Holds what was before against what is after.
#[must_use]
pub fn compare(before: &Side, after: &Side, most: Most) -> ComparisonReport {
    let (sides, mut notes) = ([before.told(), after.told()], words::notes(before, after));
    let has_files = before.has_files() && after.has_files();
    let (mut files, mut fixtures, mut counts) = (Vec::new(), Vec::new(), None);
    if has_files {
        files = files::compare(before, after);
        counts = Some(files::count(&files));
        fixtures = fixtures::compare(before, after);
    } else {
        notes.push(words::without_files(before, after));
    }
    let files_left = cut(&mut files, most.files);
    let fixtures_left = cut(&mut fixtures, most.fixtures);
    let sentence = words::sentence(&sides);
    let growth = words::other_processes(before, after);
    let [mut before, mut after] = sides;
    if let Some(why) = growth
        && (before.growth_per_file_bytes.is_some() || after.growth_per_file_bytes.is_some())
    {
        before.growth_per_file_bytes = None;
        after.growth_per_file_bytes = None;
        notes.push(why);
    }
    ComparisonReport {
        sentence,
        notes,
        before,
        after,
        counts,
        files,
        files_left,
        fixtures,
        fixtures_left,
    }
}

/// Keeps so many; how many are left out.
fn cut<T>(rows: &mut Vec<T>, most: usize) -> u64 {
    let left = rows.len().saturating_sub(most);
    rows.truncate(most);
    left as u64
}

#[cfg(test)]
mod tests;
