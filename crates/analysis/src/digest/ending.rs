//! How a job ended: a pure decision over the evidence. An exit code alone never decides.
//!
//! The evidence is gathered by question: `open_sessions` (who did not tell an end), `deaths` (who was gone, and when), `progress` (how far the tests came), `oom` and `kernel_log`
//! (what the kernel says), `headroom` (how much room there was), `left` (what files left that nobody gave back), `failures` (why tests failed), `seen` (what the agent saw happen), `time` (whose time
//! was up). Then the rooms are asked in the order of `ROOMS`, and the first that knows decides; `told` is asked last and always knows.

mod ci;
mod deaths;
mod evidence;
mod failures;
mod figures;
mod gaps;
mod guard;
mod headroom;
mod holders;
mod kernel_log;
mod left;
mod oom;
mod open_sessions;
mod progress;
mod seen;
mod signals;
mod silence;
mod status;
mod time;
mod told;
mod words;

use highwater_wire::report::{Confidence, Culprit, Ending, LimitKind, Verdict};

pub(super) use evidence::Evidence;
pub(super) use oom::killed;
pub(super) use open_sessions::{gave_way, leader_of, walk_of};
pub(super) use words::signal_name;

/// What a room of this house decided.
struct Decision {
    verdict: Verdict,
    confidence: Confidence,
    sentence: String,
    next_step: &'static str,
}

/// Who knows better stands first: the kernel's own word before that of signals, these before what pytest did not say, and that before what
/// it said.
const ROOMS: [fn(&Evidence) -> Option<Decision>; 9] = [
    oom::decide,
    guard::decide,
    time::of_ci,
    ci::cancelled,
    silence::decide,
    time::decide,
    signals::decide,
    failures::memory_error,
    told::gone,
];

/// Decides how a job ended, and whether its suite was cut short.
pub(super) fn decide(evidence: &Evidence) -> (Ending, bool) {
    let decision = ROOMS
        .iter()
        .find_map(|room| room(evidence))
        .unwrap_or_else(|| told::decide(evidence));
    let verdict = decision.verdict;
    let cut_short = ended_early(verdict, evidence);
    let ending = Ending {
        verdict,
        confidence: decision.confidence,
        sentence: decision.sentence,
        evidence: figures::of(evidence, verdict),
        culprits: culprits(evidence, verdict),
        victim: evidence.running.clone().filter(|_| cut_short),
        next_step: decision.next_step.to_owned(),
    };
    (ending, cut_short)
}

/// Whether the suite was not run to its own end. Tests that got no memory, or no time, may have failed one by one in a suite that went on; and what
/// died when its session was over had run it.
fn ended_early(verdict: Verdict, evidence: &Evidence) -> bool {
    let may_go_on = matches!(verdict, Verdict::MemoryError | Verdict::TimedOut)
        || evidence.fell_after_its_end();
    let went_on = may_go_on && evidence.ran_to_its_end() && evidence.vanished_workers() == 0;
    verdict.is_early() && !went_on
}

/// Whether memory was the cause, so that who held it is told.
fn is_of_memory(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::OomCgroup
            | Verdict::OomMachine
            | Verdict::OomChild
            | Verdict::OomDaemon
            | Verdict::RunnerLostMemory
            | Verdict::MemoryError
            | Verdict::GuardStopped
    )
}

/// What held the memory; what is outside the job only where it was the machine's memory that ran short.
fn culprits(evidence: &Evidence, verdict: Verdict) -> Vec<Culprit> {
    holders::most(all_holders(evidence, verdict), evidence.running.as_deref())
}

/// The same with all who held anything.
fn all_holders(evidence: &Evidence, verdict: Verdict) -> Vec<Culprit> {
    if !is_of_memory(verdict) {
        return Vec::new();
    }
    let headroom = &evidence.headroom;
    let of_machine = verdict == Verdict::OomMachine
        || (matches!(verdict, Verdict::OomDaemon | Verdict::RunnerLostMemory)
            && headroom
                .tightest
                .as_ref()
                .is_some_and(|room| room.kind == LimitKind::Machine));
    let others = headroom.culprits().filter(|_| of_machine);
    evidence.holders.iter().cloned().chain(others).collect()
}
