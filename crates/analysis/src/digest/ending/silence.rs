//! The recording stops before the job's end: who was gone?

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::EndedBy,
};

use super::{
    Decision,
    evidence::Evidence,
    words::{count, seconds},
};

pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let seen_to_end = evidence.open.not_gone == 0 && !evidence.has_no_session();
    // Who records beside a job that runs no pytest, and forgets to stop, is ended by the runner's own end.
    let nothing_ran = evidence.ended_by == EndedBy::RunnerGone && evidence.has_no_session();
    // Of a job whose pytest had ended before, that end counts.
    if nothing_ran
        || !evidence.lost()
        || (seen_to_end && !evidence.agent_lost)
        || evidence.all_told()
    {
        return cut_by_the_agent(evidence);
    }
    if evidence.agent_lost {
        return Some(Decision {
            verdict: Verdict::AgentLost,
            confidence: Confidence::Certain,
            sentence: format!(
                "The recording stopped {} into the job without an end: the agent was gone.",
                seconds(evidence.last_us)
            ),
            next_step: "Look for who ended the agent; what pytest did afterwards is in its own report only.",
        });
    }
    let tests = count(evidence.tests, "test");
    let who = match &evidence.seen.runner_gone {
        Some((_, pid, command)) => format!("The CI's runner (process {pid}, {command}) was gone"),
        None => "Everything fell silent at once: the runner was gone".to_owned(),
    };
    let at = seconds(evidence.last_us);
    let (verdict, sentence, next_step) = match &evidence.headroom.tightest {
        Some(room) if room.is_short() => (
            Verdict::RunnerLostMemory,
            format!(
                "{who} {at} into the job, after {tests}, when {}.",
                room.words()
            ),
            "Look at the files and fixtures that hold the memory: free it, split the job, use fewer workers, or take a larger runner.",
        ),
        _ => (
            Verdict::RunnerLost,
            format!("{who} {at} into the job, after {tests}; memory was not short."),
            "Look in the CI's log for why the runner went: it was shut down, reclaimed (spot), or lost its network. If the agent's spool is still there, send the rest with `highwater upload`.",
        ),
    };
    Some(Decision {
        verdict,
        confidence: Confidence::Likely,
        sentence,
        next_step,
    })
}

/// A background agent was told to end, or reached its age, while pytest went on: nobody knows how that ended.
fn cut_by_the_agent(evidence: &Evidence) -> Option<Decision> {
    let why = match evidence.ended_by {
        EndedBy::Age => "the agent had reached the age it may reach",
        EndedBy::Signal => "the agent was told to end by a signal",
        _ => return None,
    };
    (evidence.open.going_on > 0).then(|| Decision {
        verdict: Verdict::AgentLost,
        confidence: Confidence::Likely,
        sentence: format!(
            "The recording stopped {} into the job while {} still ran: {why}.",
            seconds(evidence.last_us),
            count(evidence.open.going_on as u64, "pytest session")
        ),
        next_step: "Let the agent live as long as the job, so that all of it is recorded.",
    })
}

impl Evidence {
    fn has_no_session(&self) -> bool {
        self.statuses.is_empty()
            && self.open.left.is_empty()
            && self.open.without_end() + self.open.going_on == 0
    }
}
