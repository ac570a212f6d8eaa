//! Who died: the pytest processes that were gone in the middle, or by a signal after it, and when.

use highwater_wire::report::SessionReport;

use super::{
    super::{parts::Parts, walk::Walk},
    open_sessions::{CODES_OF_SIGNALS, OpenSessions, walk_of},
    words::{SIGKILL, is_of_crash},
};

/// A process that nobody saw end is taken to have been gone by then after its last sample.
const SURELY_GONE_US: i64 = 5_000_000;
/// A command that ended no later than this after a pytest process was gone ended with it.
const SAME_DEATH_US: i64 = 2_000_000;

/// A pytest process that was gone before it told its end or by a signal afterwards, or the command where no pytest was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Death {
    /// Position of the process; none for the command itself.
    pub(in crate::digest) process: Option<usize>,
    pub(in crate::digest) is_worker: bool,
    /// What it ran was read from its memory at each sample.
    pub(in crate::digest) sampled: bool,
    /// `gw0`, of a worker that told its name.
    pub(in crate::digest) worker: Option<String>,
    /// Its sessions had ended: it died as Python ends, where handlers of `atexit`, threads and native modules still run.
    pub(in crate::digest) after_end: bool,
    /// When it was seen last, µs since the job's start.
    pub(in crate::digest) from_us: i64,
    /// By when it was gone.
    pub(in crate::digest) until_us: i64,
    pub(in crate::digest) signal: Option<i32>,
    pub(in crate::digest) exit_code: Option<i32>,
    pub(in crate::digest) cgroups: Vec<String>,
    /// The test or import that ran.
    pub(in crate::digest) running: Option<String>,
    /// Whether `until_us` is when its end was seen.
    pub(in crate::digest) seen_to_end: bool,
    /// What pytest-timeout allowed that test.
    pub(in crate::digest) time_limit: Option<TimeLimit>,
}

/// What pytest-timeout allows a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::digest) struct TimeLimit {
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) limit_us: i64,
    /// Whether it ends the process then, as its method `thread` does, or fails the test; none where that is not known.
    pub(in crate::digest) ends_process: Option<bool>,
}

/// What the end of the command tells of a signal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EndOfCommand {
    /// The signal that ended it.
    pub(super) own: Option<i32>,
    /// One that only its exit code tells of, which is pytest's where a process of it is known to have died; or its own.
    pub(super) coded: Option<i32>,
    pub(super) exit_code: Option<i32>,
}

impl EndOfCommand {
    /// Whether the command ended by what ended a pytest whose sessions were over: by the same signal at the same time, or with the code by
    /// which a shell tells of it.
    fn is_of(self, death: &Death, ended_us: i64) -> bool {
        let told = self
            .exit_code
            .filter(|code| CODES_OF_SIGNALS.contains(code))
            .map(|code| code - 128);
        let same = self.own.is_some() && self.own == death.signal && is_late(death, ended_us);
        !death.is_worker && (same || (told.is_some() && told == death.signal))
    }
}

fn is_late(death: &Death, ended_us: i64) -> bool {
    death.until_us >= ended_us.saturating_sub(SAME_DEATH_US)
}

/// Leaders of sessions that vanished, then workers that were gone while their session went on, then pytests that took the command with them
/// after their end, then the command where a signal ended it and no pytest process died with it. And those that a signal ended after their
/// sessions' end while the command went on.
pub(super) fn of(
    parts: &Parts<'_>,
    sessions: &[SessionReport],
    open: &OpenSessions,
    command: EndOfCommand,
) -> (Vec<Death>, Vec<Death>) {
    let ended_us = parts.recording.last_us();
    let leaders = open.leaders.iter().map(|at| death(parts, *at, false));
    let workers = vanished_workers(parts, sessions, open);
    let workers = workers.iter().map(|walk| death(parts, walk.process, true));
    let (fatal, survived) = after_their_end(parts)
        .into_iter()
        .partition(|death| command.is_of(death, ended_us));
    let mut deaths: Vec<Death> = leaders.chain(workers).collect();
    deaths.extend::<Vec<Death>>(fatal);
    let alone = command.own.is_some() && !deaths.iter().any(|death| is_late(death, ended_us));
    if alone || (command.coded.is_some() && deaths.is_empty()) {
        let last_seen = parts.memory.tree().last().map(|point| point.t_us);
        deaths.push(Death {
            from_us: last_seen.unwrap_or(ended_us),
            until_us: ended_us,
            signal: command.own.or(command.coded),
            ..Death::default()
        });
    }
    (deaths, survived)
}

/// Processes that a signal ended when all their sessions had told an end. Of workers only crashes: the others are what xdist ends them with.
fn after_their_end(parts: &Parts<'_>) -> Vec<Death> {
    let ended = |walk: &&Walk<'_>| {
        let told = |ordinal: &u32| {
            let mut ends = walk.session_ends.iter();
            ends.any(|(ended, _)| ended == ordinal) || walk.session_leaves.contains(ordinal)
        };
        let begun = &walk.session_begins;
        !begun.is_empty() && begun.iter().all(told) && walk.running.is_none()
    };
    let walks = parts.walks.iter().filter(ended);
    let dead = walks.filter_map(|walk| {
        let process = &parts.processes[walk.process];
        let is_worker = process.worker.is_some();
        let signal = process.signal.filter(|_| process.forked_from == 0)?;
        (!is_worker || is_of_crash(signal)).then(|| Death {
            after_end: true,
            ..death(parts, walk.process, is_worker)
        })
    });
    dead.collect()
}

fn death(parts: &Parts<'_>, at: usize, is_worker: bool) -> Death {
    let process = &parts.processes[at];
    let walk = walk_of(parts, at);
    let marked = walk.and_then(|walk| walk.intervals.last());
    let last_seen = parts
        .memory
        .last_tick(at)
        .max(marked.map(|interval| interval.to_us));
    let from_us = last_seen.unwrap_or(process.started_us);
    let open_test = walk.and_then(Walk::open_test);
    Death {
        process: Some(at),
        is_worker,
        sampled: walk
            .and_then(|walk| walk.session_begins.last())
            .is_some_and(|ordinal| parts.sessions.is_sampled(*ordinal)),
        worker: process.worker.clone(),
        after_end: false,
        from_us,
        until_us: process
            .ended_us
            .unwrap_or_else(|| from_us.saturating_add(SURELY_GONE_US))
            .max(from_us),
        signal: process.signal,
        exit_code: process.exit_code,
        cgroups: process.cgroups.clone(),
        running: walk.and_then(|walk| walk.running).map(str::to_owned),
        seen_to_end: process.ended_us.is_some(),
        time_limit: open_test.and_then(|test| {
            Some(TimeLimit {
                began_us: test.began_us,
                limit_us: i64::try_from(test.time_limit_us?).ok()?,
                ends_process: test.time_limit_ends_process,
            })
        }),
    }
}

/// Workers with something still running, of a session that told its end all the same; and those that SIGKILL ended while their session went on, though it told
/// no end: xdist may wait for ever for one that it lost.
fn vanished_workers<'a>(
    parts: &Parts<'a>,
    sessions: &[SessionReport],
    open: &OpenSessions,
) -> Vec<&'a Walk<'a>> {
    let leaders = || open.leaders.iter().map(|at| &parts.processes[*at]);
    let was_lost = |walk: &Walk<'_>| {
        let process = &parts.processes[walk.process];
        let ended_us = process.ended_us.filter(|_| process.signal == Some(SIGKILL));
        ended_us.is_some_and(|ended_us| {
            // Of those that one blow ended nobody went on without another.
            let goes_on = |until: Option<i64>| {
                until.is_none_or(|until_us| until_us > ended_us.saturating_add(SAME_DEATH_US))
            };
            leaders().any(|leader| goes_on(leader.ended_us))
        })
    };
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
                && (walk.session_begins.iter().any(told_its_end) || was_lost(walk))
        })
        .collect()
}
