use highwater_wire::{
    report::{Confidence, JobState, Verdict},
    v1::{Notice, Role},
};

use super::builder::{Story, context, ib, ie_failed, sb, se, tb, te};
use crate::digest::digest;

pub(super) fn session(status: Option<i32>, outcome: &str) -> Story {
    let mut marks = vec![(0, 10, 10, sb()), (1, 10, 10, tb("a.py", "x"))];
    if let Some(status) = status {
        marks.push((2, 10, 10, te(outcome)));
        marks.push((3, 10, 10, se(status)));
    }
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&marks)
}

pub(super) fn notice(mut story: Story, code: &str) -> Story {
    story.batch.notices.push(Notice {
        code: code.to_owned(),
        count: 1,
        ..Notice::default()
    });
    story
}

#[test]
fn a_job_with_missing_batches_is_not_called_crashed() {
    let recording = session(None, "").ends(Some(0), None).recording();
    let ending = digest(&recording, &context(JobState::Incomplete))
        .job
        .ending
        .unwrap();
    assert_eq!(
        (ending.verdict, ending.confidence),
        (Verdict::Passed, Confidence::Likely)
    );
    assert!(ending.sentence.contains("broke off"), "{ending:?}");
}

#[test]
fn a_lost_agent_does_not_hide_how_pytest_ended() {
    let mut story = session(Some(0), "passed").ends(None, None);
    story.end.as_mut().unwrap().agent_lost = true;
    let ending = story.digest().job.ending.unwrap();
    assert_eq!(
        (ending.verdict, ending.confidence),
        (Verdict::Passed, Confidence::Likely)
    );
    assert!(
        ending
            .evidence
            .iter()
            .any(|e| e.sentence.contains("agent was gone")),
        "{ending:?}"
    );
}

#[test]
fn a_file_that_cannot_be_imported_is_no_interruption() {
    for (status, tests) in [(2, false), (1, true)] {
        let mut marks = vec![
            (0, 10, 10, sb()),
            (1, 10, 10, ib("broken.py")),
            (2, 10, 10, ie_failed()),
        ];
        if tests {
            marks.push((3, 10, 10, tb("a.py", "x")));
            marks.push((4, 10, 10, te("passed")));
        }
        marks.push((5, 10, 10, se(status)));
        let ending = Story::new()
            .session("s", 0)
            .process(10, 1, Role::Pytest, "", "s")
            .marks(&marks)
            .ends(Some(status), None)
            .digest()
            .job
            .ending
            .unwrap();
        assert_eq!(ending.verdict, Verdict::TestsFailed);
        assert!(
            ending
                .sentence
                .starts_with("1 test file could not be collected"),
            "{ending:?}"
        );
        assert!(
            ending
                .evidence
                .iter()
                .any(|e| e.sentence.contains("broken.py"))
        );
    }
}

#[test]
fn a_pytest_that_only_collected_is_not_said_to_have_passed_tests() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[(0, 10, 10, sb()), (3, 10, 10, se(0))])
        .ends(Some(137), None);
    let ending = story.digest().job.ending.unwrap();
    assert_eq!(ending.verdict, Verdict::Passed);
    assert_eq!(
        ending.sentence,
        "pytest ended well and ran no test; the command itself ended with exit code 137 afterwards."
    );
}

#[test]
fn a_passed_budget_is_told_and_changes_no_verdict() {
    let mut story = session(Some(0), "passed").ends(Some(0), None);
    story.budget_bytes = 5_000_000;
    let ending = story.digest().job.ending.unwrap();
    assert_eq!(ending.verdict, Verdict::Passed);
    assert!(
        ending.sentence.contains("of a budget of 4.8 MiB"),
        "{ending:?}"
    );
}

#[test]
fn a_worker_that_was_gone_is_told_with_what_it_ran() {
    let digest = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Controller, "", "s")
        .marks(&[(0, 10, 10, sb()), (9, 10, 10, se(1))])
        .process(11, 10, Role::Worker, "gw0", "s")
        .marks(&[(1, 10, 10, sb()), (2, 10, 10, tb("a.py", "killed"))])
        .process(12, 10, Role::Worker, "gw1", "s")
        .marks(&[
            (1, 10, 10, sb()),
            (2, 10, 10, tb("a.py", "x")),
            (3, 10, 10, te("passed")),
            (4, 10, 10, se(0)),
        ])
        .ends(Some(1), None)
        .digest();
    let outcomes: Vec<_> = digest
        .tests
        .iter()
        .map(|test| test.outcome.as_str())
        .collect();
    assert_eq!(
        (outcomes, digest.job.sessions[0].failed),
        (vec!["failed", "passed"], 1)
    );
    let ending = digest.job.ending.unwrap();
    assert_eq!(
        (ending.verdict, ending.confidence),
        (Verdict::WorkerCrashed, Confidence::Likely)
    );
    assert_eq!(ending.victim.as_deref(), Some("a.py::killed"));
    assert!(
        ending.sentence.starts_with("A worker process was gone"),
        "{ending:?}"
    );
}

#[test]
fn each_ending_of_the_first_form() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let cases: Vec<Case> = vec![
        (
            "all passed",
            session(Some(0), "passed").ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "tests passed, script failed",
            session(Some(0), "passed").ends(Some(3), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "a test failed",
            session(Some(1), "failed").ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
        (
            "interrupted",
            session(Some(2), "passed").ends(Some(2), None),
            Verdict::Interrupted,
            Confidence::Certain,
        ),
        (
            "internal error",
            session(Some(3), "passed").ends(Some(3), None),
            Verdict::InternalError,
            Confidence::Certain,
        ),
        (
            "usage",
            session(Some(4), "passed").ends(Some(4), None),
            Verdict::UsageError,
            Confidence::Certain,
        ),
        (
            "usage, before any session",
            Story::new().ends(Some(4), None),
            Verdict::UsageError,
            Confidence::Possible,
        ),
        (
            "no tests",
            session(Some(5), "passed").ends(Some(5), None),
            Verdict::NoTests,
            Confidence::Certain,
        ),
        (
            "os._exit(0) in a test",
            session(None, "").ends(Some(0), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "os._exit(1) in a test",
            session(None, "").ends(Some(1), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "124, and no `timeout` anywhere",
            session(None, "").ends(Some(124), None),
            Verdict::Crashed,
            Confidence::Possible,
        ),
        (
            "segmentation fault",
            session(None, "").ends(None, Some(11)),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "segmentation fault behind a shell",
            session(None, "").ends(Some(139), None),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "137, memory calm",
            session(None, "").ends(Some(137), None),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "143, memory calm",
            session(None, "").ends(None, Some(15)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "exit code 137 without any session",
            Story::new().ends(Some(137), None),
            Verdict::NoSession,
            Confidence::Certain,
        ),
        (
            "exit code 0 without any session",
            Story::new().ends(Some(0), None),
            Verdict::NoSession,
            Confidence::Certain,
        ),
        (
            "events that could not be read, and no session",
            notice(Story::new(), "events_failed").ends(Some(0), None),
            Verdict::NoSession,
            Confidence::Possible,
        ),
        (
            "a plugin that stopped, and a command that passed",
            notice(session(None, ""), "plugin_stopped").ends(Some(0), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "a full disk, and a command that failed",
            notice(session(None, ""), "spool_failed").ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Likely,
        ),
        (
            "a plugin that stopped, and a crash",
            notice(session(None, ""), "plugin_stopped").ends(Some(139), None),
            Verdict::Crashed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        let ending = story.ends_as(name, verdict, confidence);
        assert!(
            ending.sentence.ends_with('.') && !ending.next_step.is_empty(),
            "{name}: {ending:?}"
        );
    }
}

#[test]
fn a_job_that_fell_silent_has_an_ending_and_a_running_one_has_none() {
    let recording = session(None, "").recording();
    let lost = digest(&recording, &context(JobState::Lost)).job;
    assert_eq!(
        lost.ending.map(|ending| ending.verdict),
        Some(Verdict::RunnerLost)
    );
    let running = digest(&recording, &context(JobState::Running)).job;
    assert_eq!((running.ending, running.ended_at), (None, None));
}
