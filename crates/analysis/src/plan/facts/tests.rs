use highwater_wire::report::PeakKind;

use super::*;
use crate::samples;

fn row(path: &str, session: u32, start_bytes: i64, retained_bytes: i64) -> FileRow {
    FileRow {
        session,
        started_us: start_bytes,
        start_bytes,
        end_bytes: start_bytes.wrapping_add(retained_bytes),
        peak_bytes: start_bytes.wrapping_add(retained_bytes).wrapping_add(50),
        tree_peak_bytes: start_bytes.wrapping_add(retained_bytes).wrapping_add(57),
        spike_bytes: retained_bytes.wrapping_add(50),
        tree_spike_bytes: retained_bytes.wrapping_add(57),
        retained_bytes,
        duration_us: 9,
        workers: vec![worker(start_bytes, retained_bytes)],
        ..samples::file(path)
    }
}

/// The only process, which began the file when it stood at so many bytes.
fn worker(started_us: i64, retained_bytes: i64) -> WorkerFigures {
    WorkerFigures {
        worker: None,
        process: 1,
        visits: 1,
        started_us,
        start_bytes: started_us,
        end_bytes: started_us.wrapping_add(retained_bytes),
        peak_bytes: 0,
        peak_kind: PeakKind::Exact,
        tree_peak_bytes: 0,
        spike_bytes: 0,
        tree_spike_bytes: 0,
        children_start_bytes: 0,
        children_retained_bytes: 0,
        retained_bytes,
        import_bytes: 0,
        late_import_bytes: 0,
        shared_fixture_bytes: 0,
        fixture_bytes: 0,
        between_bytes: 0,
        tests: 1,
        failed: 0,
        duration_us: 9,
        censored: false,
    }
}

fn shared(session: u32, setup_bytes: i64, setups: u64) -> FixtureRow {
    FixtureRow {
        session,
        setups,
        setup_bytes,
        released_bytes: setup_bytes,
        ..samples::fixture("shared", "")
    }
}

/// A file that set shared fixtures up, or tore them down, which its row has apart.
fn with_shared(mut row: FileRow, bytes: i64) -> FileRow {
    row.end_bytes += bytes;
    row.peak_bytes += bytes.max(0);
    row.tree_peak_bytes += bytes.max(0);
    row.shared_fixture_bytes = bytes;
    row.workers[0].shared_fixture_bytes = bytes;
    row
}

#[test]
fn fixtures_that_files_share_belong_to_the_base_and_are_taken_off_no_file() {
    let files = [
        with_shared(row("a", 1, 100, 10), 20),
        row("b", 1, 130, 10),
        with_shared(row("c", 1, 140, 10), -20),
    ];
    let mut fixture = shared(1, 40, 2);
    fixture.spike_bytes = 90;
    let facts = Facts::of(&[], &files, &[fixture]);
    assert_eq!((facts.base_bytes, facts.set_up_bytes), (120, 70));
    let told = |file: &File| (file.retained_bytes, file.spike_bytes);
    let told: Vec<_> = facts.files.iter().map(told).collect();
    // What children took at once is needed too.
    assert_eq!(told, [(10, 67), (10, 67), (10, 67)]);
}

#[test]
fn what_is_released_with_the_last_file_is_no_ground_for_less_than_the_base() {
    // It gave back what others had left, and with it went the fixture.
    let files = [
        row("a", 1, 100, 60),
        with_shared(row("z", 1, 160, -50), -40),
    ];
    let facts = Facts::of(&[], &files, &[shared(1, 40, 1)]);
    let told: Vec<_> = facts.files.iter().map(|file| file.retained_bytes).collect();
    assert_eq!((facts.base_bytes, &told[..]), (140, &[10, 0][..]));
}

#[test]
fn of_packages_one_inside_another_holds_at_once_and_one_beside_another_does_not() {
    let of = |scope: &str, base: &str, setup_bytes| FixtureRow {
        scope: scope.to_owned(),
        base: base.to_owned(),
        ..shared(1, setup_bytes, 1)
    };
    let fixtures = [
        of("session", "tests/unit", 1),
        of("package", "tests", 10),
        of("package", "tests/unit", 200),
        of("package", "tests/units", 300),
        of("package", "tests/unit/deep", 50),
        // Its file's own.
        of("session", "tests/test_a.py", 5_000),
    ];
    let facts = Facts::of(&[], &[row("a", 1, 100, 0)], &fixtures);
    assert_eq!(facts.base_bytes, 100 + 1 + 310);
    assert_eq!(facts.shared, [("shared".to_owned(), 561)]);
}

#[test]
fn what_a_file_gives_back_of_others_does_not_take_a_job_below_its_base() {
    let files = [
        row("a", 1, 100, 60),
        row("heir", 1, 160, -40),
        row("own", 1, 120, -50),
    ];
    let facts = Facts::of(&[], &files, &[]);
    let told = |file: &File| (file.path.clone(), file.spike_bytes, file.retained_bytes);
    let told: Vec<_> = facts.files.iter().map(told).collect();
    let expected = [("a", 117, 0), ("heir", 57, 0), ("own", 27, -30)];
    assert_eq!(
        told,
        expected.map(|(path, spike, retained)| (path.to_owned(), spike, retained))
    );
}

#[test]
fn a_file_gives_back_nothing_of_another_session() {
    let first = [row("a", 1, 100, 60), row("b", 1, 160, 10)];
    // A pytest of its own, which begins anew and gives back what its own file left.
    let second = [row("c", 2, 100, 50), row("d", 2, 150, -50)];
    let told = |rows: &[FileRow]| {
        let told = |file: &File| (file.path.clone(), file.spike_bytes, file.retained_bytes);
        let facts = Facts::of(&[], rows, &[]);
        facts.files.iter().map(told).collect::<Vec<_>>()
    };
    let apart = [told(&first), told(&second)].concat();
    assert_eq!(told(&[first, second].concat()), apart);
    // Another one gave back more than the files of its session had left.
    let heir = [row("c", 2, 100, 0), row("d", 2, 160, -50)];
    let of_first = told(&[row("a", 1, 100, 60), heir[0].clone(), heir[1].clone()]);
    assert_eq!(of_first[0], ("a".to_owned(), 117, 60));
}

#[test]
fn figures_that_cannot_be_break_no_sum() {
    let mut wild = row("a", 1, 100, i64::MAX);
    (wild.spike_bytes, wild.start_bytes, wild.duration_us) = (i64::MAX, i64::MIN, i64::MAX);
    let facts = Facts::of(
        &[],
        &[wild.clone(), row("b", 1, i64::MAX / 2, i64::MIN)],
        &[shared(1, i64::MAX, 1)],
    );
    assert!(facts.base_bytes >= 0 && facts.files.iter().all(|file| file.spike_bytes <= MOST));
}

#[test]
fn a_file_of_several_sessions_is_one_and_one_that_did_not_run_is_as_those_in_the_middle() {
    let mut imported = row("x", 1, 50, 0);
    imported.visits = 0;
    let mut cut = row("a", 2, 200, 4);
    cut.censored = true;
    let facts = Facts::of(&[], &[row("a", 1, 100, 30), imported, cut], &[]);
    assert_eq!(facts.base_bytes, 200);
    assert_eq!(
        (&facts.cut_short[..], &facts.not_run[..]),
        (&["a".to_owned()][..], &["x".to_owned()][..])
    );
    let [file, other] = &facts.files[..] else {
        panic!("{:?}", facts.files);
    };
    assert_eq!((other.path.as_str(), other.retained_bytes), ("x", 30));
    assert_eq!(
        (file.retained_bytes, file.spike_bytes, file.duration_us),
        (30, 87, 9)
    );
}

#[test]
fn a_file_without_a_test_to_run_is_not_taken_to_be_one_that_was_not_reached() {
    let mut module = row("conftest.py", 1, 50, 0);
    module.visits = 0;
    let rows = [row("a", 1, 100, 30), module];
    let whole = SessionReport {
        ordinal: 1,
        not_begun: Some(0),
        exit_status: Some(0),
        ..samples::session(0)
    };
    for (session, has_none) in [
        (whole.clone(), true),
        (
            SessionReport {
                not_begun: Some(1),
                ..whole.clone()
            },
            false,
        ),
        (
            SessionReport {
                not_begun: None,
                ..whole.clone()
            },
            false,
        ),
        (
            SessionReport {
                exit_status: None,
                ..whole.clone()
            },
            false,
        ),
        (
            SessionReport {
                unfinished: 1,
                ..whole
            },
            false,
        ),
    ] {
        let facts = Facts::of(std::slice::from_ref(&session), &rows, &[]);
        let told = (facts.no_tests.len(), facts.not_run.len(), facts.files.len());
        let expected = if has_none { (1, 0, 1) } else { (0, 1, 2) };
        assert_eq!(told, expected, "{session:?}");
        // Of one that failed to be imported nobody knows what it has.
        let mut rows = rows.clone();
        rows.iter_mut()
            .filter(|it| it.visits == 0)
            .for_each(|it| it.import_failed = true);
        let facts = Facts::of(&[session], &rows, &[]);
        assert_eq!((facts.no_tests.len(), facts.not_run.len()), (0, 1));
    }
}

#[test]
fn what_a_further_pytest_and_a_controller_take_is_told() {
    let (mut a, mut b) = (row("a", 1, 500, 30), row("b", 1, 530, 10));
    (a.workers[0].import_bytes, b.workers[0].import_bytes) = (300, 120);
    let session = SessionReport {
        began_us: Some(100),
        tests: 2,
        ..samples::session(0)
    };
    let facts = Facts::of(&[session], &[a.clone(), b], &[shared(1, 20, 1)]);
    // The rows start at as many µs as bytes.
    assert_eq!((facts.controller_bytes, facts.begin_us), (80, Some(400)));
    assert_eq!(facts.shared, [("shared".to_owned(), 20)]);
    assert_eq!(Facts::of(&[], &[a], &[]).begin_us, None);
}

#[test]
fn a_fixture_that_each_worker_set_up_is_in_the_base_and_in_no_file() {
    // Two workers, each with a file of its own that asked first: 40 for the fixture of each.
    let mut a = row("a", 1, 100, 10);
    let mut b = row("b", 1, 100, 20);
    for row in [&mut a, &mut b] {
        (row.fixture_bytes, row.shared_fixture_bytes) = (40, 40);
        row.workers[0].shared_fixture_bytes = 40;
    }
    b.workers[0].process = 2;
    let mut fixture = shared(1, 80, 2);
    fixture.released_bytes = 0;
    let facts = Facts::of(&[], &[a, b], &[fixture]);
    assert_eq!(facts.base_bytes, 140);
    let told = |file: &File| (file.retained_bytes, file.spike_bytes);
    let told: Vec<_> = facts.files.iter().map(told).collect();
    // 50 more for a while, and 7 of children.
    assert_eq!(told, [(10, 67), (20, 77)]);
}

/// A file of which each worker ran a part, with what that needed for a while, retained, and left in children.
fn in_parts(parts: &[(i64, i64, i64)]) -> FileRow {
    let part = |(at, part): (usize, &(i64, i64, i64))| WorkerFigures {
        process: u32::try_from(at).unwrap() + 1,
        tree_spike_bytes: part.0,
        children_retained_bytes: part.2,
        ..worker(100, part.1)
    };
    let workers: Vec<_> = parts.iter().enumerate().map(part).collect();
    let sum = |figure: fn(&WorkerFigures) -> i64| workers.iter().map(figure).sum::<i64>();
    let most = workers.iter().map(|it| it.tree_spike_bytes).max();
    FileRow {
        spike_bytes: 0,
        tree_spike_bytes: most.unwrap(),
        children_retained_bytes: sum(|it| it.children_retained_bytes),
        end_bytes: 100,
        workers: workers.clone(),
        ..row("a", 1, 100, sum(|it| it.retained_bytes))
    }
}

#[test]
fn a_file_that_workers_shared_needs_beside_one_part_what_the_others_left() {
    for (parts, spike, retained) in [
        // One test keeps 35, and another needs 43 for a while.
        (&[(35, 35, 0), (43, 0, 0)][..], 78, 35),
        (&[(35, 35, 0), (43, 2, 4), (60, 20, 0)], 101, 61),
        // What one gave back is no room for the others: it may run last.
        (&[(43, 35, 0), (5, -20, -9)], 43, 15),
        (&[(43, 35, 0)], 43, 35),
    ] {
        let facts = Facts::of(&[], &[in_parts(parts)], &[]);
        let told = |file: &File| (file.spike_bytes, file.retained_bytes);
        let told: Vec<_> = facts.files.iter().map(told).collect();
        assert_eq!(told, [(spike, retained)], "{parts:?}");
    }
}

#[test]
fn a_file_that_each_worker_ran_whole_needs_what_one_of_them_did() {
    let files = [in_parts(&[(43, 35, 0), (44, 35, 0)])];
    let spike = |dist: &str| {
        let session = SessionReport {
            dist: dist.to_owned(),
            ..samples::session(2)
        };
        Facts::of(&[session], &files, &[]).files[0].spike_bytes
    };
    assert_eq!((spike("each"), spike("load")), (44, 79));
}
