//! What became of the sessions that never told their end.

use highwater_wire::{
    report::{JobState, Role, SessionReport},
    v1::event::What,
};

use super::super::{parts::Parts, walk::Walk};

/// A process whose last sample is no further from the recording's end than this was there at it.
const STILL_THERE_US: i64 = 2_000_000;
/// The exit codes that pytest itself ends with.
const CODES_OF_PYTEST: std::ops::RangeInclusive<i32> = 0..=5;
/// 128 and the number of a signal, as a shell tells it.
pub(super) const CODES_OF_SIGNALS: std::ops::RangeInclusive<i32> = 129..=159;

/// Sessions without pytest's own word on their end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct OpenSessions {
    /// Gone in the middle, though the recording is whole.
    pub(in crate::digest) vanished: usize,
    /// The recording of them broke off.
    pub(in crate::digest) torn: usize,
    /// Their process went on after the recording's end.
    pub(in crate::digest) going_on: usize,
    /// Their process left pytest in order without a status (`--help`, an error or `pytest.exit` while a session starts), was ended
    /// between two tests with an exit code that pytest may have wished for, or ran without the plugin, which alone could tell; that
    /// code, where the agent saw it.
    pub(in crate::digest) left: Vec<Option<i32>>,
    /// Ran without the plugin, and nobody saw how their process ended.
    pub(in crate::digest) unseen: usize,
    /// The processes that led those that vanished or were not seen to end, as far as they are known.
    pub(in crate::digest) leaders: Vec<usize>,
    /// Those without a word whose process was not seen to go, or is not known.
    pub(in crate::digest) not_gone: usize,
}

impl OpenSessions {
    pub(super) fn of(parts: &Parts<'_>, sessions: &[SessionReport], torn: bool) -> Self {
        let mut open = Self::default();
        for session in sessions.iter().filter(|it| it.exit_status.is_none()) {
            let sampled = is_sampled(parts, session);
            let leader = leader_of(parts, session, sampled || !torn);
            let process = leader.map(|at| &parts.processes[at]);
            let walk = leader.and_then(|at| walk_of(parts, at));
            if !torn && walk.is_some_and(|walk| gave_way(walk, session.ordinal)) {
                continue;
            }
            if process.is_none_or(|process| process.ended_us.is_none()) {
                open.not_gone += 1;
            }
            let code = process.and_then(|process| process.exit_code);
            let signal = process.and_then(|process| process.signal);
            let left = walk.and_then(|walk| left_with(parts, walk, session.ordinal, torn));
            if let Some(code) = left {
                open.left.push(code);
            } else if sampled && code.is_some_and(|code| CODES_OF_PYTEST.contains(&code)) {
                open.left.push(code);
            } else if leader.is_some_and(|at| outlived_the_recording(parts, at)) {
                open.going_on += 1;
            } else if torn {
                open.torn += 1;
            } else {
                if sampled && code.is_none() && signal.is_none() {
                    open.unseen += 1;
                } else {
                    open.vanished += 1;
                }
                open.leaders.extend(leader);
            }
        }
        open
    }

    /// Sessions of which it is not known that pytest ended them in order.
    pub(super) fn without_end(&self) -> usize {
        self.vanished + self.torn + self.unseen
    }
}

fn is_sampled(parts: &Parts<'_>, session: &SessionReport) -> bool {
    let known = parts.sessions.ordered().iter();
    known
        .filter(|known| known.id == session.id)
        .any(|known| known.sampled)
}

/// The process that began a session and is no worker of it. Where no marks say so, the one that is said to own it, if that is `enough`: where
/// marks may be missing, what it did is not known.
pub(in crate::digest) fn leader_of(
    parts: &Parts<'_>,
    session: &SessionReport,
    enough: bool,
) -> Option<usize> {
    let began = parts.walks.iter().find(|walk| {
        parts.processes[walk.process].worker.is_none()
            && walk.session_begins.contains(&session.ordinal)
    });
    let owns = || {
        parts.processes.iter().position(|process| {
            matches!(process.role, Role::Pytest | Role::Controller)
                && process.sessions.contains(&session.id)
        })
    };
    began
        .map(|walk| walk.process)
        .or_else(|| enough.then(owns).flatten())
}

pub(in crate::digest) fn walk_of<'a>(parts: &Parts<'a>, process: usize) -> Option<&'a Walk<'a>> {
    parts.walks.iter().find(|walk| walk.process == process)
}

/// True where another session of the same process followed: pytest began anew in the middle, as by `os.exec`, and what it says then counts.
pub(in crate::digest) fn gave_way(leader: &Walk<'_>, ordinal: u32) -> bool {
    let mut begun = leader.session_begins.iter();
    let is_known = begun.any(|begun| *begun == ordinal);
    is_known && begun.any(|later| *later != ordinal) && !leader.session_leaves.contains(&ordinal)
}

/// The exit code of a process that left its session in order, as far as it is known; none when it did not leave so. Where the recording
/// broke off, that no test was open says nothing.
fn left_with(
    parts: &Parts<'_>,
    leader: &Walk<'_>,
    ordinal: u32,
    torn: bool,
) -> Option<Option<i32>> {
    let code = parts.processes[leader.process].exit_code;
    let ran_tests = leader.tests.iter().any(|test| test.session == ordinal);
    let between_tests = !torn && ran_tests && leader.running.is_none();
    let ended_itself = between_tests && matches!(code, Some(0 | 1));
    (ended_itself || leader.session_leaves.contains(&ordinal)).then_some(code)
}

/// True when the recording was ended and a process was still seen then. Where a shell says that a signal ended what it ran, that was pytest, or
/// went to it too: it may be seen until the kernel has taken it apart, which takes a large process a while.
fn outlived_the_recording(parts: &Parts<'_>, leader: usize) -> bool {
    let Some(end) = parts.recording.end() else {
        return false;
    };
    let by_signal = end
        .exit_code
        .is_some_and(|code| CODES_OF_SIGNALS.contains(&code));
    let known = parts.context.state != JobState::Lost
        && !end.agent_lost
        && !by_signal
        && !parts.is_imported();
    let last_seen = parts.memory.last_tick(leader);
    // An agent that went on with the job of another sees whoever is still there.
    let gaps = parts.recording.events().iter();
    let went_on_us = gaps
        .filter(|event| matches!(event.what, Some(What::AgentGap(_))))
        .map(|event| event.t_us)
        .max();
    let seen_since =
        went_on_us.is_none_or(|since_us| last_seen.is_some_and(|t_us| t_us >= since_us));
    known
        && seen_since
        && parts.processes[leader].ended_us.is_none()
        && last_seen.is_some_and(|t_us| t_us >= end.ended_us.saturating_sub(STILL_THERE_US))
}
