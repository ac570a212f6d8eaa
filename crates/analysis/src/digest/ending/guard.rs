//! The guard told pytest to end before the kernel would have.

use highwater_wire::report::{Confidence, Verdict};

use super::{Decision, evidence::Evidence, seen::Guarded, status, words::count};
use crate::figures::mebibytes;

impl Guarded {
    /// As "the budget's limit: 5.4 GiB of 6.0 GiB".
    pub(super) fn words(&self) -> String {
        let used = mebibytes(self.used_bytes);
        let limit = mebibytes(self.limit_bytes);
        let whose = match self.limit.as_str() {
            "" => "its limit".to_owned(),
            limit => format!("the {limit}'s limit"),
        };
        format!("{whose}: {used} used, {limit} allowed")
    }
}

pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let stop = evidence.seen.guard_stop()?;
    let ended_well = evidence.all_told() && evidence.worst_status() == Some(status::OK);
    let ended = !evidence.statuses.is_empty()
        || evidence
            .deaths
            .iter()
            .any(|death| death.until_us >= stop.at_us);
    // Who still ran was not ended by it; who had passed had nothing more to do.
    let went_on = evidence.open.going_on > 0 || (evidence.lost() && evidence.open.not_gone > 0);
    (ended && !ended_well && !went_on).then(|| Decision {
        verdict: Verdict::GuardStopped,
        confidence: Confidence::Certain,
        sentence: format!(
            "The guard ended pytest after {}, before memory ran out: it met {}.",
            count(evidence.tests, "test"),
            stop.words()
        ),
        next_step: "Look at the files and fixtures that hold the memory: free it, run them in another job, or allow more.",
    })
}
