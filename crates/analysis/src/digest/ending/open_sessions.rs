//! What became of the sessions that never told their end.

use highwater_wire::report::{JobState, SessionReport};

use super::super::{parts::Parts, walk::Walk};

/// A process whose last sample is no further from the command's end than this was there at it.
const STILL_THERE_US: i64 = 2_000_000;

/// Sessions without pytest's own word on their end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct OpenSessions {
    /// Gone in the middle, though the recording is whole.
    pub(in crate::digest) vanished: usize,
    /// The recording of them broke off.
    pub(in crate::digest) torn: usize,
    /// Their process went on after the command had ended.
    pub(in crate::digest) going_on: usize,
    /// Their process left pytest in order without a status (`--help`, an error or `pytest.exit` while a session starts), or was ended
    /// between two tests with an exit code that pytest may have wished for; that code, where the agent saw it.
    pub(in crate::digest) left: Vec<Option<i32>>,
}

impl OpenSessions {
    pub(super) fn of(parts: &Parts<'_>, sessions: &[SessionReport], torn: bool) -> Self {
        let mut open = Self::default();
        for session in sessions.iter().filter(|it| it.exit_status.is_none()) {
            let leader = leader_of(parts, session.ordinal);
            let left = leader.and_then(|walk| left_with(parts, walk, session.ordinal, torn));
            if let Some(code) = left {
                open.left.push(code);
            } else if leader.is_some_and(|walk| outlived_the_command(parts, walk)) {
                open.going_on += 1;
            } else if torn {
                open.torn += 1;
            } else {
                open.vanished += 1;
            }
        }
        open
    }
}

/// The process that began a session, and is no worker of it.
fn leader_of<'a>(parts: &Parts<'a>, ordinal: u32) -> Option<&'a Walk<'a>> {
    parts.walks.iter().find(|walk| {
        parts.processes[walk.process].worker.is_none() && walk.session_begins.contains(&ordinal)
    })
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

/// True when the command ended and a process was still seen then.
fn outlived_the_command(parts: &Parts<'_>, leader: &Walk<'_>) -> bool {
    let Some(end) = parts.recording.end() else {
        return false;
    };
    let known = parts.context.state != JobState::Lost && !end.agent_lost;
    let last_seen = parts.memory.last_tick(leader.process);
    known
        && parts.processes[leader.process].ended_us.is_none()
        && last_seen.is_some_and(|t_us| t_us >= end.ended_us.saturating_sub(STILL_THERE_US))
}
