//! Recordings that stop before the job's end.

use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{AgentGap, EndedBy, Metric, Role, RunnerGone, event::What},
};

use super::{
    builder::{Story, tb},
    endings::session,
    signals::taken,
};

fn runner_gone() -> What {
    What::RunnerGone(RunnerGone {
        pid: 77,
        command: "Runner.Worker spawnclient".to_owned(),
    })
}

#[test]
fn each_silence() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let running = || session(None, "");
    let cases: Vec<Case> = vec![
        (
            "all gone at once, memory ample",
            running().machine(0, &[60, 60]),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "all gone at once, nothing known of memory",
            running(),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "all gone at once, the machine next to empty",
            running().machine(0, &[60, 6]),
            Verdict::RunnerLostMemory,
            Confidence::Likely,
        ),
        (
            "all gone at once, the cgroup next to full",
            running()
                .machine(0, &[60, 60])
                .series(Metric::CgroupLimit, None, "/job", 0, &[100], 1)
                .series(Metric::CgroupWorkingSet, None, "/job", 0, &[95], 1),
            Verdict::RunnerLostMemory,
            Confidence::Likely,
        ),
        (
            "all gone at once, memory short a minute before",
            running().machine(0, &[6]).machine(60_000, &[60]),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "nothing but the beginning arrived",
            Story::new(),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "GitHub's INT and TERM before it",
            running()
                .event(1, taken(2, 0, ""))
                .event(7_500, taken(15, 0, ""))
                .machine(7_500, &[6]),
            Verdict::Cancelled,
            Confidence::Likely,
        ),
        (
            "SIGTERM alone before it",
            running().event(1, taken(15, 0, "")),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "pytest had crashed before it",
            running()
                .gone(5, None)
                .with(|process| process.signal = Some(11)),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "pytest had passed, and the command had not ended",
            session(Some(0), "passed"),
            Verdict::Passed,
            Confidence::Possible,
        ),
        (
            "pytest had passed in a job that nobody stopped",
            session(Some(0), "passed").of_job(|job| job.background = true),
            Verdict::Passed,
            Confidence::Likely,
        ),
        (
            "pytest had failed",
            session(Some(1), "failed"),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        let ending = story.falls_silent_as(name, verdict, confidence);
        let last = ending.evidence.last().unwrap();
        assert_eq!(last.sentence, "Nothing arrived after this.", "{name}");
        assert!(last.at_us.is_some(), "{name}");
    }
}

#[test]
fn each_end_without_the_jobs_own() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let gone = |story: Story| {
        story
            .of_job(|job| job.background = true)
            .event(100, runner_gone())
            .ends(None, None)
            .of_end(|end| end.ended_by = EndedBy::RunnerGone.into())
    };
    let lost = |story: Story| story.ends(None, None).of_end(|end| end.agent_lost = true);
    let by = |by: EndedBy| {
        session(None, "")
            .samples(Metric::Rss, 0, &[10, 10])
            .of_job(|job| job.background = true)
            .ends(None, None)
            .of_end(|end| end.ended_by = by.into())
    };
    let cases: Vec<Case> = vec![
        (
            "the runner was gone",
            gone(session(None, "")),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "the runner was gone, memory short",
            gone(session(None, "").machine(50, &[3])),
            Verdict::RunnerLostMemory,
            Confidence::Likely,
        ),
        (
            "the runner was gone after pytest had passed",
            gone(session(Some(0), "passed")),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "the runner was gone, and no pytest ever was",
            gone(Story::new()),
            Verdict::NoSession,
            Confidence::Certain,
        ),
        (
            "the runner was gone, and a moment before pytest by its signal",
            gone(
                session(None, "")
                    .gone(90, None)
                    .with(|it| it.signal = Some(15)),
            ),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "the runner was gone, memory short, and whatever killed pytest with it",
            gone(session(None, "").machine(50, &[3]).gone(90, None)),
            Verdict::RunnerLostMemory,
            Confidence::Likely,
        ),
        (
            "the runner was gone a while after pytest had been killed",
            gone(
                session(None, "")
                    .gone(90, None)
                    .with(|it| it.signal = Some(9)),
            )
            .event(5_000, runner_gone()),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "the runner was gone, and pytest had crashed",
            gone(
                session(None, "")
                    .gone(90, None)
                    .with(|it| it.signal = Some(11)),
            ),
            Verdict::Crashed,
            Confidence::Certain,
        ),
        (
            "the agent was gone, as whoever stopped the job found",
            lost(session(None, "")).of_end(|end| end.ended_by = EndedBy::Stop.into()),
            Verdict::AgentLost,
            Confidence::Certain,
        ),
        (
            "the agent was gone, and pytest wrote on",
            lost(
                session(None, "")
                    .samples(Metric::Rss, 0, &[10, 10])
                    .marks(&[(9_000, 10, 10, tb("a.py", "y"))]),
            ),
            Verdict::AgentLost,
            Confidence::Certain,
        ),
        (
            "the machine was gone, and its disk has more of pytest's file than of the agent's",
            lost(
                session(None, "")
                    .samples(Metric::Rss, 0, &[10, 10])
                    .marks(&[(9_000, 10, 10, tb("a.py", "y"))]),
            )
            .of_end(|end| end.other_boot = true),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "the agent was gone, and pytest wrote on for longer than any disk lags behind",
            lost(
                session(None, "")
                    .samples(Metric::Rss, 0, &[10, 10])
                    .marks(&[(60_000, 10, 10, tb("a.py", "y"))]),
            )
            .of_end(|end| end.other_boot = true),
            Verdict::AgentLost,
            Confidence::Certain,
        ),
        (
            "the agent was gone, and nobody wrote on: the spool of a runner that was lost",
            lost(session(None, "").samples(Metric::Rss, 0, &[10, 10])),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "the same with the machine next to empty",
            lost(session(None, "").machine(0, &[60, 6])),
            Verdict::RunnerLostMemory,
            Confidence::Likely,
        ),
        (
            "the agent was gone after it had seen pytest killed",
            lost(
                session(None, "")
                    .gone(5, None)
                    .with(|it| it.signal = Some(9)),
            ),
            Verdict::Killed,
            Confidence::Likely,
        ),
        (
            "pytest was gone when another agent went on",
            session(None, "")
                .samples(Metric::Rss, 0, &[10, 10])
                .event(900, What::AgentGap(AgentGap { from_us: 60_000 }))
                .of_job(|job| job.background = true)
                .ends(None, None)
                .of_end(|end| end.ended_by = EndedBy::Stop.into()),
            Verdict::AgentLost,
            Confidence::Certain,
        ),
        (
            "the agent was gone, and pytest told its end",
            lost(session(Some(1), "failed")),
            Verdict::TestsFailed,
            Confidence::Certain,
        ),
        (
            "the agent was gone from a background job that passed",
            lost(session(Some(0), "passed").of_job(|job| job.background = true)),
            Verdict::Passed,
            Confidence::Certain,
        ),
        (
            "the agent reached its age",
            by(EndedBy::Age),
            Verdict::AgentLost,
            Confidence::Likely,
        ),
        (
            "the agent was told to end",
            by(EndedBy::Signal),
            Verdict::AgentLost,
            Confidence::Likely,
        ),
        (
            "the job was stopped while pytest ran",
            by(EndedBy::Stop),
            Verdict::Interrupted,
            Confidence::Likely,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
    let ending = gone(session(None, "")).ends_as("named", Verdict::RunnerLost, Confidence::Likely);
    assert!(
        ending
            .sentence
            .contains("process 77, Runner.Worker spawnclient"),
        "{ending:?}"
    );
}

#[test]
fn a_gap_of_the_agent_is_shown_with_the_jobs_own_ending() {
    let ending = session(Some(0), "passed")
        .event(5_000, What::AgentGap(AgentGap { from_us: 1_500_000 }))
        .ends(Some(0), None)
        .ends_as("gap", Verdict::Passed, Confidence::Certain);
    let gap = ending
        .evidence
        .iter()
        .find(|it| it.at_us == Some(5_000_000));
    assert_eq!(
        gap.map(|figure| figure.sentence.as_str()),
        Some("The agent was gone from 1.5 s to 5.0 s: nothing was sampled meanwhile.")
    );
}

#[test]
fn who_is_lost_for_memory_is_told_with_whoever_held_it() {
    let ending = session(None, "")
        .machine(0, &[60, 4])
        .process(20, 10, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[30, 30])
        .process(812, 1, Role::Other, "", "")
        .with(|process| process.command = "postgres".to_owned())
        .samples(Metric::OtherRss, 0, &[40, 50])
        .falls_silent_as("held", Verdict::RunnerLostMemory, Confidence::Likely);
    let named: Vec<_> = ending
        .culprits
        .iter()
        .map(|holder| (holder.kind.as_str(), holder.name.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            ("other", "postgres (process 812)"),
            ("process", "process 20")
        ]
    );
    assert!(
        ending
            .evidence
            .iter()
            .any(|it| it.sentence == "postgres (process 812), outside the job, held 47.7 MiB."),
        "{ending:?}"
    );
}

#[test]
fn all_of_a_full_cgroup_that_were_gone_at_once_were_killed_together() {
    type Case = (&'static str, Story, Verdict, Confidence);
    let job = |used: i64, group: i64| {
        session(None, "")
            .samples(Metric::Rss, 0, &[10, 10])
            .machine(0, &[60, 60])
            .series(Metric::CgroupLimit, None, "/job", 0, &[100], 1)
            .series(Metric::CgroupWorkingSet, None, "/job", 0, &[used], 1)
            .series(Metric::CgroupOomGroup, None, "/job", 0, &[group], 1)
    };
    let lost = |story: Story| story.ends(None, None).of_end(|end| end.agent_lost = true);
    let cases: Vec<Case> = vec![
        (
            "a spool found later",
            lost(job(95, 1)),
            Verdict::OomCgroup,
            Confidence::Likely,
        ),
        (
            "only one is killed at a time",
            lost(job(95, 0)),
            Verdict::RunnerLostMemory,
            Confidence::Likely,
        ),
        (
            "room was left",
            lost(job(50, 1)),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
        (
            "something was heard long after the last sample",
            lost(job(95, 1)).of_end(|end| end.ended_us = 60_000_000),
            Verdict::RunnerLost,
            Confidence::Likely,
        ),
    ];
    for (name, story, verdict, confidence) in cases {
        story.ends_as(name, verdict, confidence);
    }
    let ending = job(95, 1).falls_silent_as("silent", Verdict::OomCgroup, Confidence::Likely);
    assert!(
        ending
            .evidence
            .iter()
            .any(|it| it.sentence.contains("memory.oom.group")),
        "{ending:?}"
    );
}
