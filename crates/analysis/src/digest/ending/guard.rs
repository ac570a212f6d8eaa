//! The guard told pytest to end before the kernel would have.

use highwater_wire::report::{Confidence, Verdict};

use super::{
    Decision,
    evidence::Evidence,
    seen::Guarded,
    status,
    words::{SIGINT, SIGKILL, SIGTERM},
};
use crate::figures::mebibytes;

impl Guarded {
    /// As "the memory limit: 5.4 GiB used, 6.0 GiB allowed".
    pub(super) fn words(&self) -> String {
        let used = mebibytes(self.used_bytes);
        let limit = mebibytes(self.limit_bytes);
        let whose = match self.limit.as_str() {
            "" => "its limit".to_owned(),
            // Not to be taken for the budget that a job is planned for.
            "budget" => "the memory limit".to_owned(),
            limit => format!("the {limit}'s limit"),
        };
        format!("{whose}: {used} used, {limit} allowed")
    }
}

pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let stop = evidence.seen.guard_stop()?;
    // It asks by SIGINT, then SIGTERM, then SIGKILL; who goes on to its end, or dies otherwise, was not ended by it.
    let broke_off = matches!(
        evidence.worst_status(),
        Some(status::INTERRUPTED | status::INTERNAL_ERROR)
    );
    let ended = broke_off
        || evidence.deaths.iter().any(|death| {
            death.until_us >= stop.at_us
                && death.exit_code.is_none()
                && matches!(death.signal, None | Some(SIGINT | SIGTERM | SIGKILL))
        });
    // Who still ran was not ended by it; who had passed had nothing more to do.
    let went_on = evidence.open.going_on > 0 || (evidence.lost() && evidence.open.not_gone > 0);
    (ended && !went_on).then(|| Decision {
        verdict: Verdict::GuardStopped,
        confidence: Confidence::Certain,
        sentence: format!(
            "The guard ended pytest after {}, before memory ran out: it met {}.",
            evidence.tests_so_far(),
            stop.words()
        ),
        next_step: "Look at the files and fixtures that hold the memory: free it, run them in another job, or allow more.",
    })
}
