//! What speaks for one ending or another.

use std::collections::BTreeSet;

use highwater_wire::{
    report::{Culprit, JobState, LimitUse, Role, SessionReport},
    v1::Metric,
};

use super::super::{limits, parts::Parts};
use crate::recording::{Recording, Subject};

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
    /// Sessions that began and never told their end, though the recording is whole.
    pub(in crate::digest) vanished_sessions: usize,
    /// Sessions whose end is not known because the recording of them broke off.
    pub(in crate::digest) torn_sessions: usize,
    /// The recording itself broke off somewhere: what was not heard may well have been.
    pub(in crate::digest) torn: bool,
    /// Workers that were gone while a session that told its end went on.
    pub(in crate::digest) vanished_workers: usize,
    pub(in crate::digest) tests: u64,
    pub(in crate::digest) failed: u64,
    /// Files that could not be imported, each once.
    pub(in crate::digest) failed_imports: Vec<String>,
    pub(in crate::digest) oom: OomKills,
    pub(in crate::digest) agent_lost: bool,
    /// No end was reported: the job fell silent.
    pub(in crate::digest) silent: bool,
    pub(in crate::digest) last_us: i64,
    pub(in crate::digest) peak_bytes: i64,
    pub(in crate::digest) peak_at_us: i64,
    pub(in crate::digest) tightest: Option<LimitUse>,
    /// What ran at the last mark of a process that vanished.
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
        let open = sessions
            .iter()
            .filter(|session| session.exit_status.is_none())
            .count();
        let torn = is_torn(parts);
        Self {
            exit_code: end.and_then(|end| end.exit_code),
            own_signal: end.and_then(|end| end.signal),
            forwarded_signal: end.and_then(|end| end.forwarded_signal),
            statuses: sessions
                .iter()
                .filter_map(|session| session.exit_status)
                .collect(),
            vanished_sessions: if torn { 0 } else { open },
            torn_sessions: if torn { open } else { 0 },
            torn,
            vanished_workers: vanished_workers(parts, sessions),
            tests: sessions.iter().map(|session| session.tests).sum(),
            failed: sessions.iter().map(|session| session.failed).sum(),
            failed_imports: failed_imports(parts),
            oom: OomKills::of(recording),
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
                .filter(|code| {
                    self.vanished_sessions + self.torn_sessions > 0 && (129..=159).contains(code)
                })
                .map(|code| code - 128)
        })
    }

    /// When the job ended as far as it is known.
    pub(super) fn lost(&self) -> bool {
        self.agent_lost || (self.silent && self.exit_code.is_none() && self.own_signal.is_none())
    }
}

/// What the counters of the kernel's out-of-memory killer say, each by how much it rose during the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::digest) struct OomKills {
    /// In the job's own cgroup, the innermost.
    pub(in crate::digest) own_kills: i64,
    /// Whether that was read at all.
    pub(in crate::digest) own_read: bool,
    /// In the cgroups above, without those of the job's own.
    pub(in crate::digest) above_kills: i64,
    pub(in crate::digest) machine_kills: i64,
    /// A cgroup has a limit.
    pub(in crate::digest) cgroup_limited: bool,
    /// A cgroup was at its limit.
    pub(in crate::digest) cgroup_full: bool,
    /// The machine had next to nothing left.
    pub(in crate::digest) machine_full: bool,
}

impl OomKills {
    fn of(recording: &Recording) -> Self {
        let kills: Vec<Option<i64>> = limits::cgroups(recording)
            .iter()
            .map(|cgroup| limits::rise(recording, cgroup, Metric::CgroupOomKills))
            .collect();
        let own = kills.first().copied().flatten();
        let above = kills.iter().skip(1).flatten().copied().max().unwrap_or(0);
        let fullness: Vec<bool> = limits::cgroups(recording)
            .iter()
            .filter_map(|cgroup| limits::was_full(recording, cgroup))
            .collect();
        Self {
            own_kills: own.unwrap_or(0),
            own_read: own.is_some(),
            above_kills: (above - own.unwrap_or(0)).max(0),
            machine_kills: limits::rise(recording, &Subject::Machine, Metric::MachineOomKills)
                .unwrap_or(0),
            cgroup_limited: !fullness.is_empty(),
            cgroup_full: fullness.contains(&true),
            machine_full: limits::machine_was_full(recording),
        }
    }
}

fn failed_imports(parts: &Parts<'_>) -> Vec<String> {
    let imports = parts.walks.iter().flat_map(|walk| &walk.imports);
    let failed: BTreeSet<&str> = imports
        .filter(|import| import.failed)
        .map(|import| import.path.as_str())
        .collect();
    failed.into_iter().map(str::to_owned).collect()
}

/// True where the recording itself broke off, so that what was not heard may well have been.
fn is_torn(parts: &Parts<'_>) -> bool {
    const CODES: [&str; 6] = [
        "plugin_stopped",
        "events_failed",
        "marks_malformed",
        "samples_dropped",
        "spool_failed",
        "batches_lost",
    ];
    parts.context.state == JobState::Incomplete
        || parts
            .recording
            .notices()
            .iter()
            .any(|notice| CODES.contains(&notice.code.as_str()))
}

/// Workers with something still running, of a session that told its end all the same.
fn vanished_workers(parts: &Parts<'_>, sessions: &[SessionReport]) -> usize {
    let told_its_end = |ordinal: &u32| {
        sessions
            .iter()
            .any(|session| session.ordinal == *ordinal && session.exit_status.is_some())
    };
    parts
        .walks
        .iter()
        .filter(|walk| {
            walk.running.is_some()
                && parts.processes[walk.process].worker.is_some()
                && walk.session_ends.is_empty()
                && walk.session_begins.iter().any(told_its_end)
        })
        .count()
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
