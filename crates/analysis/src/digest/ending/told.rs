//! Nobody ended the job from without: what pytest said, what it did not say, and the command's exit code behind it.

use std::collections::BTreeMap;

use highwater_wire::report::{Confidence, LimitKind, Verdict};

use super::{
    Decision,
    evidence::Evidence,
    oom,
    signals::LOOK_AT_THE_END,
    status,
    time::EXIT_CODE_OF_TIMEOUT,
    words::{count, is_of_crash, signal_name},
};
use crate::{figures::mebibytes, next_step::NOTHING};

const LOOK_AT_CRASH: &str =
    "Look at the test that was running, and run it with `python -X faulthandler -m pytest`.";

/// pytest was gone in the middle, or went on after the recording's end.
pub(super) fn gone(evidence: &Evidence) -> Option<Decision> {
    let tests = count(evidence.tests, "test");
    let so_far = evidence.tests_so_far();
    if evidence.open.vanished > 0 {
        let left = evidence.deaths.iter().filter(|death| !death.is_worker);
        let code = left.clone().find_map(|death| death.exit_code);
        let confidence = match (code, evidence.exit_code) {
            // Without any other sign of `timeout`, its code tells less than another.
            (None, Some(EXIT_CODE_OF_TIMEOUT)) => Confidence::Possible,
            _ => Confidence::Likely,
        };
        let with = code.map_or_else(String::new, |code| format!(" with exit code {code}"));
        return Some(Decision {
            verdict: Verdict::Crashed,
            confidence,
            sentence: format!(
                "pytest was gone{with} in the middle of its session, after {so_far}, without saying how it ended."
            ),
            next_step: LOOK_AT_CRASH,
        });
    }
    let going_on = evidence.open.going_on;
    (going_on > 0).then(|| Decision {
        verdict: Verdict::Interrupted,
        confidence: Confidence::Likely,
        sentence: format!(
            "{} while {} still ran; what came after its end was not recorded. Until then {tests} ran.",
            if evidence.background {
                "The recording was ended"
            } else {
                "The command ended"
            },
            count(going_on as u64, "pytest session")
        ),
        next_step: if evidence.background {
            "Let `highwater stop` wait for pytest, so that all of it is recorded."
        } else {
            "Let the command wait for pytest, so that all of it is recorded."
        },
    })
}

/// What pytest said; where it said nothing, the command's exit code.
pub(super) fn decide(evidence: &Evidence) -> Decision {
    match evidence.worst_status() {
        Some(worst) => by_status(worst, evidence),
        None => by_exit_code(evidence),
    }
}

/// pytest said how it ended.
fn by_status(worst: i32, evidence: &Evidence) -> Decision {
    use Confidence::{Certain, Likely, Possible};
    // The exit code of a process that left without a status is pytest's word only by all likelihood.
    // Of several sessions the best status says nothing of one that was sampled.
    let is_told = !(evidence.sampled && worst == status::OK);
    let sure = if is_told && evidence.statuses.contains(&worst) {
        Certain
    } else {
        Likely
    };
    // A job that has no command, and of which all that was recorded ended well, has nothing else that could have failed.
    let has_end = !evidence.silent || evidence.agent_lost;
    let nothing_else = evidence.background && evidence.exit_code.is_none() && has_end;
    let no_more = evidence.exit_code == Some(0) || nothing_else;
    let (verdict, confidence) = match worst {
        // The test of a worker that was gone counts as failed.
        status::TESTS_FAILED
            if evidence.failed <= evidence.vanished_workers() as u64
                && evidence.vanished_workers() > 0 =>
        {
            let mut workers = evidence.deaths.iter().filter(|death| death.is_worker);
            let seen = workers.any(|death| death.signal.is_some());
            (Verdict::WorkerCrashed, if seen { Certain } else { Likely })
        }
        status::OK if evidence.open.torn + evidence.open.unseen > 0 => (Verdict::Passed, Likely),
        status::OK if no_more => (Verdict::Passed, sure),
        // Between one pytest and the next nobody knows what the command still had to do.
        status::OK if evidence.silent && !evidence.background => (Verdict::Passed, Possible),
        status::OK => (Verdict::Passed, Likely),
        status::TESTS_FAILED => (Verdict::TestsFailed, sure),
        // pytest calls it an interruption of its own when a test file cannot be imported.
        status::INTERRUPTED if !evidence.failures.imports.is_empty() => {
            (Verdict::TestsFailed, sure)
        }
        status::INTERRUPTED => (Verdict::Interrupted, sure),
        status::INTERNAL_ERROR => (Verdict::InternalError, sure),
        status::USAGE_ERROR => (Verdict::UsageError, sure),
        status::NO_TESTS => (Verdict::NoTests, sure),
        // A status of somebody else's: pytest ended in an orderly way, so what its tests did counts.
        _ if evidence.failed > 0 => (Verdict::TestsFailed, Likely),
        _ => (Verdict::Interrupted, Possible),
    };
    tell(verdict, confidence, evidence)
}

/// pytest said nothing: the command's exit code is the next best word.
fn by_exit_code(evidence: &Evidence) -> Decision {
    use Confidence::{Certain, Likely, Possible};
    if let Some(child) = oom::of_child(evidence) {
        return child;
    }
    let pytest_was_there = evidence.open.torn + evidence.open.unseen + evidence.open.left.len() > 0;
    let (verdict, confidence) = match evidence.exit_code {
        // The recording of a session broke off and the command went on, or pytest left in order below a shell, or ran without the plugin.
        Some(code) if pytest_was_there => match code {
            status::OK => (Verdict::Passed, Likely),
            status::TESTS_FAILED => (Verdict::TestsFailed, Likely),
            status::INTERRUPTED => (Verdict::Interrupted, Possible),
            status::INTERNAL_ERROR => (Verdict::InternalError, Possible),
            status::USAGE_ERROR => (Verdict::UsageError, Possible),
            status::NO_TESTS => (Verdict::NoTests, Possible),
            _ if evidence.open.torn == 0 => (Verdict::Interrupted, Possible),
            _ => (Verdict::Crashed, Possible),
        },
        // pytest refuses wrong options before any plugin is asked.
        Some(status::USAGE_ERROR) => (Verdict::UsageError, Possible),
        Some(_) if evidence.torn => (Verdict::NoSession, Possible),
        Some(_) => (Verdict::NoSession, Certain),
        None if pytest_was_there || evidence.imported => (Verdict::NoSession, Possible),
        None if evidence.background && !evidence.torn => (Verdict::NoSession, Certain),
        None if evidence.background => (Verdict::NoSession, Possible),
        None => (Verdict::AgentLost, Possible),
    };
    tell(verdict, confidence, evidence)
}

fn tell(verdict: Verdict, confidence: Confidence, evidence: &Evidence) -> Decision {
    let unexplained = match verdict {
        Verdict::Passed => String::new(),
        _ => evidence.failures.unexplained(),
    };
    Decision {
        verdict,
        confidence,
        sentence: sentence(verdict, evidence) + &unexplained + &afterwards(evidence),
        next_step: next_step(verdict, evidence),
    }
}

/// What became of pytest after it had told its end changes no verdict where the command went on, but it is told.
fn afterwards(evidence: &Evidence) -> String {
    let mut leaders = evidence.afterwards.iter().filter(|death| !death.is_worker);
    let signal = leaders.find_map(|death| death.signal);
    signal.map_or_else(String::new, |signal| {
        let name = signal_name(signal);
        let how = match is_of_crash(signal) {
            true => format!("crashed with {name}"),
            false => format!("was ended by {name}"),
        };
        format!(" The pytest process {how} after its session had ended.")
    })
}

fn crashed_afterwards(evidence: &Evidence) -> bool {
    let mut signals = evidence.afterwards.iter().filter_map(|death| death.signal);
    signals.any(is_of_crash)
}

/// Of tests that were sampled only exit codes tell.
fn sampled(evidence: &Evidence) -> String {
    let tests = match evidence.sampled_tests {
        1 => "1 test was".to_owned(),
        tests => format!("{tests} tests were"),
    };
    let told = evidence.tests.saturating_sub(evidence.sampled_tests);
    let failed = match (told, evidence.failed) {
        (0, 0) => String::new(),
        (0, failed) => format!("; at least {failed} failed"),
        (told, 0) => format!("; of {told} that the plugin told of none failed"),
        (told, failed) => format!("; of {told} that the plugin told of {failed} failed"),
    };
    let code = match (evidence.worst_status(), evidence.exit_code) {
        (Some(code), _) => format!("; pytest ended with exit code {code}"),
        (None, Some(code)) => format!("; the command ended with exit code {code}"),
        (None, None) => String::new(),
    };
    format!(
        "{tests} seen by sampling, which does not show outcomes{failed}{code}.{}",
        over_budget(evidence)
    )
}

fn sentence(verdict: Verdict, evidence: &Evidence) -> String {
    let tests = count(evidence.tests, "test");
    let so_far = evidence.tests_so_far();
    let code = evidence.exit_code.unwrap_or_default();
    match verdict {
        Verdict::Passed | Verdict::TestsFailed if evidence.sampled => sampled(evidence),
        Verdict::Passed if code != 0 => format!(
            "{}; the {} ended with exit code {code} afterwards.",
            match evidence.tests {
                0 => "pytest ended well and ran no test".to_owned(),
                _ => format!("All {tests} passed"),
            },
            if evidence.background { "job" } else { "command itself" }
        ),
        Verdict::Passed if evidence.open.torn > 0 => format!(
            "The command ended with exit code 0; the recording broke off before that, after {so_far}."
        ),
        Verdict::Passed if evidence.open.unseen > 0 => format!(
            "The command ended with exit code 0 after {so_far}; pytest ran without the plugin, so how it ended is not told."
        ),
        Verdict::Passed if evidence.tests == 0 => "pytest ended well and ran no test.".to_owned(),
        Verdict::Passed if evidence.failed_elsewhere() => format!(
            "{} The CI calls the job a failure, by something else than its tests.",
            none_failed(evidence)
        ),
        Verdict::Passed => format!("{}{}", none_failed(evidence), over_budget(evidence)),
        Verdict::TestsFailed if evidence.failed == 0 && !evidence.failures.imports.is_empty() => {
            let files = count(evidence.failures.imports.len() as u64, "test file");
            format!("{files} could not be collected, and {tests} ran.")
        }
        Verdict::TestsFailed if evidence.failed == 0 => {
            format!("pytest reports failures; of the {tests} that were recorded none failed.")
        }
        Verdict::TestsFailed => {
            format!(
                "{} of {tests} failed.{}{}",
                evidence.failed,
                evidence.failures.limits_passed(evidence.failed),
                over_budget(evidence)
            )
        }
        Verdict::WorkerCrashed => worker_crashed(evidence),
        Verdict::NoSession if evidence.imported => {
            let what = match evidence.tests {
                0 => "This job".to_owned(),
                _ => format!("This job, with {tests},"),
            };
            format!("{what} comes from a file of another recorder, which does not tell how the run ended.")
        }
        Verdict::NoSession if evidence.open.unseen + evidence.open.left.len() > 0 => format!(
            "pytest ran {tests} without the plugin, and nobody saw how it ended."
        ),
        Verdict::NoSession if evidence.background => {
            "The recording was ended, and no pytest session was seen in it.".to_owned()
        }
        Verdict::NoSession => {
            format!("The command ended with exit code {code}; no pytest session was seen.")
        }
        Verdict::UsageError => {
            "pytest could not begin: an option or a path was wrong, or a conftest.py or the configuration could not be read."
                .to_owned()
        }
        Verdict::NoTests => "pytest found no tests to run.".to_owned(),
        Verdict::InternalError => "pytest ended with an error of its own or of a plugin.".to_owned(),
        Verdict::Crashed => format!(
            "The command ended with exit code {code}; the recording broke off before that, after {so_far}."
        ),
        Verdict::AgentLost => format!("The recording has no end, after {so_far}."),
        _ => match evidence.foreign_status() {
            Some(status) => format!(
                "pytest ended with status {status}, which `pytest.exit` or a plugin gave it, after {so_far}."
            ),
            None => format!("The run was interrupted after {so_far}."),
        },
    }
}

fn worker_crashed(evidence: &Evidence) -> String {
    let gone = evidence.vanished_workers();
    let who = match gone {
        1 => "A worker process was".to_owned(),
        several => format!("{several} worker processes were"),
    };
    let mut ways = BTreeMap::<String, usize>::new();
    for worker in evidence.deaths.iter().filter(|death| death.is_worker) {
        let way = match (worker.signal, worker.exit_code) {
            (Some(signal), _) => format!("by {}", signal_name(signal)),
            (None, Some(code)) => format!("with exit code {code}"),
            (None, None) => continue,
        };
        *ways.entry(way).or_default() += 1;
    }
    // Who was not seen to go is told in no other's words.
    let is_one_way = ways.len() == 1 && ways.values().sum::<usize>() == gone;
    let each = ways.iter().map(|(way, count)| match is_one_way {
        true => way.clone(),
        false => format!("{count} {way}"),
    });
    let by = match each.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => none,
        way if is_one_way => format!(" {way}"),
        ways => format!(" ({ways})"),
    };
    let tests = evidence.tests_all_told();
    format!("{who} gone{by} in the middle of a test; pytest went on without: {tests}.")
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

fn next_step(verdict: Verdict, evidence: &Evidence) -> &'static str {
    match verdict {
        Verdict::Passed | Verdict::NoTests if crashed_afterwards(evidence) => LOOK_AT_THE_END,
        Verdict::Passed if evidence.failed_elsewhere() => {
            "Look at the other steps of the job in the CI's log."
        }
        Verdict::Passed if !over_budget(evidence).is_empty() => {
            "Look at the files and fixtures that retained the most, or raise the budget."
        }
        Verdict::Passed => NOTHING,
        Verdict::TestsFailed if evidence.oom.own.sum() > 0 => {
            "Look at the failed tests in pytest's own report, and at what they started: the kernel killed a process of the job for memory."
        }
        Verdict::TestsFailed if !evidence.failures.over_limit.is_empty() => {
            "Look at what the tests need that passed the limits on their memory, and at pytest's own report."
        }
        Verdict::TestsFailed => "Look at the failed tests in pytest's own report.",
        Verdict::UsageError => {
            "Look at the first error in pytest's output, then at its arguments, its configuration and the conftest.py files."
        }
        Verdict::NoTests => "Check the paths and the -k and -m expressions.",
        Verdict::InternalError => "Look for INTERNALERROR in pytest's output.",
        Verdict::Interrupted if evidence.foreign_status().is_some() => {
            "Look for who ended pytest with that status: a call of `pytest.exit`, or a plugin."
        }
        Verdict::NoSession if evidence.imported => {
            "Record the suite with `highwater run` to see how it ends."
        }
        Verdict::NoSession => {
            "If pytest did run, its Python is older than 3.8, its plugins were switched off or its PYTHONPATH replaced: see the notices, and add `-p highwater_pytest`."
        }
        Verdict::Crashed | Verdict::WorkerCrashed => LOOK_AT_CRASH,
        Verdict::AgentLost => {
            "If the agent's spool is still there, send the rest with `highwater upload`."
        }
        _ => "Run it again, or look for who interrupted it.",
    }
}
