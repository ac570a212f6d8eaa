use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{Metric, Role, mark::What},
};

use super::{
    builder::{Story, sb, se, tb, te, xx},
    endings::{notice, session},
};

/// A pytest that left without a session's end.
fn left() -> Story {
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[(0, 10, 10, sb()), (1, 10, 10, xx())])
}

/// A session that ran and one that left, of two processes.
fn left_and_ran() -> Story {
    left()
        .session("t", 10)
        .process(11, 1, Role::Pytest, "", "t")
        .marks(&[
            (10, 10, 10, sb()),
            (11, 10, 10, tb("a.py", "x")),
            (12, 10, 10, te("passed")),
            (13, 10, 10, se(0)),
            (14, 10, 10, xx()),
        ])
}

/// Two sessions, of which one ran a test.
fn two(first: i32, second: i32) -> Story {
    session(Some(first), "passed")
        .session("t", 10)
        .process(11, 1, Role::Pytest, "", "t")
        .marks(&[(10, 10, 10, sb()), (13, 10, 10, se(second))])
}

#[test]
fn each_session_without_a_status_of_pytests_own() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let still_runs = session(None, "").samples(Metric::Rss, 0, &[10, 10, 10]);
    let between = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("a.py", "x")),
            (2, 10, 10, te("passed")),
        ]);
    let cases: Vec<Case> = vec![
        (
            "--help",
            left().gone(2, Some(0)).ends(Some(0), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "--help below a shell",
            left().gone(2, None).ends(Some(0), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "--help, then tests",
            left_and_ran().ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "INTERNALERROR in pytest_sessionstart",
            left().gone(2, Some(3)).ends(Some(3), None),
            Verdict::InternalError,
            Confidence::Likely,
        ),
        (
            "UsageError in another plugin's pytest_configure, below a shell",
            left().ends(Some(4), None),
            Verdict::UsageError,
            Confidence::Possible,
        ),
        (
            "pytest.exit(returncode=7) in pytest_sessionstart",
            left().gone(2, Some(7)).ends(Some(7), None),
            Verdict::Interrupted,
            Confidence::Possible,
        ),
        (
            "pytest.exit(returncode=-1) in a test",
            session(Some(-1), "passed").ends(Some(255), None),
            Verdict::Interrupted,
            Confidence::Possible,
        ),
        (
            "os._exit(0) in pytest_sessionfinish",
            between.clone().gone(3, Some(0)).ends(Some(0), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "gone between two tests, and nobody saw how",
            between.gone(3, None).ends(Some(0), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "pytest in the background",
            still_runs.clone().ends(Some(0), None),
            Verdict::Interrupted,
            Confidence::Likely,
        ),
        (
            "a full disk: none of its marks came, and its process was seen to the end",
            notice(
                Story::new()
                    .session("s", 0)
                    .process(10, 1, Role::Pytest, "", "s")
                    .samples(Metric::Rss, 0, &[10, 10, 10]),
                "spool_failed",
            )
            .ends(Some(0), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "pytest that was there until shortly before",
            still_runs.gone(150, None).ends(Some(0), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "one of two sessions deselected everything",
            two(0, 5).ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "the last of two sessions deselected everything",
            two(0, 5).ends(Some(5), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "one of two sessions deselected everything, the other failed",
            two(1, 5).ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        let ending = story.ends_as(name, verdict, confidence);
        if verdict == Verdict::Passed {
            assert_eq!(ending.victim, None, "{name}");
        }
    }
}

#[test]
fn a_session_that_still_ran_is_told_as_such_with_what_it_ran() {
    let ending = session(None, "")
        .samples(Metric::Rss, 0, &[10, 10, 10])
        .ends(Some(0), None)
        .digest()
        .job
        .ending
        .unwrap();
    assert!(
        ending
            .sentence
            .starts_with("The command ended while 1 pytest session still ran"),
        "{ending:?}"
    );
    assert_eq!(ending.victim.as_deref(), Some("a.py::x"));
}

#[test]
fn a_foreign_status_is_told_with_its_number() {
    let ending = session(Some(-1), "passed")
        .ends(Some(255), None)
        .digest()
        .job
        .ending
        .unwrap();
    assert!(ending.sentence.contains("status -1"), "{ending:?}");
    assert!(ending.next_step.contains("pytest.exit"), "{ending:?}");
}

#[test]
fn a_plugin_that_stopped_between_two_tests_says_nothing_of_the_end() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("a.py", "x")),
            (2, 10, 10, te("passed")),
        ])
        .gone(3, Some(0));
    let ending = notice(story, "plugin_stopped").ends(Some(0), None).ends_as(
        "stopped",
        Verdict::Passed,
        Confidence::Likely,
    );
    assert!(ending.sentence.contains("broke off"), "{ending:?}");
}

#[test]
fn a_session_that_gave_way_to_another_of_its_process_is_none_without_an_end() {
    let anew = |marks: &[(i64, i64, i64, What)]| {
        Story::new()
            .session("s", 0)
            .session("t", 10)
            .process(10, 1, Role::Pytest, "", "s")
            .process(10, 1, Role::Pytest, "", "t")
            .marks(&[&[(0, 10, 10, sb()), (10, 10, 10, sb())], marks].concat())
    };
    let failed = [
        (11, 10, 10, tb("a.py", "x")),
        (12, 10, 10, te("failed")),
        (13, 10, 10, se(1)),
    ];
    let ending = anew(&failed).gone(15, Some(1)).ends(Some(1), None).ends_as(
        "anew, and to its end",
        Verdict::TestsFailed,
        Confidence::Certain,
    );
    assert_eq!(ending.sentence, "1 of 1 test failed.");
    anew(&failed[..1])
        .gone(15, Some(9))
        .ends(Some(9), None)
        .ends_as("anew, and gone", Verdict::Crashed, Confidence::Likely);
}
