//! What speaks for one ending or another.

use highwater_wire::{
    report::{
        Confidence, Culprit, JobState, LimitKind, LimitUse, MARKS_MISSING, SessionReport, Verdict,
    },
    v1::EndedBy,
};

use super::{
    super::parts::Parts,
    deaths::{self, Death, EndOfCommand},
    failures::Failures,
    gaps::Gaps,
    headroom::Headroom,
    holders::{self, LeftBehind},
    oom::OomKills,
    open_sessions::{CODES_OF_SIGNALS, OpenSessions},
    progress,
    seen::Seen,
    status,
    time::TimeLimits,
};
use crate::counts::Counts;

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
    /// How many sessions were seen.
    pub(in crate::digest) sessions: usize,
    /// pytest's exit status of each session that told one.
    pub(in crate::digest) statuses: Vec<i32>,
    /// The ordinals of these sessions, where there were several.
    pub(in crate::digest) ordinals: Vec<u32>,
    /// Sessions that never told one.
    pub(in crate::digest) open: OpenSessions,
    /// The recording itself broke off somewhere: what was not heard may well have been.
    pub(in crate::digest) torn: bool,
    /// Leaders of sessions and workers that were gone in the middle.
    pub(in crate::digest) deaths: Vec<Death>,
    /// Those that a signal ended when their sessions had told an end, without the command's ending by it.
    pub(in crate::digest) afterwards: Vec<Death>,
    /// Executions of tests that began, how many of them still ran at the last that was heard, and what was to run and did not begin.
    pub(in crate::digest) tests: u64,
    pub(in crate::digest) tests_running: u64,
    pub(in crate::digest) not_begun: u64,
    /// The same of the session that the ending is about, where tests that were broken off in order count as unfinished too.
    pub(in crate::digest) about: Counts,
    /// It is one of several sessions with tests.
    pub(in crate::digest) of_several: bool,
    pub(in crate::digest) failed: u64,
    pub(in crate::digest) skipped: u64,
    pub(in crate::digest) failures: Failures,
    /// Some of the tests were sampled, so many: how they ended is not known.
    pub(in crate::digest) sampled: bool,
    pub(in crate::digest) sampled_tests: u64,
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
    /// The instant of which holders and headroom tell.
    pub(in crate::digest) moment_us: i64,
    pub(in crate::digest) gaps: Gaps,
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
        let counts = Counts::of_sessions(sessions);
        let mut evidence = Self {
            background: recording.job().background,
            imported: parts.is_imported(),
            exit_code: end.and_then(|end| end.exit_code),
            own_signal: end.and_then(|end| end.signal),
            forwarded_signal: end.and_then(|end| end.forwarded_signal),
            ended_by: end.map_or(EndedBy::Unspecified, highwater_wire::v1::End::ended_by),
            ci_status: end.map_or_else(String::new, |end| end.ci_status.clone()),
            sessions: sessions.len(),
            statuses: sessions
                .iter()
                .filter_map(|session| session.exit_status)
                .collect(),
            ordinals: match sessions {
                [_] => Vec::new(),
                several => several
                    .iter()
                    .filter(|session| session.exit_status.is_some())
                    .map(|session| session.ordinal)
                    .collect(),
            },
            open: OpenSessions::of(parts, sessions, torn),
            torn,
            tests: counts.tests,
            tests_running: counts.unfinished,
            not_begun: counts.not_begun,
            failed: sessions.iter().map(|session| session.failed).sum(),
            skipped: skipped(parts),
            failures: Failures::of(parts),
            seen: Seen::of(parts),
            sampled: sessions.iter().any(|session| session.sampled),
            sampled_tests: sessions
                .iter()
                .filter(|session| session.sampled)
                .map(|session| session.tests)
                .sum(),
            agent_lost: end.is_some_and(|end| end.agent_lost),
            outlived_the_agent: outlived_the_agent(parts),
            silent: end.is_none() || parts.context.state == JobState::Lost,
            last_us: recording.last_us(),
            sampled_until_us: parts.memory.tree().last().map_or(0, |point| point.t_us),
            peak_bytes: parts.peak.bytes,
            peak_at_us: parts.peak.at_us,
            tightest: LimitUse::tightest(limits).cloned(),
            running: progress::running(parts),
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
            .or_else(|| progress::broken_off_after(parts, stopped_us?));
        if evidence.running.is_none() && evidence.worst_status() == Some(status::INTERRUPTED) {
            evidence.running = progress::broken_off(parts);
        }
        let about = progress::about(parts, sessions, &evidence);
        evidence.of_several = about.len() < sessions.iter().filter(|it| it.tests > 0).count();
        evidence.about = progress::counts_of(parts, sessions, &about);
        let running = holders::running(parts, moment_us);
        evidence.running_took_bytes = running
            .iter()
            .find(|test| Some(test.nodeid) == evidence.running.as_deref())
            .map(|test| test.taken_bytes);
        evidence.moment_us = moment_us;
        evidence.headroom = Headroom::at(parts, moment_us);
        if let (Some(room), Some(limit)) = (&evidence.headroom.tightest, &mut evidence.tightest) {
            room.raise(limit);
        }
        evidence.gaps = Gaps::of(parts, limits, evidence.main_death());
        evidence.holders = holders::at(parts, &running, moment_us);
        evidence.left_behind = holders::left_behind(parts, &running, moment_us);
        evidence
    }

    /// Raises what was used of each limit at the worst to what is told of it beside, and to all where the kernel killed because it was used up.
    pub(in crate::digest) fn raise(&self, limits: &mut [LimitUse]) {
        let struck = self
            .oom
            .struck
            .map(|(_, verdict, confidence)| (verdict, confidence));
        let used_up = struck == Some((Verdict::OomCgroup, Confidence::Certain));
        for limit in limits.iter_mut() {
            if let Some(room) = &self.headroom.tightest {
                room.raise(limit);
            }
        }
        let cgroups = limits.iter_mut().filter(|it| it.kind == LimitKind::Cgroup);
        let tightest = cgroups.min_by_key(|it| it.left_bytes());
        if let Some(limit) = tightest.filter(|_| used_up) {
            limit.worst_used_bytes = limit.worst_used_bytes.max(limit.limit_bytes);
        }
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

    /// The signal that the command ended by, or that a shell tells of as 128 + signal.
    pub(super) fn signal_of_command(&self) -> Option<i32> {
        let coded = self
            .exit_code
            .filter(|code| CODES_OF_SIGNALS.contains(code));
        self.own_signal.or(coded.map(|code| code - 128))
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

fn skipped(parts: &Parts<'_>) -> u64 {
    let skipped = parts.tests.iter().filter(|test| test.outcome == "skipped");
    skipped.count() as u64
}
