//! Who died when pytest had told its end: handlers of `atexit`, threads and native modules run on.

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{Metric, Role},
};

use super::{
    builder::{Story, sb, se, tb, te, xx},
    endings::session,
    kernel::kills,
};

/// A session that ended with a status, and whose process a signal ended then.
fn ended(status: i32, signal: i32) -> Story {
    session(Some(status), "passed")
        .marks(&[(4, 10, 10, xx())])
        .gone(40, None)
        .with(|process| process.signal = Some(signal))
}

#[test]
fn each_signal_after_the_end() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let cases: Vec<Case> = vec![
        (
            "an abort below a shell that goes on",
            ended(0, 6).ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "an abort below a shell that ends with a code of its own",
            ended(0, 6).ends(Some(3), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "an abort of a session with failures below a shell that goes on",
            ended(1, 6).ends(Some(0), None),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
        (
            "an abort that the shell tells of",
            ended(0, 6).ends(Some(134), None),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "an abort of the command itself",
            ended(0, 6).ends(None, Some(6)),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "a code of another signal",
            ended(0, 6).ends(Some(143), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "the command was ended by the same signal, long after",
            ended(0, 15)
                .samples(Metric::Rss, 0, &[10])
                .process(11, 1, Role::Child, "", "")
                .samples(Metric::Rss, 60_000, &[1, 1])
                .ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGTERM to a pytest that did not end, which the shell tells of",
            ended(0, 15).ends(Some(143), None),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "a kill by the kernel, which the shell tells of",
            kills(
                ended(0, 9).with(|process| process.cgroup = "/job".to_owned()),
                "/job",
                &[0, 1],
            )
            .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
            .ends(Some(137), None),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "the second session of a process was not over",
            session(Some(0), "passed")
                .session("t", 4)
                .process(10, 1, Role::Pytest, "", "t")
                .marks(&[(5, 10, 10, sb()), (6, 10, 10, tb("a.py", "y"))])
                .gone(40, None)
                .with(|process| process.signal = Some(6))
                .ends(Some(0), None),
            Verdict::Crashed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        let ending = story.ends_as(name, verdict, confidence);
        assert!(ending.sentence.ends_with('.'), "{name}: {ending:?}");
    }
}

#[test]
fn a_crash_that_was_survived_is_told_beside_the_jobs_own_ending() {
    let story = ended(0, 6).ends(Some(0), None);
    let ending = story.ends_as("survived", Verdict::Passed, Confidence::Certain);
    assert_eq!(
        ending.sentence,
        "1 test ran, none failed. The pytest process crashed with SIGABRT after its session had ended."
    );
    assert!(ending.next_step.contains("atexit"), "{ending:?}");
    let told = "The pytest process was ended by SIGABRT, after its session had ended.";
    let figure = ending.evidence.iter().find(|it| it.sentence == told);
    assert_eq!(figure.and_then(|it| it.at_us), Some(40_000), "{ending:?}");
}

#[test]
fn a_crash_after_the_end_cuts_no_suite_short() {
    let story = ended(0, 6).ends(Some(134), None);
    let ending = story.ends_as("told", Verdict::Crashed, Confidence::Certain);
    assert_eq!(
        ending.sentence,
        "pytest crashed with SIGABRT when its session had ended with status 0, after 1 test."
    );
    assert_eq!(ending.victim, None);
    assert!(!story.digest().job.censored);
}

#[test]
fn a_worker_that_crashed_after_its_end_is_evidence() {
    let with_worker = |signal| {
        Story::new()
            .session("s", 0)
            .process(10, 1, Role::Controller, "", "s")
            .marks(&[(0, 10, 10, sb()), (9, 10, 10, se(0)), (9, 10, 10, xx())])
            .process(11, 10, Role::Worker, "gw0", "s")
            .marks(&[
                (1, 10, 10, sb()),
                (2, 10, 10, tb("a.py", "x")),
                (3, 10, 10, te("passed")),
                (4, 10, 10, se(0)),
                (4, 10, 10, xx()),
            ])
            .gone(8, None)
            .with(|process| process.signal = Some(signal))
            .ends(Some(0), None)
            .ends_as("worker", Verdict::Passed, Confidence::Certain)
    };
    let told = |signal| {
        let ending = with_worker(signal);
        assert_eq!(ending.sentence, "1 test ran, none failed.");
        let mut sentences = ending.evidence.iter().map(|it| &it.sentence);
        sentences.any(|it| it.contains("The worker process gw0 was ended"))
    };
    assert!(told(11));
    // xdist itself ends the workers that take their time.
    assert!(!told(15));
}
