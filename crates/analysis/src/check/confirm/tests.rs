use highwater_wire::report::{CheckVerdict, Ending, LimitUse};
use uuid::Uuid;

use super::{
    super::{
        check,
        tests::{MIB, before, job, row},
    },
    *,
};
use crate::samples;

/// A job that ran files again.
fn again() -> JobReport {
    JobReport {
        uuid: Uuid::from_u128(77),
        ..samples::job()
    }
}

/// The job of which `a.py` retains and peaks 40 MiB more, with what some files took when they ran again.
fn confirmed(limits: &Limits, again: &JobReport, rows: &[FileRow]) -> CheckReport {
    let job = job(339, 661);
    let files = [row("a.py", 61, 81), row("b.py", 1, 90)];
    let before = before(12);
    let mut report = check(&job, &files, "main", &before, limits);
    let of = Checked {
        job: &job,
        files: &files,
        branch: "main",
        before: &before,
        limits,
    };
    confirm(&mut report, of, again, rows);
    report
}

fn told(report: &CheckReport) -> Vec<(CheckFigure, Option<(i64, bool)>)> {
    let findings = report.findings.iter();
    findings
        .map(|it| {
            let again = it.again.map(|again| (again.bytes / MIB, again.confirms));
            (it.figure, again)
        })
        .collect()
}

#[test]
fn what_the_second_measurement_shows_too_stands() {
    let report = confirmed(&Limits::default(), &again(), &[row("a.py", 63, 85)]);
    assert_eq!(report.verdict, CheckVerdict::Regression);
    let [retained, peak] = &report.findings[..] else {
        panic!("{report:?}")
    };
    assert!(retained.fails() && peak.fails());
    assert_eq!(
        told(&report),
        [
            (CheckFigure::Retained, Some((63, true))),
            (CheckFigure::Peak, None)
        ],
        "no file took less, so nothing is known of the peak"
    );
    assert!(
        retained
            .sentence
            .ends_with(" When the file ran again it was 63.0 MiB."),
        "{}",
        retained.sentence
    );
}

#[test]
fn what_it_does_not_show_fails_no_more_and_neither_does_the_peak_that_came_of_it() {
    let report = confirmed(&Limits::default(), &again(), &[row("a.py", 22, 42)]);
    assert_eq!(report.verdict, CheckVerdict::Clean);
    assert_eq!(
        told(&report),
        [
            (CheckFigure::Retained, Some((22, false))),
            (CheckFigure::Peak, Some((300, false)))
        ]
    );
    assert!(
        report.sentence.starts_with(
            "Nothing got worse beside 12 jobs of main. Unconfirmed: a.py retains 61.0 MiB"
        ),
        "{}",
        report.sentence
    );
    // Half of it gone is still a finding of the other half.
    let half = confirmed(&Limits::default(), &again(), &[row("a.py", 41, 61)]);
    assert_eq!(
        told(&half),
        [
            (CheckFigure::Retained, Some((41, true))),
            (CheckFigure::Peak, Some((319, true)))
        ]
    );
}

#[test]
fn a_limit_is_confirmed_as_a_change_is() {
    let limits = Limits {
        spike_bytes: Some(85 * MIB),
        ..Limits::default()
    };
    for (spike, confirms) in [(86, true), (84, false)] {
        let report = confirmed(&limits, &again(), &[row("b.py", 1, spike)]);
        let limit = report
            .findings
            .iter()
            .find(|it| it.cause == FindingCause::Limit)
            .unwrap();
        assert_eq!(limit.again.unwrap().confirms, confirms, "{report:?}");
    }
}

#[test]
fn of_the_peak_of_a_file_only_what_it_needs_itself_is_measured_again() {
    let limits = Limits {
        files: vec!["b*=max-peak:140MiB".parse().unwrap()],
        ..Limits::default()
    };
    // It began at 60 MiB, after others, and needed 90; alone it begins and peaks lower.
    for (spike, is, confirms) in [(95, 150, true), (84, 144, true), (79, 139, false)] {
        let alone = FileRow {
            peak_bytes: 100 * MIB,
            tree_peak_bytes: 100 * MIB,
            ..row("b.py", 1, spike)
        };
        let report = confirmed(&limits, &again(), &[alone]);
        let mut findings = report.findings.iter();
        let limit = findings.find(|it| it.limit.is_some()).unwrap();
        let second = limit.again.unwrap();
        assert_eq!((second.bytes / MIB, second.confirms), (is, confirms));
        let not = if confirms { "" } else { " Not confirmed." };
        assert!(
            limit.sentence.ends_with(&format!(
                "above the limit of 140.0 MiB (max-peak of b*). With what the file needed when it ran again it is {is}.0 MiB.{not}"
            )),
            "{}",
            limit.sentence
        );
    }
}

#[test]
fn a_run_that_died_or_a_file_that_failed_in_it_confirms_nothing() {
    let died = JobReport {
        ending: Some(Ending {
            verdict: Verdict::OomCgroup,
            ..again().ending.unwrap()
        }),
        ..again()
    };
    let cut_short = JobReport {
        censored: true,
        ..again()
    };
    let calm = [row("a.py", 22, 42)];
    let failed = [FileRow {
        failed: 1,
        ..row("a.py", 22, 42)
    }];
    let of_fewer_tests = [FileRow {
        tests: 3,
        ..row("a.py", 22, 42)
    }];
    for (again, rows) in [
        (&again(), &of_fewer_tests[..]),
        (&died, &calm),
        (&cut_short, &calm),
        (&again(), &failed),
        (&again(), &[row("other.py", 1, 1)]),
    ] {
        let report = confirmed(&Limits::default(), again, rows);
        assert_eq!(report.verdict, CheckVerdict::Regression);
        assert!(report.findings.iter().all(|it| it.again.is_none()));
    }
}

#[test]
fn those_files_run_again_that_failed_the_check_and_so_many_at_the_most() {
    let files: Vec<FileRow> = (0..30)
        .map(|at| row(&format!("{at}.py"), 50 + at, 9))
        .collect();
    let limits = Limits {
        retained_bytes: Some(MIB),
        ..Limits::default()
    };
    let mut report = check(&job(301, 699), &files, "main", &[], &limits);
    let (paths, left) = suspects(&report);
    assert_eq!((paths.len(), left), (MOST_CONFIRMED, 10));
    for finding in &mut report.findings[..28] {
        finding.again = Some(Remeasured {
            job: Uuid::nil(),
            bytes: 0,
            confirms: true,
        });
    }
    assert_eq!(suspects(&report), (vec!["1.py", "0.py"], 0));
    let clean = check(&job(301, 699), &[], "main", &before(12), &Limits::default());
    assert_eq!(suspects(&clean), (Vec::new(), 0));
}

#[test]
fn of_several_files_the_peak_is_relieved_of_what_each_held_and_of_the_greatest_need() {
    let of = |figures: [(&str, i64, i64); 3]| {
        let rows = figures.map(|(path, retained, spike)| row(path, retained, spike));
        by_path(rows.iter().map(FileFigures::from))
    };
    let first = of([("a.py", 50, 60), ("b.py", 10, 90), ("c.py", 5, 30)]);
    let second = of([("a.py", 20, 30), ("b.py", 10, 50), ("c.py", 5, 20)]);
    assert_eq!(relief(&first, &second), 70 * MIB);
    assert_eq!(relief(&first, &first), 0);
}

#[test]
fn headroom_is_that_of_the_limits_once_those_of_the_jobs_own_are_relieved() {
    let limit = |kind, used: u64, limit: u64| LimitUse {
        kind,
        path: String::new(),
        limit_bytes: limit << 20,
        worst_used_bytes: used << 20,
    };
    let of = |limits: &[LimitUse]| {
        let job = JobReport {
            headroom_bytes: headroom(limits),
            limits: limits.to_vec(),
            ..samples::job()
        };
        relieved(&job, 50 * MIB).headroom_bytes
    };
    let own = |used, bytes| limit(LimitKind::Cgroup, used, bytes);
    let machine = |used| limit(LimitKind::Machine, used, 1000);
    assert_eq!(of(&[own(100, 120)]), Some(70 * MIB));
    assert_eq!(of(&[own(100, 120), machine(900)]), Some(70 * MIB));
    assert_eq!(
        of(&[own(100, 120), machine(990)]),
        Some(10 * MIB),
        "what others take of the machine is not relieved"
    );
    assert_eq!(of(&[own(100, 120), machine(960)]), Some(40 * MIB));
    assert_eq!(
        of(&[own(30, 120)]),
        Some(120 * MIB),
        "no more is left than the limit"
    );
    assert_eq!(of(&[]), None);
}

#[test]
fn what_a_file_kept_in_memory_that_another_freed_refutes_nothing() {
    let report = confirmed(&Limits::default(), &again(), &[row("a.py", 0, 2)]);
    assert_eq!(report.verdict, CheckVerdict::Regression);
    let [retained, peak] = &report.findings[..] else {
        panic!("{report:?}")
    };
    assert_eq!((&retained.again, &peak.again), (&None, &None));
    assert!(
        retained.sentence.ends_with(" When the file ran again it was 0.0 MiB, surely less than before, as where it lives in memory that another freed: that says nothing of it."),
        "{}",
        retained.sentence
    );
}

#[test]
fn a_file_that_takes_less_when_it_runs_again_excuses_no_other() {
    let job = JobReport {
        sessions: vec![samples::session(2)],
        ..job(379, 621)
    };
    let files = [row("a.py", 61, 81), row("b.py", 1, 150)];
    let before = before(12);
    let mut report = check(&job, &files, "main", &before, &Limits::default());
    let of = Checked {
        job: &job,
        files: &files,
        branch: "main",
        before: &before,
        limits: &Limits::default(),
    };
    // One needed more for a while, and gives back when it runs alone what others had left; the other shows the same again.
    let rows = [row("a.py", 61, 81), row("b.py", -39, 90)];
    confirm(&mut report, of, &again(), &rows);
    let a = report
        .findings
        .iter()
        .find(|it| it.path.as_deref() == Some("a.py"));
    let again = a.and_then(|it| it.again);
    assert_eq!(again.map(|it| it.confirms), Some(true), "{report:?}");
}
