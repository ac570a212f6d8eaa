//! Why tests and imports failed, where that speaks for an ending: no memory to be had, or no time.

use std::collections::BTreeSet;

use highwater_wire::report::{Confidence, Role, Verdict};

use super::{
    super::{parts::Parts, walk::TestFacts},
    Decision,
    evidence::Evidence,
    headroom::Gauges,
    status,
    words::count,
};
use crate::figures::mebibytes;

/// An address space within this share of its limit was full: what was refused did not fit into the rest.
const NEARLY: u64 = 20;
/// A test that had grown by this asked for much.
const MUCH_BYTES: i64 = 256 << 20;

/// A process whose address space is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::digest) struct AddressSpace {
    pub(in crate::digest) pid: u32,
    pub(in crate::digest) limit_bytes: u64,
    pub(in crate::digest) peak_bytes: u64,
    /// What its process ended with, where that was seen.
    pub(in crate::digest) exit_code: Option<i32>,
}

/// Tests and files that failed, and for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Failures {
    /// Files that could not be imported, each once.
    pub(in crate::digest) imports: Vec<String>,
    /// Tests that failed with a MemoryError, and files whose import did.
    pub(in crate::digest) without_memory: Vec<String>,
    /// pytest itself broke off with a MemoryError.
    pub(in crate::digest) pytest_without_memory: bool,
    /// Tests that pytest-timeout ended.
    pub(in crate::digest) out_of_time: Vec<String>,
    /// Tests that passed a limit on their memory, which the project sets.
    pub(in crate::digest) over_limit: Vec<String>,
    /// Of the pytest processes with a limit, the one that came closest to it.
    pub(in crate::digest) address_space: Option<AddressSpace>,
    /// The least that the private memory of a pytest process may grow to, and its number.
    pub(in crate::digest) data_limit: Option<(u64, u32)>,
    /// Memory was short as a refusal came, or whoever was refused had grown by much.
    pub(in crate::digest) wanted: bool,
}

/// So many tests that passed their limits are named.
const MOST_NAMED: usize = 3;
/// The notice by which pytest says that it broke off with a MemoryError.
const BROKE_OFF: &str = "plugin_memory_error";

impl Failures {
    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let imports = || parts.walks.iter().flat_map(|walk| &walk.imports);
        let failed_imports = || imports().filter(|import| import.failed);
        let tests = || parts.walks.iter().flat_map(|walk| &walk.tests);
        let failed =
            |cause: &'static str| tests().filter(move |test| test.failed() && test.cause == cause);
        let unique: BTreeSet<&str> = failed_imports().map(|import| import.path).collect();
        let no_memory = failed_imports()
            .filter(|import| import.cause == "memory_error")
            .map(|import| import.path)
            .chain(failed("memory_error").map(|test| test.nodeid));
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        Self {
            imports: owned(unique.into_iter().collect()),
            without_memory: owned(no_memory.collect()),
            pytest_without_memory: parts
                .recording
                .notices()
                .iter()
                .any(|notice| notice.code == BROKE_OFF),
            out_of_time: owned(failed("timeout").map(|test| test.nodeid).collect()),
            over_limit: owned(failed("limit").map(|test| test.nodeid).collect()),
            address_space: address_space(parts),
            data_limit: data_limit(parts),
            wanted: was_wanted(parts),
        }
    }

    /// A MemoryError came where one may have: a process was limited, memory was short or was taken by much. One that a test raises on purpose
    /// looks the same to pytest.
    fn shows_want(&self) -> bool {
        self.wanted || self.address_space.is_some() || self.data_limit.is_some()
    }

    /// The tests that passed a limit on their memory are told by name.
    pub(super) fn limits_passed(&self, failed: u64) -> String {
        let tests = &self.over_limit;
        let named = tests.iter().take(MOST_NAMED).map(String::as_str);
        let named = named.collect::<Vec<&str>>().join(", ");
        let more = match tests.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match tests.len() {
            0 => String::new(),
            1 if failed == 1 => format!(" It passed the limit on its memory: {named}."),
            1 => format!(" 1 of them passed the limit on its memory: {named}."),
            several => {
                format!(" {several} of them passed the limit on their memory: {named}{more}.")
            }
        }
    }

    /// A MemoryError that nothing explains changes no verdict, but it is told.
    pub(super) fn unexplained(&self) -> String {
        let refused = self.without_memory.len() as u64;
        let who = match (self.shows_want(), refused) {
            (true, _) => return String::new(),
            (false, 0) if self.pytest_without_memory => "pytest itself broke off".to_owned(),
            (false, 0) => return String::new(),
            (false, 1) => "1 test or import failed".to_owned(),
            (false, several) => format!("{several} tests or imports failed"),
        };
        format!(
            " {who} with a MemoryError, and nothing shows that memory was short or limited (ulimit): it was raised on purpose, or too much was asked for at once."
        )
    }
}

/// Whether some limit had next to no room when memory was refused, or the test, or the import, had grown by much until then.
fn was_wanted(parts: &Parts<'_>) -> bool {
    let is_of_memory = |cause: &str| cause == "memory_error";
    let tests = parts.walks.iter().flat_map(|walk| &walk.tests);
    let tests = tests.filter(|test| test.failed() && is_of_memory(test.cause));
    let imports = parts.walks.iter().flat_map(|walk| &walk.imports);
    let imports = imports.filter(|import| import.failed && is_of_memory(import.cause));
    let notices = parts.recording.notices().iter();
    let notices = notices.filter(|notice| notice.code == BROKE_OFF);
    let grown = tests.clone().map(grown_by);
    let mut grown = grown.chain(imports.clone().map(|import| import.own_bytes));
    if grown.any(|bytes| bytes >= MUCH_BYTES) {
        return true;
    }
    let ends = tests.map(|test| test.ended_us.unwrap_or(test.began_us));
    let begins = imports.map(|import| import.began_us);
    let mut moments = ends.chain(begins).chain(notices.map(|notice| notice.t_us));
    let gauges = Gauges::of(parts);
    moments.any(|moment_us| {
        gauges
            .tightest(moment_us)
            .is_some_and(|room| room.is_short())
    })
}

fn grown_by(test: &TestFacts<'_>) -> i64 {
    let spike = test.span.peak - test.span.start;
    spike.max(test.forked_spike.unwrap_or(0))
}

fn data_limit(parts: &Parts<'_>) -> Option<(u64, u32)> {
    let pytest = parts.processes.iter().filter(|it| it.role != Role::Other);
    pytest
        .filter_map(|process| Some((process.data_limit_bytes?, process.key.pid)))
        .min()
}

fn address_space(parts: &Parts<'_>) -> Option<AddressSpace> {
    let pytest = parts.processes.iter().filter(|it| it.role != Role::Other);
    pytest
        .filter_map(|process| {
            Some(AddressSpace {
                pid: process.key.pid,
                limit_bytes: process.address_space_limit_bytes?,
                peak_bytes: process.address_space_peak_bytes.unwrap_or(0),
                exit_code: process.exit_code,
            })
        })
        .min_by_key(|space| {
            (
                space.limit_bytes.saturating_sub(space.peak_bytes),
                space.pid,
            )
        })
}

impl AddressSpace {
    pub(super) fn is_full(self) -> bool {
        self.peak_bytes >= self.limit_bytes - self.limit_bytes / NEARLY
    }

    pub(super) fn words(self) -> String {
        format!(
            "The address space of process {} was limited to {} (ulimit -v) and had been up to {}.",
            self.pid,
            mebibytes(self.limit_bytes.cast_signed()),
            mebibytes(self.peak_bytes.cast_signed())
        )
    }
}

fn next(failures: &Failures) -> &'static str {
    if failures.address_space.is_some() {
        "Look at what was held and at the test that asked for more, or raise the limit of the address space (ulimit -v)."
    } else if failures.data_limit.is_some() {
        "Look at what was held and at the test that asked for more, or raise the limit of the data size (ulimit -d)."
    } else {
        "Look at what was held and at the test that asked for more: free it, use fewer workers, or take a larger machine."
    }
}

/// Memory was asked for and refused: pytest went on, or ended by it.
pub(super) fn memory_error(evidence: &Evidence) -> Option<Decision> {
    let failures = &evidence.failures;
    let tests = count(evidence.tests, "test");
    let so_far = evidence.tests_so_far();
    let ended_well = evidence.all_told() && evidence.worst_status() == Some(status::OK);
    if ended_well || evidence.open.going_on > 0 {
        return None;
    }
    let refused = failures.without_memory.len();
    let shown = failures.shows_want();
    if failures.pytest_without_memory && refused == 0 && shown {
        return Some(Decision {
            verdict: Verdict::MemoryError,
            confidence: Confidence::Likely,
            sentence: format!(
                "pytest itself broke off after {so_far}: it could not get the memory it asked for (MemoryError)."
            ),
            next_step: next(failures),
        });
    }
    if refused > 0 && shown {
        let others = match evidence.failed.saturating_sub(refused as u64) {
            0 => String::new(),
            others => format!(", and {others} failed for something else"),
        };
        let who = match refused {
            1 => "1 test or import could not get the memory it".to_owned(),
            several => format!("{several} tests or imports could not get the memory they"),
        };
        return Some(Decision {
            verdict: Verdict::MemoryError,
            confidence: Confidence::Likely,
            sentence: format!("{who} asked for (MemoryError); {tests} ran{others}."),
            next_step: next(failures),
        });
    }
    let full = failures.address_space.filter(|space| space.is_full())?;
    // A wrong option needs no memory: what could not begin, and had taken all it may have, was refused the rest.
    let told = evidence.worst_status().or(evidence.exit_code);
    let could_not_begin = evidence.tests == 0
        && (told == Some(status::USAGE_ERROR)
            || (told.is_none() && full.exit_code == Some(status::USAGE_ERROR)));
    let fell = evidence.open.vanished + evidence.open.unseen > 0
        || could_not_begin
        || matches!(
            evidence.worst_status(),
            Some(status::TESTS_FAILED | status::INTERNAL_ERROR)
        );
    // With the plugin a failure would have told its cause.
    let told_a_cause = evidence.failed > 0 || !failures.imports.is_empty();
    (fell && !told_a_cause).then(|| Decision {
        verdict: Verdict::MemoryError,
        confidence: if could_not_begin {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        sentence: format!(
            "pytest failed after {so_far} with an address space of up to {}, of {} that it may have.",
            mebibytes(full.peak_bytes.cast_signed()),
            mebibytes(full.limit_bytes.cast_signed())
        ),
        next_step: next(failures),
    })
}
