//! What diagnoses tell of files, and that they are charged to none.

use highwater_wire::{
    report::{PeakKind, Why},
    v1::{Diagnosis, Grown},
};
use proptest::prelude::*;

use super::builder::{MB, db, de, fb, fe, ib, ie, one_process, rb, re, sb, se, tb, te, tp, xx};

const A: &str = "tests/test_a.py";
const B: &str = "tests/test_b.py";

fn row(name: &str, count: i64, bytes: i64) -> Grown {
    Grown {
        name: name.to_owned(),
        count,
        bytes,
    }
}

/// RSS after the first step and the second, in MB, and growth of what pymalloc keeps, of the same by the collector, and of live objects.
fn found(rss: [i64; 2], [kept, freed, live]: [i64; 3]) -> Diagnosis {
    let [trimmed, collected] = rss.map(|bytes| (bytes * MB).cast_unsigned());
    Diagnosis {
        cost_us: 1_000,
        trimmed_bytes: Some(trimmed),
        collected_bytes: collected,
        kept_bytes: kept * MB,
        freed_bytes: freed * MB,
        live_bytes: live * MB,
        trim: true,
        types: vec![row("str", 10, live * MB)],
        ..Diagnosis::default()
    }
}

fn baseline() -> Diagnosis {
    Diagnosis {
        cost_us: 7,
        ..Diagnosis::default()
    }
}

#[test]
fn what_a_file_left_is_taken_apart_to_the_byte() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, db()),
            (2, 31, 90, de(baseline())),
            (3, 31, 31, tb(A, "one")),
            (4, 31, 31, tp("call")),
            (5, 131, 200, tp("teardown")),
            (6, 131, 131, te("passed")),
            (7, 133, 133, db()),
            // 20 go at malloc_trim, 30 with the collector; pymalloc keeps 10 more, of which the collector freed 4; 36 live.
            (8, 84, 500, de(found([113, 83], [6, 4, 36]))),
            (9, 84, 84, tb(B, "one")),
            (10, 84, 84, te("passed")),
            (11, 84, 84, db()),
            (12, 84, 84, de(found([84, 84], [0, 0, 0]))),
            (13, 84, 84, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let [a, b] = digest.files.as_slice() else {
        panic!("{:?}", digest.files);
    };
    let of_a = a.diagnosis.as_ref().unwrap();
    assert_eq!(a.retained_bytes, 100 * MB);
    let told = [
        of_a.stayed_bytes,
        of_a.allocator_bytes,
        of_a.pymalloc_bytes,
        of_a.garbage_bytes,
        of_a.live_bytes,
        of_a.rest_bytes,
    ];
    assert_eq!(told.map(|bytes| bytes / MB), [102, 26, 6, 34, 36, 6]);
    // The readings that they are made of.
    let readings = [
        of_a.start_bytes,
        of_a.end_bytes,
        of_a.trimmed_bytes,
        of_a.collected_bytes,
        of_a.pinned_bytes,
        of_a.freed_bytes,
        of_a.fixture_bytes,
    ];
    assert_eq!(
        readings.map(|bytes| bytes / MB),
        [31, 133, 113, 83, 0, 4, 0]
    );
    assert_eq!(b.diagnosis.as_ref().unwrap().stayed_bytes, 0);
    let of_job = digest.job.diagnosis.unwrap();
    assert_eq!((of_job.visits, of_job.stayed_bytes), (2, 102 * MB));
    assert_eq!(of_job.types[0].bytes, 36 * MB);

    // The peaks of the measuring are nobody's, and its change is between.
    assert_eq!((a.peak_bytes, a.peak_kind), (200 * MB, PeakKind::Exact));
    assert_eq!(digest.job.peak_bytes, 200_000_000);
    let books = digest.processes[0].books.unwrap();
    assert!(books.balance());
    assert_eq!(books.diagnosis_bytes, (1 + 84 - 133) * MB);
    assert_eq!(books.between_bytes, books.diagnosis_bytes + 2 * MB);
}

#[test]
fn a_fixture_that_was_torn_down_holds_nothing_any_more() {
    // What the fixture made stays, for something else holds it.
    let told = |is_torn_down: bool| {
        let teardown = [(7, 80, 80, rb(1)), (8, 80, 80, re(1))];
        let mut marks = vec![
            (0, 30, 30, sb()),
            (1, 30, 30, db()),
            (2, 30, 30, de(baseline())),
            (3, 30, 30, tb(A, "one")),
            (4, 30, 30, fb(1, "db", "session", "conftest.py")),
            (5, 80, 80, fe(1)),
        ];
        marks.extend(teardown.into_iter().filter(|_| is_torn_down));
        marks.extend([
            (9, 80, 80, te("passed")),
            (10, 80, 80, db()),
            (11, 80, 80, de(found([80, 80], [0, 0, 50]))),
            (12, 80, 80, se(0)),
        ]);
        let digest = one_process().marks(&marks).ends(Some(0), None).digest();
        let of_file = digest.files[0].diagnosis.clone().unwrap();
        let of_job = digest.job.diagnosis.unwrap();
        [of_file, of_job].map(|found| found.advice[0].sentence.contains("still set up"))
    };
    assert_eq!(told(false), [true, true]);
    assert_eq!(told(true), [false, false]);
}

#[test]
fn what_several_files_left_together_is_the_jobs_alone() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 60, 60, te("passed")),
            (3, 60, 60, tb(B, "one")),
            (4, 90, 90, te("passed")),
            (5, 90, 90, db()),
            (6, 50, 90, de(found([90, 50], [0, 0, 20]))),
            (7, 50, 50, tb(A, "two")),
            (8, 60, 60, te("passed")),
            (9, 60, 60, db()),
            (10, 60, 60, de(found([60, 60], [0, 0, 10]))),
            (11, 60, 60, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let job = digest.job.diagnosis.unwrap();
    assert_eq!((job.visits, job.stayed_bytes), (3, 70 * MB));
    assert_eq!((job.garbage_bytes, job.live_bytes), (40 * MB, 30 * MB));
    let of_file = |path: &str| {
        let row = digest.files.iter().find(|row| row.path == path).unwrap();
        row.diagnosis
            .as_ref()
            .map(|found| (found.visits, found.live_bytes / MB))
    };
    assert_eq!((of_file(A), of_file(B)), (Some((1, 10)), None));
    assert!(job.advice[0].sentence.contains("garbage") && !job.advice[0].sentence.contains(B));
}

#[test]
fn one_without_an_end_is_dropped_where_the_next_test_begins() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 40, 40, te("passed")),
            (3, 40, 40, db()),
            (4, 45, 45, tb(B, "one")),
            (5, 45, 45, tp("call")),
            (6, 50, 300, tp("teardown")),
            (7, 50, 50, te("passed")),
            (8, 50, 50, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    assert_eq!(digest.job.diagnosis, None);
    let b = digest.files.iter().find(|row| row.path == B).unwrap();
    assert_eq!((b.peak_bytes, b.retained_bytes), (300 * MB, 5 * MB));
    assert!(digest.processes[0].books.unwrap().balance());
}

#[test]
fn a_second_session_begins_anew() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 40, 40, te("passed")),
            (3, 40, 40, se(0)),
            (4, 40, 40, xx()),
            (5, 40, 40, sb()),
            (6, 40, 40, ib(B)),
            (7, 41, 41, ie()),
            (8, 41, 41, db()),
            (9, 41, 41, de(baseline())),
            (10, 41, 41, tb(B, "one")),
            (11, 51, 51, te("passed")),
            (12, 51, 51, db()),
            (13, 51, 51, de(found([51, 51], [0, 0, 10]))),
            (14, 51, 51, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let job = digest.job.diagnosis.unwrap();
    assert_eq!((job.visits, job.stayed_bytes), (1, 10 * MB));
    let [advice] = job.advice.as_slice() else {
        panic!("{:?}", job.advice);
    };
    assert_eq!((advice.why, advice.bytes), (Why::Live, 10 * MB));
}

proptest! {
    #[test]
    fn the_parts_of_what_is_taken_apart_make_it_whole(
        rss in proptest::array::uniform4(0_i64..2_000),
        grown in proptest::array::uniform3(-500_i64..500),
    ) {
        let [start, end, trimmed, collected] = rss;
        let digest = one_process()
            .marks(&[
                (0, start, start, sb()),
                (1, start, start, tb(A, "one")),
                (2, end, end, te("passed")),
                (3, end, end, db()),
                (4, end, end, de(found([trimmed, collected], grown))),
            ])
            .ends(Some(0), None)
            .digest();
        for found in [digest.job.diagnosis.unwrap(), digest.files[0].diagnosis.clone().unwrap()] {
            let parts = [found.garbage_bytes, found.allocator_bytes, found.live_bytes, found.tracing_bytes, found.rest_bytes];
            prop_assert_eq!(parts.iter().sum::<i64>(), found.stayed_bytes);
            prop_assert_eq!(found.stayed_bytes, (end - start) * MB);
        }
    }
}
