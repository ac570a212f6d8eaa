use highwater_wire::{
    report::{LimitKind, PeakKind, PeakMetric},
    v1::{Metric, Role, mark::What},
};

use super::builder::{MB, Story, sb, tb, te, xx};

#[test]
fn the_tests_that_ran_at_the_peak_are_named() {
    let story = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .marks(&[
            (0, 10, 10, sb()),
            (10, 10, 10, tb("a.py", "small")),
            (20, 10, 10, te("passed")),
            (30, 10, 10, tb("a.py", "large")),
            (40, 10, 90, te("passed")),
            (50, 10, 10, tb("a.py", "last")),
            (60, 10, 10, te("passed")),
        ]);
    assert_eq!(story.digest().job.peak_during, ["a.py::large"]);
}

#[test]
fn alone_the_job_peaks_where_its_only_process_does_exactly() {
    let digest = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .samples(Metric::Rss, 0, &[10, 10, 10])
        .marks(&[
            (0, 10, 10, sb()),
            (60, 10, 10, tb("a.py", "x")),
            (70, 10, 210, te("passed")),
        ])
        .digest();
    let job = &digest.job;
    assert_eq!(job.peak_bytes, 210 * MB as u64);
    assert_eq!(
        (job.peak_metric, job.peak_kind),
        (PeakMetric::Rss, PeakKind::Exact)
    );
    assert_eq!(job.peak_high_bytes, job.peak_bytes);
}

#[test]
fn shared_pages_count_once_where_pss_was_read() {
    let digest = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300, 300, 300])
        .samples(Metric::Pss, 0, &[160])
        .process(11, 10, Role::Child, "", "")
        .with(|process| process.command = "process 10".into())
        .samples(Metric::Rss, 0, &[300, 300, 340])
        .samples(Metric::Pss, 0, &[160])
        .digest();
    assert_eq!(digest.job.peak_bytes, 360 * MB as u64);
    assert_eq!(digest.job.peak_metric, PeakMetric::PssCorrected);
    assert_eq!(digest.job.peak_high_bytes, 640 * MB as u64);
}

#[test]
fn without_pss_the_sum_of_rss_is_called_so() {
    let digest = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300])
        .process(11, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[100])
        .digest();
    assert_eq!(digest.job.peak_bytes, 400 * MB as u64);
    assert_eq!(digest.job.peak_metric, PeakMetric::RssSum);
}

#[test]
fn a_fresh_fork_is_no_second_parent() {
    let digest = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300, 300, 300, 300])
        .process(11, 10, Role::Child, "", "")
        .with(|process| process.command = "process 10".into())
        .samples(Metric::Rss, 50, &[300, 310, 20])
        .digest();
    let curve: Vec<_> = digest.tree.iter().map(|point| point.bytes / MB).collect();
    assert_eq!(curve, [300, 300, 310, 320]);
}

#[test]
fn a_fork_that_became_another_program_and_grew_between_two_samples_counts_whole() {
    let digest = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300, 300, 300, 300, 300])
        .process(11, 10, Role::Child, "", "")
        .samples(Metric::Rss, 50, &[300, 304, 330, 300])
        .digest();
    let curve: Vec<_> = digest.tree.iter().map(|point| point.bytes / MB).collect();
    assert_eq!(curve, [300, 300, 304, 630, 600]);
}

#[test]
fn a_fork_that_changes_its_title_and_grows_later_stays_a_copy() {
    let digest = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300; 8])
        .process(11, 10, Role::Child, "", "")
        .samples(Metric::Rss, 50, &[300, 300, 300, 300, 300, 330])
        .digest();
    assert_eq!(digest.job.peak_bytes, 330 * MB as u64);
}

#[test]
fn a_child_as_large_as_its_parent_in_another_address_space_is_no_copy_of_it() {
    let peak = |as_large: bool| {
        Story::new()
            .process(10, 1, Role::Child, "", "")
            .samples(Metric::Rss, 0, &[100; 3])
            .process(11, 10, Role::Child, "", "")
            .with(|process| process.as_large_as_parent = Some(as_large))
            .samples(Metric::Rss, 50, &[100, 100])
            .digest()
            .job
            .peak_bytes
    };
    assert_eq!(
        [peak(true), peak(false)],
        [100, 200].map(|it| it * MB as u64)
    );
}

#[test]
fn a_fork_that_frees_memory_stays_what_was_read_of_it() {
    let digest = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300; 5])
        .samples(Metric::Pss, 0, &[290])
        .process(11, 10, Role::Child, "", "")
        .with(|process| process.command = "process 10".into())
        .samples(Metric::Rss, 0, &[300, 300, 260, 260])
        .samples(Metric::Pss, 0, &[20])
        .digest();
    // It gave back pages that were its parent's too.
    assert_eq!(digest.job.peak_bytes, 310 * MB as u64);
}

#[test]
fn a_large_child_of_another_command_is_no_copy_of_its_parent() {
    let digest = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[135, 135, 135])
        .process(11, 10, Role::Child, "", "")
        .samples(Metric::Rss, 50, &[103, 103])
        .digest();
    assert_eq!(digest.job.peak_bytes, 238 * MB as u64);
}

#[test]
fn an_exact_spike_between_two_ticks_counts_with_what_the_others_had_around_it() {
    let digest = Story::new()
        .session("s", 0)
        .process(9, 1, Role::Controller, "", "s")
        .samples(Metric::Rss, 0, &[50, 50, 50])
        .process(10, 9, Role::Worker, "gw0", "s")
        .samples(Metric::Rss, 0, &[20, 20, 20])
        .marks(&[
            (0, 20, 20, sb()),
            (60, 20, 20, tb("a.py", "x")),
            (65, 20, 220, te("passed")),
        ])
        .digest();
    assert_eq!(digest.job.peak_bytes, 270 * MB as u64);
    assert_eq!(digest.job.peak_kind, PeakKind::Sampled);
}

#[test]
fn what_may_have_been_at_once_bounds_the_peak_at_every_instant() {
    let job = Story::new()
        .session("s", 0)
        .process(10, 9, Role::Worker, "gw0", "s")
        .samples(Metric::Rss, 0, &[20, 20, 20, 20, 20])
        .marks(&[
            (0, 20, 20, sb()),
            (10, 20, 20, tb("a.py", "x")),
            (60, 20, 120, te("passed")),
            (140, 20, 20, tb("a.py", "y")),
            // The highest of one process, while the other is low.
            (150, 20, 320, te("passed")),
        ])
        .process(11, 9, Role::Worker, "gw1", "s")
        .samples(Metric::Rss, 0, &[20, 20, 20, 20, 20])
        .marks(&[
            (0, 20, 20, sb()),
            (20, 20, 20, tb("b.py", "x")),
            (70, 20, 290, te("passed")),
            (200, 20, 20, tb("b.py", "y")),
        ])
        .digest()
        .job;
    // Measured: 320 and 20. Possible: 120 and 290 between 20 and 60 ms.
    assert_eq!(job.peak_bytes, 340 * MB as u64);
    assert_eq!(job.peak_high_bytes, 410 * MB as u64);
}

#[test]
fn headroom_is_the_smallest_over_cgroup_machine_and_budget() {
    let mut story = Story::new()
        .process(10, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[300])
        .series(Metric::CgroupLimit, None, "/a", 0, &[700, 700], MB)
        .series(Metric::CgroupWorkingSet, None, "/a", 0, &[100, 650], MB)
        .series(Metric::MachineTotal, None, "", 0, &[8000, 8000], MB)
        .series(Metric::MachineAvailable, None, "", 0, &[5000, 4000], MB);
    story.budget_bytes = 320 * MB as u64;
    let job = story.digest().job;
    let kinds: Vec<_> = job
        .limits
        .iter()
        .map(|limit| (limit.kind, limit.worst_used_bytes / MB as u64))
        .collect();
    assert_eq!(
        kinds,
        [
            (LimitKind::Cgroup, 650),
            (LimitKind::Machine, 4000),
            (LimitKind::Budget, 300)
        ]
    );
    assert_eq!(job.headroom_bytes, Some(20 * MB));
}

#[test]
fn the_job_has_no_less_than_one_of_its_processes() {
    // A shell around pytest, whose libraries others share: what is taken as shared is more than the shell has.
    let digest = Story::new()
        .session("s", 0)
        .process(9, 1, Role::Child, "", "")
        .samples(Metric::Rss, 0, &[3, 3, 3, 3])
        .samples(Metric::Pss, 0, &[1])
        .process(10, 9, Role::Pytest, "", "s")
        .samples(Metric::Rss, 0, &[30, 130, 130, 30])
        .samples(Metric::Pss, 0, &[20])
        .marks(&[
            (0, 30, 31, sb()),
            (40, 30, 30, tb("a.py", "x")),
            (120, 30, 140, te("passed")),
        ])
        .digest();
    let job = &digest.job;
    assert_eq!(job.peak_bytes, 140 * MB as u64);
    assert_eq!(
        (job.peak_metric, job.peak_kind),
        (PeakMetric::Rss, PeakKind::Sampled)
    );
    let curve: Vec<_> = digest.tree.iter().map(|point| point.bytes / MB).collect();
    assert_eq!(curve, [30, 130, 130, 30]);
    for process in &digest.processes {
        assert!(process.peak_bytes <= job.peak_bytes, "{process:?}");
    }
}

#[test]
fn a_peak_before_the_first_mark_and_one_that_only_the_last_word_tells_count_too() {
    let story = |peak| {
        Story::new()
            .session("s", 0)
            .process(10, 1, Role::Pytest, "", "s")
            .samples(Metric::Rss, 0, &[10, 10])
            .marks(&[(20, 10, peak, sb())])
    };
    let before = story(90).digest().job;
    assert_eq!(
        (before.peak_bytes, before.peak_kind, before.peak_at_us),
        (90 * MB as u64, PeakKind::Exact, 20_000)
    );
    let mut story = story(20);
    story = story.marks(&[(80, 10, 10, xx())]);
    if let Some(What::Leave(leave)) = story.batch.marks[1].what.as_mut() {
        leave.true_peak_bytes = Some(70 * MB as u64);
    }
    let told = story.digest().job;
    assert_eq!(
        (told.peak_bytes, told.peak_kind),
        (70 * MB as u64, PeakKind::Exact)
    );
}

#[test]
fn a_child_inside_one_interval_makes_the_jobs_peak_a_lower_bound() {
    let digest = Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
        .samples(Metric::Rss, 0, &[10, 10, 10, 10, 10])
        .marks(&[
            (0, 10, 10, sb()),
            (10, 10, 10, tb("a.py", "x")),
            (190, 10, 210, te("passed")),
        ])
        .process(11, 10, Role::Child, "", "")
        .samples(Metric::Rss, 50, &[60, 60])
        .digest();
    assert_eq!(digest.job.peak_bytes, 210 * MB as u64);
    assert_eq!(digest.job.peak_kind, PeakKind::Sampled);
    assert_eq!(digest.job.peak_high_bytes, 270 * MB as u64);
}

#[test]
fn sums_of_what_cannot_be_saturate() {
    let most = 1_i64 << 56;
    let mut story = Story::new();
    story.budget_bytes = 1;
    for pid in 10..200 {
        story = story.process(pid, 1, Role::Child, "", "").series(
            Metric::Rss,
            Some(pid - 10),
            "",
            0,
            &[1],
            most,
        );
    }
    let job = story.digest().job;
    assert_eq!(job.peak_bytes, i64::MAX.cast_unsigned());
    assert_eq!(job.peak_high_bytes, i64::MAX.cast_unsigned());
    assert!(job.headroom_bytes.is_some_and(|room| room < 0));
}
