//! How a job ended: a pure decision over the evidence. An exit code alone never decides.

mod evidence;
mod sentences;

use highwater_wire::report::{Confidence, Ending, Verdict};

pub(super) use evidence::Evidence;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGTERM: i32 = 15;

/// pytest's exit statuses, as its documentation numbers them.
mod status {
    pub(super) const OK: i32 = 0;
    pub(super) const TESTS_FAILED: i32 = 1;
    pub(super) const INTERRUPTED: i32 = 2;
    pub(super) const INTERNAL_ERROR: i32 = 3;
    pub(super) const USAGE_ERROR: i32 = 4;
    pub(super) const NO_TESTS: i32 = 5;
}

/// Decides how a job ended.
pub(super) fn decide(evidence: &Evidence) -> Ending {
    let (verdict, confidence) = verdict(evidence);
    sentences::tell(verdict, confidence, evidence)
}

fn verdict(evidence: &Evidence) -> (Verdict, Confidence) {
    use Confidence::{Certain, Likely, Possible};
    let killed_hard = evidence.signal() == Some(SIGKILL) || evidence.vanished_sessions > 0;
    if killed_hard && evidence.cgroup_oom_kills > 0 {
        return (Verdict::OomCgroup, Certain);
    }
    if killed_hard && evidence.machine_oom_kills > 0 {
        return (
            Verdict::OomMachine,
            if evidence.signal() == Some(SIGKILL) {
                Certain
            } else {
                Likely
            },
        );
    }
    if evidence.lost() {
        return (
            Verdict::AgentLost,
            if evidence.agent_lost {
                Likely
            } else {
                Possible
            },
        );
    }
    match evidence.signal() {
        Some(SIGINT) => return (Verdict::Interrupted, Certain),
        Some(SIGSEGV | SIGABRT | SIGBUS | SIGILL | SIGFPE | SIGTRAP | SIGQUIT) => {
            return (Verdict::Crashed, Certain);
        }
        Some(_) => return (Verdict::Killed, Likely),
        None => {}
    }
    if evidence.vanished_sessions > 0 {
        return (Verdict::Crashed, Likely);
    }
    if let Some(worst) = worst_status(&evidence.statuses) {
        return match worst {
            status::OK => (
                Verdict::Passed,
                if evidence.exit_code == Some(0) {
                    Certain
                } else {
                    Likely
                },
            ),
            status::TESTS_FAILED => (Verdict::TestsFailed, Certain),
            status::INTERRUPTED => (Verdict::Interrupted, Certain),
            status::INTERNAL_ERROR => (Verdict::InternalError, Certain),
            status::USAGE_ERROR => (Verdict::UsageError, Certain),
            status::NO_TESTS => (Verdict::NoTests, Certain),
            // A plugin's own status: pytest ended in an orderly way, so what its tests did counts.
            _ if evidence.failed > 0 => (Verdict::TestsFailed, Likely),
            _ => (Verdict::InternalError, Possible),
        };
    }
    // No session was heard of: pytest refuses wrong options before any plugin is asked.
    match evidence.exit_code {
        Some(status::USAGE_ERROR) => (Verdict::UsageError, Possible),
        Some(0) => (Verdict::Passed, Possible),
        Some(_) => (Verdict::Crashed, Possible),
        None => (Verdict::AgentLost, Possible),
    }
}

/// Of several sessions the worst counts: an internal error before an interruption, a wrong use, failures, no tests, success.
fn worst_status(statuses: &[i32]) -> Option<i32> {
    const WORST_LAST: [i32; 6] = [
        status::OK,
        status::NO_TESTS,
        status::TESTS_FAILED,
        status::USAGE_ERROR,
        status::INTERRUPTED,
        status::INTERNAL_ERROR,
    ];
    let rank = |status: &i32| {
        WORST_LAST
            .iter()
            .position(|known| known == status)
            .unwrap_or(WORST_LAST.len())
    };
    statuses.iter().copied().max_by_key(rank)
}
