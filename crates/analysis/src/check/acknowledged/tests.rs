use highwater_wire::report::{CheckVerdict, ShardReport};
use uuid::Uuid;

use super::{
    super::{
        Limits, check,
        tests::{MIB, before, checked, job, row},
    },
    *,
};

fn known(figure: CheckFigure, path: Option<&str>, mib: i64) -> Acknowledgement {
    Acknowledgement {
        id: Uuid::from_u128(9),
        name: "unit".to_owned(),
        variant: None,
        shard: None,
        figure,
        path: path.map(str::to_owned),
        bytes: mib * MIB,
        job: Uuid::nil(),
        reason: "a cache, see 41".to_owned(),
        by: "Ada".to_owned(),
        created_at: String::new(),
        until: "2026-12-31T00:00:00Z".to_owned(),
        withdrawn_at: None,
        counts: true,
    }
}

/// The job of which `a.py` retains 40 MiB more, with what is known.
fn with_known(retained: i64, known: &[Acknowledgement]) -> CheckReport {
    let job = job(278 + retained, 722 - retained);
    let files = [
        row("a.py", retained, 41 + retained - 21),
        row("b.py", 1, 90),
    ];
    let mut report = checked(&job, &files, &before(12));
    acknowledge(&mut report, &job, known);
    report
}

#[test]
fn what_is_acknowledged_is_told_and_fails_no_more() {
    use CheckFigure::{Peak, Retained};
    let of_file = known(Retained, Some("a.py"), 61);
    let of_job = known(Peak, None, 341);
    let report = with_known(61, std::slice::from_ref(&of_file));
    assert_eq!(
        report.verdict,
        CheckVerdict::Regression,
        "the peak is not known"
    );
    assert_eq!(report.findings[0].figure, Peak, "what fails comes first");
    let report = with_known(61, &[of_file.clone(), of_job.clone()]);
    assert_eq!(report.verdict, CheckVerdict::Clean);
    assert!(report.findings.iter().all(|it| !it.fails()));
    let told = report.findings[0].acknowledged.as_ref().unwrap();
    assert_eq!((told.by.as_str(), told.bytes), ("Ada", 61 * MIB));
    assert_eq!(
        report.sentence,
        "Nothing that nobody knows of got worse beside 12 jobs of main. Acknowledged until 31 Dec 2026: \
         a.py retains 61.0 MiB, 40.0 MiB more than before (21.0 MiB, give or take 1.5 MiB)."
    );
    // Clearly more is a finding again; a little more is not.
    let [little, much] =
        [64, 84].map(|retained| with_known(retained, &[of_file.clone(), known(Peak, None, 400)]));
    assert_eq!(little.verdict, CheckVerdict::Clean, "{little:?}");
    assert_eq!(much.verdict, CheckVerdict::Regression);
    // Of another figure, file or leg nothing is known; of two the newer counts.
    let leg = Some([("python".to_owned(), "3.12".to_owned())].into());
    for other in [
        known(CheckFigure::Spike, Some("a.py"), 61),
        known(Retained, Some("b.py"), 61),
        known(Peak, None, 61),
        Acknowledgement {
            variant: leg,
            ..of_file.clone()
        },
    ] {
        let report = with_known(61, &[other, of_job.clone()]);
        assert_eq!(report.verdict, CheckVerdict::Regression);
    }
    // The job's own figures are those of its shard, a file's are the same in each.
    let second = Some(ShardReport { index: 2, total: 3 });
    let [file_of_second, job_of_second] = [&of_file, &of_job].map(|it| Acknowledgement {
        shard: second,
        ..it.clone()
    });
    let report = with_known(61, &[file_of_second.clone(), of_job.clone()]);
    assert_eq!(report.verdict, CheckVerdict::Clean);
    let report = with_known(61, &[of_file.clone(), job_of_second]);
    assert_eq!(report.verdict, CheckVerdict::Regression);
    let newer = known(Retained, Some("a.py"), 30);
    let report = with_known(61, &[newer, of_file, of_job]);
    assert_eq!(report.verdict, CheckVerdict::Regression);
}

#[test]
fn a_limit_and_too_little_headroom_can_be_known_too() {
    let job = job(301, 100);
    let limits = Limits {
        headroom_bytes: Some(200 * MIB),
        retained_bytes: Some(10 * MIB),
        ..Limits::default()
    };
    let files = [row("a.py", 21, 41), row("b.py", 1, 90)];
    let with = |bytes: [i64; 2]| {
        let mut report = check(&job, &files, "main", &[], &limits);
        let known = [
            known(CheckFigure::Headroom, None, bytes[0]),
            known(CheckFigure::Retained, Some("a.py"), bytes[1]),
        ];
        acknowledge(&mut report, &job, &known);
        report
            .findings
            .iter()
            .map(Finding::fails)
            .collect::<Vec<bool>>()
    };
    assert_eq!(with([100, 21]), [false, false]);
    // Within the floor of either, and then beyond it.
    assert_eq!(with([104, 17]), [false, false]);
    assert_eq!(with([110, 16]), [true, true]);
}

#[test]
fn a_figure_is_that_of_the_check() {
    use CheckFigure::{Headroom, Imports, Peak, Retained, Spike};
    let job = job(301, 100);
    let mut files = [
        row("a.py", 21, 41),
        row("a.py", 23, 40),
        row("gone.py", 9, 9),
    ];
    files[2].visits = 0;
    let of = |path, figure| figure_of(&job, &files, path, figure).map(|bytes| bytes / MIB);
    assert_eq!(of(Some("a.py"), Retained), Some(23));
    assert_eq!(of(Some("a.py"), Spike), Some(41));
    assert_eq!(of(Some("a.py"), Peak), Some(150));
    assert_eq!(of(None, Peak), Some(301));
    assert_eq!(of(None, Headroom), Some(100));
    assert_eq!(of(None, Imports), Some(0));
    for (path, figure) in [
        (Some("a.py"), Headroom),
        (Some("a.py"), Imports),
        (None, Retained),
        (Some("gone.py"), Retained),
        (Some("b.py"), Spike),
    ] {
        assert_eq!(of(path, figure), None);
    }
}

#[test]
fn the_peak_of_a_file_is_known_up_to_what_it_was() {
    let (job, files) = (job(300, 700), [row("a.py", 1, 30)]);
    let figure = CheckFigure::Peak;
    let now = figure_of(&job, &files, Some("a.py"), figure);
    assert_eq!(now, Some(150 * MIB));
    let limits = Limits {
        files: vec!["a*=max-peak:99MiB".parse().unwrap()],
        ..Limits::default()
    };
    let mut report = check(&job, &files, "main", &[], &limits);
    for (mib, fails) in [(150, false), (120, true)] {
        // That of the job is another figure.
        let known = [known(figure, None, 400), known(figure, Some("a.py"), mib)];
        acknowledge(&mut report, &job, &known);
        assert_eq!(report.findings[0].fails(), fails, "{report:?}");
    }
}
