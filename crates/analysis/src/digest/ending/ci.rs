//! The CI cancelled the job.

use highwater_wire::report::{Confidence, Verdict};

use super::{Decision, evidence::Evidence};

/// By its signals, or by its own word. Where every session had run to its end before, that end counts.
pub(super) fn cancelled(evidence: &Evidence) -> Option<Decision> {
    let signals = evidence.seen.cancel();
    let said = evidence.says_cancelled();
    if evidence.ran_to_its_end() || !(said || signals.is_some()) {
        return None;
    }
    let how = match (said, signals) {
        (true, _) => "The CI says that the job was cancelled".to_owned(),
        (false, Some((interrupt, Some(term)))) if interrupt.sender_pid != 0 => format!(
            "The job was cancelled: {} sent SIGINT, and SIGTERM {:.1} s later",
            interrupt.sender_words(),
            (term.at_us - interrupt.at_us) as f64 / 1e6
        ),
        (false, Some((interrupt, None))) => format!(
            "The job was cancelled: {} sent SIGINT, as GitHub does",
            match interrupt.sender_pid {
                0 => "somebody".to_owned(),
                _ => interrupt.sender_words(),
            }
        ),
        _ => "The job was cancelled: SIGINT came, then SIGTERM, as a CI sends them".to_owned(),
    };
    Some(Decision {
        verdict: Verdict::Cancelled,
        confidence: if said && signals.is_some() {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        sentence: format!("{how}, after {}.", evidence.tests_so_far()),
        next_step: "Run it again if nobody meant to; a newer push, a failed job beside it or a person cancels a job.",
    })
}

impl Evidence {
    /// The CI calls a failure what its tests, all passed, did not fail: another step of the job did.
    pub(super) fn failed_elsewhere(&self) -> bool {
        let status = self.ci_status.to_ascii_lowercase();
        self.background
            && self.exit_code.unwrap_or(0) == 0
            && matches!(status.as_str(), "failure" | "failed" | "error")
    }

    fn says_cancelled(&self) -> bool {
        let status = self.ci_status.to_ascii_lowercase();
        matches!(status.as_str(), "cancelled" | "canceled")
    }
}
