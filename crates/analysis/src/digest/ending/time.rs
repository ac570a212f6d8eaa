//! Whose time was up: `timeout`'s around pytest, pytest-timeout's for a test, the CI's for the job.

use std::collections::BTreeSet;

use highwater_wire::report::{Confidence, Role, Verdict};

use super::{
    super::parts::Parts,
    Decision,
    deaths::Death,
    evidence::Evidence,
    status,
    words::{SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGXCPU, count, program, seconds},
};

/// What `timeout` of the GNU core utilities ends with when the time was up.
pub(super) const EXIT_CODE_OF_TIMEOUT: i32 = 124;
/// What pytest-timeout's thread ends the process with.
const EXIT_CODE_OF_PYTEST_TIMEOUT: i32 = 1;
/// Clocks are read a little apart, and a death is seen a sample late or early.
const SLACK_US: i64 = 300_000;
/// What `timeout` kills is gone within this.
const JUST_UP_US: i64 = 2_000_000;
/// A job that ran this share of the CI's limit, in percent, ended by it.
const CI_SHARE: i64 = 97;

/// Limits of time, and how long what they limit had run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::digest) struct TimeLimits {
    /// A `timeout` around pytest that had lived as long as it allows when pytest was gone: what it allows, µs.
    pub(in crate::digest) timeout_us: Option<i64>,
    /// pytest was gone just then.
    pub(in crate::digest) timeout_just_up: bool,
    /// What pytest-timeout allowed the test in which a process was gone, and how long it had run, µs; whether a worker was.
    pub(in crate::digest) test: Option<(i64, i64, bool)>,
    /// What the CI allows the job, and how long it had run, µs.
    pub(in crate::digest) ci: Option<(i64, i64)>,
}

impl TimeLimits {
    pub(super) fn of(parts: &Parts<'_>, deaths: &[Death]) -> Self {
        let timeout = timeout_around(parts, deaths);
        Self {
            timeout_us: timeout.map(|(allowed_us, _)| allowed_us),
            timeout_just_up: timeout
                .is_some_and(|(allowed_us, lived_us)| lived_us - allowed_us <= JUST_UP_US),
            test: deaths.iter().find_map(|death| {
                let (began_us, limit_us) = death.time_limit?;
                let ran_us = death.from_us - began_us;
                let by_exit = death.signal.is_none()
                    && death
                        .exit_code
                        .is_none_or(|code| code == EXIT_CODE_OF_PYTEST_TIMEOUT);
                (by_exit && ran_us.saturating_add(SLACK_US) >= limit_us).then_some((
                    limit_us,
                    ran_us,
                    death.is_worker,
                ))
            }),
            ci: ci(parts),
        }
    }

    fn ci_is_up(&self) -> bool {
        self.ci
            .is_some_and(|(limit, ran)| ran.saturating_mul(100) >= limit.saturating_mul(CI_SHARE))
    }
}

/// The time of a `timeout` around pytest, or of the command itself, that was up when the last pytest ended; and how long it had lived, µs.
fn timeout_around(parts: &Parts<'_>, deaths: &[Death]) -> Option<(i64, i64)> {
    let leaders = deaths.iter().filter(|death| !death.is_worker);
    let ended_us = leaders
        .map(|death| {
            death
                .until_us
                .min(parts.recording.last_us())
                .max(death.from_us)
        })
        .max()
        .unwrap_or_else(|| parts.recording.last_us());
    let around = around_pytest(parts, deaths).into_iter();
    let of_tree = around
        .map(|at| &parts.processes[at])
        .filter(|process| {
            let was_there = |gone_us: i64| gone_us.saturating_add(JUST_UP_US) >= ended_us;
            process.role != Role::Other && process.ended_us.is_none_or(was_there)
        })
        .map(|process| (process.command.clone(), process.started_us));
    let job = parts.recording.job();
    of_tree
        .chain([(job.command.join(" "), 0)])
        .filter_map(|(command, started_us)| {
            let allowed_us = allowed(&command)?;
            let lived_us = ended_us - started_us;
            (lived_us.saturating_add(SLACK_US) >= allowed_us).then_some((allowed_us, lived_us))
        })
        .min()
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

/// What a command line of `timeout` allows, µs; `None` for any other command, and for a time without end.
fn allowed(command: &str) -> Option<i64> {
    if program(command) != "timeout" {
        return None;
    }
    let mut words = command.split_whitespace().skip(1);
    loop {
        let word = words.next()?;
        match word {
            "-k" | "--kill-after" | "-s" | "--signal" => {
                words.next()?;
            }
            "--" => return duration(words.next()?),
            _ if word.starts_with('-') => {}
            _ => return duration(word),
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
                count(evidence.tests, "test")
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
    // What `timeout` ended may still be seen when it has ended itself.
    let still_seen = evidence.open.going_on > 0 && evidence.time.timeout_just_up;
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
        let sentence = format!("`timeout` sent SIGTERM when its time was up, after {tests}.");
        return Some(timed_out(Confidence::Likely, sentence, look));
    }
    if let Some(allowed_us) = evidence.time.timeout_us {
        let coded = evidence.exit_code == Some(EXIT_CODE_OF_TIMEOUT);
        // Without its code it may have killed pytest and said so by another (`--preserve-status`, `-s KILL`), or have had nothing to do.
        let exited = evidence
            .deaths
            .iter()
            .any(|death| !death.is_worker && death.exit_code.is_some());
        let unknown = evidence.signal().is_none() && !exited;
        let just_then = evidence.time.timeout_just_up && unknown;
        let killed = vanished && (evidence.signal().is_some_and(is_of_timeout) || just_then);
        if (broken_off && coded) || killed {
            let sentence = format!(
                "`timeout` ended the command when its {} were up, after {tests}.",
                seconds(allowed_us)
            );
            return Some(timed_out(Confidence::Likely, sentence, look));
        }
    }
    if evidence.signal() == Some(SIGXCPU) {
        let sentence =
            format!("The CPU time that a process may take was up (SIGXCPU), after {tests}.");
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
    if let Some((limit_us, ran_us, is_worker)) = evidence.time.test
        && (!is_worker || evidence.fell_by_its_workers())
        && evidence.signal().is_none()
    {
        let told = evidence.exit_code == Some(EXIT_CODE_OF_PYTEST_TIMEOUT)
            || evidence
                .deaths
                .iter()
                .any(|death| death.exit_code.is_some());
        let whom = if is_worker { "a worker" } else { "pytest" };
        return Some(timed_out(
            if told || is_worker {
                Confidence::Likely
            } else {
                Confidence::Possible
            },
            format!(
                "pytest-timeout ended {whom} in a test that had run for {} of the {} it may take, after {tests}.",
                seconds(ran_us.max(limit_us)),
                seconds(limit_us)
            ),
            look,
        ));
    }
    let late = evidence.failures.out_of_time.len() as u64;
    (late > 0 && late == evidence.failed && evidence.all_told()).then(|| {
        timed_out(
            Confidence::Likely,
            format!(
                "{} of {tests} took longer than pytest-timeout allows; nothing else failed.",
                count(late, "test").replace(" tests", "")
            ),
            look,
        )
    })
}
