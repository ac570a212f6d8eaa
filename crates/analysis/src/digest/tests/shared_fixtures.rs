//! Fixtures that several files share: nobody's, whichever file set them up and whichever was the last.

use highwater_wire::{
    report::FileRow,
    v1::{FixtureBegin, Metric, Role, mark::What},
};
use proptest::prelude::*;

use super::builder::{MB, Story, fb, fe, mb, me, one_process, rb, re, sb, se, tb, te, tp};
use crate::plan;

const A: &str = "tests/test_a.py";
const B: &str = "tests/test_b.py";

/// A fixture that a test file defines.
fn fb_in(fixture: u64, name: &str, scope: &str, path: &str) -> What {
    What::FixtureBegin(FixtureBegin {
        fixture,
        name: name.to_owned(),
        scope: scope.to_owned(),
        path: String::new(),
        base: path.to_owned(),
    })
}

/// Retained, of shared fixtures, of its own, spike; in MB.
fn told(file: &FileRow) -> [i64; 4] {
    [
        file.retained_bytes,
        file.shared_fixture_bytes,
        file.fixture_bytes,
        file.spike_bytes,
    ]
    .map(|bytes| bytes / MB)
}

#[test]
fn neither_the_file_that_asks_first_nor_the_last_is_charged_with_a_fixture_of_the_session() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, fb(1, "database", "session", "")),
            // What its set-up needs for a while is no spike of the file, and what it imports is told apart.
            (3, 40, 90, mb("driver")),
            (4, 47, 60, me()),
            (5, 67, 120, fe(1)),
            (6, 67, 67, fb(2, "own", "module", A)),
            (7, 72, 74, fe(2)),
            (8, 72, 72, tp("call")),
            (9, 75, 83, tp("teardown")),
            (10, 75, 75, rb(2)),
            (11, 70, 75, re(2)),
            (12, 70, 70, te("passed")),
            (13, 70, 70, tb(B, "two")),
            (14, 72, 73, tp("teardown")),
            (15, 72, 72, rb(1)),
            (16, 52, 99, re(1)),
            // pytest lets go of the value only now; 1 MB is the test's own.
            (17, 41, 52, te("passed")),
            (18, 41, 41, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let [a, b] = &digest.files[..] else {
        panic!("{:?}", digest.files)
    };
    assert_eq!(told(a), [3, 30, 0, 16]);
    assert_eq!((a.late_import_bytes, a.peak_bytes), (7 * MB, 120 * MB));
    assert_eq!(told(b), [1, -30, 0, 3]);
    // Of their tests the same.
    let tests: Vec<_> = digest
        .tests
        .iter()
        .map(|test| {
            [
                test.retained_bytes,
                test.shared_fixture_bytes,
                test.spike_bytes,
            ]
        })
        .collect();
    assert_eq!(
        tests,
        [[3, 30, 16], [1, -30, 3]].map(|row| row.map(|it| it * MB))
    );
    let [database, _] = &digest.fixtures[..] else {
        panic!("{:?}", digest.fixtures)
    };
    assert_eq!(
        [
            database.setup_bytes,
            database.released_bytes,
            database.spike_bytes
        ]
        .map(|it| it / MB),
        [30, 30, 83]
    );
    let books = digest.processes[0].books.unwrap();
    assert_eq!((books.fixture_bytes, books.import_bytes), (0, 7 * MB));
    assert!(books.balance());
}

#[test]
fn a_fixture_that_a_file_defines_is_that_files_wherever_it_ends() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, fb_in(1, "service", "session", A)),
            (3, 70, 70, fe(1)),
            (4, 71, 71, te("passed")),
            (5, 71, 71, tb(B, "two")),
            (6, 71, 71, rb(1)),
            (7, 31, 71, re(1)),
            (8, 31, 31, te("passed")),
            (9, 31, 31, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    assert_eq!(told(&digest.files[0]), [41, 0, 40, 41]);
    assert_eq!(told(&digest.files[1]), [0, -40, 0, 0]);
    // A plan has it with its file and not in the base.
    let facts = plan::Facts::of(&digest.job.sessions, &digest.files, &digest.fixtures);
    assert_eq!((facts.base_bytes, &facts.shared[..]), (30 * MB, &[][..]));
}

#[test]
fn what_a_later_file_frees_of_a_fixture_is_that_files_as_nobody_knows_whose_it_was() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, fb(1, "cyclic", "package", "")),
            (3, 60, 60, fe(1)),
            (4, 60, 60, rb(1)),
            (5, 60, 60, re(1)),
            (6, 60, 60, te("passed")),
            (7, 60, 60, tb(B, "collects")),
            (8, 30, 60, te("passed")),
            (9, 30, 30, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    assert_eq!(told(&digest.files[0]), [0, 30, 0, 0]);
    assert_eq!(told(&digest.files[1]), [-30, 0, 0, 0]);
    assert_eq!(digest.fixtures[0].retained_bytes, 30 * MB);
}

#[test]
fn a_fixture_that_another_asks_for_meanwhile_is_not_its_spike() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, fb(1, "outer", "session", "")),
            (3, 31, 35, fb(2, "inner", "session", "")),
            (4, 231, 431, fe(2)),
            (5, 233, 237, fe(1)),
            (6, 233, 233, te("passed")),
            (7, 233, 233, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let spikes: Vec<_> = digest
        .fixtures
        .iter()
        .map(|row| {
            (
                row.name.as_str(),
                row.setup_bytes / MB,
                row.spike_bytes / MB,
            )
        })
        .collect();
    assert_eq!(spikes, [("inner", 200, 400), ("outer", 3, 7)]);
}

#[test]
fn the_holder_of_a_shared_fixture_is_the_fixture() {
    let digest = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb(A, "one")),
            (2, 10, 10, fb(1, "database", "session", "")),
            (3, 210, 210, fe(1)),
            (4, 250, 250, te("passed")),
            (5, 250, 250, tb(B, "two")),
            (6, 250, 250, fb_in(2, "service", "session", B)),
            (7, 280, 280, fe(2)),
            (8, 285, 285, te("passed")),
            (9, 285, 285, tb("tests/test_c.py", "victim")),
        ])
        .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
        .ends(None, Some(9))
        .digest();
    let culprits = digest.job.ending.unwrap().culprits;
    let culprits: Vec<_> = culprits
        .iter()
        .map(|it| (it.name.as_str(), it.bytes / MB))
        .collect();
    assert_eq!(
        culprits,
        [
            ("database (session)", 200),
            (A, 40),
            ("service (session)", 30),
            (B, 5)
        ]
    );
}

/// A file of a made suite, sizes in MB.
#[derive(Debug, Clone)]
struct Made {
    keeps: i64,
    spike: i64,
    own_fixture: i64,
}

fn any_suite() -> impl Strategy<Value = Vec<Made>> {
    let file = (0_i64..40, 0_i64..40, 0_i64..20).prop_map(|(keeps, more, own_fixture)| Made {
        keeps,
        spike: keeps + more,
        own_fixture,
    });
    proptest::collection::vec(file, 1..8)
}

/// Runs the files in their order: one of them sets the shared fixture up, and with the last it goes, in part only when pytest lets go of the value.
fn ran(suite: &[Made], asks: usize, size: i64, lazily: i64) -> Story {
    let (mut t, mut rss) = (0, 50);
    let mut marks = vec![(t, rss, rss, sb())];
    for (at, file) in suite.iter().enumerate() {
        let path = format!("test_{at}.py");
        let mut mark = |rss: i64, peak: i64, what: What| {
            t += 1;
            marks.push((t, rss, peak, what));
        };
        mark(rss, rss, tb(&path, "it"));
        if at == asks {
            mark(rss, rss, fb(1, "shared", "session", ""));
            rss += size;
            mark(rss, rss + 300, fe(1));
        }
        let own = u64::try_from(at).unwrap() + 2;
        mark(rss, rss, fb(own, "own", "module", &path));
        rss += file.own_fixture;
        mark(rss, rss, fe(own));
        mark(rss, rss, tp("call"));
        let peak = rss - file.own_fixture + file.spike.max(file.own_fixture + file.keeps);
        rss += file.keeps;
        mark(rss, peak, tp("teardown"));
        mark(rss, rss, rb(own));
        rss -= file.own_fixture;
        mark(rss, rss + file.own_fixture, re(own));
        if at + 1 == suite.len() {
            mark(rss, rss, rb(1));
            rss -= size - lazily;
            mark(rss, rss + size - lazily, re(1));
            rss -= lazily;
        }
        mark(rss, rss, te("passed"));
    }
    marks.push((t + 1, rss, rss, se(0)));
    one_process().marks(&marks).ends(Some(0), None)
}

proptest! {
    #[test]
    fn files_are_told_alike_whoever_asks_first_and_the_sums_are_what_the_process_grew(
        suite in any_suite(),
        asks in any::<prop::sample::Index>(),
        size in 0_i64..100,
        share in 0_i64..=100,
    ) {
        let asks = asks.index(suite.len());
        let digest = ran(&suite, asks, size, size * share / 100).digest();
        for (at, (file, made)) in digest.files.iter().zip(&suite).enumerate() {
            let spike = made.spike.max(made.own_fixture + made.keeps);
            prop_assert_eq!((file.retained_bytes, file.spike_bytes), (made.keeps * MB, spike * MB), "file {}", at);
        }
        let sum = |figure: fn(&FileRow) -> i64| digest.files.iter().map(figure).sum::<i64>();
        let books = digest.processes[0].books.unwrap();
        prop_assert!(books.balance());
        let grew = sum(|file| file.retained_bytes) + sum(|file| file.shared_fixture_bytes) + sum(|file| file.late_import_bytes);
        prop_assert_eq!(grew, books.last_bytes - books.first_bytes);
        let shared = digest.fixtures.iter().filter(|row| row.name == "shared");
        prop_assert_eq!(sum(|file| file.shared_fixture_bytes), shared.map(|row| row.retained_bytes).sum::<i64>());
    }
}
