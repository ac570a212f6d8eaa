//! Jobs that are recorded beside the steps of a CI job, sessions without the plugin, and the guard.

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{GuardAction, Metric, Role, event::What},
};

use super::{
    builder::{MB, Story, sb, se, tb, te},
    endings::session,
};

fn background(story: Story, exit_code: Option<i32>) -> Story {
    story
        .of_job(|job| job.background = true)
        .ends(exit_code, None)
}

/// A session whose tests were read from memory.
fn sampled(code: Option<i32>, signal: Option<i32>) -> Story {
    let mut story = session(None, "")
        .gone(500, code)
        .with(|process| process.signal = signal);
    story.batch.sessions[0].sampled = true;
    story.samples(Metric::Rss, 0, &[10, 10])
}

pub(super) fn guard(action: &str) -> What {
    What::Guard(GuardAction {
        action: action.to_owned(),
        limit: "budget".to_owned(),
        used_bytes: (95 * MB).cast_unsigned(),
        limit_bytes: (100 * MB).cast_unsigned(),
        pids: vec![10],
        signal: 2,
    })
}

#[test]
fn each_background_job() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let passed = || session(Some(0), "passed");
    let cases: Vec<Case> = vec![
        (
            "passed, and nobody told an exit code",
            background(passed(), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "passed, and `stop --exit-code 0`",
            background(passed(), Some(0)),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "passed, and `stop --exit-code 3`",
            background(passed(), Some(3)),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "no pytest",
            background(Story::new(), None),
            Verdict::NoSession,
            Confidence::Certain,
        ),
        (
            "killed long before `stop`",
            background(
                session(None, "")
                    .gone(5, None)
                    .with(|process| process.signal = Some(15))
                    .machine(0, &[4])
                    .machine(600_000, &[90]),
                Some(143),
            ),
            Verdict::OomDaemon,
            Confidence::Likely,
        ),
        (
            "killed, memory short only when `stop` came",
            background(
                session(None, "")
                    .gone(5, None)
                    .with(|process| process.signal = Some(15))
                    .machine(0, &[90])
                    .machine(600_000, &[4]),
                Some(143),
            ),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "gone in the middle, and nobody saw how",
            background(session(None, "").gone(5, None), None),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "one of two sessions failed",
            background(
                passed()
                    .session("t", 10)
                    .process(11, 1, Role::Pytest, "", "t")
                    .marks(&[
                        (10, 10, 10, sb()),
                        (11, 10, 10, tb("b.py", "y")),
                        (12, 10, 10, te("failed")),
                        (13, 10, 10, se(1)),
                    ]),
                Some(1),
            ),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
}

#[test]
fn each_session_without_the_plugin() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let cases: Vec<Case> = vec![
        (
            "its process ended with 0",
            background(sampled(Some(0), None), None),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "its process ended with 1",
            background(sampled(Some(1), None), None),
            Verdict::TestsFailed,
            Confidence::Likely,
        ),
        (
            "its process ended with 3",
            background(sampled(Some(3), None), None),
            Verdict::InternalError,
            Confidence::Likely,
        ),
        (
            "its process was killed",
            background(sampled(None, Some(9)), None),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "its process crashed",
            background(sampled(None, Some(11)), None),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "nobody saw how its process ended",
            background(sampled(None, None), None),
            Verdict::NoSession,
            Confidence::Possible,
        ),
        (
            "nobody saw how its process ended, below a command that failed",
            sampled(None, None).ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Likely,
        ),
        (
            "nobody saw how its process ended, below a command that a signal ended",
            sampled(None, None).ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "nobody saw how its process ended, and the kernel killed one in its full cgroup",
            background(
                sampled(None, None)
                    .with(|process| process.cgroup = "/job".to_owned())
                    .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
                    .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1),
                None,
            ),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
}

#[test]
fn each_action_of_the_guard() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let cases: Vec<Case> = vec![
        (
            "it told pytest to end, and pytest did",
            session(Some(2), "passed")
                .event(2, guard("stopped"))
                .ends(Some(2), None),
            Verdict::GuardStopped,
            Confidence::Certain,
        ),
        (
            "it told pytest to end, and pytest had just passed",
            session(Some(0), "passed")
                .event(2, guard("stopped"))
                .ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "it told pytest to end, which went on to its end, where a test failed",
            session(Some(1), "failed")
                .event(2, guard("stopped"))
                .ends(Some(1), None),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
        (
            "it told pytest to end, which went on until a crash",
            session(None, "")
                .with(|process| process.signal = Some(11))
                .event(1, guard("stopped"))
                .ends(Some(139), None),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "it told pytest to end, and the kernel was faster",
            session(None, "")
                .event(2, guard("stopped"))
                .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
                .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
                .ends(None, Some(9)),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "it told pytest to end, and in the end killed it",
            session(None, "")
                .event(1, guard("stopped"))
                .ends(None, Some(9)),
            Verdict::GuardStopped,
            Confidence::Certain,
        ),
        (
            "it warned",
            session(Some(0), "passed")
                .event(2, guard("warned"))
                .ends(Some(0), None),
            Verdict::Passed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        let ending = story.ends_as(name, verdict, confidence);
        let told = ending
            .evidence
            .iter()
            .find(|it| it.sentence.starts_with("The guard "));
        let told = &told.unwrap().sentence;
        assert!(
            told.ends_with("the memory limit: 90.6 MiB used, 95.4 MiB allowed (process 10)."),
            "{told}"
        );
    }
}

#[test]
fn whoever_held_the_memory_when_the_guard_acted_is_named() {
    let ending = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .samples(Metric::Rss, 0, &[10, 410])
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("holder.py", "x")),
            (40, 410, 410, te("passed")),
            (45, 410, 410, tb("victim.py", "y")),
            (55, 410, 410, te("failed")),
            (60, 410, 410, se(2)),
        ])
        .event(50, guard("stopped"))
        .ends(Some(2), None)
        .ends_as("guard", Verdict::GuardStopped, Confidence::Certain);
    assert_eq!(ending.culprits[0].name, "holder.py");
    assert_eq!(ending.victim.as_deref(), Some("victim.py::y"));
}

#[test]
fn what_the_ci_calls_a_failure_is_not_said_to_need_nothing() {
    let job = |status: &str| {
        background(session(Some(0), "passed"), None).of_end(|end| end.ci_status = status.to_owned())
    };
    let ending = job("failure").ends_as("failure", Verdict::Passed, Confidence::Certain);
    assert!(ending.sentence.contains("The CI calls"), "{ending:?}");
    assert!(ending.next_step.contains("other steps"), "{ending:?}");
    let ending = job("success").ends_as("success", Verdict::Passed, Confidence::Certain);
    assert_eq!(ending.next_step, "Nothing to do.");
}

#[test]
fn of_the_guards_stop_only_what_bears_on_it_is_told() {
    let story = |limit: &'static str| {
        let of = move |action: &str| {
            let What::Guard(taken) = guard(action) else {
                panic!("an action");
            };
            What::Guard(GuardAction {
                limit: limit.to_owned(),
                ..taken
            })
        };
        let other = What::Guard(GuardAction {
            action: "warned".to_owned(),
            limit: "cgroup".to_owned(),
            ..GuardAction::default()
        });
        session(Some(2), "passed")
            .event(1, other)
            .event(2, of("stopped"))
            .machine(0, &[50, 2])
            .series(Metric::MachineSwapUsed, None, "", 0, &[7, 7], MB)
            .series(Metric::MachineOthers, None, "", 0, &[40, 40], MB)
            .ends(Some(2), None)
            .ends_as(limit, Verdict::GuardStopped, Confidence::Certain)
    };
    let noise = ["warned", "the machine", "swap", "outside the job"];
    let told = |limit| {
        let ending = story(limit);
        let text: Vec<_> = ending.evidence.into_iter().map(|it| it.sentence).collect();
        let text = text.join("\n");
        noise.map(|word| text.contains(word))
    };
    assert_eq!(told("budget"), [false; 4]);
    assert_eq!(told("machine"), [false, true, true, true]);
}

/// What the ending tells beside the guard's stop at 40 ms of two workers: the first is in its last test, the second ran one more after it.
#[test]
fn a_test_that_passed_after_the_guards_stop_did_not_run_at_the_end() {
    let story = |last: &str| {
        Story::new()
            .session("s", 0)
            .process(10, 1, Role::Controller, "", "s")
            .marks(&[(0, 10, 10, sb()), (90, 10, 10, se(2))])
            .process(11, 10, Role::Worker, "gw0", "s")
            .marks(&[
                (1, 10, 10, sb()),
                (30, 10, 10, tb("a.py", "ran")),
                (50, 10, 10, te("passed")),
                (55, 10, 10, tb("b.py", "later")),
                (80, 10, 10, te(last)),
                (85, 10, 10, se(0)),
            ])
            .event(40, guard("stopped"))
            .ends(Some(2), None)
            .ends_as(last, Verdict::GuardStopped, Confidence::Certain)
    };
    let broken_off = story("unknown");
    assert_eq!(broken_off.victim.as_deref(), Some("b.py::later"));
    let said = &broken_off.sentence;
    assert!(said.contains("after 1 test (one was running)"), "{said}");
    let whole = story("passed");
    assert_eq!(whole.victim, None);
    assert!(whole.sentence.contains("after 2 tests,"), "{whole:?}");
}

#[test]
fn of_several_sessions_the_one_that_ended_is_counted() {
    let killed = session(Some(0), "passed")
        .session("t", 10)
        .process(11, 1, Role::Pytest, "", "t")
        .marks(&[
            (10, 10, 10, sb()),
            (11, 10, 10, tb("b.py", "one")),
            (12, 10, 10, te("passed")),
            (13, 10, 10, tb("b.py", "two")),
        ])
        .gone(20, None)
        .with(|process| process.signal = Some(9))
        .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
        .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1);
    let ending =
        background(killed, None).ends_as("another step", Verdict::OomCgroup, Confidence::Certain);
    assert_eq!(
        ending.sentence,
        "The kernel killed pytest because its cgroup reached its memory limit, after 1 test of its session (one was running)."
    );
    let told = ending.evidence.iter().map(|it| it.sentence.as_str());
    let told: Vec<&str> = told.collect();
    assert!(
        told.contains(&"The pytest session 1 ended with status 0."),
        "{told:?}"
    );
}

#[test]
fn a_lost_agent_says_from_when_to_when_nothing_was_sampled() {
    let mut story = background(
        session(Some(0), "passed")
            .samples(Metric::Rss, 0, &[10, 10])
            .event(9_700, guard("warned")),
        None,
    );
    story.end.as_mut().unwrap().agent_lost = true;
    let ending = story.digest().job.ending.unwrap();
    let gone = ending
        .evidence
        .iter()
        .find(|it| it.sentence.starts_with("The agent was gone"));
    let gone = gone.unwrap();
    assert_eq!(
        gone.sentence,
        "The agent was gone before the job's end: nothing was sampled from 0.1 s to 9.7 s."
    );
    assert_eq!(gone.at_us, Some(50_000));
}
