use highwater_wire::{
    report::{Confidence, JobState, Verdict},
    v1::{Metric, Role},
};

use super::builder::{Story, context, sb, se, tb, te};
use crate::digest::digest;

fn session(status: Option<i32>, outcome: &str) -> Story {
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

#[test]
fn each_ending_of_the_first_form() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let oom =
        |story: Story, metric, cgroup: &str| story.series(metric, None, cgroup, 0, &[3, 4], 1);
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
            "137 and the cgroup's counter",
            oom(
                session(None, "").ends(Some(137), None),
                Metric::CgroupOomKills,
                "/job",
            ),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "SIGKILL and the machine's counter",
            oom(
                session(None, "").ends(None, Some(9)),
                Metric::MachineOomKills,
                "",
            ),
            Verdict::OomMachine,
            Confidence::Certain,
        ),
        (
            "a child was killed for memory, the tests went on",
            oom(
                session(Some(0), "passed").ends(Some(0), None),
                Metric::CgroupOomKills,
                "/job",
            ),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "exit code 137 without any session",
            Story::new().ends(Some(137), None),
            Verdict::Crashed,
            Confidence::Possible,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        let ending = story.digest().job.ending.unwrap();
        assert_eq!(
            (ending.verdict, ending.confidence),
            (verdict, confidence),
            "{name}: {ending:?}"
        );
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
        Some(Verdict::AgentLost)
    );
    let running = digest(&recording, &context(JobState::Running)).job;
    assert_eq!((running.ending, running.ended_at), (None, None));
}

#[test]
fn the_memory_is_held_by_files_and_fixtures_not_by_the_victim() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("holder.py", "x")),
            (2, 410, 410, te("passed")),
            (3, 410, 410, tb("victim.py", "y")),
        ])
        .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
        .ends(None, Some(9));
    let ending = story.digest().job.ending.unwrap();
    assert_eq!(ending.victim.as_deref(), Some("victim.py::y"));
    assert_eq!(ending.culprits[0].name, "holder.py");
}
