//! Sessions whose tests were read from the memory of a pytest without the plugin.

use highwater_wire::{
    report::{Confidence, PeakKind, Verdict},
    v1::{Metric, Role},
};

use crate::plan::{self, Asked, Facts, Refusal};

use super::builder::{MB, Story, sb, tb, te, tp, xx};

/// Two tests on the ticks at 100, 200 and 300 ms, as samples show them.
fn story(exit_code: Option<i32>, ends_in_order: bool) -> Story {
    let mut story = Story::new()
        .session("s", 100)
        .process(7, 1, Role::Pytest, "", "s");
    story.batch.sessions[0].sampled = true;
    story.batch.processes[0].exact = Some(false);
    let mut marks = vec![
        (100, 10, -1, sb()),
        (100, 10, -1, tb("a.py", "one")),
        (150, 12, -1, tp("call")),
        (200, 30, -1, te("unknown")),
        (200, 30, -1, tb("b.py", "two")),
    ];
    if ends_in_order {
        marks.push((300, 35, -1, te("unknown")));
        marks.push((300, 35, -1, xx()));
    }
    story
        .gone(300, exit_code)
        .marks(&marks)
        .samples(Metric::Rss, 100, &[10, 12, 30, 34, 35])
        .ends(exit_code, exit_code.is_none().then_some(9))
}

#[test]
fn no_plan_is_made_of_what_was_sampled() {
    let digest = story(Some(0), true).digest();
    let facts = Facts::of(&digest.job.sessions, &digest.files, &digest.fixtures);
    let asked = Asked {
        budget_bytes: Some(1 << 40),
        ..Asked::default()
    };
    let refusal = plan::report(&digest.job, &facts, &asked).unwrap_err();
    assert_eq!(refusal, Refusal::Sampled(1));
    assert!(
        refusal.to_string().contains("record it with the plugin"),
        "{refusal}"
    );
}

#[test]
fn the_exit_code_is_all_that_is_known_of_outcomes() {
    for (code, verdict, words) in [
        (0, Verdict::Passed, "pytest ended with exit code 0"),
        (1, Verdict::TestsFailed, "pytest ended with exit code 1"),
    ] {
        let story = story(Some(code), true);
        let ending = story.ends_as("sampled", verdict, Confidence::Likely);
        assert!(ending.sentence.starts_with("2 tests were seen by sampling"));
        assert!(ending.sentence.contains(words), "{}", ending.sentence);
        assert!(!ending.sentence.contains("none"), "{}", ending.sentence);
        let digest = story.digest();
        let session = &digest.job.sessions[0];
        assert!(session.sampled);
        assert_eq!((session.tests, session.failed), (2, 0));
    }
}

#[test]
fn its_figures_are_sampled_and_claim_no_fixtures_and_imports() {
    let digest = story(Some(0), true).digest();
    let tests: Vec<_> = digest
        .tests
        .iter()
        .map(|test| (test.outcome.as_str(), test.peak_kind, test.retained_bytes))
        .collect();
    assert_eq!(
        tests,
        [
            ("unknown", PeakKind::Sampled, 20 * MB),
            ("unknown", PeakKind::Sampled, 5 * MB)
        ]
    );
    let files: Vec<_> = digest
        .files
        .iter()
        .map(|file| {
            (
                file.path.as_str(),
                file.peak_kind,
                file.failed,
                file.censored,
            )
        })
        .collect();
    assert_eq!(
        files,
        [
            ("a.py", PeakKind::Sampled, 0, false),
            ("b.py", PeakKind::Sampled, 0, false)
        ]
    );
    assert_eq!(digest.fixtures, []);
    assert_eq!(digest.processes[0].books, None);
}

#[test]
fn a_worker_that_died_is_told_where_its_session_ended_in_order() {
    let mut story = Story::new()
        .session("s", 100)
        .process(7, 1, Role::Controller, "", "s")
        .gone(900, Some(1))
        .marks(&[(100, 9, -1, sb()), (900, 9, -1, xx())])
        .process(8, 7, Role::Worker, "gw0", "s")
        .gone(300, None)
        .marks(&[(100, 10, -1, sb()), (100, 10, -1, tb("a.py", "one"))])
        .ends(Some(1), None);
    story.batch.sessions[0].sampled = true;
    story.ends_as("not in order", Verdict::TestsFailed, Confidence::Likely);
    story.batch.sessions[0].ended_us = Some(900_000);
    story.ends_as("in order", Verdict::WorkerCrashed, Confidence::Likely);
}

#[test]
fn a_test_that_was_seen_last_in_a_process_that_was_killed_is_the_victim() {
    let story = story(None, false);
    let ending = story.ends_as("killed", Verdict::Killed, Confidence::Likely);
    assert_eq!(ending.victim.as_deref(), Some("b.py::two"));
    assert!(story.digest().files[1].censored);
}

/// A file that only tells what was measured: with tests, and without.
#[test]
fn a_job_of_another_recorders_file_claims_no_ending() {
    let imported = |mut story: Story| {
        story.batch.processes[0].exact = Some(false);
        story
            .of_job(|job| job.run.get_or_insert_default().provider = "import".to_owned())
            .samples(Metric::Rss, 100, &[10, 12, 30])
            .ends(None, None)
    };
    let mut tests = Story::new()
        .session("s", 0)
        .process(7, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 0, -1, sb()),
            (100, 0, -1, tb("a.py", "one")),
            (200, 0, -1, te("unknown")),
        ]);
    tests.batch.sessions[0].sampled = true;
    let curve = Story::new().process(7, 1, Role::Child, "", "");
    for (what, story, words) in [
        ("tests", imported(tests), "This job, with 1 test, comes"),
        ("a curve", imported(curve), "This job comes"),
    ] {
        let ending = story.ends_as(what, Verdict::NoSession, Confidence::Possible);
        assert!(ending.sentence.starts_with(words), "{}", ending.sentence);
        assert_eq!(ending.victim, None);
        assert!(!story.digest().job.censored);
    }
}

#[test]
fn what_was_sampled_is_told_apart_from_what_the_plugin_told() {
    let story = story(Some(0), true)
        .session("t", 400)
        .process(8, 1, Role::Pytest, "", "t")
        .marks(&[
            (400, 10, 10, sb()),
            (410, 10, 10, tb("c.py", "told")),
            (420, 10, 10, te("passed")),
            (430, 10, 10, super::builder::se(0)),
        ])
        .ends(Some(0), None);
    let ending = story.ends_as("mixed", Verdict::Passed, Confidence::Likely);
    let said = &ending.sentence;
    assert!(said.starts_with("2 tests were seen by sampling"), "{said}");
    assert!(
        said.contains("of 1 that the plugin told of none failed"),
        "{said}"
    );
}

#[test]
fn what_ran_at_the_last_sample_is_said_to_be_as_of_then() {
    let ending = story(None, false).ends_as("killed", Verdict::Killed, Confidence::Likely);
    let mut told = ending.evidence.iter().map(|it| it.sentence.as_str());
    let seen = told.find(|said| said.contains("was seen last")).unwrap();
    assert!(
        seen.contains("in b.py::two, ") && seen.contains(" before it was gone"),
        "{seen}"
    );
}
