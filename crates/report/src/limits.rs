//! How each constraint on memory is told.

use highwater_analysis::figures::mebibytes;
use highwater_wire::report::{LimitKind, LimitUse};

use crate::names::fitted;

/// Of a cgroup's path.
const MOST_COLUMNS: usize = 60;

/// What it is called.
pub(crate) fn name(limit: &LimitUse) -> String {
    named(limit.kind, &limit.path)
}

/// What one of a kind and path is called.
pub(crate) fn named(kind: LimitKind, path: &str) -> String {
    match kind {
        LimitKind::Cgroup => format!("cgroup {}", fitted(path, MOST_COLUMNS)),
        LimitKind::Machine => "the whole machine".to_owned(),
        LimitKind::Budget => "budget".to_owned(),
    }
}

/// How much of it was used, in words.
pub(crate) fn used(limit: &LimitUse) -> String {
    format!(
        "{} of {} ({:.0} %)",
        mebibytes(limit.worst_used_bytes.cast_signed()),
        mebibytes(limit.limit_bytes.cast_signed()),
        100.0 * limit.worst_used_bytes as f64 / limit.limit_bytes.max(1) as f64
    )
}
