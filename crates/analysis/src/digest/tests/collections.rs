use highwater_wire::{
    report::{CollectedRow, Collection, JobState},
    v1::{CollectEnd, Metric, Role, mark::What},
};

use super::builder::{Story, cb, ce, context, ib, ie, sb, se, tb, te, xx};
use crate::digest::digest;

fn collection(session: u32, began_ms: i64, ended_ms: Option<i64>) -> Collection {
    Collection {
        session,
        began_us: began_ms * 1_000,
        ended_us: ended_ms.map(|ms| ms * 1_000),
    }
}

#[test]
fn a_session_of_a_process_has_its_collection() {
    let digest = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (5, 10, 10, cb()),
            (6, 10, 10, ib("a.py")),
            (30, 20, 20, ie()),
            (31, 20, 20, ce(1)),
            (40, 20, 20, tb("a.py", "x")),
            (50, 20, 20, te("passed")),
            (60, 20, 20, se(0)),
        ])
        .digest();
    assert_eq!(
        digest.processes[0].collections,
        [collection(1, 5, Some(31))]
    );
}

#[test]
fn a_collection_without_its_end_lasts_until_the_first_test_or_the_end_of_the_session() {
    for (name, after, ended) in [
        ("test", tb("a.py", "x"), Some(40)),
        ("end", se(2), Some(40)),
        ("import", ib("a.py"), None),
    ] {
        let story = Story::new()
            .session("s", 0)
            .process(10, 1, Role::Pytest, "", "s")
            .samples(Metric::Rss, 0, &[10, 10])
            .marks(&[(0, 10, 10, sb()), (5, 10, 10, cb()), (40, 10, 10, after)]);
        let digest = digest(&story.recording(), &context(JobState::Lost));
        let collections = &digest.processes[0].collections;
        assert_eq!(*collections, [collection(1, 5, ended)], "{name}");
    }
}

#[test]
fn workers_collect_and_their_controller_does_not() {
    let digest = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Controller, "", "s")
        .marks(&[(0, 10, 10, sb()), (5, 10, 10, cb()), (90, 10, 10, se(0))])
        .process(11, 10, Role::Worker, "gw0", "s")
        .marks(&[
            (20, 10, 10, sb()),
            (21, 10, 10, cb()),
            (30, 10, 10, ce(0)),
            (80, 10, 10, xx()),
        ])
        .digest();
    assert!(digest.processes[0].collections.is_empty());
    assert_eq!(
        digest.processes[1].collections,
        [collection(1, 21, Some(30))]
    );
}

#[test]
fn the_files_that_a_session_was_to_run_are_told_in_their_order() {
    let list = |items, files: &str| {
        What::CollectEnd(CollectEnd {
            items,
            files: files.to_owned(),
        })
    };
    let digest = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (5, 10, 10, cb()),
            (31, 20, 20, list(4, "3 b.py\n1 a.py\n+7")),
            (40, 20, 20, tb("b.py", "x")),
            (50, 20, 20, te("passed")),
        ])
        .digest();
    let row = |place, path: Option<&str>, files, tests| CollectedRow {
        session: 1,
        place,
        path: path.map(str::to_owned),
        files,
        tests,
    };
    let told = [
        row(1, Some("b.py"), 1, Some(3)),
        row(2, Some("a.py"), 1, Some(1)),
        row(3, None, 7, None),
    ];
    assert_eq!(digest.collected, told);
}
