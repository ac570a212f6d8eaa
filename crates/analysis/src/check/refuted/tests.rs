use highwater_wire::report::{CheckReport, CheckVerdict, FindingCause};

use super::{
    super::{
        of_refuted,
        tests::{MIB, before, checked, figures, job, row},
    },
    *,
};

/// What `a.py` took when it ran again.
fn again(retained: i64, spike: i64) -> Again {
    Again {
        job: Uuid::from_u128(77),
        of_files: 2,
        files: vec![figures("a.py", retained, spike)],
    }
}

/// Twelve jobs, of which the newest was wild: `a.py` retained 40 MiB more, which stood in its peak too.
fn wild() -> Vec<Before> {
    let mut jobs = before(12);
    let newest = &mut jobs[11];
    newest.peak_bytes += 40 * MIB;
    newest.headroom_bytes = newest.headroom_bytes.map(|it| it - 40 * MIB);
    newest.files[0] = figures("a.py", 61, 81);
    jobs
}

/// A job that retains as much as the wild one, and peaks as high.
fn regressed(before: &[Before]) -> CheckReport {
    checked(
        &job(341, 659),
        &[row("a.py", 61, 81), row("b.py", 1, 90)],
        before,
    )
}

fn told(report: &CheckReport) -> Vec<(CheckFigure, FindingCause)> {
    let findings = report.findings.iter();
    let mut told: Vec<_> = findings.map(|it| (it.figure, it.cause)).collect();
    told.sort_unstable_by_key(|(figure, _)| *figure);
    told
}

#[test]
fn what_was_refuted_of_the_newest_job_covers_no_real_change() {
    let mut jobs = wild();
    let before = FindingCause::ChangedBefore;
    assert_eq!(
        told(&regressed(&jobs)),
        [(CheckFigure::Peak, before), (CheckFigure::Retained, before)],
        "nobody knows yet that it was wild"
    );
    jobs[11].again = Some(again(21, 41));
    let report = regressed(&jobs);
    assert_eq!(report.verdict, CheckVerdict::Regression);
    let changed = FindingCause::Changed;
    assert_eq!(
        told(&report),
        [
            (CheckFigure::Peak, changed),
            (CheckFigure::Retained, changed)
        ]
    );
    let [retained, spike] = &report.baseline.refuted[..] else {
        panic!("{report:?}")
    };
    assert_eq!(
        (retained.job, retained.figure, retained.path.as_str()),
        (jobs[11].job.uuid, CheckFigure::Retained, "a.py")
    );
    assert_eq!((retained.bytes, retained.again.bytes), (61 * MIB, 21 * MIB));
    assert_eq!((spike.bytes, spike.again.bytes), (81 * MIB, 41 * MIB));
    assert_eq!(
        of_refuted(&report.baseline.refuted).unwrap(),
        "Refuted by a confirming run, in jobs before, and taken as it measured: a.py retains 21.0 MiB and not 61.0 MiB, a.py needs for a while 41.0 MiB and not 81.0 MiB."
    );
}

#[test]
fn what_was_confirmed_or_differs_little_stays_what_it_was() {
    // The last is less than ever before: it lived in what another file had freed.
    for (retained, spike) in [(60, 81), (55, 80), (61, 81), (45, 65), (2, 3)] {
        let mut jobs = wild();
        jobs[11].again = Some(again(retained, spike));
        let report = regressed(&jobs);
        assert_eq!(
            report.verdict,
            CheckVerdict::Clean,
            "{retained}: {report:?}"
        );
        assert_eq!(report.baseline.refuted, [], "{retained}");
    }
    // A calm job of which a file ran again for another figure, and took less alone.
    let mut jobs = before(12);
    jobs[11].again = Some(again(3, 5));
    let (taken, refuted) = taken(&jobs);
    assert_eq!((taken.as_ref(), refuted.len()), (&jobs[..], 0));
}

#[test]
fn a_second_run_of_which_nothing_is_known_refutes_nothing() {
    let none = again(21, 41);
    let file = &none.files[0];
    let cases = [
        vec![],
        vec![FileFigures {
            is_whole: false,
            ..file.clone()
        }],
        vec![FileFigures {
            tests: 2,
            ..file.clone()
        }],
        vec![FileFigures {
            path: "other.py".to_owned(),
            ..file.clone()
        }],
    ];
    for files in cases {
        let mut jobs = wild();
        jobs[11].again = Some(Again {
            files,
            ..none.clone()
        });
        assert_eq!(taken(&jobs).0.as_ref(), jobs);
    }
}

#[test]
fn where_too_few_jobs_lie_before_it_the_lesser_counts() {
    let mut jobs = wild();
    jobs.rotate_right(1);
    jobs[0].again = Some(again(21, 41));
    let (taken, refuted) = taken(&jobs);
    assert_eq!(refuted.len(), 2);
    assert_eq!(taken[0].files[0].retained_bytes, 21 * MIB);
    assert_eq!(taken[1..], jobs[1..]);
}

#[test]
fn a_file_of_several_sessions_and_the_job_are_taken_without_what_was_refuted() {
    let mut jobs = wild();
    let wild = jobs[11].clone();
    jobs[11].files.push(figures("a.py", 5, 30));
    let mut both = again(21, 41);
    both.files[0].tests = 6;
    jobs[11].again = Some(both);
    let (taken, _) = taken(&jobs);
    let job = &taken[11];
    let retained: Vec<i64> = job.files.iter().map(|it| it.retained_bytes / MIB).collect();
    assert_eq!(retained, [21, 1, 5]);
    assert_eq!(job.peak_bytes, wild.peak_bytes - 40 * MIB);
    assert_eq!(
        job.headroom_bytes,
        wild.headroom_bytes.map(|it| it + 40 * MIB)
    );
}
