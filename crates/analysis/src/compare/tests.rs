mod growth;
mod moved;

use highwater_wire::{
    report::{
        ComparedFigure, Confidence, Diagnosis, Ending, FileChange, FileComparison, FileRow,
        FixtureRow, JobReport, JobState, LimitKind, LimitUse, PeakKind, TestRow, Verdict,
    },
    v1::Job,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    digest::{Context, digest},
    recording::Recording,
    samples,
};

const MIB: i64 = 1 << 20;
const ALL: Most = Most {
    files: usize::MAX,
    fixtures: usize::MAX,
};

/// What the page for users says of these figures.
const PAGE: &str = include_str!("../../../../docs/ANALYSIS.md");

#[test]
fn the_page_tells_the_figures_that_count() {
    for told in [
        format!("by more than {} MiB", NOISE_BYTES / MIB),
        format!("more than {} % of the larger", NOISE_SHARE * 100.0),
        format!("{} MiB more are allowed for", CHILDREN_BYTES >> 20),
    ] {
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
}

/// A finished job with an ending and a peak in MiB, under a limit of 300 MiB.
fn job(number: u128, verdict: Verdict, peak: u64) -> JobReport {
    let context = Context {
        uuid: Uuid::from_u128(number),
        state: JobState::Finished,
        revision: 1,
        clock_skew_us: None,
    };
    let mut job = digest(&Recording::new(Job::default()), &context).job;
    job.ending = Some(Ending {
        verdict,
        confidence: Confidence::Certain,
        sentence: String::new(),
        evidence: Vec::new(),
        culprits: Vec::new(),
        victim: None,
        next_step: String::new(),
    });
    job.censored = verdict.is_early();
    job.peak_bytes = peak << 20;
    job.duration_us = 1_000_000 * i64::try_from(number).unwrap();
    job.limits = vec![LimitUse {
        kind: LimitKind::Cgroup,
        path: "/ci".to_owned(),
        limit_bytes: 300 << 20,
        worst_used_bytes: peak << 20,
    }];
    job.headroom_bytes = Some((300 - i64::try_from(peak).unwrap()) << 20);
    job
}

/// A file that ran once, sizes in MiB.
fn file(path: &str, retained: i64, spike: i64) -> FileRow {
    FileRow {
        start_bytes: 50 * MIB,
        end_bytes: (50 + retained) * MIB,
        peak_bytes: (50 + spike) * MIB,
        tree_peak_bytes: (50 + spike) * MIB,
        spike_bytes: spike * MIB,
        retained_bytes: retained * MIB,
        tests: 2,
        duration_us: 9,
        ..samples::file(path)
    }
}

fn imported(path: &str) -> FileRow {
    FileRow {
        visits: 0,
        ..file(path, 0, 0)
    }
}

fn cut_short(row: FileRow) -> FileRow {
    FileRow {
        censored: true,
        ..row
    }
}

fn fixture(name: &str, setups: u64, setup: i64, retained: i64) -> FixtureRow {
    FixtureRow {
        setups,
        setup_bytes: setup * MIB,
        released_bytes: (setup - retained) * MIB,
        retained_bytes: retained * MIB,
        ..samples::fixture(name, "conftest.py")
    }
}

fn side_of(jobs: &[(JobReport, &[FileRow], &[FixtureRow])]) -> Side {
    let mut side = Side::default();
    for (job, files, fixtures) in jobs {
        side.add(job, Some((files, fixtures)));
    }
    side
}

fn passed(files: &[FileRow]) -> Side {
    side_of(&[(job(1, Verdict::Passed, 100), files, &[])])
}

#[test]
fn a_diagnosed_job_beside_others_is_said_to_be_that() {
    let of = |diagnoses: &[Option<i64>]| {
        let jobs = diagnoses.iter().map(|traced| {
            let mut job = job(1, Verdict::Passed, 100);
            job.diagnosis = traced.map(|tracing_bytes| Diagnosis {
                tracing_bytes,
                ..Diagnosis::default()
            });
            (job, &[][..], &[][..])
        });
        side_of(&jobs.collect::<Vec<_>>())
    };
    let (plain, diagnosed, traced) = (None, Some(0), Some(1));
    for (before, after, told) in [
        (&[plain][..], &[plain][..], None),
        (&[diagnosed], &[diagnosed], None),
        (&[plain], &[diagnosed], Some("not diagnosed → diagnosed.")),
        (&[diagnosed], &[plain], Some("diagnosed → not diagnosed.")),
        (
            &[diagnosed],
            &[traced],
            Some("diagnosed → diagnosed with tracemalloc."),
        ),
        // What a side mixes makes its own figures.
        (
            &[plain, diagnosed],
            &[plain, diagnosed],
            Some("diagnosed, not diagnosed → diagnosed, not diagnosed."),
        ),
    ] {
        let notes = compare(&of(before), &of(after), ALL).notes;
        let said = notes
            .iter()
            .find(|it| it.starts_with("Diagnosis differs: "));
        assert_eq!(said.is_some(), told.is_some(), "{notes:?}");
        if let (Some(said), Some(told)) = (said, told) {
            assert!(said.contains(told), "{said}");
        }
    }
}

fn became(report: &ComparisonReport) -> Vec<(&str, FileChange)> {
    let told = |file: &FileComparison| file.change;
    let files = report.files.iter();
    files.map(|file| (file.path.as_str(), told(file))).collect()
}

#[test]
fn a_monolith_and_its_shards_are_told_in_a_sentence() {
    let files = [file("a.py", 40, 45), file("b.py", 40, 45)];
    let died = job(9, Verdict::OomCgroup, 296);
    let before = side_of(&[(died, &files, &[])]);
    let after = side_of(&[
        (job(4, Verdict::Passed, 128), &files[..1], &[]),
        (job(5, Verdict::Passed, 120), &files[1..], &[]),
    ]);
    let report = compare(&before, &after, ALL);
    assert_eq!(
        report.sentence,
        "Split into 2 jobs: peak at least 296.0 MiB → 128.0 MiB, headroom at most 4.0 MiB → 172.0 MiB, died of memory → passed."
    );
    assert_eq!(
        (report.after.peak_bytes, report.after.headroom_bytes),
        (128 << 20, Some(172 * MIB))
    );
    assert_eq!(
        (report.after.duration_us, report.after.duration_sum_us),
        (5_000_000, 9_000_000)
    );
    assert_eq!(report.after.files, Some(2));
    assert_eq!(
        report.notes[0],
        "The job before is cut short: peaks, tests and what was retained are lower bounds, headroom an upper one."
    );
    assert_eq!(
        became(&report),
        [("a.py", FileChange::Alike), ("b.py", FileChange::Alike)]
    );
}

#[test]
fn sentences_of_other_pairs() {
    let ended = |jobs: &[(u128, Verdict, u64)]| {
        let mut side = Side::default();
        for (number, verdict, peak) in jobs {
            side.add(&job(*number, *verdict, *peak), Some((&[], &[])));
        }
        side
    };
    use Verdict::{OomMachine, Passed, TestsFailed};
    for (before, after, told) in [
        (
            &[(1, Passed, 100)][..],
            &[(2, Passed, 101)][..],
            "Peak 100.0 MiB → 101.0 MiB (no more than noise), headroom 200.0 MiB → 199.0 MiB, passed before and after.",
        ),
        (
            &[(1, Passed, 100), (2, OomMachine, 290), (3, TestsFailed, 90)],
            &[(2, Passed, 50)],
            "One job of what were 3: peak at least 290.0 MiB → 50.0 MiB, headroom at most 10.0 MiB → 250.0 MiB, 1 of 3 died of memory → passed.",
        ),
        (
            &[(1, Passed, 100), (2, Passed, 90)],
            &[(3, Passed, 80), (4, TestsFailed, 70)],
            "2 jobs before and after: peak 100.0 MiB → 80.0 MiB, headroom 200.0 MiB → 220.0 MiB, passed → 1 of 2 tests failed.",
        ),
    ] {
        let report = compare(&ended(before), &ended(after), ALL);
        assert_eq!(report.sentence, told);
    }
}

#[test]
fn a_job_that_still_runs_has_no_ending_yet() {
    let mut running = job(1, Verdict::Passed, 100);
    (running.ending, running.state) = (None, JobState::Running);
    let report = compare(
        &side_of(&[
            (job(2, Verdict::OomCgroup, 200), &[], &[]),
            (running, &[], &[]),
        ]),
        &passed(&[]),
        ALL,
    );
    assert_eq!(report.before.verdict, None);
    assert!(
        report.sentence.ends_with("1 of 2 still running → passed."),
        "{}",
        report.sentence
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("still running"))
    );
}

#[test]
fn what_became_of_a_file() {
    let before = passed(&[
        file("alike.py", 40, 45),
        file("bigger.py", 40, 45),
        file("spiky.py", 1, 5),
        file("gone.py", 3, 3),
        file("only_imported_after.py", 3, 3),
        imported("imported.py"),
    ]);
    let mut spiky = file("spiky.py", 1, 5);
    // Its children need it, not the worker itself.
    spiky.tree_spike_bytes = spiky.spike_bytes + 70 * MIB;
    let after = passed(&[
        // No more than 5 %.
        file("alike.py", 42, 47),
        file("bigger.py", 43, 45),
        spiky,
        file("new.py", 5, 6),
        imported("only_imported_after.py"),
        file("imported.py", 1, 1),
    ]);
    let report = compare(&before, &after, ALL);
    assert_eq!(
        became(&report),
        [
            ("spiky.py", FileChange::Changed),
            ("new.py", FileChange::New),
            ("bigger.py", FileChange::Changed),
            ("gone.py", FileChange::Gone),
            ("only_imported_after.py", FileChange::NotRunAfter),
            ("imported.py", FileChange::NotRunBefore),
            ("alike.py", FileChange::Alike),
        ]
    );
    let figures: Vec<_> = report.files.iter().map(|it| &it.beyond_noise[..]).collect();
    assert_eq!(figures[0], [ComparedFigure::TreeSpike]);
    assert_eq!(figures[2], [ComparedFigure::Retained]);
    let counts = report.counts.unwrap();
    assert_eq!(
        counted(&counts),
        "7 test files: 2 changed, 1 new, 1 gone, 1 not run before, 1 not run after, 1 alike."
    );
    let cut = compare(&before, &after, Most { files: 2, ..ALL });
    assert_eq!((cut.files.len(), cut.files_left), (2, 5));
    assert_eq!(cut.counts.unwrap(), counts);
}

#[test]
fn what_children_share_with_their_parent_is_noise() {
    let with_child = |path: &str, child: i64| FileRow {
        tree_spike_bytes: (2 + child) * MIB,
        ..file(path, 2, 2)
    };
    let before = passed(&[with_child("as_big.py", 46), with_child("bigger.py", 46)]);
    let after = passed(&[with_child("as_big.py", 41), with_child("bigger.py", 60)]);
    assert_eq!(
        became(&compare(&before, &after, ALL)),
        [
            ("bigger.py", FileChange::Changed),
            ("as_big.py", FileChange::Alike)
        ]
    );
}

#[test]
fn what_a_child_that_is_there_both_times_is_measured_to_hold_is_noise() {
    // What its worker retains, and what children hold as it begins and more as it ends.
    let with = |path: &str, [own, start, more]: [i64; 3]| FileRow {
        children_start_bytes: start * MIB,
        children_retained_bytes: more * MIB,
        ..file(path, own, own.max(9))
    };
    let before = passed(&[
        with("noise.py", [3, 40, 0]),
        with("leaves_it.py", [3, 0, 40]),
        with("more.py", [3, 40, 0]),
        with("own.py", [3, 40, 0]),
        with("new_child.py", [3, 0, 0]),
    ]);
    let after = passed(&[
        with("noise.py", [3, 44, 4]),
        with("leaves_it.py", [4, 0, 36]),
        with("more.py", [3, 40, 20]),
        with("own.py", [8, 40, 0]),
        with("new_child.py", [3, 0, 6]),
    ]);
    assert_eq!(
        became(&compare(&before, &after, ALL)),
        [
            ("more.py", FileChange::Changed),
            ("new_child.py", FileChange::Changed),
            ("own.py", FileChange::Changed),
            ("noise.py", FileChange::Alike),
            ("leaves_it.py", FileChange::Alike),
        ]
    );
}

#[test]
fn what_a_files_own_fixtures_keep_is_its_change_also_where_files_share_others() {
    let with = |path: &str, retained: i64, fixtures: i64, shared: i64| FileRow {
        fixture_bytes: fixtures * MIB,
        shared_fixture_bytes: shared * MIB,
        ..file(path, retained, retained.max(9))
    };
    let service = [fixture("service", 1, 30, 30)];
    let one = [with("a.py", 3, 0, 30), with("b.py", 3, 0, 0)];
    let two = [with("a.py", 3, 0, 0), with("b.py", 13, 10, 30)];
    let side = |files: &[FileRow]| side_of(&[(job(1, Verdict::Passed, 90), files, &service)]);
    let report = compare(&side(&one), &side(&two), ALL);
    assert_eq!(
        became(&report),
        [("b.py", FileChange::Changed), ("a.py", FileChange::Alike)]
    );
}

#[test]
fn of_what_was_cut_short_only_more_is_known() {
    let died = |files: &[FileRow]| side_of(&[(job(1, Verdict::OomCgroup, 290), files, &[])]);
    let before = died(&[
        file("whole.py", 40, 45),
        cut_short(file("less.py", 10, 10)),
        cut_short(file("more.py", 90, 90)),
    ]);
    let after = passed(&[
        file("whole.py", 40, 45),
        // It may have needed as much before, had it come to its end.
        file("less.py", 40, 45),
        file("more.py", 40, 45),
        file("never_reached.py", 40, 45),
    ]);
    let report = compare(&before, &after, ALL);
    assert_eq!(
        became(&report),
        [
            ("more.py", FileChange::Changed),
            ("never_reached.py", FileChange::NotRunBefore),
            ("less.py", FileChange::Alike),
            ("whole.py", FileChange::Alike),
        ]
    );
    assert_eq!(
        sizes(&report.files[0], |file| file.retained_bytes),
        ["at least 90.0 MiB", "40.0 MiB"]
    );
}

#[test]
fn a_file_in_several_jobs_is_one_with_the_largest_peak_and_the_sum_of_what_it_retained() {
    let before = side_of(&[
        (job(1, Verdict::Passed, 90), &[file("a.py", 10, 30)], &[]),
        (
            job(2, Verdict::Passed, 80),
            &[file("a.py", 5, 40), file("a.py", 1, 1)],
            &[],
        ),
    ]);
    let report = compare(&before, &passed(&[]), ALL);
    let file = report.files[0].before.unwrap();
    assert_eq!((file.jobs, file.tests), (2, 6));
    assert_eq!(
        (file.retained_bytes, file.tree_spike_bytes),
        (16 * MIB, 40 * MIB)
    );
    assert_eq!(report.before.retained_bytes, Some(16 * MIB));
}

#[test]
fn fixtures_are_held_against_each_other_at_the_same_number_of_set_ups() {
    let side = |fixtures: &[FixtureRow]| side_of(&[(job(1, Verdict::Passed, 90), &[], fixtures)]);
    let narrower = FixtureRow {
        scope: "module".to_owned(),
        ..fixture("scoped", 4, 4, 0)
    };
    let open = FixtureRow {
        open: 1,
        ..fixture("killed_with", 1, 30, 30)
    };
    let before = side(&[
        fixture("in_each_shard", 1, 40, 40),
        fixture("leaks_a_little", 100, 100, 0),
        fixture("larger", 1, 10, 0),
        fixture("scoped", 1, 1, 0),
        open,
        fixture("gone", 2, 20, 0),
        fixture("gone_and_small", 1, 1, 1),
    ]);
    let after = side(&[
        fixture("in_each_shard", 3, 120, 120),
        fixture("leaks_a_little", 100, 100, 10),
        fixture("larger", 3, 60, 0),
        narrower,
        fixture("killed_with", 1, 30, 0),
    ]);
    let report = compare(&before, &after, ALL);
    let told: Vec<_> = report
        .fixtures
        .iter()
        .map(|it| (it.name.as_str(), it.change, &it.beyond_noise[..]))
        .collect();
    let setup = &[ComparedFigure::Setup][..];
    assert_eq!(
        told,
        [
            ("gone", FileChange::Gone, setup),
            ("larger", FileChange::Changed, setup),
            (
                "leaks_a_little",
                FileChange::Changed,
                &[ComparedFigure::Retained][..]
            ),
            ("scoped", FileChange::Changed, &[ComparedFigure::Scope][..]),
        ]
    );
}

#[test]
fn without_the_rows_of_a_job_nothing_is_said_of_files() {
    let mut before = passed(&[file("a.py", 1, 1)]);
    before.add(&job(7, Verdict::Passed, 10), None);
    let report = compare(&before, &passed(&[file("b.py", 1, 1)]), ALL);
    assert_eq!((report.counts, report.files.len()), (None, 0));
    assert_eq!(
        (report.before.files, report.before.retained_bytes),
        (None, None)
    );
    let note = report.notes.last().unwrap();
    assert!(
        note.contains("retention") && note.contains("00000007"),
        "{note}"
    );
}

#[test]
fn what_differs_around_the_tests_is_told() {
    let with = |python: &str, memory: u64, kind: PeakKind| {
        let mut job = job(1, Verdict::Passed, 10);
        let versions = &mut job.environment.versions;
        versions.insert("python".to_owned(), python.to_owned());
        (job.environment.memory_total_bytes, job.peak_kind) = (memory, kind);
        side_of(&[(job, &[], &[])])
    };
    let before = with("3.11", 7 << 30, PeakKind::Exact);
    let after = with("3.12", 16 << 30, PeakKind::Sampled);
    assert_eq!(
        compare(&before, &after, ALL).notes,
        [
            "The peak before is exact, that after sampled: a sampled one may have been higher.",
            "Versions differ: python 3.11 → python 3.12.",
            "Memory of the machines differs: 7168.0 MiB → 16.0 GiB.",
        ]
    );
    assert_eq!(compare(&before, &before, ALL).notes, Vec::<String>::new());
}

#[test]
fn totals_are_told_with_their_change_and_their_bounds() {
    let before = side_of(&[(job(2, Verdict::OomCgroup, 200), &[], &[])]);
    let report = compare(&before, &passed(&[file("a.py", 1, 1)]), ALL);
    let told = |name: &str| {
        let mut totals = totals(&report).into_iter();
        let found = totals.find(|total| total.name == name);
        found.map(|it| [it.before, it.after, it.change])
    };
    let figures = |all: [&str; 3]| Some(all.map(str::to_owned));
    assert_eq!(
        told("Peak"),
        figures(["at least 200.0 MiB", "100.0 MiB", "−100.0 MiB (−50 %)"])
    );
    assert_eq!(
        told("Headroom"),
        figures(["at most 100.0 MiB", "200.0 MiB", "+100.0 MiB (+100 %)"])
    );
    assert_eq!(
        told("Duration"),
        figures(["at least 2.0 s", "1.0 s", "−1.0 s (−50 %)"])
    );
    assert_eq!(
        told("Test files that ran"),
        figures(["at least 0", "1", "+1"])
    );
    assert_eq!(told("Growth a file"), None);
    assert_eq!(told("Duration of all jobs"), None);
}
