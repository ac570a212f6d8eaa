use highwater_wire::report::{CheckLimits, CheckReport, CheckVerdict, FileRow};

use super::{
    super::{
        check,
        tests::{MIB, job, row},
    },
    *,
};

fn limits(of_each: [Option<i64>; 2], files: &[&str]) -> Limits {
    let [retained_bytes, spike_bytes] = of_each.map(|it| it.map(|mib| mib * MIB));
    Limits {
        retained_bytes,
        spike_bytes,
        files: files.iter().map(|text| text.parse().unwrap()).collect(),
        ..Limits::default()
    }
}

/// A job of two files below tests/e2e and one beside it.
fn checked(limits: &Limits) -> CheckReport {
    let files = [
        row("tests/e2e/a.py", 11, 200),
        row("tests/e2e/b.py", 3, 20),
        row("tests/unit.py", 6, 30),
    ];
    check(&job(300, 700), &files, "main", &[], limits)
}

/// Figure, file, limit in MiB, and the glob that it was set for.
fn told(report: &CheckReport) -> Vec<(&str, &str, i64, Option<&str>)> {
    let findings = report.findings.iter();
    let findings = findings.filter(|it| it.cause != FindingCause::NearLimit);
    let mut told: Vec<_> = findings
        .map(|it| {
            let set = it.limit.as_ref().unwrap();
            assert_eq!(
                (it.cause, format!("max-{}", it.figure.as_str()).as_str()),
                (FindingCause::Limit, set.name.as_str())
            );
            let path = it.path.as_deref().unwrap();
            let limit = it.least_bytes / MIB;
            (it.figure.as_str(), path, limit, set.files.as_deref())
        })
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn a_limit_of_files_goes_before_that_of_each_for_its_figure_alone() {
    let of_each = checked(&limits([Some(5), Some(100)], &[]));
    assert_eq!(
        told(&of_each),
        [
            ("retained", "tests/e2e/a.py", 5, None),
            ("retained", "tests/unit.py", 5, None),
            ("spike", "tests/e2e/a.py", 100, None),
        ]
    );
    let looser = limits(
        [Some(5), Some(100)],
        &["tests/e2e/**=max-retained:10MiB,max-spike:off"],
    );
    let report = checked(&looser);
    let e2e = Some("tests/e2e/**");
    assert_eq!(
        told(&report),
        [
            ("retained", "tests/e2e/a.py", 10, e2e),
            ("retained", "tests/unit.py", 5, None),
        ]
    );
    assert_eq!(report.verdict, CheckVerdict::Regression);
    let sentence = report.findings.iter().map(|it| it.sentence.as_str());
    assert_eq!(
        sentence.collect::<Vec<_>>(),
        [
            "tests/e2e/a.py retains 11.0 MiB, above the limit of 10.0 MiB (max-retained of tests/e2e/**).",
            "tests/unit.py retains 6.0 MiB, above the limit of 5.0 MiB."
        ]
    );
    // Where nothing holds for each a limit of files holds all the same.
    let alone = checked(&limits([None, None], &["tests/e2e/?.py=max-spike:20MiB"]));
    let one = Some("tests/e2e/?.py");
    assert_eq!(told(&alone), [("spike", "tests/e2e/a.py", 20, one)]);
}

#[test]
fn the_last_limit_that_says_something_of_a_figure_counts() {
    let two = limits(
        [Some(1), None],
        &[
            "tests/*=max-retained:10MiB,max-spike:100MiB",
            "tests/e2e/*=max-retained:2MiB",
            "tests/e2e/b*=max-retained:off",
        ],
    );
    assert_eq!(
        told(&checked(&two)),
        [
            ("retained", "tests/e2e/a.py", 2, Some("tests/e2e/*")),
            ("spike", "tests/e2e/a.py", 100, Some("tests/*")),
        ]
    );
    let back = limits(
        [Some(1), None],
        &["*=max-retained:off", "tests/unit.py=max-retained:1kB"],
    );
    let unit = Some("tests/unit.py");
    assert_eq!(
        told(&checked(&back)),
        [("retained", "tests/unit.py", 0, unit)]
    );
}

#[test]
fn the_peak_of_a_file_is_its_tree_peak_and_the_jobs_limit_is_not_its() {
    let of_job = Limits {
        peak_bytes: Some(299 * MIB),
        ..limits([None, None], &["*=max-peak:off"])
    };
    let report = checked(&of_job);
    let [peak] = &report.findings[..] else {
        panic!("{report:?}")
    };
    assert_eq!(
        (&peak.path, peak.limit.as_ref()),
        (
            &None,
            Some(&SetLimit {
                name: LimitName::MaxPeak,
                files: None
            })
        )
    );
    let of_file = checked(&limits([None, None], &["*unit*=max-peak:149MiB"]));
    assert_eq!(
        told(&of_file),
        [("peak", "tests/unit.py", 149, Some("*unit*"))]
    );
    assert_eq!(
        of_file.findings[0].sentence,
        "tests/unit.py peaks at 150.0 MiB, above the limit of 149.0 MiB (max-peak of *unit*)."
    );
    // What is exactly at a limit keeps it.
    let kept = checked(&limits([None, None], &["*=max-peak:150MiB"]));
    assert!(!kept.findings.iter().any(Finding::fails), "{kept:?}");
}

#[test]
fn a_glob_that_no_file_is_like_is_told_once_and_fails_nothing() {
    let files = [
        "tests/*=max-spike:off",
        "gone/*=max-peak:1",
        "also_gone.py=max-peak:1",
        "gone/*=max-spike:1",
    ];
    let report = checked(&limits([None, None], &files));
    assert_eq!(report.unmatched_limits, ["also_gone.py", "gone/*"]);
    assert!(report.findings.is_empty());
    // A file that was collected and not run takes nothing.
    let not_run = FileRow {
        visits: 0,
        ..row("gone/a.py", 9, 9)
    };
    let of_gone = limits([None, None], &["gone/*=max-retained:1MiB"]);
    let report = check(&job(300, 700), &[not_run], "main", &[], &of_gone);
    assert_eq!(
        (report.unmatched_limits.len(), report.findings.len()),
        (1, 0)
    );
}

#[test]
fn what_is_near_a_limit_is_told_and_fails_nothing() {
    let near = |text: &str| {
        let report = checked(&limits([None, None], &[text]));
        let findings = report.findings.iter();
        let told: Vec<(FindingCause, bool)> = findings.map(|it| (it.cause, it.fails())).collect();
        (told, report)
    };
    // It retains 11 MiB.
    let (told, report) = near("tests/e2e/a.py=max-retained:12MiB");
    assert_eq!(told, [(FindingCause::NearLimit, false)]);
    assert_eq!(
        report.findings[0].sentence,
        "tests/e2e/a.py retains 11.0 MiB, near the limit of 12.0 MiB (max-retained of tests/e2e/a.py)."
    );
    assert_ne!(report.verdict, CheckVerdict::Regression);
    assert_eq!(near("tests/e2e/a.py=max-retained:13MiB").0, []);
    let over = near("tests/e2e/a.py=max-retained:10MiB").0;
    assert_eq!(over, [(FindingCause::Limit, true)]);
    // The job leaves a headroom of 700 MiB.
    for (least, causes) in [
        (600, vec![]),
        (650, vec![FindingCause::NearLimit]),
        (701, vec![FindingCause::Limit]),
    ] {
        let limits = Limits {
            headroom_bytes: Some(least * MIB),
            ..Limits::default()
        };
        let found = checked(&limits).findings;
        assert_eq!(
            found.iter().map(|it| it.cause).collect::<Vec<_>>(),
            causes,
            "{least}"
        );
    }
}

#[test]
fn a_job_is_held_to_what_it_brings_along_as_far_as_that_is_known() {
    let mut job = job(300, 700);
    assert_eq!(Limits::of(&job), Limits::default());
    job.check_limits = Some(CheckLimits {
        max_spike_bytes: Some(5),
        files: vec!["a*=max-peak:7".to_owned(), "b=max-lines:3".to_owned()],
        ..CheckLimits::default()
    });
    let expected = Limits {
        spike_bytes: Some(5),
        files: vec!["a*=max-peak:7".parse().unwrap()],
        ..Limits::default()
    };
    assert_eq!(Limits::of(&job), expected);
}

#[test]
fn the_page_tells_what_is_near() {
    let page = include_str!("../../../../../docs/ANALYSIS.md");
    assert!(page.contains(&format!("takes {NEAR} of it or more")));
}
