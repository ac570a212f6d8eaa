//! Who ended the job by a signal.

use highwater_wire::{
    report::{Confidence, Ending, Verdict},
    v1::{Metric, Role, SignalTaken, event::What},
};

use super::{
    builder::{Story, sb, se, tb, te},
    endings::session,
};

/// A signal to the agent.
pub(super) fn taken(signal: i32, sender_pid: u32, sender: &str) -> What {
    What::Signal(SignalTaken {
        signal,
        sender_pid,
        sender: sender.to_owned(),
        from_terminal: false,
    })
}

fn from_terminal(signal: i32) -> What {
    What::Signal(SignalTaken {
        signal,
        from_terminal: true,
        ..SignalTaken::default()
    })
}

/// A session in which pytest itself was ended by a signal, behind a shell.
fn behind_a_shell(signal: i32, code: i32) -> Story {
    session(None, "")
        .gone(5, None)
        .with(|process| process.signal = Some(signal))
        .ends(Some(code), None)
}

fn of_github(story: Story) -> Story {
    story.of_job(|job| job.run.get_or_insert_default().provider = "github".to_owned())
}

fn says(ending: &Ending, words: &str) -> bool {
    let mut sentences = ending.evidence.iter().map(|figure| &figure.sentence);
    sentences.any(|sentence| sentence.contains(words))
}

#[test]
fn each_signal() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let interrupted = || session(Some(2), "passed").ends(Some(2), None);
    let cases: Vec<Case> = vec![
        (
            "SIGKILL, memory calm",
            session(None, "").ends(None, Some(9)).machine(0, &[60, 60]),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGHUP, memory calm",
            session(None, "").ends(None, Some(1)).machine(0, &[60, 60]),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM, the machine next to empty, and no daemon seen",
            session(None, "").ends(None, Some(15)).machine(0, &[60, 4]),
            Verdict::OomDaemon,
            Confidence::Likely,
        ),
        (
            "SIGHUP, the machine next to empty: no daemon sends that",
            session(None, "").ends(None, Some(1)).machine(0, &[60, 4]),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM to pytest behind a shell that hides it, the cgroup next to full",
            behind_a_shell(15, 1)
                .series(Metric::CgroupLimit, None, "/job", 0, &[100], 1)
                .series(Metric::CgroupWorkingSet, None, "/job", 0, &[92], 1),
            Verdict::OomDaemon,
            Confidence::Likely,
        ),
        (
            "SIGTERM, the machine filled by the job since its last reading",
            session(None, "")
                .machine(0, &[60])
                .samples(Metric::Rss, 0, &[10, 30, 66])
                .gone(150, None)
                .ends(None, Some(15)),
            Verdict::OomDaemon,
            Confidence::Likely,
        ),
        (
            "SIGTERM long after memory was short",
            session(None, "")
                .machine(0, &[4, 4])
                .samples(Metric::Rss, 60_000, &[10, 10])
                .gone(60_060, None)
                .machine(60_000, &[60, 60])
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM with 15 % left and earlyoom on the machine",
            session(None, "")
                .machine(0, &[60, 15])
                .process(900, 1, Role::Other, "", "")
                .with(|process| process.command = "/usr/bin/earlyoom -r 60".to_owned())
                .ends(None, Some(15)),
            Verdict::OomDaemon,
            Confidence::Likely,
        ),
        (
            "the same where earlyoom was gone long before",
            session(None, "")
                .samples(Metric::Rss, 60_000, &[10, 10])
                .machine(60_000, &[60, 15])
                .process(900, 1, Role::Other, "", "")
                .with(|process| process.command = "/usr/bin/earlyoom -r 60".to_owned())
                .gone(20_000, None)
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "the same where earlyoom began long after",
            session(None, "")
                .samples(Metric::Rss, 60_000, &[10, 10])
                .machine(60_000, &[60, 15])
                .process(900, 1, Role::Other, "", "")
                .with(|process| {
                    process.command = "/usr/bin/earlyoom -r 60".to_owned();
                    process.started_us = Some(90_000_000);
                })
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM by somebody who is no daemon, the machine next to empty",
            session(None, "")
                .machine(0, &[60, 4])
                .event(3, taken(15, 812, "kill 7"))
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM by nohang, which is a script",
            session(None, "")
                .machine(0, &[60, 30])
                .event(3, taken(15, 812, "python3 -u /usr/sbin/nohang --config x"))
                .ends(None, Some(15)),
            Verdict::OomDaemon,
            Confidence::Likely,
        ),
        (
            "SIGINT that pytest took",
            interrupted(),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "SIGINT from the terminal, and SIGTERM from it",
            interrupted()
                .event(1, from_terminal(2))
                .event(2, from_terminal(15)),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "SIGINT that ended the command",
            session(None, "").ends(None, Some(2)),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "a segmentation fault of pytest below a shell that goes on",
            behind_a_shell(11, 0),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "os.abort below a shell that ends with 1",
            behind_a_shell(6, 1),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "GitHub's INT and TERM, pytest interrupted",
            interrupted()
                .event(1, taken(2, 77, "Runner.Worker"))
                .event(7_500, taken(15, 77, "Runner.Worker")),
            Verdict::Cancelled,
            Confidence::Likely,
        ),
        (
            "GitHub's INT, which was enough",
            of_github(interrupted()).event(1, taken(2, 77, "Runner.Worker")),
            Verdict::Cancelled,
            Confidence::Likely,
        ),
        (
            "the same INT in a job of another CI",
            interrupted().event(1, taken(2, 77, "agent")),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "INT in a job of GitHub, by a process of the job",
            of_github(interrupted()).event(1, taken(2, 10, "python")),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "GitHub's INT and TERM, then KILL",
            session(None, "")
                .event(1, taken(2, 0, ""))
                .event(7_500, taken(15, 0, ""))
                .ends(None, Some(9)),
            Verdict::Cancelled,
            Confidence::Likely,
        ),
        (
            "INT and TERM, an hour apart",
            session(None, "")
                .event(1, taken(2, 0, ""))
                .event(3_600_000, taken(15, 0, ""))
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "INT and TERM after pytest had ended",
            session(Some(0), "passed")
                .event(10, taken(2, 0, ""))
                .event(20, taken(15, 0, ""))
                .ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "the CI says so",
            session(None, "")
                .ends(None, Some(9))
                .of_end(|end| end.ci_status = "cancelled".to_owned()),
            Verdict::Cancelled,
            Confidence::Likely,
        ),
        (
            "the CI says so, and its signals came",
            session(None, "")
                .event(1, taken(2, 0, ""))
                .event(2, taken(15, 0, ""))
                .ends(None, Some(9))
                .of_end(|end| end.ci_status = "canceled".to_owned()),
            Verdict::Cancelled,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        let ending = story.ends_as(name, verdict, confidence);
        assert!(ending.sentence.ends_with('.'), "{name}: {ending:?}");
        assert!(!ending.next_step.is_empty(), "{name}");
    }
}

#[test]
fn the_test_that_was_interrupted_is_named() {
    let victim = |story: Story| {
        story
            .ends(Some(2), None)
            .digest()
            .job
            .ending
            .unwrap()
            .victim
    };
    let broken_off = session(Some(2), "unknown");
    assert_eq!(victim(broken_off).as_deref(), Some("a.py::x"));
    // Interrupted between two tests, by nobody's fault.
    assert_eq!(victim(session(Some(2), "passed")), None);
}

#[test]
fn who_sent_it_is_named_only_where_it_is_known() {
    let killed = session(None, "").ends(None, Some(15));
    let unknown = killed.ends_as("unknown", Verdict::Killed, Confidence::Likely);
    assert_eq!(
        unknown.sentence,
        "SIGTERM ended the job after no test (one was running); who sent it is not known."
    );
    let known = killed.event(3, taken(15, 812, "kill 7")).ends_as(
        "known",
        Verdict::Killed,
        Confidence::Likely,
    );
    assert_eq!(
        known.sentence,
        "Process 812 (kill 7) ended the job by SIGTERM after no test (one was running)."
    );
    assert!(says(
        &known,
        "The agent was sent SIGTERM by process 812 (kill 7)."
    ));
}

#[test]
fn a_daemon_is_told_with_the_room_that_was_left_and_when() {
    let story = || {
        session(None, "")
            .machine(0, &[60, 4])
            .process(900, 1, Role::Other, "", "")
            .with(|process| process.command = "earlyoom".to_owned())
    };
    let told = |story: Story| {
        story
            .ends(None, Some(15))
            .ends_as("daemon", Verdict::OomDaemon, Confidence::Likely)
    };
    let counted = story().series(Metric::MachineOomKills, None, "", 0, &[3, 3], 1);
    let ending = told(counted);
    assert_eq!(
        ending.sentence,
        "earlyoom, which runs on the machine, most likely ended the job by SIGTERM after no test (one was running) when the machine had used 91.6 MiB of 95.4 MiB (96 %); the kernel killed nothing."
    );
    let near = ending
        .evidence
        .iter()
        .find(|it| it.sentence.starts_with("Near the end"));
    assert_eq!(near.and_then(|figure| figure.at_us), Some(50_000));
    // Where nobody counted kills, nothing is said of them.
    assert!(
        told(story())
            .sentence
            .ends_with("had used 91.6 MiB of 95.4 MiB (96 %).")
    );
}

#[test]
fn a_daemon_that_nobody_saw_is_said_not_to_have_been_seen() {
    let story = session(None, "").machine(0, &[60, 4]).ends(None, Some(15));
    let ending = story.ends_as("unseen", Verdict::OomDaemon, Confidence::Likely);
    assert_eq!(
        ending.sentence,
        "SIGTERM ended the job after no test (one was running) when the machine had used 91.6 MiB of 95.4 MiB (96 %). Who sent it is not known; most likely a memory daemon, though none was seen."
    );
}

#[test]
fn somebody_who_is_known_is_told_with_the_room_that_was_left() {
    let ending = session(None, "")
        .machine(0, &[60, 4])
        .event(3, taken(15, 812, "kill 7"))
        .ends(None, Some(15))
        .ends_as("known", Verdict::Killed, Confidence::Likely);
    assert_eq!(
        ending.sentence,
        "Process 812 (kill 7) ended the job by SIGTERM after no test (one was running) when the machine had used 91.6 MiB of 95.4 MiB (96 %)."
    );
}

#[test]
fn a_worker_that_crashed_is_told_with_its_signal() {
    let ending = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Controller, "", "s")
        .marks(&[(0, 10, 10, sb()), (9, 10, 10, se(1))])
        .process(11, 10, Role::Worker, "gw0", "s")
        .with(|process| process.signal = Some(11))
        .marks(&[(1, 10, 10, sb()), (2, 10, 10, tb("a.py", "crashes"))])
        .process(12, 10, Role::Worker, "gw1", "s")
        .marks(&[
            (1, 10, 10, sb()),
            (2, 10, 10, tb("a.py", "x")),
            (3, 10, 10, te("passed")),
            (4, 10, 10, se(0)),
        ])
        .ends(Some(1), None)
        .ends_as("worker", Verdict::WorkerCrashed, Confidence::Certain);
    assert!(ending.sentence.contains("by SIGSEGV"), "{ending:?}");
    assert_eq!(ending.victim.as_deref(), Some("a.py::crashes"));
}

#[test]
fn each_worker_is_told_with_its_own_end() {
    type Way = (Option<i32>, Option<i32>);
    let told = |ways: [Way; 2]| {
        let mut story = Story::new()
            .session("s", 0)
            .process(10, 1, Role::Controller, "", "s")
            .marks(&[(0, 10, 10, sb()), (9, 10, 10, se(1))]);
        for (pid, (signal, exit_code)) in (11..).zip(ways) {
            let test = format!("of_{pid}");
            story = story
                .process(pid, 10, Role::Worker, &format!("gw{pid}"), "s")
                .gone(4, exit_code)
                .with(|process| process.signal = signal)
                .marks(&[(1, 10, 10, sb()), (2, 10, 10, tb("a.py", &test))]);
        }
        let ending = story.ends(Some(1), None).digest().job.ending.unwrap();
        assert_eq!(ending.verdict, Verdict::WorkerCrashed);
        let (told, _) = ending.sentence.split_once(" in the middle").unwrap();
        told.to_owned()
    };
    let (crashed, left, unseen) = ((Some(11), None), (None, Some(0)), (None, None));
    for (ways, expected) in [
        ([crashed, crashed], " by SIGSEGV"),
        ([left, crashed], " (1 by SIGSEGV, 1 with exit code 0)"),
        ([left, left], " with exit code 0"),
        ([crashed, unseen], " (1 by SIGSEGV)"),
        ([unseen, unseen], ""),
    ] {
        assert_eq!(
            told(ways),
            format!("2 worker processes were gone{expected}")
        );
    }
}
