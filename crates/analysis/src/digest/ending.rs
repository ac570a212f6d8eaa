//! How a job ended: a pure decision over the evidence. An exit code alone never decides.

mod evidence;
mod holders;
mod oom;
mod open_sessions;
mod sentences;
mod status;

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

/// Decides how a job ended.
pub(super) fn decide(evidence: &Evidence) -> Ending {
    let (verdict, confidence) = verdict(evidence);
    sentences::tell(verdict, confidence, evidence)
}

fn verdict(evidence: &Evidence) -> (Verdict, Confidence) {
    use Confidence::{Certain, Likely, Possible};
    let by_kill = evidence.signal() == Some(SIGKILL);
    if (by_kill || evidence.open.vanished > 0 || evidence.fell_by_its_workers())
        && let Some(of_memory) = evidence.oom.verdict(by_kill)
    {
        return of_memory;
    }
    let told = evidence.worst_status();
    let all_told = evidence.open.vanished == 0 && told.is_some();
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
    if evidence.open.vanished > 0 {
        let timed_out = evidence.exit_code == Some(EXIT_CODE_OF_TIMEOUT);
        let verdict = if timed_out {
            Verdict::TimedOut
        } else {
            Verdict::Crashed
        };
        return (verdict, Likely);
    }
    if evidence.open.going_on > 0 {
        return (Verdict::Interrupted, Likely);
    }
    match told {
        Some(worst) => by_status(worst, evidence),
        None => by_exit_code(evidence),
    }
}

/// pytest said how it ended.
fn by_status(worst: i32, evidence: &Evidence) -> (Verdict, Confidence) {
    use Confidence::{Certain, Likely, Possible};
    // The exit code of a process that left without a status is pytest's word only by all likelihood.
    let sure = if evidence.statuses.contains(&worst) {
        Certain
    } else {
        Likely
    };
    match worst {
        status::TESTS_FAILED if evidence.vanished_workers > 0 && evidence.failed == 0 => {
            (Verdict::WorkerCrashed, Likely)
        }
        status::OK if evidence.exit_code == Some(0) => (Verdict::Passed, sure),
        status::OK => (Verdict::Passed, Likely),
        status::TESTS_FAILED => (Verdict::TestsFailed, sure),
        // pytest calls it an interruption of its own when a test file cannot be imported.
        status::INTERRUPTED if !evidence.failed_imports.is_empty() => (Verdict::TestsFailed, sure),
        status::INTERRUPTED => (Verdict::Interrupted, sure),
        status::INTERNAL_ERROR => (Verdict::InternalError, sure),
        status::USAGE_ERROR => (Verdict::UsageError, sure),
        status::NO_TESTS => (Verdict::NoTests, sure),
        // A status of somebody else's: pytest ended in an orderly way, so what its tests did counts.
        _ if evidence.failed > 0 => (Verdict::TestsFailed, Likely),
        _ => (Verdict::Interrupted, Possible),
    }
}

/// pytest said nothing: the command's exit code is the next best word.
fn by_exit_code(evidence: &Evidence) -> (Verdict, Confidence) {
    use Confidence::{Certain, Likely, Possible};
    match evidence.exit_code {
        // The recording of a session broke off and the command went on, or pytest left in order below a shell.
        Some(code) if evidence.open.torn + evidence.open.left.len() > 0 => match code {
            status::OK => (Verdict::Passed, Likely),
            status::TESTS_FAILED => (Verdict::TestsFailed, Likely),
            status::INTERRUPTED => (Verdict::Interrupted, Possible),
            status::INTERNAL_ERROR => (Verdict::InternalError, Possible),
            status::USAGE_ERROR => (Verdict::UsageError, Possible),
            status::NO_TESTS => (Verdict::NoTests, Possible),
            _ if evidence.open.torn == 0 => (Verdict::Interrupted, Possible),
            _ => (Verdict::Crashed, Possible),
        },
        // pytest refuses wrong options before any plugin is asked.
        Some(status::USAGE_ERROR) => (Verdict::UsageError, Possible),
        Some(_) if evidence.torn => (Verdict::NoSession, Possible),
        Some(_) => (Verdict::NoSession, Certain),
        None => (Verdict::AgentLost, Possible),
    }
}
