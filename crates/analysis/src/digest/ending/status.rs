//! pytest's exit statuses, as its documentation numbers them.

pub(super) const OK: i32 = 0;
pub(super) const TESTS_FAILED: i32 = 1;
pub(super) const INTERRUPTED: i32 = 2;
pub(super) const INTERNAL_ERROR: i32 = 3;
pub(super) const USAGE_ERROR: i32 = 4;
pub(super) const NO_TESTS: i32 = 5;

/// Whether pytest itself ends with this status.
pub(super) fn is_known(status: i32) -> bool {
    (OK..=NO_TESTS).contains(&status)
}

/// Of several sessions the worst counts: an internal error before an interruption, a wrong use, failures, success. A session without
/// tests is worse than success only where no other had any.
pub(super) fn worst(statuses: &[i32], tests: u64) -> Option<i32> {
    let worst_last = if tests > 0 {
        [
            NO_TESTS,
            OK,
            TESTS_FAILED,
            USAGE_ERROR,
            INTERRUPTED,
            INTERNAL_ERROR,
        ]
    } else {
        [
            OK,
            NO_TESTS,
            TESTS_FAILED,
            USAGE_ERROR,
            INTERRUPTED,
            INTERNAL_ERROR,
        ]
    };
    let rank = |status: &i32| {
        worst_last
            .iter()
            .position(|known| known == status)
            .unwrap_or(worst_last.len())
    };
    statuses.iter().copied().max_by_key(rank)
}
