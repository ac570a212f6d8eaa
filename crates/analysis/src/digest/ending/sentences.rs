//! An ending in words.

use highwater_wire::report::{Confidence, Ending, Evidence as Figure, LimitKind, Verdict};

use super::evidence::Evidence;
use crate::figures::mebibytes;

/// Most files that are named as evidence.
const MOST_FILES_NAMED: usize = 10;

pub(super) fn tell(verdict: Verdict, confidence: Confidence, evidence: &Evidence) -> Ending {
    let of_memory = matches!(verdict, Verdict::OomCgroup | Verdict::OomMachine);
    let died = verdict.is_early();
    Ending {
        verdict,
        confidence,
        sentence: sentence(verdict, evidence),
        evidence: figures(evidence, of_memory),
        culprits: if of_memory {
            evidence.holders.clone()
        } else {
            Vec::new()
        },
        victim: evidence.running.clone().filter(|_| died),
        next_step: next_step(verdict, evidence).to_owned(),
    }
}

fn sentence(verdict: Verdict, evidence: &Evidence) -> String {
    let tests = count(evidence.tests, "test");
    let signal = evidence
        .signal()
        .map_or_else(|| "a signal".to_owned(), signal_name);
    match verdict {
        Verdict::Passed | Verdict::TestsFailed if evidence.sampled => sampled(evidence),
        Verdict::Passed => match evidence.exit_code {
            Some(0) if evidence.open.torn > 0 => format!(
                "The command ended with exit code 0; the recording broke off before that, after {tests}."
            ),
            Some(code) if code != 0 => {
                format!(
                    "All {tests} passed; the command itself ended with exit code {code} afterwards."
                )
            }
            _ if evidence.tests == 0 => "pytest ended well and ran no test.".to_owned(),
            _ => format!("{}{}", none_failed(evidence), over_budget(evidence)),
        },
        Verdict::TestsFailed if evidence.failed == 0 && !evidence.failed_imports.is_empty() => {
            format!(
                "{} could not be collected, and {tests} ran.",
                count(evidence.failed_imports.len() as u64, "test file")
            )
        }
        Verdict::TestsFailed if evidence.failed == 0 => {
            format!("pytest reports failures; of the {tests} that were recorded none failed.")
        }
        Verdict::TestsFailed => format!(
            "{} of {tests} failed.{}",
            evidence.failed,
            over_budget(evidence)
        ),
        Verdict::WorkerCrashed => format!(
            "{} gone in the middle of a test; pytest went on without, and {tests} ran.",
            match evidence.vanished_workers {
                1 => "A worker process was".to_owned(),
                several => format!("{several} worker processes were"),
            }
        ),
        Verdict::OomCgroup | Verdict::OomMachine if !evidence.died_whole() => format!(
            "The kernel killed {} because {}; pytest went on without, and {tests} ran.",
            match evidence.vanished_workers {
                1 => "a worker process".to_owned(),
                several => format!("{several} worker processes"),
            },
            shortage(verdict)
        ),
        Verdict::OomCgroup | Verdict::OomMachine => format!(
            "The kernel killed the job because {}, after {tests}.",
            shortage(verdict)
        ),
        Verdict::NoSession => format!(
            "The command ended with exit code {}; no pytest session was seen.",
            evidence.exit_code.unwrap_or_default()
        ),
        Verdict::UsageError => {
            "pytest could not begin: an option or a path was wrong, or a conftest.py or the configuration could not be read."
                .to_owned()
        }
        Verdict::NoTests => "pytest found no tests to run.".to_owned(),
        Verdict::InternalError => {
            "pytest ended with an error of its own or of a plugin.".to_owned()
        }
        Verdict::Interrupted if evidence.signal().is_none() && evidence.open.going_on > 0 => {
            format!(
                "The command ended while {} still ran; what came after its end was not recorded. Until then {tests} ran.",
                count(evidence.open.going_on as u64, "pytest session")
            )
        }
        Verdict::Interrupted => match evidence.foreign_status() {
            Some(status) if evidence.signal().is_none() => format!(
                "pytest ended with status {status}, which `pytest.exit` or a plugin gave it, after {tests}."
            ),
            _ => format!("The run was interrupted after {tests}."),
        },
        Verdict::Crashed if evidence.own_signal.is_some() => {
            format!("A process crashed with {signal} after {tests}.")
        }
        Verdict::Crashed if evidence.open.torn > 0 => format!(
            "The command ended with exit code {}; the recording broke off before that, after {tests}.",
            evidence.exit_code.unwrap_or_default()
        ),
        Verdict::Crashed => format!(
            "pytest was gone in the middle of its session, after {tests}, without saying how it ended."
        ),
        Verdict::TimedOut => {
            format!("The command's time was up in the middle of a pytest session, after {tests}.")
        }
        Verdict::AgentLost => format!(
            "The recording stopped {} into the job without an end: the agent or its machine was gone.",
            seconds(evidence.last_us)
        ),
        _ => format!("The job was ended from outside by {signal} after {tests}."),
    }
}

/// Of tests that were sampled only the exit code tells.
fn sampled(evidence: &Evidence) -> String {
    let code = evidence.exit_code.unwrap_or_default();
    let failed = match evidence.failed {
        0 => String::new(),
        failed => format!(" at least {failed} failed,"),
    };
    format!(
        "{} seen by sampling, which does not show outcomes;{failed} the command ended with exit code {code}.{}",
        match evidence.tests {
            1 => "1 test was".to_owned(),
            tests => format!("{tests} tests were"),
        },
        over_budget(evidence)
    )
}

fn none_failed(evidence: &Evidence) -> String {
    let skipped = evidence.skipped;
    match evidence.tests.saturating_sub(skipped) {
        0 => format!("No test ran, {skipped} skipped."),
        ran if skipped == 0 => format!("{} ran, none failed.", count(ran, "test")),
        ran => format!(
            "{} ran, none failed; {skipped} skipped.",
            count(ran, "test")
        ),
    }
}

fn shortage(verdict: Verdict) -> &'static str {
    if verdict == Verdict::OomCgroup {
        "its cgroup reached its memory limit"
    } else {
        "the machine ran out of memory"
    }
}

/// A budget is the user's own wish: to pass it changes no verdict, but it is told.
fn over_budget(evidence: &Evidence) -> String {
    match &evidence.tightest {
        Some(limit)
            if limit.kind == LimitKind::Budget && limit.worst_used_bytes > limit.limit_bytes =>
        {
            format!(
                " It used {} of a budget of {}.",
                mebibytes(limit.worst_used_bytes.cast_signed()),
                mebibytes(limit.limit_bytes.cast_signed())
            )
        }
        _ => String::new(),
    }
}

fn figures(evidence: &Evidence, of_memory: bool) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut say = |at_us: Option<i64>, sentence: String| figures.push(Figure { at_us, sentence });
    if let Some(signal) = evidence.own_signal {
        say(
            None,
            format!("The command was ended by {}.", signal_name(signal)),
        );
    }
    if let Some(code) = evidence.exit_code {
        say(None, format!("The command's exit code was {code}."));
    }
    if let Some(signal) = evidence.forwarded_signal {
        say(
            None,
            format!(
                "The agent was sent {} and handed it on.",
                signal_name(signal)
            ),
        );
    }
    for path in evidence.failed_imports.iter().take(MOST_FILES_NAMED) {
        say(None, format!("{path} could not be collected."));
    }
    for status in &evidence.statuses {
        say(
            None,
            format!("A pytest session ended with status {status}."),
        );
    }
    if evidence.open.vanished > 0 {
        say(
            None,
            format!(
                "{} never told its end.",
                count(evidence.open.vanished as u64, "pytest session")
            ),
        );
    }
    if evidence.open.torn > 0 {
        say(
            None,
            format!(
                "The recording of {} broke off.",
                count(evidence.open.torn as u64, "pytest session")
            ),
        );
    }
    if !evidence.open.left.is_empty() {
        say(
            None,
            format!(
                "{} ended without a status.",
                count(evidence.open.left.len() as u64, "pytest session")
            ),
        );
    }
    if evidence.open.going_on > 0 {
        say(
            None,
            format!(
                "{} still ran when the command had ended.",
                count(evidence.open.going_on as u64, "pytest session")
            ),
        );
    }
    if evidence.vanished_workers > 0 {
        say(
            None,
            format!(
                "{} never told an end, while the session did.",
                count(evidence.vanished_workers as u64, "worker process")
            ),
        );
    }
    let oom = &evidence.oom;
    for (whose, kills) in [
        ("The cgroup's", oom.own_kills),
        ("The oom_kill counter of a cgroup above", oom.above_kills),
        ("The machine's", oom.machine_kills),
    ] {
        if kills > 0 {
            let counter = if whose.contains("counter") {
                ""
            } else {
                " oom_kill counter"
            };
            say(None, format!("{whose}{counter} rose by {kills}."));
        }
    }
    if oom.own_kills > 0 && !of_memory {
        say(
            None,
            "The kernel killed a process of the job for memory, and the job went on (oom_child)."
                .to_owned(),
        );
    }
    if evidence.peak_bytes > 0 {
        say(
            Some(evidence.peak_at_us),
            format!(
                "The job's memory was highest with {}.",
                mebibytes(evidence.peak_bytes)
            ),
        );
    }
    if let Some(limit) = &evidence.tightest {
        let name = match limit.kind {
            LimitKind::Cgroup => "cgroup",
            LimitKind::Machine => "machine",
            LimitKind::Budget => "budget",
        };
        say(
            None,
            format!(
                "The tightest limit was the {name}'s: {} of {} used at the worst.",
                mebibytes(limit.worst_used_bytes.cast_signed()),
                mebibytes(limit.limit_bytes.cast_signed())
            ),
        );
    }
    if evidence.agent_lost {
        say(
            None,
            "The agent was gone before the command's end.".to_owned(),
        );
    }
    if evidence.lost() {
        say(
            Some(evidence.last_us),
            "Nothing arrived after this.".to_owned(),
        );
    }
    figures
}

fn next_step(verdict: Verdict, evidence: &Evidence) -> &'static str {
    match verdict {
        Verdict::Passed if !over_budget(evidence).is_empty() => {
            "Look at the files and fixtures that retained the most, or raise the budget."
        }
        Verdict::Passed => "Nothing to do.",
        Verdict::TestsFailed if evidence.oom.own_kills > 0 => {
            "Look at the failed tests in pytest's own report, and at what they started: the kernel killed a process of the job for memory."
        }
        Verdict::TestsFailed => "Look at the failed tests in pytest's own report.",
        Verdict::UsageError => {
            "Look at the first error in pytest's output, then at its arguments, its configuration and the conftest.py files."
        }
        Verdict::NoTests => "Check the paths and the -k and -m expressions.",
        Verdict::InternalError => "Look for INTERNALERROR in pytest's output.",
        Verdict::Interrupted if evidence.open.going_on > 0 => {
            "Let the command wait for pytest, so that all of it is recorded."
        }
        Verdict::Interrupted if evidence.foreign_status().is_some() => {
            "Look for who ended pytest with that status: a call of `pytest.exit`, or a plugin."
        }
        Verdict::Interrupted => "Run it again, or look for who cancelled it.",
        Verdict::TimedOut => "Look at the test that was running, or allow more time.",
        Verdict::NoSession => {
            "If pytest did run, its plugins were switched off or its PYTHONPATH replaced: see the notices, and add `-p highwater_pytest`."
        }
        Verdict::Crashed | Verdict::WorkerCrashed => {
            "Look at the test that was running, and run it with `python -X faulthandler -m pytest`."
        }
        Verdict::OomCgroup | Verdict::OomMachine => {
            "Look at the files and fixtures that retained the most: free what they hold, run them in another job, or raise the limit."
        }
        Verdict::AgentLost => {
            "If the agent's spool is still there, send the rest with `highwater upload`."
        }
        _ => {
            "Look in the CI's log for who sent the signal: a cancel, a timeout, or the runner's own memory guard."
        }
    }
}

fn count(number: u64, thing: &str) -> String {
    let plural = match (number, thing.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{number} {thing}{plural}")
}

fn seconds(us: i64) -> String {
    format!("{:.1} s", us as f64 / 1e6)
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        super::SIGHUP => "SIGHUP",
        super::SIGINT => "SIGINT",
        super::SIGQUIT => "SIGQUIT",
        super::SIGILL => "SIGILL",
        super::SIGTRAP => "SIGTRAP",
        super::SIGABRT => "SIGABRT",
        super::SIGBUS => "SIGBUS",
        super::SIGFPE => "SIGFPE",
        super::SIGKILL => "SIGKILL",
        super::SIGSEGV => "SIGSEGV",
        super::SIGTERM => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
