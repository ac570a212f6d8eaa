//! Whose time was up.

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{Metric, Role, mark},
};

use super::{
    builder::{Story, sb, se, tb, tb_within, te, te_because},
    endings::session,
    signals::taken,
};

/// A session that was gone after some seconds, below a command line.
fn below(command: &str, lived_s: i64) -> Story {
    beside(command, 5, lived_s)
        .of_process(10, |process| process.parent_pid = 6)
        .process(6, 5, Role::Child, "", "")
        .with(|process| process.command = "sh run.sh".to_owned())
}

/// The same with the command line beside it: a process of that number, which is not above pytest.
fn beside(command: &str, pid: u32, lived_s: i64) -> Story {
    session(None, "")
        .samples(Metric::Rss, lived_s * 1_000, &[10])
        .gone(lived_s * 1_000 + 40, None)
        .process(pid, 1, Role::Child, "", "")
        .with(|process| process.command = command.to_owned())
        .samples(Metric::Rss, 0, &[1])
}

/// `timeout` with its own end, around a pytest that told its end with a status after so many ms.
fn told_below(
    command: &str,
    status: i32,
    told_ms: i64,
    ended: (Option<i32>, Option<i32>),
) -> Story {
    Story::new()
        .session("s", 0)
        .process(10, 5, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("a.py", "x")),
            (told_ms, 10, 10, te("passed")),
            (told_ms, 10, 10, se(status)),
        ])
        .process(5, 1, Role::Child, "", "")
        .with(|process| {
            process.command = command.to_owned();
            process.ended_us = Some(told_ms * 1_000 + 40_000);
            (process.exit_code, process.signal) = ended;
        })
        .samples(Metric::Rss, 0, &[1])
}

/// pytest in a test with a limit of 1 s, seen last so many ms after it began.
fn in_a_limited_test(ran_ms: i64) -> Story {
    limited_by(None, ran_ms)
}

/// The same, with what pytest-timeout does when the time is up.
fn limited_by(ends_process: Option<bool>, ran_ms: i64) -> Story {
    let mut begins = tb_within("a.py", "slow", 1_000);
    if let mark::What::TestBegin(test) = &mut begins {
        test.time_limit_ends_process = ends_process;
    }
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[(0, 10, 10, sb()), (10, 10, 10, begins)])
        .samples(Metric::Rss, 10 + ran_ms, &[10])
        .gone(10 + ran_ms + 40, None)
}

#[test]
fn each_limit_of_time() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let ci =
        |story: Story, limit_s: u64| story.of_job(|job| job.ci_timeout_us = limit_s * 1_000_000);
    let cases: Vec<Case> = vec![
        (
            "timeout 5",
            below("timeout 5 pytest", 5).ends(Some(124), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout with options, minutes, and a signal that it cannot survive",
            below("/usr/bin/timeout -k 3 --signal KILL 0.1m pytest -q", 6).ends(Some(137), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout --preserve-status",
            below("timeout --preserve-status 5s pytest", 5).ends(Some(143), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "the command itself is timeout",
            session(None, "")
                .samples(Metric::Rss, 5_000, &[10])
                .gone(5_040, None)
                .of_job(|job| job.command = ["timeout", "5", "pytest"].map(str::to_owned).to_vec())
                .ends(Some(124), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout below a script that ends with a code of its own",
            below("timeout -s KILL 5 pytest", 5).ends(Some(7), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout that killed itself too, and pytest still seen then",
            below("timeout -s KILL 5 pytest", 5)
                .of_process(10, |process| process.ended_us = None)
                .ends(Some(137), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout around a shell, whose pytest is still seen when it ends",
            below("timeout 5 sh -c pytest", 5)
                .of_process(10, |process| process.ended_us = None)
                .ends(Some(124), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout that started pytest in the same tick of the clock, which seems later by a microsecond",
            below("timeout -s KILL 5 pytest", 5)
                .of_process(6, |process| {
                    (process.start_ticks, process.started_us) = (9, Some(12));
                })
                .of_process(5, |process| {
                    (process.start_ticks, process.started_us) = (9, Some(13));
                })
                .of_process(10, |process| {
                    (process.start_ticks, process.started_us) = (9, Some(11));
                })
                .ends(Some(7), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "the same, long after it was up",
            below("timeout -k 90 5 pytest", 60).ends(Some(7), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "a segmentation fault as the time of timeout was up",
            below("timeout 5 pytest", 5).ends(Some(139), None),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "os._exit(1) as the time of timeout was up",
            session(None, "")
                .samples(Metric::Rss, 5_000, &[10])
                .gone(5_040, Some(1))
                .of_process(10, |process| process.parent_pid = 5)
                .process(5, 1, Role::Child, "", "")
                .with(|process| process.command = "timeout 5 pytest".to_owned())
                .samples(Metric::Rss, 0, &[1])
                .ends(Some(1), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "124 long before the time of timeout was up",
            below("timeout 500 pytest", 5).ends(Some(124), None),
            Verdict::Crashed,
            Confidence::Possible,
        ),
        (
            "143 long before the time of timeout was up",
            below("timeout 500 pytest", 5).ends(Some(143), None),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "timeout without a limit",
            below("timeout 0 pytest", 5).ends(Some(124), None),
            Verdict::Crashed,
            Confidence::Possible,
        ),
        (
            "SIGKILL after a test had waited for a timeout of its own",
            beside("timeout 2 curl localhost", 20, 60)
                .with(|process| process.parent_pid = 10)
                .gone(3_000, Some(124))
                .ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGKILL while a test waits for a timeout that is over",
            beside("timeout 2 curl localhost", 20, 60)
                .with(|process| process.parent_pid = 10)
                .ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM after an earlier step with a timeout",
            beside("timeout 30 ./wait-for-database", 4, 60)
                .gone(20_000, Some(0))
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM long after a timeout above pytest was gone",
            below("timeout 30 sh -c 'pytest &'", 60)
                .of_process(5, |process| process.ended_us = Some(30_000_000))
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "timeout around the agent",
            session(None, "")
                .event(3, taken(15, 40, "timeout 5 highwater run -- pytest"))
                .ends(None, Some(15)),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout -s INT, which pytest took",
            told_below("timeout -s INT 5 pytest", 2, 5_010, (None, None)).ends(Some(124), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "timeout -s INT, which a test swallowed",
            told_below("timeout -s INT 5 pytest", 0, 9_010, (Some(124), None))
                .ends(Some(124), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "a pytest that passed before the time of timeout was up, which ended what the command did next",
            told_below("timeout 5 ./run.sh", 0, 2_010, (Some(124), None)).ends(Some(124), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "a pytest that passed after a timeout around it was gone with another code",
            told_below("timeout 5 pytest", 0, 9_010, (Some(0), None)).ends(Some(124), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "the same below a shell that ends with a code of its own",
            told_below("timeout -s INT 5 pytest", 2, 5_010, (Some(124), None)).ends(Some(1), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "pytest.exit as the time of timeout was up, below a shell that ends with 124",
            told_below("timeout 5 pytest", 2, 5_010, (Some(2), None)).ends(Some(124), None),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "the same where nobody saw how timeout ended, shortly before its time was up",
            told_below("timeout 5 pytest", 2, 4_900, (None, None))
                .samples(Metric::Rss, 5_200, &[1])
                .ends(Some(124), None),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "pytest.exit(returncode=124) as the time of timeout was up",
            told_below("timeout 5 pytest", 124, 5_010, (Some(124), None)).ends(Some(124), None),
            Verdict::Interrupted,
            Confidence::Possible,
        ),
        (
            "SIGTERM of somebody else as the time of timeout was up, which timeout hands on",
            below("timeout 5 pytest", 5)
                .of_process(10, |process| process.signal = Some(15))
                .of_process(5, |process| process.signal = Some(15))
                .ends(Some(124), None),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "os._exit(124) as the time of timeout was up",
            below("timeout 5 pytest", 5)
                .of_process(10, |process| process.exit_code = Some(124))
                .of_process(5, |process| process.exit_code = Some(124))
                .ends(Some(124), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "a pytest that exits by itself at the SIGTERM of timeout",
            below("timeout 5 pytest", 5)
                .of_process(10, |process| process.exit_code = Some(143))
                .of_process(5, |process| process.exit_code = Some(124))
                .ends(Some(124), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "pytest-timeout by its thread",
            in_a_limited_test(1_000).ends(Some(1), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "pytest-timeout by its thread, where nobody saw the end",
            in_a_limited_test(960)
                .of_process(10, |process| process.ended_us = None)
                .process(11, 1, Role::Child, "", "")
                .samples(Metric::Rss, 9_000, &[1])
                .ends(Some(1), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "pytest-timeout by its thread, the last sight of which is of long before",
            in_a_limited_test(700)
                .gone(1_030, Some(1))
                .ends(Some(1), None),
            Verdict::TimedOut,
            Confidence::Possible,
        ),
        (
            "os._exit(1) shortly before the time was up",
            in_a_limited_test(900).ends(Some(1), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "os._exit(1) between the last two samples before the time was up",
            in_a_limited_test(950)
                .gone(980, Some(1))
                .ends(Some(1), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "os._exit(1) when the time was up, which would only fail the test",
            limited_by(Some(false), 1_000).ends(Some(1), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "pytest-timeout by its thread, which is known to end the process, last seen long before",
            limited_by(Some(true), 700)
                .gone(1_030, Some(1))
                .ends(Some(1), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "os._exit(1) in a test that had time left",
            in_a_limited_test(200).ends(Some(1), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "os._exit(0) in a test whose time was up",
            in_a_limited_test(1_000)
                .gone(1_060, Some(0))
                .ends(Some(0), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "a segmentation fault in a test whose time was up",
            in_a_limited_test(1_000).ends(None, Some(11)),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "SIGKILL when the CI's time was up",
            ci(
                session(None, "")
                    .samples(Metric::Rss, 9_900, &[10])
                    .gone(9_940, None),
                10,
            )
            .ends(None, Some(9)),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "SIGKILL in the middle of the CI's time",
            ci(
                session(None, "")
                    .samples(Metric::Rss, 5_000, &[10])
                    .gone(5_040, None),
                10,
            )
            .ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "GitHub's signals when the CI's time was up, which began before the job",
            ci(session(Some(2), "passed"), 60)
                .of_job(|job| {
                    job.started_unix_us = 60_000_000;
                    job.ci_started_unix_us = 10_000_000;
                })
                .event(9_000, taken(2, 0, ""))
                .event(9_500, taken(15, 0, ""))
                .ends(Some(2), None),
            Verdict::TimedOut,
            Confidence::Likely,
        ),
        (
            "a job that ended well with the CI's last second",
            ci(
                session(Some(0), "passed").samples(Metric::Rss, 9_900, &[10]),
                10,
            )
            .ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
}

#[test]
fn silence_when_the_cis_time_was_up_is_its_doing() {
    session(None, "")
        .samples(Metric::Rss, 9_900, &[10])
        .of_job(|job| job.ci_timeout_us = 10_000_000)
        .falls_silent_as("silent", Verdict::TimedOut, Confidence::Likely);
}

#[test]
fn tests_that_took_too_long_in_a_suite_that_went_on_do_not_cut_it_short() {
    let suite = |second: mark::What| {
        Story::new()
            .session("s", 0)
            .process(10, 1, Role::Pytest, "", "s")
            .marks(&[
                (0, 10, 10, sb()),
                (10, 10, 10, tb_within("a.py", "slow", 1_000)),
                (1_020, 10, 10, te_because("timeout")),
                (1_030, 10, 10, tb_within("a.py", "other", 1_000)),
                (1_040, 10, 10, second),
                (1_050, 10, 10, se(1)),
            ])
            .ends(Some(1), None)
    };
    let late = suite(te_because("timeout"));
    let ending = late.ends_as("all late", Verdict::TimedOut, Confidence::Likely);
    assert_eq!(
        ending.sentence,
        "2 of 2 tests took longer than pytest-timeout allows; nothing else failed."
    );
    assert_eq!((ending.victim, late.digest().job.censored), (None, false));
    let one = suite(te("passed")).ends_as("one of two", Verdict::TimedOut, Confidence::Likely);
    assert_eq!(
        one.sentence,
        "1 of 2 tests took longer than pytest-timeout allows; nothing else failed."
    );
    let mixed =
        suite(te_because("")).ends_as("one late", Verdict::TestsFailed, Confidence::Certain);
    assert!(
        mixed
            .evidence
            .iter()
            .any(|it| it.sentence == "a.py::slow was ended by pytest-timeout.")
    );
    let died = in_a_limited_test(1_000).ends(Some(1), None).digest().job;
    assert!(died.censored);
}

#[test]
fn how_long_a_late_test_ran_is_what_was_seen_of_it() {
    let told = |story: Story, confidence| {
        let ending = story
            .ends(Some(1), None)
            .ends_as("late", Verdict::TimedOut, confidence);
        ending.sentence
    };
    assert_eq!(
        told(
            in_a_limited_test(700).gone(1_030, Some(1)),
            Confidence::Possible
        ),
        "pytest-timeout ended pytest in a test that was seen to run for 0.7 s and was over by 1.0 s, of the 1.0 s it may take, after no test (one was running)."
    );
    assert_eq!(
        told(in_a_limited_test(1_200), Confidence::Likely),
        "pytest-timeout ended pytest in a test that was seen to run for 1.2 s, of the 1.0 s it may take, after no test (one was running)."
    );
}

#[test]
fn a_timeout_that_kills_a_pytest_before_its_session_is_told() {
    let story = |command: &str| {
        Story::new()
            .of_job(|job| job.command = command.split(' ').map(str::to_owned).collect())
            .process(10, 1, Role::Pytest, "", "")
            .samples(Metric::Rss, 0, &[10; 21])
            .ends(None, Some(9))
    };
    story("timeout -s KILL 1 pytest").ends_as("up", Verdict::TimedOut, Confidence::Likely);
    story("timeout -s KILL 3 pytest").ends_as("not up", Verdict::Killed, Confidence::Likely);
}
