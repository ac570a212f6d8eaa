//! What the kernel says: membership of cgroups, further counters, its log.

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{KernelOom, Metric, Role, event::What},
};

use super::{
    builder::{Story, sb, se, tb, te},
    endings::session,
};

pub(super) fn kills(story: Story, cgroup: &str, readings: &[i64]) -> Story {
    story.series(Metric::CgroupOomKills, None, cgroup, 0, readings, 1)
}

fn logged(pid: u32, cgroup: &str) -> What {
    What::KernelOom(KernelOom {
        pid,
        comm: "python".to_owned(),
        cgroup: cgroup.to_owned(),
        ..KernelOom::default()
    })
}

/// A killed session whose process names its cgroup.
fn killed_in(cgroup: &str) -> Story {
    session(None, "")
        .with(|process| process.cgroup = cgroup.to_owned())
        .ends(None, Some(9))
}

#[test]
fn each_word_of_the_kernel() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let cases: Vec<Case> = vec![
        (
            "pytest in another cgroup than the agent, which lies deeper",
            kills(
                kills(killed_in("/job/pytest"), "/job/pytest", &[0, 1]),
                "/system/agents/of/highwater",
                &[0, 0],
            ),
            Verdict::OomCgroup,
            Confidence::Likely,
        ),
        (
            "a kill in the agent's cgroup alone",
            kills(
                kills(killed_in("/job/pytest"), "/job/pytest", &[0, 0]),
                "/system/agents/of/highwater",
                &[0, 1],
            ),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "a kill, and nothing more to be freed below the limit, on a full machine",
            kills(killed_in("/job"), "/job", &[0, 1])
                .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
                .machine(0, &[50, 2]),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "a cgroup near its limit that never met it, on a full machine",
            kills(killed_in("/job"), "/job", &[0, 1])
                .series(Metric::CgroupLimit, None, "/job", 0, &[100, 100], 1)
                .series(Metric::CgroupWorkingSet, None, "/job", 0, &[98, 98], 1)
                .series(Metric::CgroupLimitMet, None, "/job", 0, &[5, 5], 1)
                .machine(0, &[50, 2]),
            Verdict::OomMachine,
            Confidence::Certain,
        ),
        (
            "a cgroup whose mark stood at its limit before, and whose limit was met as pytest died",
            kills(killed_in("/job"), "/job", &[0, 1])
                .series(Metric::CgroupLimit, None, "/job", 0, &[100, 100], 1)
                .series(Metric::CgroupPeak, None, "/job", 0, &[100, 100], 1)
                .series(Metric::CgroupLimitMet, None, "/job", 0, &[5, 9], 1)
                .machine(0, &[60, 60]),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "a cgroup whose limit the job's own samples come to",
            kills(
                killed_in("/job").samples(Metric::Rss, 0, &[10, 96]),
                "/job",
                &[0, 1],
            )
            .gone(60, None)
            .series(Metric::CgroupLimit, None, "/job", 0, &[100, 100], 1_000_000)
            .series(Metric::CgroupWorkingSet, None, "/job", 0, &[20], 1_000_000),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "pytest below a shell, still seen while the kernel takes it apart",
            kills(
                session(None, "").samples(Metric::Rss, 0, &[10, 10]),
                "/job",
                &[0, 1],
            )
            .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
            .ends(Some(137), None),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "a cgroup that appears with kills of before",
            kills(killed_in("/job"), "/job", &[7, 7]),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "a child's kill long before a SIGKILL",
            kills(killed_in("/job"), "/job", &[0, 1])
                .samples(Metric::Rss, 60_000, &[10, 10])
                .ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "a SIGKILL soon after the kernel took a child, which the log names",
            kills(killed_in("/job"), "/job", &[0, 1])
                .samples(Metric::Rss, 0, &[10; 30])
                .gone(1_480, None)
                .process(20, 10, Role::Child, "", "")
                .gone(60, None)
                .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
                .event(60, logged(20, "/job"))
                .ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "a SIGKILL soon after the kernel took a stranger in the same cgroup, which the log names",
            kills(killed_in("/job"), "/job", &[0, 1])
                .samples(Metric::Rss, 0, &[10; 30])
                .gone(1_480, None)
                .event(60, logged(4_000, "/job"))
                .ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "a child and then pytest, of which the log names the child alone",
            kills(killed_in("/job"), "/job", &[0, 2])
                .process(20, 10, Role::Child, "", "")
                .gone(60, None)
                .series(Metric::CgroupOoms, None, "/job", 0, &[0, 2], 1)
                .event(60, logged(20, "/job"))
                .ends(None, Some(9)),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "the log names pytest and a cgroup",
            killed_in("/job").event(3, logged(10, "/job")),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "the log names pytest and no cgroup",
            killed_in("/job").event(3, logged(10, "")),
            Verdict::OomMachine,
            Confidence::Certain,
        ),
        (
            "the log names a stranger",
            killed_in("/job").event(3, logged(4_000, "")),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "the log names a process of that number before",
            killed_in("/job")
                .samples(Metric::Rss, 60_000, &[10, 10])
                .gone(60_060, None)
                .process(11, 1, Role::Child, "", "")
                .gone(20, None)
                .event(60_000, logged(11, ""))
                .ends(None, Some(9)),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "a child was killed, then pytest crashed by itself",
            kills(
                session(None, "").gone(5, Some(1)).ends(Some(1), None),
                "/job",
                &[0, 1],
            ),
            Verdict::Crashed,
            Confidence::Likely,
        ),
        (
            "no pytest told anything, the command failed, a child was killed",
            kills(
                Story::new()
                    .process(10, 1, Role::Child, "", "")
                    .samples(Metric::Rss, 0, &[10]),
                "/job",
                &[0, 1],
            )
            .ends(Some(2), None),
            Verdict::OomChild,
            Confidence::Likely,
        ),
        (
            "the same, and the log names the child",
            Story::new()
                .process(10, 1, Role::Child, "", "")
                .samples(Metric::Rss, 0, &[10])
                .event(5, logged(10, "/job"))
                .ends(Some(2), None),
            Verdict::OomChild,
            Confidence::Certain,
        ),
        (
            "the same, and the command did not mind",
            Story::new()
                .process(10, 1, Role::Child, "", "")
                .event(5, logged(10, "/job"))
                .ends(Some(0), None),
            Verdict::NoSession,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
}

#[test]
fn a_failed_test_whose_child_was_killed_stays_a_failed_test_with_the_kill_and_its_time() {
    let ending = session(Some(1), "failed")
        .process(20, 10, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[10])
        .event(40, logged(20, "/job"))
        .ends(Some(1), None)
        .ends_as("child", Verdict::TestsFailed, Confidence::Certain);
    let told = ending
        .evidence
        .iter()
        .find(|it| it.sentence.contains("oom_child"));
    assert_eq!(
        told.and_then(|figure| figure.at_us),
        Some(40_000),
        "{ending:?}"
    );
    assert!(
        told.unwrap().sentence.contains("process 20 (python)"),
        "{ending:?}"
    );
}

#[test]
fn a_cgroup_that_dies_at_once_is_told_as_such() {
    let ending = kills(killed_in("/job"), "/job", &[0, 3])
        .series(Metric::CgroupOomGroup, None, "/job", 0, &[1, 1], 1)
        .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
        .ends_as("group", Verdict::OomCgroup, Confidence::Certain);
    let told = |words: &str| ending.evidence.iter().any(|it| it.sentence.contains(words));
    assert!(
        told("all of this cgroup at once") && told("nothing in it could be freed"),
        "{ending:?}"
    );
}

#[test]
fn kills_of_two_own_cgroups_add_up_and_of_one_inside_the_other_count_once() {
    for (second, sum) in [("/b", "by 3"), ("/a/inner", "by 2")] {
        let story = session(Some(0), "passed")
            .with(|process| process.cgroup = "/a".to_owned())
            .process(20, 10, Role::Child, "", "")
            .with(|process| process.cgroup = second.to_owned());
        let ending = kills(kills(story, "/a", &[0, 2]), second, &[0, 1])
            .ends(Some(0), None)
            .ends_as(second, Verdict::Passed, Confidence::Certain);
        assert!(
            ending.evidence.iter().any(|it| it.sentence.contains(sum)),
            "{second}: {ending:?}"
        );
    }
}

#[test]
fn of_several_sessions_the_one_that_the_kernel_killed_is_told() {
    let good = |story: Story, id: &str, pid: u32| {
        story
            .session(id, 0)
            .process(pid, 1, Role::Pytest, "", id)
            .marks(&[
                (0, 10, 10, sb()),
                (1, 10, 10, tb("good.py", id)),
                (2, 10, 10, te("passed")),
                (3, 10, 10, se(0)),
            ])
    };
    let story = good(Story::new(), "a", 5)
        .session("b", 1)
        .process(10, 1, Role::Pytest, "", "b")
        .with(|process| {
            process.cgroup = "/job".to_owned();
            process.signal = Some(9);
        })
        .marks(&[(1, 10, 10, sb()), (2, 10, 10, tb("bad.py", "x"))]);
    let story = good(story, "c", 30).of_job(|job| job.background = true);
    let ending = kills(story, "/job", &[0, 1])
        .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
        .ends(None, None)
        .ends_as("one of three", Verdict::OomCgroup, Confidence::Certain);
    assert_eq!(ending.victim.as_deref(), Some("bad.py::x"));
}

#[test]
fn what_the_log_says_a_killed_process_held_is_told() {
    for (anon_bytes, words) in [
        (
            412 << 20,
            "was killed for a cgroup's limit; it held 412.0 MiB.",
        ),
        (0, "was killed for a cgroup's limit."),
    ] {
        let mut what = logged(10, "/job");
        if let What::KernelOom(oom) = &mut what {
            oom.anon_bytes = anon_bytes;
        }
        let ending = killed_in("/job").event(5, what).ends_as(
            words,
            Verdict::OomCgroup,
            Confidence::Certain,
        );
        let told = |it: &str| it.ends_with(words);
        assert!(
            ending.evidence.iter().any(|it| told(&it.sentence)),
            "{ending:?}"
        );
    }
}
