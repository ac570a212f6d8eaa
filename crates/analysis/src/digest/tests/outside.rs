//! Processes outside the job: in a row of their own, and in no figure of the job.

use highwater_wire::{
    report::{PeakKind, Role},
    v1::{self, Metric},
};

use super::{
    builder::{MB, Story},
    endings::session,
};

/// The story of one pytest with a child, and a large neighbour that started before both.
fn with_a_neighbour(neighbour: bool) -> Story {
    let mut story = session(Some(0), "passed").samples(Metric::Rss, 0, &[10, 20, 20]);
    if neighbour {
        story = story
            .process(7, 1, v1::Role::Other, "", "")
            .with(|process| {
                process.command = "postgres".to_owned();
                process.started_us = Some(-5_000_000);
                process.cgroup = "/system/postgres".to_owned();
            })
            .samples(Metric::OtherRss, 0, &[700, 900, 800])
            .series(
                Metric::CgroupLimit,
                None,
                "/system/postgres",
                0,
                &[1_000],
                MB,
            )
            .series(
                Metric::CgroupWorkingSet,
                None,
                "/system/postgres",
                0,
                &[990],
                MB,
            )
            // A parent of the neighbour's number makes it no descendant.
            .process(11, 7, v1::Role::Child, "", "");
    } else {
        story = story.process(11, 1, v1::Role::Child, "", "");
    }
    story
        .with(|process| process.cgroup = "/job".to_owned())
        .samples(Metric::Rss, 0, &[5, 5, 5])
        .ends(Some(0), None)
}

#[test]
fn a_neighbour_changes_no_figure_of_the_job_and_no_number_of_its_processes() {
    let (alone, beside) = (
        with_a_neighbour(false).digest(),
        with_a_neighbour(true).digest(),
    );
    assert_eq!(beside.job.peak_bytes, alone.job.peak_bytes);
    assert_eq!(beside.job.peak_high_bytes, alone.job.peak_high_bytes);
    assert_eq!(beside.job.limits, alone.job.limits);
    assert_eq!((beside.tree, beside.tests), (alone.tree, alone.tests));
    let numbers = |digest: &[highwater_wire::report::ProcessRow]| -> Vec<_> {
        digest.iter().map(|row| (row.id, row.pid)).collect()
    };
    assert_eq!(numbers(&beside.processes[..2]), numbers(&alone.processes));
    let neighbour = &beside.processes[2];
    assert_eq!(
        (neighbour.role, neighbour.id, neighbour.command.as_str()),
        (Role::Other, 3, "postgres")
    );
    assert_eq!(
        (neighbour.peak_bytes, neighbour.peak_kind),
        ((900 * MB).cast_unsigned(), PeakKind::Sampled)
    );
}

#[test]
fn a_process_of_the_machine_that_joins_the_job_is_its_child() {
    let story = session(Some(0), "passed")
        .process(7, 1, v1::Role::Other, "", "")
        .process(7, 1, v1::Role::Child, "", "")
        .with(|process| process.seen_us = 1_000)
        .ends(Some(0), None);
    let digest = story.digest();
    assert_eq!(
        digest
            .processes
            .iter()
            .find(|row| row.pid == 7)
            .map(|row| row.role),
        Some(Role::Child)
    );
}
