//! Whose time was up: `timeout`'s around pytest, pytest-timeout's for a test, the CI's for the job.

use std::collections::BTreeSet;

use highwater_wire::report::{Confidence, Role, Verdict};

use super::{
    super::parts::Parts,
    Decision,
    deaths::Death,
    evidence::Evidence,
    open_sessions::CODES_OF_SIGNALS,
    status,
    words::{SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGXCPU, count, program, seconds},
};

/// What `timeout` of the GNU core utilities ends with when the time was up.
pub(super) const EXIT_CODE_OF_TIMEOUT: i32 = 124;
/// What pytest-timeout's thread ends the process with.
const EXIT_CODE_OF_PYTEST_TIMEOUT: i32 = 1;
/// Clocks are read a little apart, and a death is seen a sample late or early.
const SLACK_US: i64 = 300_000;
/// The same of what pytest marks itself: a process's start is known to a tick of the kernel's clock.
const SLACK_OF_MARKS_US: i64 = 20_000;
/// What is between two samples where the job does not say.
const INTERVAL_US: i64 = 50_000;
/// What `timeout` kills is gone within this.
const JUST_UP_US: i64 = 2_000_000;
/// A job that ran this share of the CI's limit, in percent, ended by it.
const CI_SHARE: i64 = 97;

/// Limits of time, and how long what they limit had run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct TimeLimits {
    /// A `timeout` around pytest that had lived as long as it allows when pytest was gone.
    pub(in crate::digest) timeout: Option<Timeout>,
    /// A test that pytest-timeout may have ended a process in.
    pub(in crate::digest) test: Option<LateTest>,
    /// What the CI allows the job, and how long it had run, µs.
    pub(in crate::digest) ci: Option<(i64, i64)>,
}

/// A `timeout` whose time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::digest) struct Timeout {
    /// What it allows, µs.
    pub(in crate::digest) allowed_us: i64,
    /// How long it had lived when pytest was gone, µs.
    lived_us: i64,
    /// It says so itself, by its exit code.
    says_so: bool,
}

/// A test in which a process was gone by an exit, when its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::digest) struct LateTest {
    limit_us: i64,
    /// How long it was seen to run, µs: no less than this.
    ran_us: i64,
    /// By when it was over, µs, where the limit lies between the last sight of it and its end.
    over_by_us: Option<i64>,
    /// It is known that pytest-timeout ends a process so.
    by_thread: bool,
    is_worker: bool,
}

impl TimeLimits {
    /// `told`: every session told its end.
    pub(super) fn of(parts: &Parts<'_>, deaths: &[Death], told: bool) -> Self {
        Self {
            timeout: timeout_around(parts, deaths, told),
            test: deaths.iter().find_map(|death| LateTest::of(parts, death)),
            ci: ci(parts),
        }
    }

    fn ci_is_up(&self) -> bool {
        self.ci
            .is_some_and(|(limit, ran)| ran.saturating_mul(100) >= limit.saturating_mul(CI_SHARE))
    }
}

impl Timeout {
    fn just_up(self) -> bool {
        self.lived_us - self.allowed_us <= JUST_UP_US
    }
}

impl LateTest {
    /// Only of a process that may have ended by pytest-timeout's thread, and was seen in the test until its time was up, but for the time between
    /// two samples; or was gone only then.
    fn of(parts: &Parts<'_>, death: &Death) -> Option<Self> {
        let limit = death.time_limit?;
        let by_exit = death.signal.is_none()
            && death
                .exit_code
                .is_none_or(|code| code == EXIT_CODE_OF_PYTEST_TIMEOUT);
        if !by_exit || limit.ends_process == Some(false) {
            return None;
        }
        let ran_us = death.from_us - limit.began_us;
        let gone_us = death.until_us - limit.began_us;
        let sampled = i64::try_from(parts.recording.job().interval_us).unwrap_or(0);
        let interval_us = if sampled > 0 { sampled } else { INTERVAL_US };
        let seen = ran_us.saturating_add(interval_us) >= limit.limit_us;
        let gone_later = gone_us.saturating_add(SLACK_OF_MARKS_US) >= limit.limit_us;
        let is_up = match death.seen_to_end {
            true => gone_later,
            false => seen,
        };
        is_up.then_some(Self {
            limit_us: limit.limit_us,
            ran_us,
            over_by_us: (!seen).then_some(gone_us),
            by_thread: limit.ends_process == Some(true),
            is_worker: death.is_worker,
        })
    }
}

/// The `timeout` around pytest, or the command itself, whose time was up when the last pytest ended.
fn timeout_around(parts: &Parts<'_>, deaths: &[Death], told: bool) -> Option<Timeout> {
    let last_us = parts.recording.last_us();
    let leaders = || deaths.iter().filter(|death| !death.is_worker);
    let gone_us = leaders()
        .map(|death| death.until_us.min(last_us).max(death.from_us))
        .max();
    // What told its end was sent its signal before that.
    let marked_us = parts
        .walks
        .iter()
        .filter(|walk| {
            let is_worker = parts.processes[walk.process].worker.is_some();
            told && !is_worker && !walk.session_begins.is_empty()
        })
        .filter_map(|walk| walk.intervals.last())
        .map(|interval| interval.to_us)
        .max();
    let (ended_us, slack_us) = match (gone_us, marked_us) {
        (Some(gone_us), _) => (gone_us, SLACK_US),
        (None, Some(marked_us)) => (marked_us, SLACK_OF_MARKS_US),
        (None, None) => (last_us, SLACK_US),
    };
    let codes: Vec<i32> = leaders().filter_map(|death| death.exit_code).collect();
    let told_code = |code: i32| {
        let mut ends = parts.walks.iter().flat_map(|walk| &walk.session_ends);
        codes.contains(&code) || ends.any(|(_, status)| *status == code)
    };
    let around = around_pytest(parts, deaths).into_iter();
    let of_tree = around
        .map(|at| &parts.processes[at])
        .filter(|process| {
            let was_there = |gone_us: i64| gone_us.saturating_add(JUST_UP_US) >= ended_us;
            process.role != Role::Other && process.ended_us.is_none_or(was_there)
        })
        .map(|process| Ended {
            command: process.command.clone(),
            started_us: process.started_us,
            exit_code: process.exit_code,
            signal: process.signal,
        });
    let end = parts.recording.end();
    let command = Ended {
        command: parts.recording.job().command.join(" "),
        started_us: 0,
        exit_code: end.and_then(|end| end.exit_code),
        signal: end.and_then(|end| end.signal),
    };
    of_tree
        .chain([command])
        .filter_map(|process| {
            let (allowed_us, preserves) = allowed(&process.command)?;
            let lived_us = ended_us - process.started_us;
            let says = process.says_that_time_was_up(preserves, told_code);
            let is_up = lived_us.saturating_add(slack_us) >= allowed_us && says != Some(false);
            is_up.then_some(Timeout {
                allowed_us,
                lived_us,
                says_so: says == Some(true),
            })
        })
        // The surest, and of equally sure ones the shortest.
        .min_by_key(|timeout| (!timeout.says_so, timeout.allowed_us, timeout.lived_us))
}

/// How a process ended that may be a `timeout`.
#[derive(Debug)]
struct Ended {
    command: String,
    started_us: i64,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

impl Ended {
    /// Whether a `timeout` says that its time was up; none where its end is not known, or may be either: with a signal that ended what it ran
    /// (`--preserve-status`, `-s KILL`, which is for itself too), and with a code that is pytest's own as well.
    fn says_that_time_was_up(
        &self,
        preserves_status: bool,
        is_of_pytest: impl Fn(i32) -> bool,
    ) -> Option<bool> {
        match (self.signal, self.exit_code) {
            (Some(SIGKILL), _) | (None, None) => None,
            (Some(_), _) => Some(false),
            (None, Some(code)) if CODES_OF_SIGNALS.contains(&code) => None,
            (None, Some(EXIT_CODE_OF_TIMEOUT)) if is_of_pytest(EXIT_CODE_OF_TIMEOUT) => None,
            (None, Some(EXIT_CODE_OF_TIMEOUT)) => Some(true),
            (None, Some(_)) if preserves_status => None,
            (None, Some(_)) => Some(false),
        }
    }
}

/// Positions of the processes above the pytests that died, or above any pytest where none did; of all where there was none. What a test starts
/// under a `timeout` of its own, or a step did before, is none of them.
fn around_pytest(parts: &Parts<'_>, deaths: &[Death]) -> Vec<usize> {
    let leaders = deaths.iter().filter(|death| !death.is_worker);
    let mut below: Vec<usize> = leaders.filter_map(|death| death.process).collect();
    if below.is_empty() {
        let processes = parts.processes.iter().enumerate();
        let pytests = processes.filter(|(_, process)| process.role == Role::Pytest);
        below = pytests.map(|(at, _)| at).collect();
    }
    if below.is_empty() {
        return (0..parts.processes.len()).collect();
    }
    let mut above = BTreeSet::new();
    for at in below {
        let mut parent = parts.processes[at].parent;
        while let Some(at) = parent.filter(|at| above.insert(*at)) {
            parent = parts.processes[at].parent;
        }
    }
    above.into_iter().collect()
}

/// What a command line of `timeout` allows, µs, and whether it ends as what it runs does (`--preserve-status`); `None` for any other command,
/// and for a time without end.
fn allowed(command: &str) -> Option<(i64, bool)> {
    if program(command) != "timeout" {
        return None;
    }
    let mut words = command.split_whitespace().skip(1);
    let mut preserves = false;
    loop {
        let word = words.next()?;
        match word {
            "-k" | "--kill-after" | "-s" | "--signal" => {
                words.next()?;
            }
            "--" => return Some((duration(words.next()?)?, preserves)),
            // A long option may be shortened.
            _ if word == "-p" || (word.len() > 2 && "--preserve-status".starts_with(word)) => {
                preserves = true;
            }
            _ if word.starts_with('-') => {}
            _ => return Some((duration(word)?, preserves)),
        }
    }
}

/// A number with a unit of s, m, h or d, as `timeout` reads it.
fn duration(word: &str) -> Option<i64> {
    let (number, unit_s) = match word.strip_suffix(['s', 'm', 'h', 'd']) {
        None => (word, 1.0),
        Some(number) => (
            number,
            match word.chars().last() {
                Some('m') => 60.0,
                Some('h') => 3_600.0,
                Some('d') => 86_400.0,
                _ => 1.0,
            },
        ),
    };
    let seconds: f64 = number.parse().ok()?;
    let us = seconds * unit_s * 1e6;
    (1.0..1e15).contains(&us).then_some(us as i64)
}

fn ci(parts: &Parts<'_>) -> Option<(i64, i64)> {
    let job = parts.recording.job();
    let limit_us = i64::try_from(job.ci_timeout_us).ok().filter(|us| *us > 0)?;
    let before_us = match job.ci_started_unix_us {
        0 => 0,
        began => job.started_unix_us.saturating_sub(began).max(0),
    };
    Some((
        limit_us,
        parts.recording.last_us().saturating_add(before_us),
    ))
}

fn timed_out(confidence: Confidence, sentence: String, next_step: &'static str) -> Decision {
    Decision {
        verdict: Verdict::TimedOut,
        confidence,
        sentence,
        next_step,
    }
}

/// The CI's own limit was reached, and the job ended by a signal, by silence or in the middle.
pub(super) fn of_ci(evidence: &Evidence) -> Option<Decision> {
    let (limit_us, ran_us) = evidence.time.ci.filter(|_| evidence.time.ci_is_up())?;
    let broken_off = !evidence.ran_to_its_end()
        && (evidence.signal().is_some()
            || evidence.lost()
            || !evidence.seen.signals.is_empty()
            || evidence.open.vanished + evidence.open.unseen + evidence.open.going_on > 0);
    broken_off.then(|| {
        timed_out(
            Confidence::Likely,
            format!(
                "The CI's time for the job was up: {} of {} had passed, after {}.",
                seconds(ran_us),
                seconds(limit_us),
                evidence.tests_so_far()
            ),
            "Look at the test that was running and at the slowest ones, split the job, or allow it more time in the CI's settings.",
        )
    })
}

/// What `timeout` sends, if nobody asks it for something else. A crash in the last moment is a crash.
fn is_of_timeout(signal: i32) -> bool {
    matches!(signal, SIGTERM | SIGKILL | SIGHUP | SIGINT)
}

/// The time of `timeout`, or of pytest-timeout, was up.
pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let tests = count(evidence.tests, "test");
    let timeout = evidence.time.timeout;
    let just_up = timeout.is_some_and(Timeout::just_up);
    let so_far = evidence.tests_so_far();
    // What `timeout` ended may still be seen when it has ended itself.
    let still_seen = evidence.open.going_on > 0 && just_up;
    let vanished = evidence.open.vanished + evidence.open.unseen > 0 || still_seen;
    let broken_off = vanished
        || evidence.own_signal.is_some()
        || evidence.worst_status() == Some(status::INTERRUPTED);
    let look = "Look at the test that was running, or allow more time.";
    let by_timeout = evidence
        .seen
        .sender_of(SIGTERM)
        .is_some_and(super::seen::Taken::by_timeout);
    if broken_off && by_timeout {
        let sentence = format!("`timeout` sent SIGTERM when its time was up, after {so_far}.");
        return Some(timed_out(Confidence::Likely, sentence, look));
    }
    if let Some(timeout) = timeout.filter(|timeout| timeout.says_so)
        && evidence.all_told()
        && evidence.worst_status() == Some(status::OK)
    {
        let sentence = format!(
            "`timeout` ended with exit code {EXIT_CODE_OF_TIMEOUT} when its {} were up; pytest did not heed its signal and came to its end, after {so_far}.",
            seconds(timeout.allowed_us)
        );
        return Some(timed_out(Confidence::Likely, sentence, look));
    }
    if let Some(timeout) = timeout {
        // Who ended by itself was ended by nobody, unless `timeout` says so: then it took its signal that way.
        let exited = evidence
            .deaths
            .iter()
            .any(|death| !death.is_worker && death.exit_code.is_some());
        let coded = evidence.exit_code == Some(EXIT_CODE_OF_TIMEOUT) && !exited;
        // Without its code it may have killed pytest and said so by another (`--preserve-status`, `-s KILL`), or have had nothing to do.
        let unknown = evidence.signal().is_none() && !exited;
        let just_then = just_up && unknown;
        // Ended with pytest before that had begun a session: by a signal, as `-s KILL` ends both, and just as the time was up.
        let never_began = evidence.sessions == 0
            && just_up
            && evidence.signal_of_command().is_some_and(is_of_timeout);
        let killed = ((vanished || evidence.fell_after_its_end())
            && (evidence.signal().is_some_and(is_of_timeout) || just_then))
            || never_began;
        if (broken_off && (coded || timeout.says_so)) || killed {
            let sentence = format!(
                "`timeout` ended the command when its {} were up, after {so_far}.",
                seconds(timeout.allowed_us)
            );
            return Some(timed_out(Confidence::Likely, sentence, look));
        }
    }
    if evidence.signal() == Some(SIGXCPU) {
        let sentence =
            format!("The CPU time that a process may take was up (SIGXCPU), after {so_far}.");
        return Some(timed_out(
            Confidence::Likely,
            sentence,
            "Raise the limit of CPU time (ulimit -t), or look for what takes it.",
        ));
    }
    of_pytest_timeout(evidence, &tests)
}

fn of_pytest_timeout(evidence: &Evidence, tests: &str) -> Option<Decision> {
    let look = "Look at why the test takes so long, or allow it more time with pytest-timeout.";
    if let Some(test) = evidence.time.test
        && (!test.is_worker || evidence.fell_by_its_workers())
        && evidence.signal().is_none()
    {
        let told = test.is_worker
            || evidence.exit_code == Some(EXIT_CODE_OF_PYTEST_TIMEOUT)
            || evidence
                .deaths
                .iter()
                .any(|death| death.exit_code.is_some());
        let whom = if test.is_worker { "a worker" } else { "pytest" };
        let over = test.over_by_us.map_or_else(String::new, |over_by_us| {
            format!(" and was over by {}", seconds(over_by_us))
        });
        return Some(timed_out(
            if told && (test.by_thread || test.over_by_us.is_none()) {
                Confidence::Likely
            } else {
                Confidence::Possible
            },
            format!(
                "pytest-timeout ended {whom} in a test that was seen to run for {}{over}, of the {} it may take, after {}.",
                seconds(test.ran_us),
                seconds(test.limit_us),
                evidence.tests_so_far()
            ),
            look,
        ));
    }
    let late = evidence.failures.out_of_time.len() as u64;
    (late > 0 && late == evidence.failed && evidence.all_told()).then(|| {
        timed_out(
            Confidence::Likely,
            format!(
                "{late} of {tests} took longer than pytest-timeout allows; nothing else failed."
            ),
            look,
        )
    })
}
