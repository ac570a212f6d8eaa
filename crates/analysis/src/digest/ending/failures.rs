//! Why tests and imports failed, where that speaks for an ending: no memory to be had, or no time.

use std::collections::BTreeSet;

use highwater_wire::report::{Confidence, Role, Verdict};

use super::{super::parts::Parts, Decision, evidence::Evidence, status, words::count};
use crate::figures::mebibytes;

/// An address space within this share of its limit was full: what was refused did not fit into the rest.
const NEARLY: u64 = 20;

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
    /// Of the pytest processes with a limit, the one that came closest to it.
    pub(in crate::digest) address_space: Option<AddressSpace>,
}

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
                .any(|notice| notice.code == "plugin_memory_error"),
            out_of_time: owned(failed("timeout").map(|test| test.nodeid).collect()),
            address_space: address_space(parts),
        }
    }
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

const NEXT: &str = "Look at what was held and at the test that asked for more, or raise the limit of the address space (ulimit -v).";

/// Memory was asked for and refused: pytest went on, or ended by it.
pub(super) fn memory_error(evidence: &Evidence) -> Option<Decision> {
    let failures = &evidence.failures;
    let tests = count(evidence.tests, "test");
    let ended_well = evidence.all_told() && evidence.worst_status() == Some(status::OK);
    if ended_well || evidence.open.going_on > 0 {
        return None;
    }
    let refused = failures.without_memory.len();
    if failures.pytest_without_memory && refused == 0 {
        return Some(Decision {
            verdict: Verdict::MemoryError,
            confidence: Confidence::Likely,
            sentence: format!(
                "pytest itself broke off after {tests}: it could not get the memory it asked for (MemoryError)."
            ),
            next_step: NEXT,
        });
    }
    if refused > 0 {
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
            next_step: NEXT,
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
            "pytest failed after {tests} with an address space of up to {}, of {} that it may have.",
            mebibytes(full.peak_bytes.cast_signed()),
            mebibytes(full.limit_bytes.cast_signed())
        ),
        next_step: NEXT,
    })
}
