//! Memory that was asked for and refused.

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{ImportEnd, Notice, Role, mark},
};

use super::{
    builder::{MB, Story, ib, sb, se, tb, te, te_because},
    endings::session,
};

fn limited(story: Story, limit_mb: i64, peak_mb: i64) -> Story {
    story.with(|process| {
        process.address_space_limit_bytes = Some((limit_mb * MB).cast_unsigned());
        process.address_space_peak_bytes = Some((peak_mb * MB).cast_unsigned());
    })
}

fn broke_off(mut story: Story) -> Story {
    story.batch.notices.push(Notice {
        t_us: 5,
        code: "plugin_memory_error".to_owned(),
        ..Notice::default()
    });
    story
}

fn could_not_begin() -> Story {
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[(0, 10, 10, sb()), (3, 10, 10, se(4))])
}

/// A suite of one process in which tests ended so, with a status of pytest's where it told one.
fn suite(ends: &[mark::What], status: Option<i32>) -> Story {
    let mut marks = vec![(0, 10, 10, sb())];
    for (at, end) in (1..).step_by(2).zip(ends) {
        marks.push((at, 10, 10, tb("a.py", &format!("t{at}"))));
        marks.push((at + 1, 10, 10, end.clone()));
    }
    marks.extend(status.map(|status| (90, 10, 10, se(status))));
    if status.is_none() {
        marks.push((91, 10, 10, tb("a.py", "victim")));
    }
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&marks)
}

/// A test that is refused memory after a minute, with a peak in MB.
fn late_refusal(peak: i64) -> Story {
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (60_000, 10, 10, tb("a.py", "late")),
            (60_050, 10, peak, te_because("memory_error")),
            (60_060, 10, 10, se(1)),
        ])
}

/// Forty tests raise a MemoryError with memory calm; a minute later the machine is next to empty.
fn forty_on_purpose_then_short(late: &[(i64, i64, i64, mark::What)]) -> Story {
    let mut marks = vec![(0, 10, 10, sb())];
    for at in (1..=80).step_by(2) {
        marks.push((at, 10, 10, tb("a.py", &format!("t{at}"))));
        marks.push((at + 1, 10, 10, te_because("memory_error")));
    }
    marks.extend_from_slice(late);
    marks.push((60_060, 10, 10, se(1)));
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&marks)
        .machine(0, &[60, 60])
        .machine(60_000, &[4, 4])
        .ends(Some(1), None)
}

#[test]
fn no_refusal_hides_behind_those_before_it() {
    let import_refused = mark::What::ImportEnd(ImportEnd {
        outcome: "failed".to_owned(),
        cause: "memory_error".to_owned(),
    });
    let calm = forty_on_purpose_then_short(&[]);
    let test = forty_on_purpose_then_short(&[
        (60_000, 10, 10, tb("a.py", "late")),
        (60_050, 10, 10, te_because("memory_error")),
    ]);
    let import = forty_on_purpose_then_short(&[
        (60_000, 10, 10, ib("late.py")),
        (60_050, 10, 10, import_refused),
    ]);
    let mut pytest = broke_off(calm.clone());
    pytest.batch.notices[0].t_us = 60_050_000;
    calm.ends_as(
        "all of it on purpose",
        Verdict::TestsFailed,
        Confidence::Certain,
    );
    for (name, story) in [("a test", test), ("an import", import), ("pytest", pytest)] {
        story.ends_as(name, Verdict::MemoryError, Confidence::Likely);
    }
}

#[test]
fn each_refusal() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let refused = || te_because("memory_error");
    let import_refused = mark::What::ImportEnd(ImportEnd {
        outcome: "failed".to_owned(),
        cause: "memory_error".to_owned(),
    });
    let cases: Vec<Case> = vec![
        (
            "a test failed with a MemoryError",
            limited(suite(&[refused()], Some(1)), 400, 200).ends(Some(1), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "one of several failures",
            limited(
                suite(&[refused(), te("failed"), te("passed")], Some(1)),
                400,
                200,
            )
            .ends(Some(1), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "a MemoryError, then pytest was gone with an exit code",
            limited(suite(&[refused()], None), 400, 200)
                .gone(95, Some(1))
                .ends(Some(1), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "a MemoryError, then a segmentation fault",
            suite(&[refused()], None).ends(None, Some(11)),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "a MemoryError of pytest itself",
            limited(suite(&[refused()], Some(3)), 400, 200).ends(Some(3), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "pytest itself broke off for want of memory",
            broke_off(limited(session(Some(3), "passed"), 400, 200)).ends(Some(3), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "pytest itself broke off, and nothing shows why",
            broke_off(session(Some(3), "passed")).ends(Some(3), None),
            Verdict::InternalError,
            Confidence::Certain,
        ),
        (
            "a MemoryError with memory calm and no limit",
            suite(&[refused()], Some(1))
                .machine(0, &[60, 60])
                .ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
        (
            "a MemoryError with the data limited (ulimit -d)",
            suite(&[refused()], Some(1))
                .with(|process| process.data_limit_bytes = Some(1 << 30))
                .ends(Some(1), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "a MemoryError with the machine next to empty",
            suite(&[refused()], Some(1))
                .machine(0, &[60, 4])
                .ends(Some(1), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "a MemoryError long after the machine was next to empty",
            late_refusal(10)
                .machine(0, &[60, 4])
                .machine(60_000, &[60, 60])
                .ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
        (
            "a MemoryError of a test that had grown by much",
            late_refusal(600).ends(Some(1), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "pytest itself went on all the same",
            broke_off(session(Some(0), "passed")).ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "what it began with took all of its address space",
            limited(could_not_begin(), 100, 98).ends(Some(4), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "it could not begin with room in its address space",
            limited(could_not_begin(), 100, 60).ends(Some(4), None),
            Verdict::UsageError,
            Confidence::Certain,
        ),
        (
            "a file whose import was refused",
            Story::new()
                .session("s", 0)
                .process(10, 1, Role::Pytest, "", "s")
                .marks(&[
                    (0, 10, 10, sb()),
                    (1, 10, 10, ib("big.py")),
                    (2, 10, 10, import_refused),
                    (3, 10, 10, se(2)),
                ])
                .with(|process| process.data_limit_bytes = Some(1 << 30))
                .ends(Some(2), None),
            Verdict::MemoryError,
            Confidence::Likely,
        ),
        (
            "a test failed for itself, with a full address space",
            limited(session(Some(1), "failed"), 100, 98).ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
        (
            "pytest was gone with a full address space",
            limited(session(None, ""), 100, 98)
                .gone(5, Some(1))
                .ends(Some(1), None),
            Verdict::MemoryError,
            Confidence::Possible,
        ),
        (
            "pytest was gone with room in its address space",
            limited(session(None, ""), 100, 60)
                .gone(5, Some(1))
                .ends(Some(1), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "all passed with a full address space",
            limited(session(Some(0), "passed"), 100, 99).ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
}

#[test]
fn refusals_are_counted_and_told_with_the_limit_of_the_address_space() {
    let ends = [te_because("memory_error"), te("failed"), te("passed")];
    let story = limited(suite(&ends, Some(1)), 400, 390).ends(Some(1), None);
    let ending = story.ends_as("told", Verdict::MemoryError, Confidence::Likely);
    assert_eq!(
        ending.sentence,
        "1 test or import could not get the memory it asked for (MemoryError); 3 tests ran, and 1 failed for something else."
    );
    let told = |words: &str| ending.evidence.iter().any(|it| it.sentence.contains(words));
    assert!(told("a.py::t1 failed with a MemoryError."), "{ending:?}");
    assert!(
        told("was limited to 381.5 MiB (ulimit -v) and had been up to 371.9 MiB"),
        "{ending:?}"
    );
    assert!(!story.digest().job.censored, "the suite ran to its end");
}

#[test]
fn a_crash_in_a_full_address_space_is_told_with_it() {
    let crashed = |peak_mb| limited(session(None, ""), 400, peak_mb).ends(None, Some(6));
    for (peak_mb, told) in [(390, true), (200, false)] {
        let ending = crashed(peak_mb).ends_as("abort", Verdict::Crashed, Confidence::Certain);
        let sentence = &ending.sentence;
        assert_eq!(sentence.contains("refused memory"), told, "{sentence}");
    }
}

#[test]
fn tests_that_passed_a_limit_on_their_memory_are_named() {
    for (limited, failed, says) in [
        (
            1,
            0,
            "1 of 2 tests failed. It passed the limit on its memory: a.py::t1.",
        ),
        (
            1,
            1,
            "2 of 3 tests failed. 1 of them passed the limit on its memory: a.py::t1.",
        ),
        (
            4,
            0,
            "4 of 5 tests failed. 4 of them passed the limit on their memory: a.py::t1, a.py::t3, a.py::t5 and 1 more.",
        ),
    ] {
        let mut ends = vec![te_because("limit"); limited];
        ends.extend(vec![te("failed"); failed]);
        ends.push(te("passed"));
        let ending = suite(&ends, Some(1)).ends(Some(1), None).ends_as(
            says,
            Verdict::TestsFailed,
            Confidence::Certain,
        );
        assert_eq!(ending.sentence, says);
        assert!(ending.next_step.contains("passed the limits"), "{ending:?}");
    }
}

#[test]
fn a_memory_error_that_nothing_explains_is_noted_and_advises_no_limit() {
    let ending = suite(&[te_because("memory_error"), te("passed")], Some(1))
        .machine(0, &[60, 60])
        .ends(Some(1), None)
        .ends_as("on purpose", Verdict::TestsFailed, Confidence::Certain);
    assert_eq!(
        ending.sentence,
        "1 of 2 tests failed. 1 test or import failed with a MemoryError, and nothing shows that memory was short or limited (ulimit): it was raised on purpose, or too much was asked for at once."
    );
    assert!(!ending.next_step.contains("ulimit"), "{ending:?}");
    let told = |words: &str| ending.evidence.iter().any(|it| it.sentence == words);
    assert!(told("a.py::t1 failed with a MemoryError."), "{ending:?}");
}
