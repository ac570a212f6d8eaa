//! Modules that tests import late: nobody's, whichever file asked first.

use highwater_wire::{
    report::LateImport,
    v1::{Metric, Role},
};

use super::builder::{MB, fb, fe, mb, me, mg, one_process, sb, se, tb, te, tp};

const A: &str = "tests/test_a.py";
const B: &str = "tests/test_b.py";

#[test]
fn what_a_module_takes_is_neither_retained_nor_a_spike_of_the_file_that_asked_first() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, tp("call")),
            (3, 31, 31, mb("scipy")),
            (4, 111, 191, me()),
            (5, 114, 121, tp("teardown")),
            (6, 114, 114, te("passed")),
            (7, 114, 114, tb(B, "two")),
            (8, 116, 118, te("passed")),
            (9, 116, 116, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let [a, b] = &digest.files[..] else {
        panic!("{:?}", digest.files)
    };
    assert_eq!(
        (a.retained_bytes, a.late_import_bytes, a.spike_bytes),
        (4 * MB, 80 * MB, 11 * MB)
    );
    assert_eq!(a.end_bytes - a.start_bytes, 84 * MB);
    assert_eq!(a.peak_bytes, 191 * MB);
    let scipy = LateImport {
        module: "scipy".to_owned(),
        bytes: 80 * MB,
    };
    assert_eq!(a.late_imports, [scipy]);
    assert_eq!(
        (b.retained_bytes, b.late_import_bytes, b.spike_bytes),
        (2 * MB, 0, 4 * MB)
    );
    let books = digest.processes[0].books.unwrap();
    assert_eq!((books.import_bytes, books.test_bytes), (80 * MB, 6 * MB));
    assert!(books.balance());
}

#[test]
fn a_module_that_did_not_stay_is_its_tests_own() {
    let digest = one_process()
        .marks(&[
            (0, 30, 30, sb()),
            (1, 30, 30, tb(A, "one")),
            (2, 30, 30, mb("stays")),
            (3, 40, 40, me()),
            (4, 40, 40, mb("made_up")),
            (5, 60, 75, me()),
            (6, 68, 68, te("passed")),
            (7, 48, 68, tb(A, "two")),
            (8, 48, 48, mb("made_up")),
            (9, 58, 58, me()),
            (10, 58, 58, te("passed")),
            (11, 58, 58, mg("made_up")),
            // Of one that was never told there is nothing to take back.
            (12, 58, 58, mg("other")),
            (13, 58, 58, mg("made_up")),
            (14, 58, 58, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let file = &digest.files[0];
    assert_eq!(
        (file.late_import_bytes, file.retained_bytes),
        (10 * MB, 18 * MB)
    );
    // 75 at the highest, of which 30 stood before and 10 are a library.
    assert_eq!(file.spike_bytes, 35 * MB);
    let books = digest.processes[0].books.unwrap();
    assert_eq!(books.import_bytes, 10 * MB);
    assert!(books.balance());
}

#[test]
fn what_a_fixture_imports_is_not_the_fixtures() {
    let digest = one_process()
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb(A, "one")),
            (2, 10, 10, fb(1, "data", "module", A)),
            (3, 10, 10, mb("numpy")),
            (4, 40, 40, me()),
            (5, 45, 45, fe(1)),
            (6, 45, 45, te("passed")),
            (7, 45, 45, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let fixture = &digest.fixtures[0];
    assert_eq!((fixture.setup_bytes, fixture.spike_bytes), (5 * MB, 5 * MB));
    let file = &digest.files[0];
    assert_eq!(
        (
            file.retained_bytes,
            file.fixture_bytes,
            file.late_import_bytes
        ),
        (5 * MB, 5 * MB, 30 * MB)
    );
    assert!(digest.processes[0].books.unwrap().balance());
}

#[test]
fn a_module_that_never_ends_ends_with_its_test_and_one_outside_a_test_is_none() {
    let digest = one_process()
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, mb("early")),
            (2, 13, 13, me()),
            (3, 13, 13, tb(A, "one")),
            (4, 13, 13, mb("broken")),
            (5, 20, 20, te("failed")),
            (6, 20, 20, tb(A, "two")),
            (7, 24, 24, te("passed")),
            (8, 24, 24, se(1)),
        ])
        .ends(Some(1), None)
        .digest();
    let file = &digest.files[0];
    assert_eq!(
        (file.retained_bytes, file.late_import_bytes),
        (4 * MB, 7 * MB)
    );
    let books = digest.processes[0].books.unwrap();
    assert_eq!((books.import_bytes, books.between_bytes), (7 * MB, 3 * MB));
}

#[test]
fn of_a_job_that_died_the_modules_are_told_beside_the_files() {
    let digest = one_process()
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb(A, "one")),
            (2, 10, 10, mb("scipy")),
            (3, 90, 90, me()),
            (4, 120, 120, te("passed")),
            (5, 120, 120, tb(B, "two")),
        ])
        .series(Metric::CgroupOomKills, None, "/job", 0, &[0, 1], 1)
        .ends(None, Some(9))
        .digest();
    let ending = digest.job.ending.unwrap();
    let held: Vec<(&str, &str, i64)> = ending
        .culprits
        .iter()
        .map(|it| (it.kind.as_str(), it.name.as_str(), it.bytes))
        .collect();
    assert_eq!(held, [("module", "scipy", 80 * MB), ("file", A, 30 * MB)]);
}

#[test]
fn what_a_forked_child_imports_goes_with_it_and_is_needed_for_a_while() {
    let mut story = one_process().marks(&[
        (0, 50, 50, sb()),
        (1, 50, 50, tb(A, "one")),
        (9, 50, 50, te("passed")),
    ]);
    story = story.process(11, 10, Role::Pytest, "", "s").marks(&[
        (2, 40, 40, tb(A, "one")),
        (3, 40, 40, mb("scipy")),
        (4, 120, 120, me()),
        (5, 130, 130, te("passed")),
    ]);
    story.batch.processes[1].forked_from = 10;
    let digest = story.digest();
    let file = &digest.files[0];
    assert_eq!((file.late_import_bytes, file.late_imports.len()), (0, 0));
    assert_eq!((file.retained_bytes, file.spike_bytes), (0, 90 * MB));
    assert_eq!(digest.tests[0].spike_bytes, 90 * MB);
}
