//! What speaks for one ending or another.

use std::collections::BTreeSet;

use highwater_wire::report::{Culprit, JobState, LimitUse, SessionReport};

use super::{
    super::{parts::Parts, walk::Walk},
    holders,
    oom::OomKills,
    open_sessions::OpenSessions,
    status,
};

/// The evidence of a job, gathered from its recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Evidence {
    pub(in crate::digest) exit_code: Option<i32>,
    pub(in crate::digest) own_signal: Option<i32>,
    /// Signal that the agent was sent and handed on.
    pub(in crate::digest) forwarded_signal: Option<i32>,
    /// pytest's exit status of each session that told one.
    pub(in crate::digest) statuses: Vec<i32>,
    /// Sessions that never told one.
    pub(in crate::digest) open: OpenSessions,
    /// The recording itself broke off somewhere: what was not heard may well have been.
    pub(in crate::digest) torn: bool,
    /// Workers that were gone while a session that told its end went on.
    pub(in crate::digest) vanished_workers: usize,
    pub(in crate::digest) tests: u64,
    pub(in crate::digest) failed: u64,
    pub(in crate::digest) skipped: u64,
    /// Some of the tests were sampled: how they ended is not known.
    pub(in crate::digest) sampled: bool,
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
        let torn = is_torn(parts);
        let vanished_workers = vanished_workers(parts, sessions);
        Self {
            exit_code: end.and_then(|end| end.exit_code),
            own_signal: end.and_then(|end| end.signal),
            forwarded_signal: end.and_then(|end| end.forwarded_signal),
            statuses: sessions
                .iter()
                .filter_map(|session| session.exit_status)
                .collect(),
            open: OpenSessions::of(parts, sessions, torn),
            torn,
            vanished_workers: vanished_workers.len(),
            tests: sessions.iter().map(|session| session.tests).sum(),
            failed: sessions.iter().map(|session| session.failed).sum(),
            skipped: skipped(parts),
            sampled: sessions.iter().any(|session| session.sampled),
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
            holders: holders::at(parts, moment_of_death(parts, &vanished_workers)),
        }
    }

    /// The signal that ended the command; also where a shell in between told it as 128 + signal of a session that vanished.
    pub(super) fn signal(&self) -> Option<i32> {
        self.own_signal.or_else(|| {
            self.exit_code
                .filter(|code| {
                    self.open.vanished + self.open.torn > 0 && (129..=159).contains(code)
                })
                .map(|code| code - 128)
        })
    }

    /// pytest's own words on how its sessions ended: their statuses, or the exit code of a process that left in order.
    pub(super) fn worst_status(&self) -> Option<i32> {
        let left = self.open.left.iter().flatten();
        let all: Vec<i32> = self.statuses.iter().chain(left).copied().collect();
        status::worst(&all, self.tests)
    }

    /// A status that pytest does not define: `pytest.exit` or a plugin gave it.
    pub(super) fn foreign_status(&self) -> Option<i32> {
        self.worst_status()
            .filter(|status| !status::is_known(*status))
    }

    /// Workers were gone, and the session did not end well for it.
    pub(super) fn fell_by_its_workers(&self) -> bool {
        self.vanished_workers > 0 && self.worst_status() != Some(status::OK)
    }

    /// Whether the command itself died, or the whole session; otherwise it was only a part of it.
    pub(super) fn died_whole(&self) -> bool {
        self.own_signal.is_some() || self.open.vanished + self.open.torn > 0
    }

    /// Whether the recording ends without the command's end.
    pub(super) fn lost(&self) -> bool {
        self.agent_lost || (self.silent && self.exit_code.is_none() && self.own_signal.is_none())
    }
}

fn failed_imports(parts: &Parts<'_>) -> Vec<String> {
    let imports = parts.walks.iter().flat_map(|walk| &walk.imports);
    let failed: BTreeSet<&str> = imports
        .filter(|import| import.failed)
        .map(|import| import.path)
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
fn vanished_workers<'a>(parts: &Parts<'a>, sessions: &[SessionReport]) -> Vec<&'a Walk<'a>> {
    let told_its_end = |ordinal: &u32| {
        sessions.iter().any(|session| {
            // Of one that was sampled an end is told only if it was in order.
            let ended =
                session.exit_status.is_some() || (session.sampled && session.ended_us.is_some());
            session.ordinal == *ordinal && ended
        })
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
        .collect()
}

/// When the last of the workers that vanished was seen last; without one, the end of the job.
fn moment_of_death(parts: &Parts<'_>, vanished_workers: &[&Walk<'_>]) -> i64 {
    let last_seen = |walk: &&Walk<'_>| {
        let marked = walk.intervals.last().map(|interval| interval.to_us);
        parts.memory.last_tick(walk.process).max(marked)
    };
    vanished_workers
        .iter()
        .filter_map(last_seen)
        .max()
        .or_else(|| parts.memory.tree().last().map(|point| point.t_us))
        .unwrap_or_else(|| parts.recording.last_us())
}

/// What ran last in a process that never left pytest; of several the one whose word is the latest.
fn running(parts: &Parts<'_>) -> Option<String> {
    parts
        .walks
        .iter()
        .filter(|walk| walk.running.is_some())
        .max_by_key(|walk| walk.intervals.last().map_or(0, |interval| interval.to_us))
        .and_then(|walk| walk.running)
        .map(str::to_owned)
}

fn skipped(parts: &Parts<'_>) -> u64 {
    let skipped = parts.tests.iter().filter(|test| test.outcome == "skipped");
    skipped.count() as u64
}
