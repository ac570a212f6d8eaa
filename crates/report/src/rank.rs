//! The rows that a report has room for.

use highwater_analysis::{digest::Digest, figures::mebibytes};
use highwater_wire::report::{FileRow, JobReport, PeakKind, TestRow, leg};

/// What retains or spikes less is not worth a row.
const LEAST_SHOWN_BYTES: i64 = 100 << 10;

/// Children that a file left running are named from here on: what they share with their parent moves by less.
const LEAST_CHILDREN_BYTES: i64 = 4 << 20;

/// Children are named in a test's spike where they make more of it than this, and than so large a part: samples of a test without any differ from its marks
/// by less.
const LEAST_OF_CHILDREN_BYTES: i64 = 1 << 20;
const LEAST_OF_CHILDREN_PART: i64 = 20;

/// The test files that retained most, with what children hold that outlive them.
pub(crate) fn retained(digest: &Digest) -> Vec<&FileRow> {
    let ran = digest.files.iter().filter(|file| file.visits > 0);
    let mut ranked: Vec<&FileRow> = ran
        .filter(|file| file.retained_bytes.max(file.tree_retained_bytes()) >= LEAST_SHOWN_BYTES)
        .collect();
    ranked.sort_by_key(|file| std::cmp::Reverse(file.tree_retained_bytes()));
    ranked
}

/// The test files that took most, whether they kept it or gave it back.
pub(crate) fn largest(digest: &Digest) -> Vec<&FileRow> {
    let mut ran: Vec<&FileRow> = digest.files.iter().filter(|file| file.visits > 0).collect();
    ran.sort_by_key(|file| {
        let took = file.tree_spike_bytes.max(file.spike_bytes);
        std::cmp::Reverse(file.tree_retained_bytes().max(took))
    });
    ran
}

/// What a test file retained: at least so much where it was cut short.
#[must_use]
pub fn retained_words(file: &FileRow) -> String {
    at_least(file.retained_bytes, file.censored)
}

/// A figure of which more may be true where it is of something that was cut short.
#[must_use]
pub fn at_least(bytes: i64, censored: bool) -> String {
    let least = if censored { "at least " } else { "" };
    format!("{least}{}", mebibytes(bytes))
}

/// What children hold that a file left running, or held that others had left and that ended in it, as a remark behind its name; empty where it is little.
#[must_use]
pub fn left_running(bytes: i64) -> String {
    let what = match bytes.saturating_abs() >= LEAST_CHILDREN_BYTES {
        true if bytes > 0 => "left children running",
        true => "children that others left ended",
        false => return String::new(),
    };
    format!("{what} ({})", mebibytes(bytes.saturating_abs()))
}

/// The tests that rose most, with what was below them.
pub(crate) fn spikes(digest: &Digest) -> Vec<&TestRow> {
    let mut ranked: Vec<&TestRow> = digest
        .tests
        .iter()
        .filter(|test| test.tree_spike_bytes >= LEAST_SHOWN_BYTES)
        .collect();
    ranked.sort_by_key(|test| std::cmp::Reverse(test.tree_spike_bytes));
    ranked
}

/// Whether children made a part of a test's spike that is worth a word.
#[must_use]
pub fn with_children(test: &TestRow) -> bool {
    let children = test.tree_spike_bytes.saturating_sub(test.spike_bytes);
    children > LEAST_OF_CHILDREN_BYTES && children > test.tree_spike_bytes / LEAST_OF_CHILDREN_PART
}

/// The peak that goes with a test's spike, bytes, and where it comes from: with its children where these are named.
pub(crate) fn peak(test: &TestRow) -> (i64, PeakKind) {
    match with_children(test) {
        true => (test.tree_peak_bytes, PeakKind::Sampled),
        false => (test.peak_bytes, test.peak_kind),
    }
}

/// What tells a row's session, where there are several.
pub(crate) fn of_session(job: &JobReport, session: u32) -> String {
    match job.sessions.len() {
        0 | 1 => String::new(),
        _ => format!(" (session {session})"),
    }
}

/// A job's name with its matrix leg and shard.
pub(crate) fn job_name(job: &JobReport) -> String {
    let variant = leg(&job.variant);
    let shard = job
        .shard
        .map(|shard| format!("{}/{}", shard.index, shard.total));
    let detail: Vec<String> = variant.into_iter().chain(shard).collect();
    match detail.is_empty() {
        true => job.name.clone(),
        false => format!("{} ({})", job.name, detail.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::recorded;

    #[test]
    fn children_are_named_where_they_make_a_part_of_a_spike_that_is_no_noise() {
        const KIB: i64 = 1 << 10;
        let mut test = recorded("tests/test_a.py").tests.remove(0);
        test.tree_peak_bytes = test.peak_bytes + 1;
        for (own, children, named) in [
            (10 << 20, 0, false),
            (10 << 20, 300 * KIB, false),
            (0, 1024 * KIB, false),
            (0, 1025 * KIB, true),
            (10 << 20, 2 << 20, true),
            // A twentieth.
            (95 << 20, 5 << 20, false),
            (95 << 20, 6 << 20, true),
        ] {
            (test.spike_bytes, test.tree_spike_bytes) = (own, own + children);
            let peak = match named {
                true => (test.tree_peak_bytes, PeakKind::Sampled),
                false => (test.peak_bytes, test.peak_kind),
            };
            let told = (with_children(&test), super::peak(&test));
            assert_eq!(told, (named, peak), "{own} {children}");
        }
    }
}
