//! The recording stops before the job's end: who was gone?

use highwater_wire::{
    report::{Confidence, LimitKind, Verdict},
    v1::EndedBy,
};

use super::{
    Decision,
    evidence::Evidence,
    words::{SIGHUP, SIGKILL, SIGTERM, count, seconds},
};

/// What is taken away together goes one after the other, in whatever order, within this.
const TOGETHER_US: i64 = 500_000;
/// What pytest wrote within this after the agent's last sample, it wrote before both were gone: an agent that finds no memory samples late.
const AT_ONCE_US: i64 = 2_000_000;

pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let seen_to_end = evidence.open.not_gone == 0
        && !evidence.has_no_session()
        && !evidence.fell_with_the_runner();
    // Who records beside a job that runs no pytest, and forgets to stop, is ended by the runner's own end.
    let nothing_ran = evidence.ended_by == EndedBy::RunnerGone && evidence.has_no_session();
    // Of a job whose pytest had ended before, that end counts.
    if nothing_ran || !evidence.lost() || seen_to_end || evidence.all_told() {
        return cut_by_the_agent(evidence).or_else(|| in_a_gap(evidence));
    }
    if let Some(decision) = killed_as_one(evidence) {
        return Some(decision);
    }
    // Who stops a job is still there, and so is a pytest that goes on; else agent and job may as well have gone together.
    if evidence.agent_lost && (evidence.ended_by == EndedBy::Stop || evidence.outlived_the_agent) {
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
    let so_far = evidence.tests_so_far();
    let who = match &evidence.seen.runner_gone {
        Some((_, pid, command)) => format!("The CI's runner (process {pid}, {command}) was gone"),
        None => "Everything fell silent at once: the runner was gone".to_owned(),
    };
    let at = seconds(evidence.last_us);
    let (verdict, sentence, next_step) = match &evidence.headroom.tightest {
        Some(room) if room.is_short() => (
            Verdict::RunnerLostMemory,
            format!(
                "{who} {at} into the job, after {so_far}, when {}.",
                room.words()
            ),
            "Look at the files and fixtures that hold the memory: free it, split the job, use fewer workers, or take a larger runner.",
        ),
        room => (
            Verdict::RunnerLost,
            format!(
                "{who} {at} into the job, after {so_far}; {}.",
                if room.is_some() {
                    "memory was not short"
                } else {
                    "how much memory was left is not known"
                }
            ),
            if evidence.silent {
                "Look in the CI's log for why the runner went: it was shut down, reclaimed (spot), or lost its network. If the agent's spool is still there, send the rest with `highwater upload`."
            } else {
                "Look in the CI's log for why the runner went: it was shut down, reclaimed (spot), or lost its network."
            },
        ),
    };
    Some(Decision {
        verdict,
        confidence: Confidence::Likely,
        sentence,
        next_step,
    })
}

/// A cgroup of the job was full, the kernel kills all of such a cgroup at once, and all were gone at once: the agent was in it too.
fn killed_as_one(evidence: &Evidence) -> Option<Decision> {
    let room = evidence.headroom.tightest.as_ref()?;
    let is_full = room.kind == LimitKind::Cgroup && room.is_short();
    if !(evidence.oom.kills_all && is_full && evidence.went_with_the_agent()) {
        return None;
    }
    Some(Decision {
        verdict: Verdict::OomCgroup,
        confidence: Confidence::Likely,
        sentence: format!(
            "The job and its agent were gone at once {} into the job, after {}, when {}, all of which the kernel kills together.",
            seconds(evidence.last_us),
            evidence.tests_so_far(),
            room.words()
        ),
        next_step: "Look at the files and fixtures that hold the memory: free it, split the job, use fewer workers, or raise the limit. An agent outside the cgroup would see the kill itself.",
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

/// pytest was gone when an agent went on with the job of another: nobody saw how.
fn in_a_gap(evidence: &Evidence) -> Option<Decision> {
    let death = evidence.main_death().filter(|death| !death.is_worker)?;
    let unseen = evidence.open.vanished + evidence.open.unseen > 0
        && evidence.signal().is_none()
        && death.exit_code.is_none();
    let mut gaps = evidence.seen.gaps.iter();
    let (from_us, to_us) =
        gaps.find(|(from_us, to_us)| death.from_us < *to_us && death.until_us >= *from_us)?;
    unseen.then(|| Decision {
        verdict: Verdict::AgentLost,
        confidence: Confidence::Certain,
        sentence: format!(
            "The agent was gone from {} to {}, and pytest with it or meanwhile, after {}.",
            seconds(*from_us),
            seconds(*to_us),
            evidence.tests_so_far()
        ),
        next_step: "Look for who ended the agent; what pytest did afterwards is in its own report only.",
    })
}

impl Evidence {
    /// What ended pytest came with the end of the CI's runner, and may be told apart from it by a moment only.
    fn fell_with_the_runner(&self) -> bool {
        let Some((at_us, ..)) = self.seen.runner_gone else {
            return false;
        };
        let leaders = self.deaths.iter().filter(|death| !death.is_worker);
        leaders.clone().count() > 0
            && leaders.into_iter().all(|death| {
                let by_others = matches!(death.signal, None | Some(SIGKILL | SIGTERM | SIGHUP));
                by_others
                    && death.exit_code.is_none()
                    && death.until_us >= at_us.saturating_sub(TOGETHER_US)
            })
    }

    /// pytest was not seen to go, and wrote nothing after the agent's last sample.
    fn went_with_the_agent(&self) -> bool {
        let outlived_us = self.last_us.saturating_sub(self.sampled_until_us);
        self.open.not_gone > 0 && outlived_us < AT_ONCE_US
    }

    fn has_no_session(&self) -> bool {
        self.statuses.is_empty()
            && self.open.left.is_empty()
            && self.open.without_end() + self.open.going_on == 0
    }
}
