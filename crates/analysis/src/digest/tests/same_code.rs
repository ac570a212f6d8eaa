//! An exit code is no verdict: the same code with other evidence gives another.

use std::collections::BTreeSet;

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{Metric, Role},
};

use super::{
    builder::{Story, sb, se, tb, te_because},
    endings::session,
    signals::taken,
};

type Case = (&'static str, i32, Story, Verdict, Confidence);

fn gone() -> Story {
    session(None, "")
}

fn killed_for_memory(story: Story) -> Story {
    story
        .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
        .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
}

fn below_timeout(story: Story) -> Story {
    story
        .samples(Metric::Rss, 5_000, &[10])
        .gone(5_040, None)
        .with(|process| process.parent_pid = 5)
        .process(5, 1, Role::Child, "", "")
        .with(|process| process.command = "timeout -k 1 5 pytest".to_owned())
        .samples(Metric::Rss, 0, &[1])
}

fn cancelled(story: Story) -> Story {
    story.event(1, taken(2, 0, "")).event(2, taken(15, 0, ""))
}

fn refused() -> Story {
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("a.py", "x")),
            (2, 10, 10, te_because("memory_error")),
            (3, 10, 10, se(1)),
        ])
}

fn with_signal(signal: i32) -> Story {
    gone()
        .gone(5, None)
        .with(|process| process.signal = Some(signal))
}

#[test]
fn one_code_and_several_endings() {
    use Confidence::{Certain, Likely, Possible};
    let cases: Vec<Case> = vec![
        (
            "killed for memory",
            137,
            killed_for_memory(gone()),
            Verdict::OomCgroup,
            Certain,
        ),
        (
            "killed, memory calm",
            137,
            gone().machine(0, &[60]),
            Verdict::Killed,
            Likely,
        ),
        (
            "killed, memory short",
            137,
            gone().machine(0, &[4]),
            Verdict::OomDaemon,
            Likely,
        ),
        (
            "cancelled",
            137,
            cancelled(gone()),
            Verdict::Cancelled,
            Likely,
        ),
        (
            "the time of timeout was up",
            137,
            below_timeout(gone()),
            Verdict::TimedOut,
            Likely,
        ),
        (
            "pytest itself ended with it",
            137,
            gone().gone(5, Some(137)),
            Verdict::Crashed,
            Likely,
        ),
        ("no pytest", 137, Story::new(), Verdict::NoSession, Certain),
        (
            "pytest had passed",
            137,
            session(Some(0), "passed"),
            Verdict::Passed,
            Likely,
        ),
        (
            "ended, memory calm",
            143,
            gone().machine(0, &[60]),
            Verdict::Killed,
            Likely,
        ),
        (
            "ended, memory short",
            143,
            gone().machine(0, &[4]),
            Verdict::OomDaemon,
            Likely,
        ),
        (
            "cancelled",
            143,
            cancelled(gone()),
            Verdict::Cancelled,
            Likely,
        ),
        (
            "the time of timeout was up",
            143,
            below_timeout(gone()),
            Verdict::TimedOut,
            Likely,
        ),
        (
            "by `timeout` around the agent",
            143,
            gone().event(1, taken(15, 9, "timeout 5 sh")),
            Verdict::TimedOut,
            Likely,
        ),
        (
            "passed",
            0,
            session(Some(0), "passed"),
            Verdict::Passed,
            Certain,
        ),
        (
            "os._exit(0)",
            0,
            gone().gone(5, Some(0)),
            Verdict::Crashed,
            Likely,
        ),
        (
            "a crash that the shell swallowed",
            0,
            with_signal(11),
            Verdict::Crashed,
            Certain,
        ),
        (
            "a kill for memory that the shell swallowed",
            0,
            killed_for_memory(with_signal(9)),
            Verdict::OomCgroup,
            Certain,
        ),
        (
            "failed tests that the shell swallowed",
            0,
            session(Some(1), "failed"),
            Verdict::TestsFailed,
            Certain,
        ),
        ("no pytest", 0, Story::new(), Verdict::NoSession, Certain),
        (
            "a test failed",
            1,
            session(Some(1), "failed"),
            Verdict::TestsFailed,
            Certain,
        ),
        (
            "memory was refused to a process with a limit",
            1,
            refused().with(|process| process.data_limit_bytes = Some(1 << 30)),
            Verdict::MemoryError,
            Likely,
        ),
        (
            "a MemoryError on purpose",
            1,
            refused(),
            Verdict::TestsFailed,
            Certain,
        ),
        (
            "os._exit(1)",
            1,
            gone().gone(5, Some(1)),
            Verdict::Crashed,
            Likely,
        ),
        (
            "a crash behind a script",
            1,
            with_signal(11),
            Verdict::Crashed,
            Certain,
        ),
        (
            "a kill for memory behind a script",
            1,
            killed_for_memory(with_signal(9)),
            Verdict::OomCgroup,
            Certain,
        ),
        (
            "a kill behind a script",
            1,
            with_signal(9),
            Verdict::Killed,
            Likely,
        ),
        (
            "the time of timeout was up",
            124,
            below_timeout(gone()),
            Verdict::TimedOut,
            Likely,
        ),
        (
            "no timeout anywhere",
            124,
            gone(),
            Verdict::Crashed,
            Possible,
        ),
        (
            "killed for memory below timeout",
            124,
            killed_for_memory(with_signal(9)),
            Verdict::OomCgroup,
            Certain,
        ),
        (
            "pytest had passed",
            124,
            session(Some(0), "passed"),
            Verdict::Passed,
            Likely,
        ),
        ("no pytest", 124, Story::new(), Verdict::NoSession, Certain),
    ];
    for (name, code, story, verdict, confidence) in &cases {
        let name = format!("{code}: {name}");
        story
            .clone()
            .ends(Some(*code), None)
            .ends_as(&name, *verdict, *confidence);
    }
    for code in [137, 143, 0, 1, 124] {
        let of_code = cases.iter().filter(|case| case.1 == code);
        let verdicts: BTreeSet<_> = of_code.map(|case| case.3.as_str()).collect();
        assert!(verdicts.len() > 2, "{code}: {verdicts:?}");
    }
}
