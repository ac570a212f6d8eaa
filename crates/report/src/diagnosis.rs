//! What a diagnosed job left, taken apart, as tables show it.

use highwater_analysis::{diagnosis::LEAST_SHOWN_BYTES, digest::Digest};
use highwater_wire::report::{Diagnosis, FileRow, Grown, Why};

/// What a diagnosis does to the figures beside it; every form says it.
pub(crate) const NOTE: &str = "Diagnosed, which changes the figures: garbage was collected and free memory given back after each file.";
/// What the columns of [`parts`] are called.
pub const PARTS: [&str; 7] = [
    "Stayed",
    "Of it fixtures",
    "Garbage",
    "Free in the heap",
    "Free in pymalloc",
    "Live Python",
    "Native rest",
];

/// The parts without the whole.
pub(crate) const WHYS: [Why; 5] = [Why::Garbage, Why::Heap, Why::Pymalloc, Why::Live, Why::Rest];

/// What stayed, what fixtures took of it that were still set up, and its parts, bytes; what tracemalloc took itself is in none of them.
#[must_use]
pub fn parts(found: &Diagnosis) -> [i64; 7] {
    [
        found.stayed_bytes,
        found.fixture_bytes,
        found.garbage_bytes,
        found.allocator_bytes.saturating_sub(found.pymalloc_bytes),
        found.pymalloc_bytes,
        found.live_bytes,
        found.rest_bytes,
    ]
}

/// The files whose end was looked at alone, what left most first.
#[must_use]
pub fn diagnosed(files: &[FileRow]) -> Vec<(&FileRow, &Diagnosis)> {
    let alone = files.iter();
    let mut alone: Vec<_> = alone
        .filter_map(|file| Some((file, file.diagnosis.as_ref()?)))
        .collect();
    alone.sort_by_key(|(_, found)| std::cmp::Reverse(found.stayed_bytes));
    alone
}

/// Types of live objects and lines of the program that grew most over the job, each with what it is: those that are worth a row.
pub(crate) fn grown(digest: &Digest) -> Vec<(&'static str, &Grown)> {
    let Some(found) = &digest.job.diagnosis else {
        return Vec::new();
    };
    let types = found.types.iter().map(|it| ("type", it));
    let lines = found.lines.iter().map(|it| ("line", it));
    let all = types.chain(lines);
    all.filter(|(_, it)| it.bytes >= LEAST_SHOWN_BYTES)
        .collect()
}
