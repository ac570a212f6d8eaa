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

/// What `timeout` of the GNU core utilities ends with when the time was up.
const EXIT_CODE_OF_TIMEOUT: i32 = 124;

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
    if let Some(of_memory) = out_of_memory(evidence) {
        return of_memory;
    }
    let all_told = evidence.vanished_sessions == 0 && !evidence.statuses.is_empty();
    if evidence.lost() && !(evidence.agent_lost && all_told) {
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
        let timed_out = evidence.exit_code == Some(EXIT_CODE_OF_TIMEOUT);
        let verdict = if timed_out {
            Verdict::TimedOut
        } else {
            Verdict::Crashed
        };
        return (verdict, Likely);
    }
    if let Some(worst) = worst_status(&evidence.statuses) {
        return match worst {
            status::TESTS_FAILED if evidence.vanished_workers > 0 && evidence.failed == 0 => {
                (Verdict::WorkerCrashed, Likely)
            }
            status::OK => (
                Verdict::Passed,
                if evidence.exit_code == Some(0) {
                    Certain
                } else {
                    Likely
                },
            ),
            status::TESTS_FAILED => (Verdict::TestsFailed, Certain),
            // pytest calls it an interruption of its own when a test file cannot be imported.
            status::INTERRUPTED if !evidence.failed_imports.is_empty() => {
                (Verdict::TestsFailed, Certain)
            }
            status::INTERRUPTED => (Verdict::Interrupted, Certain),
            status::INTERNAL_ERROR => (Verdict::InternalError, Certain),
            status::USAGE_ERROR => (Verdict::UsageError, Certain),
            status::NO_TESTS => (Verdict::NoTests, Certain),
            // A plugin's own status: pytest ended in an orderly way, so what its tests did counts.
            _ if evidence.failed > 0 => (Verdict::TestsFailed, Likely),
            _ => (Verdict::InternalError, Possible),
        };
    }
    match evidence.exit_code {
        // The recording of a session broke off, and the command went on: its exit code is the next best word.
        Some(code) if evidence.torn_sessions > 0 => match code {
            status::OK => (Verdict::Passed, Likely),
            status::TESTS_FAILED => (Verdict::TestsFailed, Likely),
            status::INTERRUPTED => (Verdict::Interrupted, Possible),
            status::INTERNAL_ERROR => (Verdict::InternalError, Possible),
            status::USAGE_ERROR => (Verdict::UsageError, Possible),
            status::NO_TESTS => (Verdict::NoTests, Possible),
            _ => (Verdict::Crashed, Possible),
        },
        // pytest refuses wrong options before any plugin is asked.
        Some(status::USAGE_ERROR) => (Verdict::UsageError, Possible),
        Some(_) if evidence.torn => (Verdict::NoSession, Possible),
        Some(_) => (Verdict::NoSession, Certain),
        None => (Verdict::AgentLost, Possible),
    }
}

/// Whether the kernel took the job for its memory. A kill is counted in the cgroup of whoever was killed and, by version 2, in all
/// above it, whether a cgroup or the whole machine was short; so the job's own counter must have risen, and what was short is
/// whatever was full. Above it, and in the machine's counter, the kills of neighbours count too.
fn out_of_memory(evidence: &Evidence) -> Option<(Verdict, Confidence)> {
    use Confidence::{Certain, Likely, Possible};
    let by_kill = evidence.signal() == Some(SIGKILL);
    if !by_kill && evidence.vanished_sessions == 0 {
        return None;
    }
    let sure = if by_kill { Certain } else { Likely };
    let oom = &evidence.oom;
    if oom.own_kills > 0 {
        return Some(match (oom.cgroup_full, oom.machine_full) {
            (true, _) => (Verdict::OomCgroup, sure),
            (false, true) => (Verdict::OomMachine, sure),
            (false, false) if oom.machine_kills > 0 && !oom.cgroup_limited => {
                (Verdict::OomMachine, Likely)
            }
            (false, false) => (Verdict::OomCgroup, Likely),
        });
    }
    if oom.above_kills > 0 && oom.cgroup_full {
        return Some((Verdict::OomCgroup, Likely));
    }
    // Where the job's own counter was read and stood still, the machine's rose for somebody else.
    (oom.machine_kills > 0 && !oom.own_read).then_some((
        Verdict::OomMachine,
        if oom.machine_full { Likely } else { Possible },
    ))
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
