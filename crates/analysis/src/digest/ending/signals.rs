//! A signal ended the command or pytest.

use highwater_wire::report::{Confidence, Verdict};

use super::{
    Decision,
    evidence::Evidence,
    headroom::Room,
    seen::Taken,
    words::{SIGHUP, SIGINT, SIGKILL, SIGTERM, is_of_crash, signal_name},
};
use crate::figures::mebibytes;

/// For a crash that no test was running in.
pub(super) const LOOK_AT_THE_END: &str = "Look at what runs as Python ends: handlers of `atexit`, threads that still run, native modules; `python -X faulthandler -m pytest` shows where it was.";

pub(super) fn decide(evidence: &Evidence) -> Option<Decision> {
    let signal = evidence.signal()?;
    let name = signal_name(signal);
    let so_far = evidence.tests_so_far();
    let decision = match signal {
        SIGINT => Decision {
            verdict: Verdict::Interrupted,
            confidence: Confidence::Certain,
            sentence: format!("The run was interrupted after {so_far}."),
            next_step: "Run it again, or look for who interrupted it.",
        },
        _ if is_of_crash(signal) && evidence.fell_after_its_end() => Decision {
            verdict: Verdict::Crashed,
            confidence: Confidence::Certain,
            sentence: format!(
                "pytest crashed with {name} when its session had ended{}, after {so_far}.",
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
                "A process crashed with {name} after {so_far}.{}",
                no_address_space(evidence)
            ),
            next_step: "Look at the test that was running, and run it with `python -X faulthandler -m pytest`.",
        },
        SIGKILL | SIGTERM if is_of_daemon(evidence, signal) => by_daemon(evidence, signal, &name),
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
/// Where it is known who did, that decides.
fn is_of_daemon(evidence: &Evidence, signal: i32) -> bool {
    match sender_of(evidence, signal) {
        Some(sender) => sender.is_memory_daemon(),
        None => evidence.headroom.moves_a_daemon(),
    }
}

/// Who sent a signal, where the agent saw that and handed it on, or was the one it ended.
fn sender_of(evidence: &Evidence, signal: i32) -> Option<&Taken> {
    let handed_on =
        evidence.forwarded_signal == Some(signal) || evidence.own_signal == Some(signal);
    evidence.seen.sender_of(signal).filter(|_| handed_on)
}

fn by_daemon(evidence: &Evidence, signal: i32, name: &str) -> Decision {
    let so_far = evidence.tests_so_far();
    let when = when_short(evidence);
    let killed_nothing = match evidence.oom.killed_nothing() {
        true => "; the kernel killed nothing",
        false => "",
    };
    let sender = sender_of(evidence, signal).map(Taken::sender_words);
    let who = match (sender, &evidence.headroom.daemon) {
        (Some(sender), _) => capitalised(&sender),
        (None, Some(daemon)) => format!("{daemon}, which runs on the machine, most likely"),
        (None, None) => {
            return Decision {
                verdict: Verdict::OomDaemon,
                confidence: Confidence::Likely,
                sentence: format!(
                    "{name} ended the job after {so_far}{when}{killed_nothing}. Who sent it is not known; most likely a memory daemon, though none was seen."
                ),
                next_step: "Look at the files and fixtures that hold the memory, and in the logs of the CI and of the machine (systemd-oomd, the runner's own memory guard) for who sent the signal.",
            };
        }
    };
    Decision {
        verdict: Verdict::OomDaemon,
        confidence: Confidence::Likely,
        sentence: format!("{who} ended the job by {name} after {so_far}{when}{killed_nothing}."),
        next_step: "Look at the files and fixtures that hold the memory: free it, use fewer workers, or take a larger machine; the daemon's log (earlyoom, systemd-oomd) tells what it did.",
    }
}

/// As " when the machine had used 6.1 GiB of 6.8 GiB (90 %)".
fn when_short(evidence: &Evidence) -> String {
    let room = evidence.headroom.tightest.as_ref().map(Room::words);
    room.map_or_else(String::new, |room| format!(" when {room}"))
}

fn killed(evidence: &Evidence, signal: i32, name: &str) -> Decision {
    let so_far = evidence.tests_so_far();
    let (what, when) = match evidence.fell_after_its_end() {
        true => ("pytest", " when its session had ended,"),
        false => ("the job", ""),
    };
    let sentence = match sender_of(evidence, signal) {
        Some(sender) => {
            let short = match evidence.headroom.is_short() {
                true => when_short(evidence),
                false => String::new(),
            };
            format!(
                "{} ended {what} by {name}{when} after {so_far}{short}.",
                capitalised(&sender.sender_words())
            )
        }
        None => format!("{name} ended {what}{when} after {so_far}; who sent it is not known."),
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
