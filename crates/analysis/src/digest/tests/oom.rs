use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{Metric, Role},
};

use super::{
    builder::{MB, Story, fb, fe, rb, re, sb, se, tb, te},
    endings::session,
};

/// Readings of a cgroup's counter of kills.
fn kills(story: Story, cgroup: &str, readings: &[i64]) -> Story {
    story.series(Metric::CgroupOomKills, None, cgroup, 0, readings, 1)
}

/// A cgroup that was at its limit by the kernel's mark.
fn full(story: Story, cgroup: &str) -> Story {
    story
        .series(Metric::CgroupLimit, None, cgroup, 0, &[100, 100], 1)
        .series(Metric::CgroupPeak, None, cgroup, 0, &[40, 99], 1)
}

#[test]
fn each_shortage_of_memory() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let oom =
        |story: Story, metric, cgroup: &str| story.series(metric, None, cgroup, 0, &[3, 4], 1);
    let empty_machine = |story: Story| {
        story
            .series(Metric::MachineTotal, None, "", 0, &[100, 100], 1)
            .series(Metric::MachineAvailable, None, "", 0, &[50, 2], 1)
    };
    let killed = || session(None, "").ends(None, Some(9));
    let cases: Vec<Case> = vec![
        (
            "137 and the counter of the full cgroup",
            full(
                kills(session(None, "").ends(Some(137), None), "/job", &[3, 4]),
                "/job",
            ),
            Verdict::OomCgroup,
            Confidence::Certain,
        ),
        (
            "137 and the counter of a cgroup that was not seen full",
            kills(session(None, "").ends(Some(137), None), "/job", &[3, 4]),
            Verdict::OomCgroup,
            Confidence::Likely,
        ),
        (
            "SIGKILL and the machine's counter",
            oom(
                session(None, "").ends(None, Some(9)),
                Metric::MachineOomKills,
                "",
            ),
            Verdict::OomMachine,
            Confidence::Possible,
        ),
        (
            "a child was killed for memory, the tests went on",
            kills(
                session(Some(0), "passed").ends(Some(0), None),
                "/job",
                &[3, 4],
            ),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "SIGKILL, a neighbour's kill in the cgroup above, nothing full",
            kills(
                kills(session(None, "").ends(None, Some(9)), "/slice/job", &[0, 0]),
                "/slice",
                &[0, 1],
            ),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "SIGKILL, a kill in the cgroup above, which was full",
            full(
                kills(
                    kills(session(None, "").ends(None, Some(9)), "/slice/job", &[0, 0]),
                    "/slice",
                    &[0, 1],
                ),
                "/slice",
            ),
            Verdict::OomCgroup,
            Confidence::Likely,
        ),
        (
            "SIGKILL, a neighbour's kill in the machine's counter",
            oom(
                kills(session(None, "").ends(None, Some(9)), "/job", &[0, 0]),
                Metric::MachineOomKills,
                "",
            ),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "the job's counter and the machine's, no limit",
            oom(
                kills(session(None, "").ends(None, Some(9)), "/job", &[0, 1]),
                Metric::MachineOomKills,
                "",
            ),
            Verdict::OomMachine,
            Confidence::Likely,
        ),
        (
            "the job's counter, no limit, a full machine",
            kills(session(None, "").ends(None, Some(9)), "/job", &[0, 1])
                .series(Metric::MachineTotal, None, "", 0, &[100, 100], 1)
                .series(Metric::MachineAvailable, None, "", 0, &[50, 2], 1),
            Verdict::OomMachine,
            Confidence::Certain,
        ),
        (
            "the job's counter, a full cgroup, a full machine",
            empty_machine(full(kills(killed(), "/job", &[0, 1]), "/job")),
            Verdict::OomCgroup,
            Confidence::Likely,
        ),
        (
            "a cgroup whose mark stood at the limit before, a full machine",
            empty_machine(kills(killed(), "/job", &[0, 1]))
                .series(Metric::CgroupLimit, None, "/job", 0, &[100, 100], 1)
                .series(Metric::CgroupPeak, None, "/job", 0, &[100, 100], 1),
            Verdict::OomMachine,
            Confidence::Certain,
        ),
        (
            "a neighbour's kill above, where only page cache filled the limit",
            kills(kills(killed(), "/slice/job", &[0, 0]), "/slice", &[0, 1])
                .series(Metric::CgroupLimit, None, "/slice", 0, &[100, 100], 1)
                .series(Metric::CgroupUsage, None, "/slice", 0, &[100, 100], 1)
                .series(Metric::CgroupWorkingSet, None, "/slice", 0, &[20, 30], 1),
            Verdict::Killed,
            Confidence::Likely,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
}

/// A controller that ended with a status, and a worker that was gone in the middle of a test.
fn gone_worker(status: i32) -> Story {
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Controller, "", "s")
        .marks(&[(0, 10, 10, sb()), (900, 10, 10, se(status))])
        .process(11, 10, Role::Worker, "gw0", "s")
        .samples(Metric::Rss, 0, &[10, 410, 410, 410])
        .marks(&[
            (1, 10, 10, sb()),
            (2, 10, 10, tb("holder.py", "x")),
            (50, 410, 410, te("passed")),
            (60, 410, 410, tb("victim.py", "y")),
        ])
        .gone(200, None)
}

#[test]
fn what_a_worker_took_after_another_was_killed_held_nothing_then() {
    let story = gone_worker(1)
        .process(12, 10, Role::Worker, "gw1", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, fb(1, "shared", "session", "")),
            (2, 30, 30, fe(1)),
            (3, 30, 30, tb("beside.py", "x")),
            (4, 80, 80, te("passed")),
            (600, 80, 80, tb("after.py", "x")),
            (700, 380, 380, te("passed")),
            (701, 380, 380, rb(1)),
            (702, 360, 360, re(1)),
            (800, 360, 360, se(0)),
        ])
        .gone(850, Some(0));
    let ending = full(kills(story, "/job", &[0, 1]), "/job")
        .ends(Some(1), None)
        .digest()
        .job
        .ending
        .unwrap();
    assert_eq!(ending.verdict, Verdict::OomCgroup);
    let named: Vec<_> = (ending.culprits.iter())
        .map(|it| (it.name.as_str(), it.bytes / MB))
        .collect();
    assert_eq!(
        named,
        [
            ("holder.py", 400),
            ("beside.py", 50),
            ("shared (session)", 20)
        ]
    );
}

#[test]
fn a_worker_that_the_kernel_killed_is_told_with_what_held_the_memory() {
    let ending = full(kills(gone_worker(1), "/job", &[0, 1]), "/job")
        .ends(Some(1), None)
        .digest()
        .job
        .ending
        .unwrap();
    assert_eq!(
        (ending.verdict, ending.confidence),
        (Verdict::OomCgroup, Confidence::Certain)
    );
    assert_eq!(
        ending.sentence,
        "The kernel killed a worker process because its cgroup reached its memory limit; pytest went on without: 1 test finished, 1 did not finish."
    );
    assert_eq!(ending.victim.as_deref(), Some("victim.py::y"));
    let named: Vec<_> = ending
        .culprits
        .iter()
        .map(|holder| (holder.name.as_str(), holder.bytes / MB))
        .collect();
    assert_eq!(named, [("holder.py", 400)]);
    let times: Vec<_> = ending.evidence.iter().map(|it| it.at_us).collect();
    assert!(times.is_sorted(), "{ending:?}");
    assert!(!ending.next_step.contains("faulthandler"), "{ending:?}");
}

#[test]
fn a_lost_worker_that_xdist_waits_for_until_a_timeout_is_what_ended_the_job() {
    let waiting = |signal: i32| {
        Story::new()
            .session("s", 0)
            .process(10, 1, Role::Controller, "", "s")
            .samples(Metric::Rss, 0, &[10; 100])
            .marks(&[(0, 10, 10, sb())])
            .gone(9_900, None)
            .with(|process| process.signal = Some(15))
            .process(11, 10, Role::Worker, "gw0", "s")
            .samples(Metric::Rss, 0, &[10, 410, 410])
            .marks(&[
                (1, 10, 10, sb()),
                (2, 10, 10, tb("holder.py", "x")),
                (50, 410, 410, te("passed")),
                (60, 410, 410, tb("victim.py", "y")),
            ])
            .gone(200, None)
            .with(|process| process.signal = Some(signal))
    };
    let ending = full(kills(waiting(9), "/job", &[0, 1]), "/job")
        .ends(None, Some(15))
        .digest()
        .job
        .ending
        .unwrap();
    assert_eq!(
        (ending.verdict, ending.confidence),
        (Verdict::OomCgroup, Confidence::Certain),
        "{ending:?}"
    );
    assert_eq!(ending.victim.as_deref(), Some("victim.py::y"));
    assert_eq!(ending.culprits[0].name, "holder.py");
    // One that something else ended tells nothing of memory.
    full(waiting(9), "/job").ends(None, Some(15)).ends_as(
        "killed by hand",
        Verdict::Killed,
        Confidence::Likely,
    );
}

#[test]
fn a_child_that_the_kernel_killed_is_told_beside_the_jobs_ending() {
    for (story, verdict) in [
        (
            session(Some(0), "passed").ends(Some(0), None),
            Verdict::Passed,
        ),
        (
            session(Some(1), "failed").ends(Some(1), None),
            Verdict::TestsFailed,
        ),
        (gone_worker(0).ends(Some(0), None), Verdict::Passed),
    ] {
        let ending = kills(story, "/job", &[0, 1]).digest().job.ending.unwrap();
        assert_eq!(ending.verdict, verdict);
        assert!(
            ending
                .evidence
                .iter()
                .any(|it| it.sentence.contains("oom_child")),
            "{ending:?}"
        );
    }
}

/// One pytest that was killed in a cgroup of 230 MB of which 158 were read.
fn struck() -> Story {
    let limit = [230, 230];
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .with(|process| process.cgroup = "/job".to_owned())
        .samples(Metric::Rss, 0, &[20, 158])
        .marks(&[(0, 20, 20, sb()), (1, 20, 20, tb("victim.py", "y"))])
        .gone(350, None)
        .series(Metric::CgroupLimit, None, "/job", 0, &limit, MB)
        .series(Metric::CgroupWorkingSet, None, "/job", 0, &[20, 158], MB)
        .series(Metric::CgroupOomKills, None, "/job", 300, &[0, 1], 1)
        .series(Metric::CgroupOoms, None, "/job", 300, &[0, 1], 1)
        .ends(None, Some(9))
}

fn told(story: &Story) -> String {
    let ending = story.ends_as("struck", Verdict::OomCgroup, Confidence::Certain);
    let told: Vec<_> = ending.evidence.into_iter().map(|it| it.sentence).collect();
    told.join("\n")
}

#[test]
fn a_limit_that_no_sample_came_near_is_explained() {
    let text = told(&struck());
    let words =
        "The last sample was 300.0 ms before the end, and the use rose faster than it was sampled.";
    assert!(text.contains(words), "{text}");
    assert!(
        text.contains("150.7 MiB of 219.3 MiB used at the worst that was read"),
        "{text}"
    );
    let marked = struck().series(Metric::CgroupPeak, None, "/job", 0, &[20, 230], MB);
    let words = "faster than it was sampled: the cgroup's own mark, page cache among it, came to 219.3 MiB of 219.3 MiB.";
    let text = told(&marked);
    assert!(text.contains(words), "{text}");
    // Where the use was seen to come near, nothing is to be explained.
    let seen = struck().series(Metric::CgroupWorkingSet, None, "/job", 320, &[225], MB);
    assert!(!told(&seen).contains("faster"), "{}", told(&seen));
}

#[test]
fn a_peak_above_the_limit_says_why() {
    let two = |sums: &[i64]| {
        struck()
            .process(11, 10, Role::Child, "", "s")
            .with(|process| process.cgroup = "/job".to_owned())
            .samples(Metric::Rss, 0, sums)
    };
    let text = told(&two(&[20, 120]));
    assert!(
        text.contains("The peak is above the limit of the cgroup (219.3 MiB): it adds up the RSS of the processes"),
        "{text}"
    );
    let text = told(&two(&[20, 120]).with(|process| process.cgroup = "/other".to_owned()));
    assert!(
        text.contains("a process of the job was outside of that cgroup, and the peak is of all."),
        "{text}"
    );
    assert!(!told(&two(&[20, 30])).contains("above the limit"));
}

#[test]
fn a_kill_beside_the_guards_stop_tells_of_both() {
    let story = |stopped_ms: i64| {
        full(kills(gone_worker(2), "/job", &[0, 1]), "/job")
            .event(stopped_ms, super::background::guard("stopped"))
            .ends(Some(2), None)
            .ends_as("both", Verdict::OomCgroup, Confidence::Certain)
            .sentence
    };
    let (before, after) = (story(10), story(900));
    assert!(
        before.contains("after the guard had told pytest to end: "),
        "{before}"
    );
    assert!(
        after.contains(" later the guard told pytest to end: "),
        "{after}"
    );
    assert!(!before.contains("went on"), "{before}");
}

#[test]
fn who_was_killed_at_the_limit_had_nothing_left_and_no_reading_is_above_the_worst() {
    let limit = |story: Story| {
        story
            .series(Metric::CgroupLimit, None, "/job", 0, &[200, 200], MB)
            .series(Metric::CgroupWorkingSet, None, "/job", 0, &[100, 150], MB)
    };
    let grows = limit(session(None, "").samples(Metric::Rss, 0, &[100, 150, 190]));
    // By a signal that nobody counted: the last reading, and what the job grew by since.
    let job = grows.clone().ends(None, Some(15)).digest().job;
    assert_eq!(job.limits[0].worst_used_bytes, 190_000_000);
    assert_eq!(job.headroom_bytes, Some(10_000_000));
    let killed = kills(grows, "/job", &[0, 1])
        .series(Metric::CgroupOoms, None, "/job", 0, &[0, 1], 1)
        .ends(None, Some(9));
    killed.ends_as("killed", Verdict::OomCgroup, Confidence::Certain);
    let job = killed.digest().job;
    assert_eq!(job.limits[0].worst_used_bytes, 200_000_000);
    assert_eq!(job.headroom_bytes, Some(0));
}
