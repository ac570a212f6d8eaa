//! A signal ended the command or pytest.

use highwater_wire::report::{Confidence, Verdict};

use super::{
    Decision,
    evidence::Evidence,
    headroom::Room,
    words::{SIGHUP, SIGINT, SIGKILL, SIGTERM, count, is_of_crash, signal_name},
};
use crate::figures::mebibytes;

/// For a crash that no test was running in.
pub(super) const LOOK_AT_THE_END: &str = "Look at what runs as Python ends: handlers of `atexit`, threads that still run, native modules; `python -X faulthandler -m pytest` shows where it was.";

pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let signal = evidence.signal()?;
    let name = signal_name(signal);
    let tests = count(evidence.tests, "test");
    let decision = match signal {
        SIGINT => Decision {
            verdict: Verdict::Interrupted,
            confidence: Confidence::Certain,
            sentence: format!("The run was interrupted after {tests}."),
            next_step: "Run it again, or look for who interrupted it.",
        },
        _ if is_of_crash(signal) && evidence.fell_after_its_end() => Decision {
            verdict: Verdict::Crashed,
            confidence: Confidence::Certain,
            sentence: format!(
                "pytest crashed with {name} when its session had ended{}, after {tests}.",
                evidence
                    .worst_status()
                    .map_or_else(String::new, |status| format!(" with status {status}"))
            ),
            next_step: LOOK_AT_THE_END,
        },
        _ if is_of_crash(signal) => Decision {
            verdict: Verdict::Crashed,
            confidence: Confidence::Certain,
            sentence: format!(
                "A process crashed with {name} after {tests}.{}",
                no_address_space(evidence)
            ),
            next_step: "Look at the test that was running, and run it with `python -X faulthandler -m pytest`.",
        },
        SIGKILL | SIGTERM if evidence.headroom.moves_a_daemon() => by_daemon(evidence, &name),
        _ => killed(evidence, signal, &name),
    };
    Some(decision)
}

/// What is written in C aborts, or goes astray, where it is refused memory: that cannot be told from another crash, but it is a trace.
fn no_address_space(evidence: &Evidence) -> String {
    let space = evidence.failures.address_space;
    space
        .filter(|space| space.is_full())
        .map_or_else(String::new, |space| {
            format!(
                " Of an address space of {} (ulimit -v) it had taken {}, so it may have been refused memory.",
                mebibytes(space.limit_bytes.cast_signed()),
                mebibytes(space.peak_bytes.cast_signed())
            )
        })
}

/// Memory was next to gone, the kernel did not kill pytest, and somebody did: that is what earlyoom, systemd-oomd and a runner's own guard do.
fn by_daemon(evidence: &Evidence, name: &str) -> Decision {
    let who = evidence.headroom.daemon.as_deref();
    let room = evidence.headroom.tightest.as_ref().map(Room::words);
    Decision {
        verdict: Verdict::OomDaemon,
        confidence: Confidence::Likely,
        sentence: format!(
            "{} ended the job by {name} after {}{}{}.",
            who.map_or_else(
                || "A memory daemon, most likely,".to_owned(),
                |who| format!("{who}, which runs on the machine, most likely")
            ),
            count(evidence.tests, "test"),
            room.map_or_else(String::new, |room| format!(" when {room}")),
            if evidence.oom.killed_nothing() {
                "; the kernel killed nothing"
            } else {
                ""
            }
        ),
        next_step: "Look at the files and fixtures that hold the memory: free it, use fewer workers, or take a larger machine; the daemon's log (earlyoom, systemd-oomd) tells what it did.",
    }
}

fn killed(evidence: &Evidence, signal: i32, name: &str) -> Decision {
    let tests = count(evidence.tests, "test");
    let handed_on =
        evidence.forwarded_signal == Some(signal) || evidence.own_signal == Some(signal);
    let sender = evidence.seen.sender_of(signal).filter(|_| handed_on);
    let sentence = match sender {
        Some(sender) => format!(
            "{} ended the job by {name} after {tests}.",
            capitalised(&sender.sender_words())
        ),
        None => format!("{name} ended the job after {tests}; who sent it is not known."),
    };
    let next_step = if signal == SIGHUP {
        "Look for a terminal or a connection that was closed: `nohup` and `setsid` keep a run going without it."
    } else {
        "Look in the CI's log for who sent the signal: a cancel, a timeout, the runner's own memory guard, or a test that ends its own process."
    };
    Decision {
        verdict: Verdict::Killed,
        confidence: Confidence::Likely,
        sentence,
        next_step,
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
