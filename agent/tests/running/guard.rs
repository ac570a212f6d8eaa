//! The guard's deeds in the recording. A script stands in for pytest; real suites are in `e2e/system/test_guard.py`.

use std::fs;

use highwater_wire::v1::{GuardAction, event::What};

use crate::harness::{Place, Recorded};

/// A `pytest` that holds 40 MB and ends with 2 on SIGINT, as pytest does; it tells of the SIGINTs it got.
const HOLDS: &str = r#"
import os, sys, time
try:
    end = time.monotonic() + 60
    held = bytearray(b"x") * 40_000_000
    while time.monotonic() < end and not os.path.exists("warned"):
        time.sleep(0.01)
except KeyboardInterrupt:
    with open("interrupted", "a") as file:
        file.write("once\n")
    sys.exit(2)
"#;

fn deeds(recorded: &Recorded) -> Vec<GuardAction> {
    let events = recorded.batches.iter().flat_map(|batch| &batch.events);
    let deeds = events.filter_map(|event| match &event.what {
        Some(What::Guard(action)) => Some(action.clone()),
        _ => None,
    });
    deeds.collect()
}

fn run(place: &Place, on_limit: &str) -> std::process::Output {
    fs::write(place.file("pytest"), HOLDS).unwrap();
    let mut agent = place.agent(&["python3", "pytest"]);
    agent
        .env("HIGHWATER_MEMORY_LIMIT", "20MB")
        .env("HIGHWATER_ON_LIMIT", on_limit);
    agent.output().unwrap()
}

#[test]
fn a_stop_is_an_event_of_the_job_and_ends_with_the_commands_exit_code() {
    let place = Place::new();
    let output = run(&place, "stop");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let interrupted = fs::read_to_string(place.file("interrupted")).unwrap();
    assert_eq!(interrupted, "once\n");
    let recorded = place.recorded();
    let deeds = deeds(&recorded);
    let [stopped] = deeds.as_slice() else {
        panic!("{deeds:?}")
    };
    let pids: Vec<u32> = recorded
        .processes("pytest")
        .iter()
        // What a python3 that is a script starts on its way to the real one has its words too.
        .filter(|process| process.exit_code == Some(2))
        .map(|process| process.pid)
        .collect();
    assert_eq!(
        (stopped.action.as_str(), stopped.limit.as_str()),
        ("stopped", "budget")
    );
    // A python that a script finds starts others on its way, with the same words.
    assert!(
        matches!(stopped.pids.as_slice(), [pid] if pids.contains(pid)),
        "{stopped:?} {pids:?}"
    );
    assert_eq!(stopped.signal, 2);
    assert_eq!(stopped.limit_bytes, 20_000_000);
    assert!(stopped.used_bytes >= 20_000_000, "{stopped:?}");
    // The command was told, not the agent: nobody outside wanted this end.
    let end = recorded.end.unwrap();
    assert_eq!((end.exit_code, end.forwarded_signal), (Some(2), None));
    // Quiet or not, what changes the course of the tests is said.
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is told to stop (SIGINT)"), "{said}");
}

#[test]
fn a_warning_is_an_event_and_nothing_else() {
    let place = Place::new();
    fs::write(place.file("pytest"), HOLDS).unwrap();
    let mut agent = place.agent(&["python3", "pytest"]);
    agent.env("HIGHWATER_MEMORY_LIMIT", "20MB");
    let mut running = agent.spawn().unwrap();
    crate::harness::wait_for("the warning", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        (!deeds(&recorded).is_empty()).then_some(())
    });
    fs::write(place.file("warned"), "").unwrap();
    assert!(running.wait().unwrap().success());
    let deeds = deeds(&place.recorded());
    let [warned] = deeds.as_slice() else {
        panic!("{deeds:?}")
    };
    assert_eq!((warned.action.as_str(), warned.signal), ("warned", 0));
    assert!(warned.pids.is_empty());
}
