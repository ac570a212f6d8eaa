//! What speaks for one ending or another.

use highwater_wire::{
    report::{Culprit, JobState, LimitUse, Role, SessionReport},
    v1::Metric,
};

use super::super::{job::Parts, limits};
use crate::recording::Subject;

/// Most culprits that are named.
const MOST_CULPRITS: usize = 5;
/// What holds less than this is no culprit.
const LEAST_CULPRIT_BYTES: i64 = 1 << 20;

/// The evidence of a job, gathered from its recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Evidence {
    pub(in crate::digest) exit_code: Option<i32>,
    pub(in crate::digest) own_signal: Option<i32>,
    /// Signal that the agent was sent and handed on.
    pub(in crate::digest) forwarded_signal: Option<i32>,
    /// pytest's exit status of each session that told one.
    pub(in crate::digest) statuses: Vec<i32>,
    /// Sessions that began and never told their end.
    pub(in crate::digest) vanished_sessions: usize,
    pub(in crate::digest) tests: u64,
    pub(in crate::digest) failed: u64,
    pub(in crate::digest) cgroup_oom_kills: i64,
    pub(in crate::digest) machine_oom_kills: i64,
    pub(in crate::digest) agent_lost: bool,
    /// No end was reported: the job fell silent.
    pub(in crate::digest) silent: bool,
    pub(in crate::digest) last_us: i64,
    pub(in crate::digest) peak_bytes: i64,
    pub(in crate::digest) peak_at_us: i64,
    pub(in crate::digest) tightest: Option<LimitUse>,
    /// What ran at the last mark of a session that vanished.
    pub(in crate::digest) running: Option<String>,
    pub(in crate::digest) holders: Vec<Culprit>,
}

impl Evidence {
    pub(in crate::digest) fn gather(
        parts: &Parts<'_>,
        sessions: &[SessionReport],
        limits: &[LimitUse],
    ) -> Self {
        let recording = parts.recording;
        let end = recording.end();
        let cgroup_oom_kills = limits::cgroups(recording)
            .iter()
            .map(|cgroup| limits::rise(recording, cgroup, Metric::CgroupOomKills))
            .max()
            .unwrap_or(0);
        Self {
            exit_code: end.and_then(|end| end.exit_code),
            own_signal: end.and_then(|end| end.signal),
            forwarded_signal: end.and_then(|end| end.forwarded_signal),
            statuses: sessions
                .iter()
                .filter_map(|session| session.exit_status)
                .collect(),
            vanished_sessions: sessions
                .iter()
                .filter(|session| session.exit_status.is_none())
                .count(),
            tests: sessions.iter().map(|session| session.tests).sum(),
            failed: sessions.iter().map(|session| session.failed).sum(),
            cgroup_oom_kills,
            machine_oom_kills: limits::rise(recording, &Subject::Machine, Metric::MachineOomKills),
            agent_lost: end.is_some_and(|end| end.agent_lost),
            silent: end.is_none() || parts.context.state == JobState::Lost,
            last_us: recording.last_us(),
            peak_bytes: parts.peak.bytes,
            peak_at_us: parts.peak.at_us,
            tightest: limits
                .iter()
                .min_by_key(|limit| {
                    limit.limit_bytes.cast_signed() - limit.worst_used_bytes.cast_signed()
                })
                .cloned(),
            running: running(parts),
            holders: holders(parts),
        }
    }

    /// The signal that ended the command; also where a shell in between told it as 128 + signal of a session that vanished.
    pub(super) fn signal(&self) -> Option<i32> {
        self.own_signal.or_else(|| {
            self.exit_code
                .filter(|code| self.vanished_sessions > 0 && (129..=159).contains(code))
                .map(|code| code - 128)
        })
    }

    /// When the job ended as far as it is known.
    pub(super) fn lost(&self) -> bool {
        self.agent_lost || (self.silent && self.exit_code.is_none() && self.own_signal.is_none())
    }
}

/// What ran last in a process that never left pytest; of several the one whose word is the latest.
fn running(parts: &Parts<'_>) -> Option<String> {
    parts
        .walks
        .iter()
        .filter(|walk| walk.running.is_some())
        .max_by_key(|walk| walk.intervals.last().map_or(0, |interval| interval.to_us))
        .and_then(|walk| walk.running.clone())
}

/// Files and fixtures that kept the most, and processes outside pytest that had the most.
fn holders(parts: &Parts<'_>) -> Vec<Culprit> {
    let files = parts.files.iter().map(|file| Culprit {
        kind: "file".to_owned(),
        name: file.path.clone(),
        bytes: file.retained_bytes,
    });
    let fixtures = parts
        .fixtures
        .iter()
        .filter(|fixture| fixture.scope != "function")
        .map(|fixture| Culprit {
            kind: "fixture".to_owned(),
            name: fixture.name.clone(),
            bytes: fixture.retained_bytes,
        });
    let processes = parts
        .processes
        .iter()
        .enumerate()
        .filter_map(|(position, process)| {
            let (_, highest) = parts.memory.highest_rss(position)?;
            (process.role == Role::Child).then(|| Culprit {
                kind: "process".to_owned(),
                name: process.command.clone(),
                bytes: highest,
            })
        });
    let mut holders: Vec<_> = files.chain(fixtures).chain(processes).collect();
    holders.retain(|holder| holder.bytes >= LEAST_CULPRIT_BYTES);
    holders.sort_by(|a, b| (b.bytes, &a.kind, &a.name).cmp(&(a.bytes, &b.kind, &b.name)));
    holders.truncate(MOST_CULPRITS);
    holders
}
