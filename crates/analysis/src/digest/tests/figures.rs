use highwater_wire::{
    report::PeakKind,
    v1::{Metric, Role},
};

use super::builder::{MB, Story, ce, fb, fe, ib, ie, one_process, rb, re, sb, se, tb, te, tp};

const A: &str = "tests/test_a.py";
const B: &str = "tests/test_b.py";

#[test]
fn a_file_retains_what_its_visit_leaves_and_spikes_to_the_kernels_mark() {
    let digest = one_process()
        .marks(&[
            (0, 30, 40, sb()),
            (1, 30, 30, ib(A)),
            (2, 35, 36, ie()),
            (3, 35, 35, ce(2)),
            (10, 36, 36, tb(A, "one")),
            (11, 36, 36, tp("call")),
            (12, 46, 246, tp("teardown")),
            (13, 46, 46, te("passed")),
            (14, 47, 47, tb(A, "two")),
            (15, 47, 47, tp("call")),
            (16, 57, 57, tp("teardown")),
            (17, 57, 57, te("failed")),
            (20, 59, 60, se(1)),
        ])
        .ends(Some(1), None)
        .digest();
    let file = &digest.files[0];
    assert_eq!(
        (file.path.as_str(), file.visits, file.tests, file.failed),
        (A, 1, 2, 1)
    );
    assert_eq!(file.start_bytes, 36 * MB);
    assert_eq!(file.end_bytes, 57 * MB);
    assert_eq!(file.retained_bytes, 21 * MB);
    assert_eq!(file.between_bytes, MB);
    assert_eq!(file.import_bytes, 5 * MB);
    assert_eq!(
        (file.peak_bytes, file.peak_kind),
        (246 * MB, PeakKind::Exact)
    );
    assert_eq!(file.spike_bytes, 210 * MB);
    let test = &digest.tests[0];
    assert_eq!((test.spike_bytes, test.retained_bytes), (210 * MB, 10 * MB));
    assert_eq!(test.phases[1].peak_bytes, 246 * MB);
    assert_eq!(test.phases[2].peak_bytes, 46 * MB);
    assert_eq!(digest.job.sessions[0].tests, 2);
}

#[test]
fn a_fixture_is_charged_without_what_it_asks_for_and_a_test_without_its_fixtures() {
    let digest = one_process()
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb(A, "one")),
            (2, 10, 10, fb(1, "outer", "module", A)),
            (3, 12, 12, fb(2, "inner", "function", A)),
            (4, 15, 18, fe(2)),
            (5, 20, 20, fe(1)),
            (6, 20, 20, tp("call")),
            (7, 21, 21, tp("teardown")),
            (8, 21, 21, rb(2)),
            (9, 19, 21, re(2)),
            (10, 19, 19, te("passed")),
            (11, 19, 19, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let outer = digest
        .fixtures
        .iter()
        .find(|row| row.name == "outer")
        .unwrap();
    let inner = digest
        .fixtures
        .iter()
        .find(|row| row.name == "inner")
        .unwrap();
    assert_eq!(
        (outer.setup_bytes, outer.released_bytes, outer.open),
        (7 * MB, 0, 1)
    );
    assert_eq!(
        (
            inner.setup_bytes,
            inner.released_bytes,
            inner.retained_bytes
        ),
        (3 * MB, 2 * MB, MB)
    );
    assert_eq!(inner.spike_bytes, 6 * MB);
    let test = &digest.tests[0];
    assert_eq!((test.retained_bytes, test.fixture_bytes), (9 * MB, 8 * MB));
    let books = digest.processes[0].books.unwrap();
    assert_eq!(
        (books.fixture_bytes, books.test_bytes, books.between_bytes),
        (8 * MB, MB, 0)
    );
    assert!(books.balance());
}

#[test]
fn a_value_that_pytest_lets_go_of_after_the_teardown_is_released_by_its_fixture() {
    let digest = one_process()
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb(A, "one")),
            (2, 10, 10, fb(1, "large", "module", A)),
            (3, 60, 60, fe(1)),
            (4, 60, 60, fb(2, "small", "function", A)),
            (5, 65, 65, fe(2)),
            (6, 65, 65, tp("call")),
            (7, 67, 67, tp("teardown")),
            (8, 67, 67, rb(2)),
            (9, 67, 67, re(2)),
            (10, 67, 67, rb(1)),
            (11, 67, 67, re(1)),
            // Both values, and one of the two that the test itself took.
            (12, 11, 67, te("passed")),
            (13, 11, 11, se(0)),
        ])
        .ends(Some(0), None)
        .digest();
    let released: Vec<_> = digest
        .fixtures
        .iter()
        .map(|row| (row.name.as_str(), row.released_bytes, row.retained_bytes))
        .collect();
    assert_eq!(released, [("large", 50 * MB, 0), ("small", 5 * MB, 0)]);
    let books = digest.processes[0].books.unwrap();
    assert_eq!((books.fixture_bytes, books.test_bytes), (0, MB));
    assert!(books.balance());
}

#[test]
fn visits_of_one_file_on_two_workers_add_up_what_they_retain_and_take_the_largest_peak() {
    let worker = |story: Story, pid, name: &str, shift: i64, grows: i64| {
        story.process(pid, 9, Role::Worker, name, "s").marks(&[
            (shift, 10, 10, sb()),
            (shift + 1, 10, 10, tb(A, &format!("{name}1"))),
            (shift + 2, 10 + grows, 10 + 2 * grows, te("passed")),
            (
                shift + 3,
                10 + grows,
                10 + grows,
                tb(B, &format!("{name}b")),
            ),
            (shift + 4, 10 + grows, 10 + grows, te("passed")),
            (
                shift + 5,
                10 + grows,
                10 + grows,
                tb(A, &format!("{name}2")),
            ),
            (shift + 6, 11 + grows, 11 + grows, te("passed")),
        ])
    };
    let story = Story::new().session("s", 0);
    let story = worker(story, 10, "gw0", 0, 3);
    let digest = worker(story, 11, "gw1", 100, 5).digest();
    let file = digest.files.iter().find(|row| row.path == A).unwrap();
    assert_eq!((file.visits, file.tests), (4, 4));
    assert_eq!(file.retained_bytes, (3 + 1 + 5 + 1) * MB);
    assert_eq!(file.peak_bytes, 20 * MB);
    assert_eq!(
        file.workers
            .iter()
            .map(|w| w.worker.as_deref())
            .collect::<Vec<_>>(),
        [Some("gw0"), Some("gw1")]
    );
}

#[test]
fn a_file_ends_where_its_last_visit_does_whichever_worker_made_it() {
    let digest = Story::new()
        .session("s", 0)
        .process(10, 9, Role::Worker, "gw0", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb(A, "one")),
            (2, 20, 20, te("passed")),
            (3, 20, 20, tb(B, "one")),
            (4, 20, 20, te("passed")),
            (10, 20, 20, tb(A, "three")),
            (11, 50, 50, te("passed")),
        ])
        .process(11, 9, Role::Worker, "gw1", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (2, 10, 10, tb(A, "two")),
            (3, 30, 30, te("passed")),
        ])
        .digest();
    let file = digest.files.iter().find(|row| row.path == A).unwrap();
    assert_eq!((file.start_bytes, file.end_bytes), (10 * MB, 50 * MB));
}

#[test]
fn a_rerun_is_a_second_execution_and_only_the_last_failure_counts() {
    let digest = one_process()
        .marks(&[
            (0, 10, 10, sb()),
            (1, 10, 10, tb(A, "flaky")),
            (2, 10, 10, te("rerun")),
            (3, 10, 10, tb(A, "flaky")),
            (4, 10, 10, te("passed")),
        ])
        .digest();
    let executions: Vec<_> = digest
        .tests
        .iter()
        .map(|t| (t.execution, t.outcome.as_str()))
        .collect();
    assert_eq!(executions, [(1, "rerun"), (2, "passed")]);
    assert_eq!(digest.files[0].failed, 0);
}

#[test]
fn a_test_that_never_ended_is_censored_and_lives_on_in_the_samples() {
    let digest = one_process()
        .samples(Metric::Rss, 0, &[10, 10, 300, 500])
        .marks(&[(0, 10, 10, sb()), (60, 10, 10, tb(A, "victim"))])
        .ends(None, Some(9))
        .digest();
    let file = &digest.files[0];
    assert!(file.censored);
    assert_eq!(
        (file.peak_bytes, file.peak_kind),
        (500 * MB, PeakKind::Sampled)
    );
    assert_eq!(file.retained_bytes, 490 * MB);
    let until_the_end = digest.job.duration_us - 60_000;
    assert!(until_the_end > 0);
    assert_eq!(
        (file.duration_us, digest.tests[0].duration_us),
        (until_the_end, until_the_end)
    );
    let ending = digest.job.ending.unwrap();
    assert_eq!(ending.victim.as_deref(), Some("tests/test_a.py::victim"));
    assert!(digest.job.censored);
}

#[test]
fn the_memory_of_a_tests_children_counts_in_its_tree_peak_only() {
    let digest = one_process()
        .samples(Metric::Rss, 0, &[100, 100, 100, 100])
        .marks(&[
            (0, 100, 100, sb()),
            (40, 100, 100, tb(A, "one")),
            (160, 100, 101, te("passed")),
        ])
        .process(11, 10, Role::Child, "", "")
        .samples(Metric::Rss, 50, &[20, 70])
        .digest();
    let file = &digest.files[0];
    assert_eq!(file.peak_bytes, 101 * MB);
    assert_eq!(file.tree_peak_bytes, 170 * MB);
    let test = &digest.tests[0];
    assert_eq!((test.spike_bytes, test.tree_spike_bytes), (MB, 70 * MB));
}

#[test]
fn a_child_that_was_there_before_the_test_is_no_spike_of_it() {
    let digest = one_process()
        .samples(Metric::Rss, 0, &[100, 100, 100, 100])
        .marks(&[
            (0, 100, 100, sb()),
            (60, 100, 100, tb(A, "one")),
            (160, 100, 103, te("passed")),
        ])
        .process(11, 10, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300, 300, 310, 300])
        .digest();
    let test = &digest.tests[0];
    assert_eq!((test.spike_bytes, test.tree_spike_bytes), (3 * MB, 10 * MB));
    assert_eq!(test.tree_peak_bytes, 410 * MB);
}

#[test]
fn a_child_of_the_test_before_does_not_hide_that_of_the_next() {
    let digest = one_process()
        .samples(Metric::Rss, 0, &[100, 100, 100, 100])
        .marks(&[
            (0, 100, 100, sb()),
            (10, 100, 100, tb(A, "one")),
            (60, 100, 100, te("passed")),
            (61, 100, 100, tb(A, "two")),
            (160, 100, 100, te("passed")),
        ])
        .process(11, 10, Role::Child, "", "")
        .samples(Metric::Rss, 50, &[90])
        .process(12, 10, Role::Child, "", "")
        .samples(Metric::Rss, 150, &[70])
        .digest();
    let spikes: Vec<i64> = digest.tests.iter().map(|t| t.tree_spike_bytes).collect();
    assert_eq!(spikes, [90 * MB, 70 * MB]);
}

#[test]
fn without_the_kernels_mark_a_peak_is_sampled_and_says_so() {
    let digest = one_process()
        .samples(Metric::Rss, 0, &[10, 80, 10])
        .marks(&[
            (0, 10, -1, sb()),
            (20, 10, -1, tb(A, "one")),
            (90, 12, -1, te("passed")),
        ])
        .digest();
    assert_eq!(
        (digest.files[0].peak_bytes, digest.files[0].peak_kind),
        (80 * MB, PeakKind::Sampled)
    );
}

#[test]
fn two_sessions_of_one_process_stay_apart() {
    let mut story = Story::new().session("first", 0).session("second", 50_000);
    story = story.process(10, 1, Role::Pytest, "", "first").marks(&[
        (0, 10, 10, sb()),
        (1, 10, 10, tb(A, "one")),
        (2, 12, 12, te("passed")),
        (3, 12, 12, se(0)),
        (50, 12, 12, sb()),
        (51, 12, 12, tb(A, "one")),
        (52, 13, 13, te("failed")),
        (53, 13, 13, se(1)),
    ]);
    let mut second = story.batch.processes[0].clone();
    second.session = "second".to_owned();
    second.seen_us = 50_000;
    story.batch.processes.push(second);
    let digest = story.ends(Some(1), None).digest();
    let rows: Vec<_> = digest
        .files
        .iter()
        .map(|f| (f.session, f.retained_bytes))
        .collect();
    assert_eq!(rows, [(1, 2 * MB), (2, MB)]);
    let statuses: Vec<_> = digest.job.sessions.iter().map(|s| s.exit_status).collect();
    assert_eq!(statuses, [Some(0), Some(1)]);
    assert_eq!(digest.tests[1].execution, 1);
}

#[test]
fn a_forked_childs_peak_is_given_to_the_test_of_its_parent() {
    let mut story = one_process().marks(&[
        (0, 50, 50, sb()),
        (1, 50, 50, tb(A, "one")),
        (9, 50, 50, te("passed")),
    ]);
    story = story.process(11, 10, Role::Pytest, "", "s").marks(&[
        (2, 40, 40, tb(A, "one")),
        (3, 40, 40, tp("call")),
        (4, 60, 240, tp("teardown")),
        (5, 60, 60, te("passed")),
    ]);
    story.batch.processes[1].forked_from = 10;
    let digest = story.digest();
    assert_eq!(digest.tests.len(), 1);
    assert_eq!(digest.tests[0].spike_bytes, 200 * MB);
    assert_eq!(digest.tests[0].retained_bytes, 0);
    assert_eq!(digest.files[0].visits, 1);
    assert_eq!(digest.files[0].peak_bytes, 240 * MB);
}

#[test]
fn a_forked_child_that_dies_in_its_test_leaves_the_test_to_its_parent() {
    let mut story = one_process().marks(&[
        (0, 50, 50, sb()),
        (1, 50, 50, tb(A, "one")),
        (9, 50, 50, te("failed")),
        (10, 50, 50, tb(A, "two")),
    ]);
    story = story
        .process(11, 10, Role::Pytest, "", "s")
        .marks(&[(2, 40, 40, tb(A, "one")), (3, 40, 40, tp("call"))]);
    story = story.process(12, 10, Role::Pytest, "", "s").marks(&[
        (11, 40, 40, tb(A, "else")),
        (12, 41, 41, te("passed")),
        (13, 41, 41, tb(A, "two")),
        (14, 60, 60, tp("call")),
    ]);
    story.batch.processes[1].forked_from = 10;
    story.batch.processes[2].forked_from = 10;
    let digest = story.ends(Some(1), None).digest();
    let told: Vec<&str> = digest
        .tests
        .iter()
        .map(|test| test.nodeid.as_str())
        .collect();
    let of = |name: &str| told.iter().filter(|nodeid| nodeid.ends_with(name)).count();
    assert_eq!((of("one"), of("two"), of("else")), (1, 1, 1), "{told:?}");
}

#[test]
fn sums_over_marks_of_what_cannot_be_saturate() {
    let most = 1_i64 << 56;
    let mut story = one_process().marks(&[(0, 0, 0, sb())]);
    for n in 0..200 {
        story = story.marks(&[
            (4 * n + 1, 0, 0, ib(A)),
            (4 * n + 2, 0, 0, ie()),
            (4 * n + 3, 0, 0, tb(A, "one")),
            (4 * n + 4, 0, 0, te("passed")),
        ]);
    }
    for (at, mark) in story.batch.marks.iter_mut().enumerate() {
        mark.rss_bytes = if at % 4 >= 2 { most.cast_unsigned() } else { 0 };
    }
    let file = &story.digest().files[0];
    assert_eq!(file.import_bytes, i64::MAX);
}

#[test]
fn a_job_cannot_end_before_it_began() {
    let mut story = one_process().ends(Some(0), None);
    if let Some(end) = &mut story.end {
        end.ended_us = -5;
    }
    assert_eq!(story.digest().job.duration_us, 0);
}

#[test]
fn what_a_process_was_raised_to_is_said_though_a_later_word_does_not() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .with(|process| process.oom_score_adj = Some(500))
        .process(10, 1, Role::Pytest, "", "s")
        .process(11, 10, Role::Child, "", "");
    let raised: Vec<_> = story
        .digest()
        .processes
        .iter()
        .map(|process| (process.pid, process.oom_score_adj))
        .collect();
    assert_eq!(raised, [(10, Some(500)), (11, None)]);
}
