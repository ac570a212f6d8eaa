use highwater_wire::{
    report::{Confidence, Verdict},
    v1::{Metric, Role},
};
use proptest::prelude::*;

use super::{
    background::guard,
    builder::{MB, Story, fb, fe, ib, ie, one_process, rb, re, sb, se, tb, te},
};

fn killed(story: Story) -> Vec<(String, i64)> {
    let story = story
        .series(Metric::CgroupOomKills, None, "/job", 6_000, &[0, 1], 1)
        .ends(None, Some(9));
    let ending = story.digest().job.ending.unwrap();
    ending
        .culprits
        .into_iter()
        .map(|holder| (holder.name, holder.bytes / MB))
        .collect()
}

fn named(holders: &[(&str, i64)]) -> Vec<(String, i64)> {
    holders
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), *bytes))
        .collect()
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

#[test]
fn growth_from_file_to_file_and_what_ran_are_figures() {
    let mut marks = vec![(0, 10, 10, sb())];
    for (at, kept) in [(1, 40), (2, 30), (3, 50)] {
        let path = format!("f{at}.py");
        marks.push((at * 10, 10, 10, ib(&path)));
        marks.push((at * 10 + 1, 10, 10, ie()));
        let before = [10, 50, 80][usize::try_from(at).unwrap() - 1];
        marks.push((at * 100, before, before, tb(&path, "x")));
        marks.push((at * 100 + 1, before + kept, before + kept, te("passed")));
    }
    marks.sort_by_key(|mark| mark.0);
    marks.push((1_000, 130, 130, tb("victim.py", "y")));
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .samples(Metric::Rss, 1_010, &[150, 190])
        .marks(&marks)
        .gone(1_100, None)
        .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
        .ends(None, Some(9));
    let ending = story.digest().job.ending.unwrap();
    let told = |words: &str| ending.evidence.iter().any(|it| it.sentence == words);
    assert!(
        told("3 test files had left 114.4 MiB behind, 38.1 MiB each in the middle."),
        "{ending:?}"
    );
    assert!(
        told("victim.py::y had taken 57.2 MiB since it began."),
        "{ending:?}"
    );
}

#[test]
fn the_running_test_is_named_with_what_it_had_taken_so_far() {
    let story = |taken: i64| {
        let marks = [
            (0, 10, 10, sb()),
            (1, 10, 10, tb("holder.py", "x")),
            (2, 110, 110, te("passed")),
            (3, 110, 110, tb("victim.py", "y")),
        ];
        Story::new()
            .session("s", 0)
            .process(10, 1, Role::Pytest, "", "s")
            .samples(Metric::Rss, 10, &[110, 110 + taken])
            .marks(&marks)
            .gone(100, None)
    };
    assert_eq!(
        killed(story(90)),
        named(&[("holder.py", 100), ("victim.py::y", 90)])
    );
    assert_eq!(
        killed(story(120)),
        named(&[("victim.py::y", 120), ("holder.py", 100)])
    );
    assert_eq!(killed(story(0)), named(&[("holder.py", 100)]));
}

#[test]
fn the_victim_is_named_however_many_hold_more() {
    let mut marks = vec![(0, 10, 10, sb())];
    for at in 0..6 {
        let held = 10 + 50 * at;
        marks.push((at * 10 + 1, held, held, tb(&format!("f{at}.py"), "x")));
        marks.push((at * 10 + 2, held + 50, held + 50, te("passed")));
    }
    marks.push((90, 310, 310, tb("victim.py", "y")));
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .samples(Metric::Rss, 100, &[310, 315])
        .marks(&marks)
        .gone(200, None);
    let holders = killed(story);
    assert_eq!(
        (holders.len(), &holders[4]),
        (5, &("victim.py::y".to_owned(), 5))
    );
}

#[test]
fn of_a_test_that_was_interrupted_counts_what_it_had_then_and_its_file_nothing_of_it() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .samples(Metric::Rss, 0, &[10, 110, 190, 110])
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("holder.py", "x")),
            (40, 110, 110, te("passed")),
            (60, 110, 110, tb("victim.py", "y")),
            // Of 80 that it had it keeps 15.
            (140, 125, 190, te("failed")),
            (160, 125, 125, se(2)),
        ])
        .event(101, guard("stopped"))
        .ends(Some(2), None);
    let ending = story.ends_as("guard", Verdict::GuardStopped, Confidence::Certain);
    let holders: Vec<_> = ending
        .culprits
        .iter()
        .map(|it| (it.kind.as_str(), it.name.as_str(), it.bytes / MB))
        .collect();
    assert_eq!(
        holders,
        [("file", "holder.py", 100), ("running", "victim.py::y", 80)]
    );
}

#[test]
fn who_ended_before_held_nothing_and_who_is_there_holds_what_it_last_had_of_its_own() {
    let story = Story::new()
        .session("early", 0)
        .process(9, 1, Role::Pytest, "", "early")
        .samples(Metric::Rss, 0, &[10, 310])
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("over.py", "x")),
            (2, 310, 310, te("passed")),
        ])
        .gone(100, None)
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[900, 900])
        .gone(100, None)
        .process(11, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[700, 700, 700, 90, 90])
        .samples(Metric::Pss, 3_000, &[40])
        .process(12, 1, Role::Child, "", "")
        .samples(Metric::Rss, 2_950, &[30, 30]);
    assert_eq!(
        killed(story),
        named(&[("process 11", 40), ("process 12", 30)])
    );
}

#[test]
fn an_import_is_held_and_what_a_fixture_holds_is_not_told_again_with_its_file() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, ib("a.py")),
            (2, 510, 510, ie()),
            (3, 510, 510, tb("a.py", "x")),
            (4, 510, 510, fb(1, "client", "module", "a.py")),
            (5, 550, 550, fe(1)),
            (6, 550, 550, fb(2, "pool", "session", "")),
            (7, 570, 570, fe(2)),
            (8, 575, 575, te("passed")),
            (9, 575, 575, tb("b.py", "y")),
            (10, 575, 575, fb(3, "client", "module", "b.py")),
            (11, 605, 605, fe(3)),
        ]);
    let digest = story.clone().digest();
    let holders = killed(story);
    assert_eq!(
        holders,
        named(&[
            ("a.py", 505),
            ("client (a.py)", 40),
            ("client (b.py)", 30),
            ("pool (session)", 20)
        ])
    );
    let sum: i64 = holders.iter().map(|(_, bytes)| bytes * MB).sum();
    assert!(sum.cast_unsigned() <= digest.job.peak_bytes.max(605 * MB as u64));
}

#[test]
fn what_the_holders_that_are_not_named_held_is_told_together() {
    let mut marks = vec![(0, 10, 10, sb())];
    for file in 0..8_i64 {
        let (path, before) = (format!("{file}.py"), 10 + 5 * file);
        marks.push((10 * file + 1, before, before, tb(&path, "x")));
        marks.push((10 * file + 5, before + 5, before + 5, te("passed")));
    }
    let ending = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&marks)
        .event(90, super::background::guard("stopped"))
        .ends(None, Some(9))
        .ends_as("guard", Verdict::GuardStopped, Confidence::Certain);
    assert_eq!(ending.culprits.len(), 5);
    let mut told = ending.evidence.iter().map(|it| it.sentence.as_str());
    let rest = "3 more than the 5 that are named held 14.3 MiB together.";
    assert!(told.any(|said| said == rest), "{ending:?}");
}

/// Files of one test each, which take or give back so much, and one that runs and has taken so much.
fn one_after_another(files: &[i64], taken: i64) -> Story {
    let mut level = 10;
    let mut marks = vec![(0, level, level, sb())];
    let mut t = 0;
    for (at, change) in files.iter().enumerate() {
        marks.push((t + 1, level, level, tb(&format!("f{at}.py"), "x")));
        level += change;
        t += 10;
        marks.push((t, level, level, te("passed")));
    }
    t += 1;
    marks.push((t, level, level, tb("victim.py", "y")));
    one_process()
        .marks(&marks)
        .samples(Metric::Rss, t + 10, &[level, level + taken])
        .gone(t + 100, None)
}

#[test]
fn what_a_later_file_gave_back_no_file_holds() {
    let story = one_after_another(&[80, -80, 60], 45);
    let held = named(&[("f2.py", 60), ("victim.py::y", 45)]);
    assert_eq!(killed(story), held);
    // The latest is given back first, and what nobody had left was there before.
    let story = one_after_another(&[40, 30, -50, 20, -30], 45);
    let held = named(&[("victim.py::y", 45), ("f0.py", 10)]);
    assert_eq!(killed(story), held);
    let story = one_after_another(&[-5, 40], 45);
    let held = named(&[("victim.py::y", 45), ("f1.py", 40)]);
    assert_eq!(killed(story), held);
}

#[test]
fn what_the_running_test_gave_back_no_file_holds() {
    let story = one_after_another(&[50, 60], -70);
    assert_eq!(killed(story), named(&[("f0.py", 40)]));
}

#[test]
fn each_worker_gives_back_what_was_left_in_it() {
    let ending = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Controller, "", "s")
        .marks(&[(0, 10, 10, sb()), (90, 10, 10, se(2))])
        .process(11, 10, Role::Worker, "gw0", "s")
        .marks(&[
            (1, 10, 10, sb()),
            (2, 10, 10, tb("a.py", "x")),
            (3, 90, 90, te("passed")),
            (80, 90, 90, se(2)),
        ])
        .process(12, 10, Role::Worker, "gw1", "s")
        .marks(&[
            (1, 100, 100, sb()),
            (12, 100, 100, tb("b.py", "x")),
            (13, 150, 150, te("passed")),
            (14, 150, 150, tb("c.py", "x")),
            (15, 70, 70, te("passed")),
            (80, 70, 70, se(2)),
        ])
        .event(50, guard("stopped"))
        .ends(Some(2), None)
        .ends_as("guard", Verdict::GuardStopped, Confidence::Certain);
    let holders = ending.culprits.into_iter();
    let holders: Vec<_> = holders.map(|it| (it.name, it.bytes / MB)).collect();
    assert_eq!(holders, named(&[("a.py", 80)]));
}

#[test]
fn fixtures_that_are_set_up_are_given_back_last_and_those_torn_down_as_files_are() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("a.py", "x")),
            (2, 50, 50, te("passed")),
            (3, 50, 50, tb("b.py", "x")),
            (4, 50, 50, fb(1, "pool", "session", "")),
            (5, 80, 80, fe(1)),
            (6, 80, 80, fb(2, "client", "module", "b.py")),
            (7, 100, 100, fe(2)),
            // It leaves cycles.
            (8, 100, 100, rb(2)),
            (9, 100, 100, re(2)),
            (10, 100, 100, te("passed")),
            (11, 100, 100, tb("c.py", "x")),
            (12, 65, 65, te("passed")),
            (13, 65, 65, tb("d.py", "x")),
        ]);
    assert_eq!(
        killed(story),
        named(&[("pool (session)", 30), ("a.py", 25)])
    );
}

#[test]
fn a_fixture_that_is_torn_down_after_the_moment_gives_back_nothing_before() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .samples(Metric::Rss, 0, &[10, 110, 230, 110])
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb("holder.py", "x")),
            (40, 110, 110, te("passed")),
            (60, 110, 110, tb("victim.py", "y")),
            (61, 110, 110, fb(1, "client", "module", "victim.py")),
            (70, 150, 150, fe(1)),
            (140, 165, 230, rb(1)),
            (150, 125, 165, re(1)),
            (151, 125, 125, te("failed")),
            (160, 125, 125, se(2)),
        ])
        .event(101, guard("stopped"))
        .ends(Some(2), None);
    let ending = story.ends_as("guard", Verdict::GuardStopped, Confidence::Certain);
    let holders = ending.culprits.into_iter();
    let holders: Vec<_> = holders.map(|it| (it.name, it.bytes / MB)).collect();
    assert_eq!(
        holders,
        named(&[
            ("holder.py", 100),
            ("victim.py::y", 80),
            ("client (victim.py)", 40)
        ])
    );
}

#[test]
fn files_that_ended_left_what_the_running_one_did_not_give_back() {
    let left = |story: Story| {
        let story = story
            .series(Metric::CgroupOomKills, None, "/job", 6_000, &[0, 1], 1)
            .ends(None, Some(9));
        let told = story.digest().job.ending.unwrap().evidence.into_iter();
        let mut told = told.map(|it| it.sentence);
        told.find(|said| said.contains("had left")).unwrap()
    };
    assert_eq!(
        left(one_after_another(&[80, -80, 60], 45)),
        "3 test files had left 57.2 MiB behind, 0.0 MiB each in the middle."
    );
    assert_eq!(
        left(one_after_another(&[80, 30, 60], -75)),
        "3 test files had left 90.6 MiB behind, 14.3 MiB each in the middle."
    );
}

#[test]
fn the_file_of_a_test_that_was_interrupted_had_left_nothing_yet() {
    let mut marks = vec![(0, 10, 10, sb())];
    for at in 0..3 {
        let level = 10 + 20 * at;
        marks.push((at * 10 + 1, level, level, tb(&format!("f{at}.py"), "x")));
        marks.push((at * 10 + 9, level + 20, level + 20, te("passed")));
    }
    marks.extend([
        (60, 70, 70, tb("victim.py", "y")),
        (140, 120, 120, te("failed")),
        (160, 120, 120, se(2)),
    ]);
    let ending = one_process()
        .samples(Metric::Rss, 0, &[10, 70, 120, 120])
        .marks(&marks)
        .event(101, guard("stopped"))
        .ends(Some(2), None)
        .ends_as("guard", Verdict::GuardStopped, Confidence::Certain);
    let mut told = ending.evidence.iter().map(|it| it.sentence.as_str());
    let left = "3 test files had left 57.2 MiB behind, 19.1 MiB each in the middle.";
    assert!(told.any(|said| said == left), "{ending:?}");
}

proptest! {
    #[test]
    fn what_is_held_adds_up_to_what_the_process_grew_by(
        levels in proptest::collection::vec(0_i64..50, 0..4),
        taken in 2_i64..50,
    ) {
        let before = std::iter::once(0).chain(levels.iter().map(|it| it * 2));
        let files: Vec<i64> = levels.iter().zip(before).map(|(to, from)| to * 2 - from).collect();
        let held: i64 = killed(one_after_another(&files, taken)).iter().map(|it| it.1).sum();
        prop_assert_eq!(held, levels.last().map_or(0, |it| it * 2) + taken);
    }
}
