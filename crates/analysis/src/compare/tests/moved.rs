//! Files that moved, and what holds of every pair of sides.

use super::*;

fn ran(path: &str, names: &[&str]) -> Vec<TestRow> {
    let test = |name: &&str| TestRow {
        nodeid: format!("{path}::{name}"),
        path: path.to_owned(),
        session: 1,
        execution: 1,
        outcome: "passed".to_owned(),
        worker: None,
        process: 1,
        started_us: 0,
        duration_us: 0,
        start_bytes: 0,
        end_bytes: 0,
        peak_bytes: 0,
        peak_kind: PeakKind::Exact,
        tree_peak_bytes: 0,
        spike_bytes: 0,
        tree_spike_bytes: 0,
        retained_bytes: 0,
        late_import_bytes: 0,
        shared_fixture_bytes: 0,
        fixture_bytes: 0,
        phases: Vec::new(),
    };
    names.iter().map(test).collect()
}

#[test]
fn a_file_that_moved_is_known_by_its_tests_or_its_name() {
    let was = [
        ("unit/test_api.py", &["test_get", "test_put"][..]),
        ("unit/test_old_name.py", &["test_total[1]", "test_total[2]"]),
        ("unit/test_rewritten.py", &["test_one"]),
        ("a/test_it.py", &["test_it"]),
        ("b/test_it.py", &["test_it"]),
        ("test_twin_a.py", &["test_twin"]),
    ];
    let is = [
        ("core/test_api.py", &["test_get", "test_put"][..]),
        ("unit/test_new_name.py", &["test_total[1]", "test_total[2]"]),
        ("core/test_rewritten.py", &["test_two"]),
        // Two that were, one that is: which of them nobody knows.
        ("c/test_it.py", &["test_it"]),
        // The same tests twice.
        ("test_twin_b.py", &["test_twin"]),
        ("test_twin_c.py", &["test_twin"]),
    ];
    let side = |files: &[(&str, &[&str])]| {
        let rows: Vec<FileRow> = files.iter().map(|(path, _)| file(path, 9, 9)).collect();
        passed(&rows)
    };
    let (mut before, mut after) = (side(&was), side(&is));
    let wanted = [only_here(&before, &after), only_here(&after, &before)];
    assert_eq!(wanted[0].len(), was.len());
    for (side, files, wanted) in [(&mut before, was, &wanted[0]), (&mut after, is, &wanted[1])] {
        for (path, names) in files {
            side.add_tests(&ran(path, names), wanted);
        }
    }
    let report = compare(&before, &after, ALL);
    let moved: Vec<_> = report
        .files
        .iter()
        .filter_map(|file| Some((file.moved_from.as_deref()?, file.path.as_str())))
        .collect();
    assert_eq!(
        moved,
        [
            ("unit/test_api.py", "core/test_api.py"),
            ("unit/test_rewritten.py", "core/test_rewritten.py"),
            ("unit/test_old_name.py", "unit/test_new_name.py"),
        ]
    );
    let counts = report.counts.unwrap();
    assert_eq!((counts.moved, counts.gone, counts.new), (3, 3, 3));
}

fn rows() -> impl Strategy<Value = Vec<FileRow>> {
    // Names that come back in other folders.
    let path = (0..2_u8, 0..6_u8).prop_map(|(folder, name)| format!("{folder}/test_{name}.py"));
    let one = (path, any::<i64>(), 0..200_i64, any::<bool>(), 0..2_u32);
    let row = |(path, retained, spike, censored, visits): (String, i64, i64, bool, u32)| FileRow {
        censored,
        visits,
        retained_bytes: retained,
        ..file(&path, 0, spike)
    };
    proptest::collection::vec(one.prop_map(row), 0..12)
}

fn mirrored(change: FileChange) -> FileChange {
    match change {
        FileChange::New => FileChange::Gone,
        FileChange::Gone => FileChange::New,
        FileChange::NotRunBefore => FileChange::NotRunAfter,
        FileChange::NotRunAfter => FileChange::NotRunBefore,
        same => same,
    }
}

proptest! {
    #[test]
    fn each_file_that_ran_is_told_once_and_the_other_way_round_the_same(one in rows(), other in rows()) {
        let (before, after) = (passed(&one), passed(&other));
        let report = compare(&before, &after, ALL);
        let back = compare(&after, &before, ALL);
        let mut told: Vec<&str> = report
            .files
            .iter()
            .flat_map(|it| [it.moved_from.as_deref(), Some(it.path.as_str())])
            .flatten()
            .collect();
        told.sort_unstable();
        let mut ran: Vec<&str> = one.iter().chain(&other).filter(|it| it.visits > 0).map(|it| it.path.as_str()).collect();
        ran.sort_unstable();
        ran.dedup();
        prop_assert_eq!(told, ran);
        let mut changes: Vec<FileChange> = report.files.iter().map(|it| it.change).collect();
        let mut mirror: Vec<FileChange> = back.files.iter().map(|it| mirrored(it.change)).collect();
        changes.sort_unstable();
        mirror.sort_unstable();
        prop_assert_eq!(changes, mirror);
    }

    #[test]
    fn a_side_held_against_itself_has_not_changed(rows in rows()) {
        let side = passed(&rows);
        let report = compare(&side, &side, ALL);
        prop_assert!(report.files.iter().all(|it| it.change == FileChange::Alike));
        prop_assert!(report.sentence.contains("no more than noise"));
    }
}

#[test]
fn ten_thousand_files_that_all_moved_are_found() {
    let side = |folder: &str| {
        let path = |at: i64| format!("{folder}/test_{at}.py");
        let rows: Vec<FileRow> = (0..10_000).map(|at| file(&path(at), at % 50, 9)).collect();
        passed(&rows)
    };
    let report = compare(&side("old"), &side("new"), Most { files: 100, ..ALL });
    assert_eq!(report.counts.unwrap().moved, 10_000);
    assert_eq!((report.files.len(), report.files_left), (100, 9_900));
}
