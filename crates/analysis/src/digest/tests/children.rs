//! Children that outlive the file that started them.

use highwater_wire::v1::{Metric, Role};

use super::builder::{MB, Story, fb, fe, one_process, rb, re, sb, se, tb, te, tp};
use crate::{digest::Digest, plan};

const A: &str = "tests/test_a.py";
const B: &str = "tests/test_b.py";
const C: &str = "tests/test_c.py";

/// Three files of 200 ms each, all at 30 MB; a fixture is set up in the first for 100 ms and torn down at the end of the last.
fn three_files(scope: &str) -> Story {
    one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, fb(1, "server", scope, "")),
            (102, 30, 30, fe(1)),
            (103, 30, 30, tp("call")),
            (200, 30, 30, te("passed")),
            (201, 30, 30, tb(B, "two")),
            (202, 30, 30, tp("call")),
            (400, 30, 30, te("passed")),
            (401, 30, 30, tb(C, "three")),
            (402, 30, 30, tp("call")),
            (590, 30, 30, tp("teardown")),
            (591, 30, 30, rb(1)),
            (599, 30, 30, re(1)),
            (600, 30, 30, te("passed")),
            (601, 30, 30, se(0)),
        ])
        .samples(Metric::Rss, 0, &[30; 14])
}

/// A child of it that was there from a moment in ms on, seen so large at each tick of 50 ms after that.
fn child(story: Story, pid: u32, from_ms: i64, megabytes: &[i64]) -> Story {
    story
        .process(pid, 10, Role::Child, "", "")
        .with(|process| process.started_us = Some(from_ms * 1_000))
        .samples(Metric::Rss, (from_ms / 50 + 1) * 50, megabytes)
}

/// Of each file what children held as it began, what they retained, and its spike with them; in MB.
fn told(digest: &Digest) -> Vec<[i64; 3]> {
    let told = digest.files.iter().map(|file| {
        [
            file.children_start_bytes,
            file.children_retained_bytes,
            file.tree_spike_bytes,
        ]
    });
    told.map(|row| row.map(|bytes| bytes / MB)).collect()
}

#[test]
fn a_child_that_outlives_its_file_is_that_files_and_no_spike_of_those_after_it() {
    let story = child(three_files("function"), 20, 120, &[80; 11]);
    // One of the second file, which is gone before it ends.
    let story = child(story, 30, 260, &[40, 40]);
    let digest = story.ends(Some(0), None).digest();
    assert_eq!(told(&digest), [[0, 80, 80], [80, 0, 40], [80, 0, 0]]);
    let peaks: Vec<i64> = digest
        .files
        .iter()
        .map(|it| it.tree_peak_bytes / MB)
        .collect();
    assert_eq!(peaks, [110, 150, 110]);
    let worker = &digest.files[1].workers[0];
    assert_eq!(
        (worker.children_start_bytes, worker.tree_spike_bytes),
        (80 * MB, 40 * MB)
    );
    let facts = plan::Facts::of(&[], &digest.files, &digest.fixtures);
    let planned = facts
        .files
        .iter()
        .map(|it| (it.retained_bytes / MB, it.spike_bytes / MB));
    assert_eq!(planned.collect::<Vec<_>>(), [(80, 80), (0, 40), (0, 0)]);
    assert_eq!(facts.base_bytes, 30 * MB);
}

#[test]
fn what_a_child_shares_with_others_that_come_and_go_is_no_change_of_it() {
    let story = child(three_files("session"), 20, 20, &[80; 12])
        // Others of its kind are there at the second reading, and a new one reads more at the last.
        .samples(Metric::Pss, 100, &[76])
        .samples(Metric::Pss, 300, &[70])
        .samples(Metric::Pss, 500, &[73]);
    let digest = story.ends(Some(0), None).digest();
    assert_eq!(told(&digest), [[0, 0, 0], [76, 0, 0], [76, 0, 0]]);
    assert_eq!(digest.fixtures[0].children_bytes, 76 * MB);
}

#[test]
fn a_fork_that_grows_counts_with_what_it_has_above_its_parent() {
    // Both were read while they shared 30 MB.
    let digest = three_files("function")
        .samples(Metric::Pss, 150, &[15])
        .process(20, 10, Role::Child, "", "")
        .with(|process| process.started_us = Some(110_000))
        .with(|process| process.command = "process 10".into())
        .samples(Metric::Rss, 150, &[70; 9])
        .samples(Metric::Pss, 150, &[55])
        .ends(Some(0), None)
        .digest();
    assert_eq!(told(&digest)[0], [0, 40, 40]);
}

#[test]
fn what_grows_while_it_is_read_is_held_against_the_nearest_sample() {
    let digest = three_files("function")
        .process(20, 10, Role::Child, "", "")
        .with(|process| process.started_us = Some(60_000))
        .with(|process| process.command = "process 10".into())
        .samples(Metric::Rss, 100, &[28, 70, 70, 70, 70, 70, 70, 70, 70, 70])
        .samples(Metric::Pss, 130, &[55])
        .ends(Some(0), None)
        .digest();
    assert_eq!(told(&digest)[0], [0, 42, 42]);
}

#[test]
fn a_child_and_its_forks_count_once_what_they_share() {
    // It was read alone first, and then, beside two forks, what it shares by then.
    let story = child(three_files("session"), 20, 20, &[200; 12])
        .samples(Metric::Pss, 50, &[200])
        .samples(Metric::Pss, 300, &[70]);
    let forks = [21, 22].into_iter().fold(story, |story, pid| {
        story
            .process(pid, 20, Role::Child, "", "")
            .with(|process| process.started_us = Some(200_000))
            .with(|process| process.command = "process 20".into())
            .samples(Metric::Rss, 250, &[200; 8])
            .samples(Metric::Pss, 300, &[70])
    });
    let digest = forks.ends(Some(0), None).digest();
    let most = told(&digest).iter().map(|it| it[0] + it[2]).max();
    assert!(most.is_some_and(|it| it <= 215), "{:?}", told(&digest));
}

#[test]
fn one_that_ends_in_a_later_file_was_left_by_the_former_and_is_no_room_for_the_later() {
    let story = child(three_files("function"), 20, 120, &[80; 4]);
    // It ends at 300 ms, and then another one begins.
    let story = child(story, 30, 310, &[60]);
    let digest = story.ends(Some(0), None).digest();
    assert_eq!(told(&digest), [[0, 80, 80], [80, -80, 60], [0, 0, 0]]);
    let facts = plan::Facts::of(&[], &digest.files, &digest.fixtures);
    let planned = facts
        .files
        .iter()
        .map(|it| (it.retained_bytes / MB, it.spike_bytes / MB));
    // Where the second does not run, the child stays.
    assert_eq!(planned.collect::<Vec<_>>(), [(80, 80), (0, 60), (0, 0)]);
}

#[test]
fn one_that_a_shared_fixture_started_belongs_to_no_file_but_for_what_it_grows_by() {
    let story = child(
        three_files("session"),
        20,
        20,
        &[80, 80, 80, 80, 80, 85, 90, 90, 90, 90, 90],
    );
    let digest = story.ends(Some(0), None).digest();
    assert_eq!(told(&digest), [[0, 0, 0], [80, 10, 10], [90, 0, 0]]);
    assert_eq!(digest.fixtures[0].children_bytes, 80 * MB);
    let of_tests = digest.tests.iter().map(|it| it.tree_spike_bytes / MB);
    assert_eq!(of_tests.collect::<Vec<_>>(), [0, 10, 0]);
    let facts = plan::Facts::of(&[], &digest.files, &digest.fixtures);
    assert_eq!(facts.base_bytes, 110 * MB);
    // A test of the same file that starts one as soon as the fixture is there leaves it itself.
    let story = child(three_files("session"), 20, 100, &[80; 11]);
    let digest = story.ends(Some(0), None).digest();
    assert_eq!(told(&digest)[0], [0, 80, 80]);
    assert_eq!(digest.fixtures[0].children_bytes, 0);
}

#[test]
fn one_that_ends_as_the_last_samples_are_taken_is_not_left_behind() {
    // Its own clean-up was seen at 550 ms; the recording has no tick after the last file.
    let mut story = three_files("session");
    story.batch.samples.clear();
    let story = story.samples(Metric::Rss, 0, &[30; 12]);
    let shrinks = [80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 10];
    let digest = child(story, 20, 20, &shrinks)
        .gone(595, Some(0))
        .ends(Some(0), None)
        .digest();
    assert_eq!(told(&digest)[2], [80, 0, 0]);
}

#[test]
fn a_file_that_never_ended_gives_back_no_child_that_died_with_the_job() {
    let mut story = three_files("function");
    // Killed in the second file, and the child of the first with it.
    story
        .batch
        .marks
        .retain(|mark| mark.t_us < 300 * 1_000 && mark.t_us != 400 * 1_000);
    story.batch.samples.clear();
    let story = story.gone(300, None).samples(Metric::Rss, 0, &[30; 6]);
    let story = child(story, 20, 120, &[80; 3]).gone(300, None);
    let digest = story.ends(None, Some(9)).digest();
    assert_eq!(told(&digest), [[0, 80, 80], [80, 0, 0]]);
    assert!(digest.files[1].censored);
}

#[test]
fn one_that_goes_with_the_process_after_its_last_file_was_not_ended_by_that_file() {
    let mut story = three_files("function");
    story.batch.samples.clear();
    let story = story.gone(690, Some(0)).samples(Metric::Rss, 0, &[30; 14]);
    // It was seen to clean up at 650 ms, as pytest had let go of it.
    let shrinks = [80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 5];
    let story = child(story, 20, 120, &shrinks).gone(660, Some(0));
    let digest = story.ends(Some(0), None).digest();
    assert_eq!(told(&digest), [[0, 80, 80], [80, 0, 0], [80, 0, 0]]);
}

#[test]
fn one_that_a_fixture_started_for_another_is_told_of_the_inner_alone() {
    let story = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, fb(1, "app", "session", "")),
            (50, 30, 30, fb(2, "db", "session", "")),
            (150, 30, 30, fe(2)),
            (190, 30, 30, fe(1)),
            (191, 30, 30, tp("call")),
            (300, 30, 30, te("passed")),
            (301, 30, 30, se(0)),
        ])
        .samples(Metric::Rss, 0, &[30; 8]);
    let digest = child(story, 20, 60, &[80; 6]).ends(Some(0), None).digest();
    let held = digest
        .fixtures
        .iter()
        .map(|it| (&it.name[..], it.children_bytes / MB));
    assert_eq!(held.collect::<Vec<_>>(), [("app", 0), ("db", 80)]);
    let facts = plan::Facts::of(&[], &digest.files, &digest.fixtures);
    assert_eq!(facts.base_bytes, 110 * MB);
}

#[test]
fn what_was_there_before_the_first_file_is_in_the_base_and_a_missed_tick_changes_nothing() {
    let story = child(three_files("function"), 20, -60, &[80; 4]);
    let mut story = story.ends(Some(0), None);
    // Seen again after 50 ms without a sample, at 200 ms.
    let again = child(
        Story::new().process(10, 1, Role::Pytest, "", "s"),
        20,
        200,
        &[80; 8],
    );
    story.batch.samples.extend(again.batch.samples);
    let digest = story.digest();
    assert_eq!(told(&digest), [[80, 0, 0], [80, 0, 0], [80, 0, 0]]);
    let facts = plan::Facts::of(&[], &digest.files, &digest.fixtures);
    assert_eq!(facts.base_bytes, 110 * MB);
}
