//! What speaks for one ending or another.

use std::collections::BTreeSet;

use highwater_wire::{
    report::{Culprit, JobState, LimitUse, MARKS_MISSING, SessionReport},
    v1::EndedBy,
};

use super::{
    super::parts::Parts,
    deaths::{self, Death, EndOfCommand},
    failures::Failures,
    headroom::Headroom,
    holders::{self, LeftBehind},
    oom::OomKills,
    open_sessions::{CODES_OF_SIGNALS, OpenSessions},
    seen::Seen,
    status,
    time::TimeLimits,
    words::count,
};

/// An agent that dies takes no more samples with it than of this time.
const LAST_BLOCK_US: i64 = 2_000_000;
/// A disk that lost its power may have one file from so much earlier than another: the kernel writes back what has waited 30 s, and looks for
/// it every 5 s (`vm.dirty_expire_centisecs`, `vm.dirty_writeback_centisecs`).
const WRITTEN_BACK_US: i64 = 35_000_000;

/// The evidence of a job, gathered from its recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct Evidence {
    /// Recorded beside the steps of a CI job: there is no command.
    pub(in crate::digest) background: bool,
    /// Brought in from a file of another recorder, which tells no end.
    pub(in crate::digest) imported: bool,
    pub(in crate::digest) exit_code: Option<i32>,
    pub(in crate::digest) own_signal: Option<i32>,
    /// Signal that the agent was sent and handed on.
    pub(in crate::digest) forwarded_signal: Option<i32>,
    pub(in crate::digest) ended_by: EndedBy,
    /// The CI's own word.
    pub(in crate::digest) ci_status: String,
    /// pytest's exit status of each session that told one.
    pub(in crate::digest) statuses: Vec<i32>,
    /// Sessions that never told one.
    pub(in crate::digest) open: OpenSessions,
    /// The recording itself broke off somewhere: what was not heard may well have been.
    pub(in crate::digest) torn: bool,
    /// Leaders of sessions and workers that were gone in the middle.
    pub(in crate::digest) deaths: Vec<Death>,
    /// Those that a signal ended when their sessions had told an end, without the command's ending by it.
    pub(in crate::digest) afterwards: Vec<Death>,
    /// Executions of tests that began, and how many of them still ran at the last that was heard.
    pub(in crate::digest) tests: u64,
    pub(in crate::digest) tests_running: u64,
    pub(in crate::digest) failed: u64,
    pub(in crate::digest) skipped: u64,
    pub(in crate::digest) failures: Failures,
    /// Some of the tests were sampled: how they ended is not known.
    pub(in crate::digest) sampled: bool,
    pub(in crate::digest) oom: OomKills,
    pub(in crate::digest) headroom: Headroom,
    pub(in crate::digest) time: TimeLimits,
    pub(in crate::digest) seen: Seen,
    pub(in crate::digest) agent_lost: bool,
    /// pytest wrote on when nothing was sampled any more.
    pub(in crate::digest) outlived_the_agent: bool,
    /// No end was reported: the job fell silent.
    pub(in crate::digest) silent: bool,
    pub(in crate::digest) last_us: i64,
    /// The last sample of a process of the job.
    pub(in crate::digest) sampled_until_us: i64,
    pub(in crate::digest) peak_bytes: i64,
    pub(in crate::digest) peak_at_us: i64,
    pub(in crate::digest) tightest: Option<LimitUse>,
    /// What ran at the last mark of a process that vanished.
    pub(in crate::digest) running: Option<String>,
    pub(in crate::digest) holders: Vec<Culprit>,
    pub(in crate::digest) left_behind: Option<LeftBehind>,
    /// What the process of that test had grown by since the test began.
    pub(in crate::digest) running_took_bytes: Option<i64>,
}

impl Evidence {
    pub(in crate::digest) fn gather(
        parts: &Parts<'_>,
        sessions: &[SessionReport],
        limits: &[LimitUse],
    ) -> Self {
        let recording = parts.recording;
        let end = recording.end();
        // While a job goes on only processes are asked about that were seen to go, and what is missing may still come.
        let torn = parts.context.state != JobState::Running && is_torn(parts);
        let mut evidence = Self {
            background: recording.job().background,
            imported: parts.is_imported(),
            exit_code: end.and_then(|end| end.exit_code),
            own_signal: end.and_then(|end| end.signal),
            forwarded_signal: end.and_then(|end| end.forwarded_signal),
            ended_by: end.map_or(EndedBy::Unspecified, highwater_wire::v1::End::ended_by),
            ci_status: end.map_or_else(String::new, |end| end.ci_status.clone()),
            statuses: sessions
                .iter()
                .filter_map(|session| session.exit_status)
                .collect(),
            open: OpenSessions::of(parts, sessions, torn),
            torn,
            tests: sessions.iter().map(|session| session.tests).sum(),
            tests_running: tests_running(parts),
            failed: sessions.iter().map(|session| session.failed).sum(),
            skipped: skipped(parts),
            failures: Failures::of(parts),
            seen: Seen::of(parts),
            sampled: sessions.iter().any(|session| session.sampled),
            agent_lost: end.is_some_and(|end| end.agent_lost),
            outlived_the_agent: outlived_the_agent(parts),
            silent: end.is_none() || parts.context.state == JobState::Lost,
            last_us: recording.last_us(),
            sampled_until_us: parts.memory.tree().last().map_or(0, |point| point.t_us),
            peak_bytes: parts.peak.bytes,
            peak_at_us: parts.peak.at_us,
            tightest: limits
                .iter()
                .min_by_key(|limit| {
                    limit.limit_bytes.cast_signed() - limit.worst_used_bytes.cast_signed()
                })
                .cloned(),
            running: running(parts),
            ..Self::default()
        };
        let coded = evidence.coded_signal();
        let untold = evidence.exit_code.is_some() && coded.is_none();
        let command = EndOfCommand {
            own: evidence.own_signal,
            coded,
            exit_code: evidence.exit_code,
        };
        (evidence.deaths, evidence.afterwards) =
            deaths::of(parts, sessions, &evidence.open, command);
        evidence.oom = OomKills::of(parts, &evidence.deaths, coded, untold);
        evidence.time = TimeLimits::of(parts, &evidence.deaths, evidence.all_told());
        let moment_us = evidence.moment(parts);
        let ran = evidence
            .main_death()
            .and_then(|death| death.running.clone());
        let stopped_us = evidence.seen.guard_stop().map(|action| action.at_us);
        evidence.running = ran
            .or(evidence.running)
            .or_else(|| running_at(parts, stopped_us?));
        if evidence.running.is_none() && evidence.worst_status() == Some(status::INTERRUPTED) {
            evidence.running = broken_off(parts);
        }
        evidence.running_took_bytes = evidence.main_death().and_then(|death| death.took_bytes);
        evidence.headroom = Headroom::at(parts, moment_us);
        evidence.holders = holders::at(parts, moment_us);
        evidence.left_behind = holders::left_behind(parts, moment_us);
        evidence
    }

    /// When whoever died was seen last; without a death, and where all fell silent at once, the end of what was sampled.
    fn moment(&self, parts: &Parts<'_>) -> i64 {
        let struck = self.oom.struck.is_some();
        if !struck && self.lost() && self.open.not_gone > 0 {
            return parts.recording.last_us();
        }
        let stopped = self.seen.guard_stop().map(|action| action.at_us);
        let child = || {
            let nobody_told = self.statuses.is_empty();
            nobody_told.then(|| self.oom.own.last_us()).flatten()
        };
        self.main_death()
            .map(|death| death.from_us)
            .or(stopped)
            .or_else(child)
            .or_else(|| parts.memory.tree().last().map(|point| point.t_us))
            .unwrap_or_else(|| parts.recording.last_us())
    }

    /// The death that the ending is about: whom the kernel struck, else the last of the sessions, else of the workers.
    pub(super) fn main_death(&self) -> Option<&Death> {
        match self.oom.struck {
            Some((at, ..)) => self.deaths.get(at),
            None => self
                .deaths
                .iter()
                .max_by_key(|death| (!death.is_worker, death.from_us)),
        }
    }

    /// Workers that were gone while a session that told its end went on.
    pub(super) fn vanished_workers(&self) -> usize {
        self.deaths.iter().filter(|death| death.is_worker).count()
    }

    /// Whoever died had told its sessions' end before, so that no test was cut short.
    pub(super) fn fell_after_its_end(&self) -> bool {
        !self.deaths.is_empty() && self.deaths.iter().all(|death| death.after_end)
    }

    /// The signal that ended the command; also where a shell in between told it as 128 + signal of a session that vanished.
    fn coded_signal(&self) -> Option<i32> {
        self.own_signal.or_else(|| {
            self.exit_code
                .filter(|code| self.open.without_end() > 0 && CODES_OF_SIGNALS.contains(code))
                .map(|code| code - 128)
        })
    }

    /// The signal that ended the command or pytest. A process whose own exit code is known was ended by none, whatever the command's code.
    pub(super) fn signal(&self) -> Option<i32> {
        let mut leaders = self.deaths.iter().filter(|death| !death.is_worker);
        self.own_signal
            .or_else(|| leaders.clone().find_map(|death| death.signal))
            .or_else(|| {
                let exited = leaders.any(|death| death.exit_code.is_some());
                self.coded_signal().filter(|_| !exited)
            })
    }

    /// pytest's own words on how its sessions ended: their statuses, or the exit code of a process that left in order.
    pub(super) fn worst_status(&self) -> Option<i32> {
        let left = self.open.left.iter().flatten();
        let all: Vec<i32> = self.statuses.iter().chain(left).copied().collect();
        status::worst(&all, self.tests)
    }

    /// Every session told its end.
    pub(super) fn all_told(&self) -> bool {
        self.worst_status().is_some() && self.open.without_end() + self.open.going_on == 0
    }

    /// Every session told its end, and none was broken off.
    pub(super) fn ran_to_its_end(&self) -> bool {
        let broken_off = [status::INTERRUPTED, status::INTERNAL_ERROR];
        self.all_told()
            && self
                .worst_status()
                .is_some_and(|worst| status::is_known(worst) && !broken_off.contains(&worst))
    }

    /// A status that pytest does not define: `pytest.exit` or a plugin gave it.
    pub(super) fn foreign_status(&self) -> Option<i32> {
        self.worst_status()
            .filter(|status| !status::is_known(*status))
    }

    /// How far the tests had come, to stand after "after".
    pub(in crate::digest) fn tests_so_far(&self) -> String {
        let done = self.tests.saturating_sub(self.tests_running);
        let done = match done {
            0 if self.tests_running > 0 => "no test".to_owned(),
            done => count(done, "test"),
        };
        match self.tests_running {
            0 => done,
            1 => format!("{done} (one was running)"),
            running => format!("{done} ({running} were running)"),
        }
    }

    /// Workers were gone, and the session did not end well for it.
    pub(super) fn fell_by_its_workers(&self) -> bool {
        self.vanished_workers() > 0 && self.worst_status() != Some(status::OK)
    }

    /// Whether the recording ends without the job's end.
    pub(super) fn lost(&self) -> bool {
        self.agent_lost
            || self.ended_by == EndedBy::RunnerGone
            || (self.silent && self.exit_code.is_none() && self.own_signal.is_none())
    }
}

/// True where the recording itself broke off, so that what was not heard may well have been.
fn is_torn(parts: &Parts<'_>) -> bool {
    const CODES: [&str; 7] = [
        "plugin_stopped",
        "events_failed",
        "marks_malformed",
        "samples_dropped",
        "spool_failed",
        "batches_lost",
        MARKS_MISSING,
    ];
    parts.context.state == JobState::Incomplete
        || parts
            .recording
            .notices()
            .iter()
            .any(|notice| CODES.contains(&notice.code.as_str()))
}

/// True where marks go on longer after the last sample than a block that was lost with the agent spans; on another boot, than what was lost
/// with the power.
fn outlived_the_agent(parts: &Parts<'_>) -> bool {
    let sampled_us = parts.memory.tree().last().map_or(0, |point| point.t_us);
    let mut last_marks = parts.walks.iter().filter_map(|walk| walk.intervals.last());
    let other_boot = parts.recording.end().is_some_and(|end| end.other_boot);
    let lost_us = LAST_BLOCK_US + if other_boot { WRITTEN_BACK_US } else { 0 };
    last_marks.any(|interval| interval.to_us >= sampled_us.saturating_add(lost_us))
}

/// Tests without an end, each once: a forked child tells its parent's again.
fn tests_running(parts: &Parts<'_>) -> u64 {
    let open = parts.walks.iter().filter(|walk| walk.open_test.is_some());
    open.filter_map(|walk| walk.running)
        .collect::<BTreeSet<_>>()
        .len() as u64
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

/// The test in which pytest was interrupted: it left it in order, without a word of how it went.
fn broken_off(parts: &Parts<'_>) -> Option<String> {
    let tests = parts.tests.iter();
    let last = tests.max_by_key(|test| test.started_us)?;
    (last.outcome == "unknown").then(|| last.nodeid.clone())
}

/// The test that ran at an instant; of several the one that began last.
fn running_at(parts: &Parts<'_>, t_us: i64) -> Option<String> {
    let tests = parts.walks.iter().flat_map(|walk| &walk.tests);
    tests
        .filter(|test| test.began_us <= t_us && test.ended_us.is_none_or(|ended| ended >= t_us))
        .max_by_key(|test| test.began_us)
        .map(|test| test.nodeid.to_owned())
}

fn skipped(parts: &Parts<'_>) -> u64 {
    let skipped = parts.tests.iter().filter(|test| test.outcome == "skipped");
    skipped.count() as u64
}
