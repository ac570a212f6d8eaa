use highwater_wire::report::{
    BaselineJob, CheckFigure, CheckVerdict, Diagnosis, FindingCause, LimitKind, LimitUse,
    SessionReport, ShardReport, TestCounts,
};
use uuid::Uuid;

use super::*;
use crate::{regression::LEAST_JOBS, samples};

pub(super) const MIB: i64 = 1 << 20;

pub(super) fn figures(path: &str, retained: i64, spike: i64) -> FileFigures {
    FileFigures {
        path: path.to_owned(),
        retained_bytes: retained * MIB,
        spike_bytes: spike * MIB,
        tree_peak_bytes: 150 * MIB,
        import_bytes: 0,
        tests: 3,
        is_whole: true,
    }
}

pub(super) fn row(path: &str, retained: i64, spike: i64) -> FileRow {
    FileRow {
        retained_bytes: retained * MIB,
        spike_bytes: spike * MIB,
        peak_bytes: 150 * MIB,
        tree_peak_bytes: 150 * MIB,
        tests: 4,
        ..samples::file(path)
    }
}

/// So many jobs of which each took 300 MiB, a little more or less.
pub(super) fn before(count: usize) -> Vec<Before> {
    let job = |at: usize| {
        let moved = (at % 3) as i64;
        Before {
            job: BaselineJob {
                uuid: Uuid::from_u128(at as u128),
                commit: format!("c{at}"),
                ordered_at: String::new(),
            },
            peak_bytes: (300 + moved) * MIB,
            headroom_bytes: Some((700 - moved) * MIB),
            failed: 0,
            files: vec![
                figures("a.py", 20 + moved, 40 + moved),
                figures("b.py", 1, 90),
            ],
            renamed: BTreeSet::new(),
            again: None,
        }
    };
    (0..count).map(job).collect()
}

pub(super) fn job(peak: i64, headroom: i64) -> JobReport {
    JobReport {
        peak_bytes: (peak * MIB).cast_unsigned(),
        headroom_bytes: Some(headroom * MIB),
        limits: vec![LimitUse {
            kind: LimitKind::Cgroup,
            path: String::new(),
            limit_bytes: ((peak + headroom) * MIB).cast_unsigned(),
            worst_used_bytes: (peak * MIB).cast_unsigned(),
        }],
        ..samples::job()
    }
}

pub(super) fn told(report: &CheckReport) -> Vec<(CheckFigure, Option<&str>, FindingCause)> {
    let findings = report.findings.iter();
    findings
        .map(|it| (it.figure, it.path.as_deref(), it.cause))
        .collect()
}

pub(super) fn checked(job: &JobReport, files: &[FileRow], before: &[Before]) -> CheckReport {
    check(job, files, "main", before, &Limits::default())
}

#[test]
fn a_job_like_those_before_is_clean() {
    let report = checked(
        &job(301, 699),
        &[row("a.py", 21, 41), row("b.py", 1, 91)],
        &before(12),
    );
    assert_eq!((report.verdict, report.compared), (CheckVerdict::Clean, 7));
    assert!(
        report.findings.is_empty() && report.better.is_empty(),
        "{report:?}"
    );
    assert_eq!(report.sentence, "Nothing got worse beside 12 jobs of main.");
}

#[test]
fn a_file_that_retains_more_is_told_once_and_with_its_figures() {
    let report = checked(
        &job(322, 678),
        &[row("a.py", 61, 81), row("b.py", 1, 90)],
        &before(12),
    );
    assert_eq!(report.verdict, CheckVerdict::Regression);
    let changed = FindingCause::Changed;
    assert_eq!(
        told(&report),
        [
            (CheckFigure::Retained, Some("a.py"), changed),
            (CheckFigure::Peak, None, changed)
        ],
        "the spike holds what is retained, and the headroom what the peak takes"
    );
    assert_eq!(
        report.findings[0].tests,
        Some(TestCounts { now: 4, before: 3 })
    );
    assert_eq!(
        report.sentence,
        "a.py retains 61.0 MiB, 40.0 MiB more than before (21.0 MiB, give or take 1.5 MiB). \
         The job peaks at 322.0 MiB, 21.0 MiB more than before (301.0 MiB, give or take 1.5 MiB)."
    );
}

#[test]
fn a_file_that_retains_more_in_a_large_process_is_told() {
    let mut before = before(12);
    for job in &mut before {
        job.peak_bytes += 3_000 * MIB;
        job.files[0].tree_peak_bytes = 3_000 * MIB;
    }
    let mut file = row("a.py", 141, 161);
    file.tree_peak_bytes = 3_120 * MIB;
    let report = checked(&job(3_421, 690), &[file, row("b.py", 1, 90)], &before);
    let retained = (CheckFigure::Retained, Some("a.py"), FindingCause::Changed);
    assert_eq!(told(&report), [retained], "120 MiB are no 5 % of the job");
}

#[test]
fn a_spike_of_its_own_is_told_beside_what_is_retained() {
    let report = checked(
        &job(301, 699),
        &[row("a.py", 61, 181), row("b.py", 1, 190)],
        &before(12),
    );
    let figures: Vec<CheckFigure> = report.findings.iter().map(|it| it.figure).collect();
    assert_eq!(
        figures,
        [
            CheckFigure::Spike,
            CheckFigure::Spike,
            CheckFigure::Retained
        ]
    );
}

/// A job of which the workers import a library of 87 MiB once or twice, as it comes.
fn importing(before: &mut [Before], jobs_of_two: impl Fn(usize) -> bool) {
    for (at, job) in before.iter_mut().enumerate() {
        let times = 1 + i64::from(jobs_of_two(at));
        job.files[0].import_bytes = 87 * MIB * times;
        job.peak_bytes += 87 * MIB * times;
    }
}

fn importer(times: i64) -> [FileRow; 2] {
    let importer = FileRow {
        late_import_bytes: 87 * times * MIB,
        ..row("a.py", 21, 41)
    };
    [importer, row("b.py", 1, 91)]
}

#[test]
fn how_many_workers_import_a_library_is_no_finding() {
    let mut before = before(12);
    importing(&mut before, |at| at % 5 == 0);
    let report = checked(&job(301 + 87 * 2, 525), &importer(2), &before);
    assert_eq!(told(&report), [], "{report:?}");
    // What a file keeps beside it still is.
    let [importer, other] = importer(2);
    let importer = FileRow {
        retained_bytes: 61 * MIB,
        spike_bytes: 81 * MIB,
        ..importer
    };
    let report = checked(&job(341 + 87 * 2, 485), &[importer, other], &before);
    assert_eq!(
        told(&report),
        [(CheckFigure::Retained, Some("a.py"), FindingCause::Changed)]
    );
}

#[test]
fn a_library_that_no_job_imported_before_is_told_once_with_what_it_takes() {
    let report = checked(&job(301 + 87, 612), &importer(1), &before(12));
    assert_eq!(
        told(&report),
        [
            (CheckFigure::Imports, None, FindingCause::Changed),
            (CheckFigure::Peak, None, FindingCause::Changed)
        ]
    );
    assert_eq!(
        report.findings[0].sentence,
        "The job's test files import modules of 87.0 MiB, 87.0 MiB more than before (0.0 MiB, give or take 0.2 MiB)."
    );
}

#[test]
fn headroom_is_told_where_the_peak_does_not_tell_it() {
    let report = checked(&job(300, 200), &[], &before(12));
    assert_eq!(
        told(&report),
        [(CheckFigure::Headroom, None, FindingCause::Changed)]
    );
    assert_eq!(
        report.sentence,
        "The job leaves a headroom of 200.0 MiB, 499.0 MiB less than before (699.0 MiB, give or take 1.5 MiB)."
    );
}

#[test]
fn what_came_with_an_earlier_job_does_not_fail_this_one() {
    let mut before = before(12);
    before.last_mut().unwrap().files[0].retained_bytes = 60 * MIB;
    let report = checked(&job(300, 700), &[row("a.py", 61, 81)], &before);
    assert_eq!(report.verdict, CheckVerdict::Clean);
    let retained = report
        .findings
        .iter()
        .find(|it| it.figure == CheckFigure::Retained)
        .unwrap();
    assert_eq!(retained.cause, FindingCause::ChangedBefore);
    assert_eq!(retained.since.as_ref().unwrap().commit, "c11");
    assert!(
        report.sentence.contains("It came with an earlier job."),
        "{}",
        report.sentence
    );
}

#[test]
fn a_job_without_enough_before_it_is_neither() {
    let report = checked(
        &job(900, 100),
        &[row("a.py", 400, 400)],
        &before(LEAST_JOBS - 1),
    );
    assert_eq!(
        (report.verdict, report.compared),
        (CheckVerdict::NotEnoughData, 0)
    );
    assert_eq!(report.too_few, ["a.py"]);
    assert_eq!(
        report.sentence,
        "There is not enough to compare with: 4 jobs of main went well and ran like this one (name, matrix leg, shard, workers, Python, diagnosed or not), and 5 are needed."
    );
}

#[test]
fn files_that_came_went_or_failed_are_named_and_not_judged() {
    let failed = FileRow {
        failed: 1,
        ..row("a.py", 400, 400)
    };
    let report = checked(
        &job(300, 700),
        &[failed, row("new.py", 300, 300)],
        &before(12),
    );
    assert_eq!(report.verdict, CheckVerdict::Clean);
    assert_eq!(
        (
            &report.new_files[..],
            &report.gone_files[..],
            &report.left_out[..]
        ),
        (
            &["new.py".to_owned()][..],
            &["b.py".to_owned()][..],
            &["a.py".to_owned()][..]
        )
    );
}

#[test]
fn what_varies_too_much_to_be_told_is_named() {
    let mut before = before(6);
    for (job, mebibytes) in before.iter_mut().zip([10, 16, 8, 20, 13, 12]) {
        job.files = vec![figures("a.py", mebibytes, 50), figures("b.py", 5, 50)];
    }
    let report = checked(
        &job(300, 700),
        &[row("a.py", 80, 50), row("b.py", 5, 50)],
        &before,
    );
    assert_eq!(report.verdict, CheckVerdict::Clean, "{}", report.sentence);
    let told: Vec<_> = report
        .unsteady
        .iter()
        .map(|it| (it.figure, it.path.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (CheckFigure::Retained, Some("a.py")),
            (CheckFigure::Peak, None)
        ]
    );
    let [of_file, of_peak] =
        [0, 1].map(|at| crate::figures::mebibytes(report.unsteady[at].least_bytes));
    assert!(
        report.sentence.starts_with(&format!(
            "Nothing got worse beside 6 jobs of main. Some figures are so unsteady, in so few jobs, that only a change above this is told: what a.py retains ({of_file}), the peak of the job ({of_peak})."
        )),
        "{}",
        report.sentence
    );
}

/// A job of some files of which tests failed, among three that did well.
fn with_failures(failed: &[&str]) -> CheckReport {
    let paths = ["a.py", "b.py", "c.py", "d.py", "e.py"];
    let mut before = before(12);
    for job in &mut before {
        job.files = paths.map(|path| figures(path, 5, 50)).into();
    }
    let row = |path: &str| FileRow {
        failed: u64::from(failed.contains(&path)),
        ..row(path, 5, 50)
    };
    checked(&job_with_failures(), &paths.map(row), &before)
}

fn job_with_failures() -> JobReport {
    let mut session = samples::session(0);
    session.failed = 1;
    JobReport {
        sessions: vec![session],
        ..job(301, 699)
    }
}

#[test]
fn a_job_in_which_no_test_ran_is_compared_with_nothing_and_nothing_with_it() {
    let mut none = samples::session(0);
    none.tests = 0;
    let job = JobReport {
        sessions: vec![none],
        ..job(900, 100)
    };
    assert_eq!(comparable(&job), None);
    let report = checked(&job, &[], &before(12));
    assert_eq!(report.verdict, CheckVerdict::NotEnoughData);
    assert_eq!(
        report.sentence,
        "No test ran in the job, so there is nothing to compare."
    );
    assert_eq!((report.compared, report.gone_files), (0, Vec::new()));
}

#[test]
fn what_was_not_compared_is_told_where_the_rest_is_clean() {
    let report = with_failures(&["a.py"]);
    assert_eq!(report.verdict, CheckVerdict::Clean);
    assert_eq!(
        report.sentence,
        "Nothing got worse beside 12 jobs of main. Not compared, as tests of them failed or were cut short: a.py; nor are the figures of the job itself."
    );
}

#[test]
fn beside_findings_stands_what_they_do_not_tell() {
    let clean = with_failures(&["a.py"]);
    let failed = job_with_failures();
    assert_eq!(beside_findings(&clean, &failed), clean.sentence);
    let regression = CheckReport {
        verdict: CheckVerdict::Regression,
        ..clean
    };
    assert_eq!(
        beside_findings(&regression, &failed),
        "Not compared, as tests of them failed or were cut short: a.py; nor are the figures of the job itself."
    );
    let alone = checked(&failed, &[], &[]);
    assert_eq!(beside_findings(&alone, &failed), "");
}

#[test]
fn where_more_was_left_out_than_compared_nobody_calls_it_clean() {
    let report = with_failures(&["a.py", "b.py", "d.py"]);
    let told = (report.verdict, report.compared);
    assert_eq!(told, (CheckVerdict::NotEnoughData, 4));
    assert_eq!(
        report.sentence,
        "Too little was compared to say that nothing got worse: in 4 figures nothing did beside 12 jobs of main. \
         Not compared, as tests of them failed or were cut short: a.py, b.py and 1 more; nor are the figures of the job itself."
    );
    let report = with_failures(&["a.py", "b.py", "c.py", "d.py", "e.py"]);
    let told = (report.verdict, report.compared);
    assert_eq!(told, (CheckVerdict::NotEnoughData, 0));
    assert!(
        report
            .sentence
            .starts_with("Nothing was compared with 12 jobs of main. Not compared, as"),
        "{}",
        report.sentence
    );
}

#[test]
fn a_job_that_died_is_better_at_nothing_and_may_be_worse() {
    let died = JobReport {
        censored: true,
        ..job(100, 900)
    };
    let report = checked(&died, &[row("a.py", 61, 81)], &before(12));
    assert_eq!(
        (report.verdict, report.better.len()),
        (CheckVerdict::Regression, 0),
        "{report:?}"
    );
    assert!(
        report
            .sentence
            .ends_with("only what ran of it is compared.")
    );
    // The file that it died in may be the one that got worse.
    let killed = FileRow {
        censored: true,
        ..row("a.py", 61, 81)
    };
    let report = checked(&died, &[killed, row("b.py", 1, 90)], &before(12));
    assert_eq!(report.verdict, CheckVerdict::NotEnoughData);
    assert_eq!(
        report.sentence,
        "As far as the job ran nothing got worse beside 12 jobs of main; what it did not get to, or was at when it died, is not known. \
         Not compared, as tests of them failed or were cut short: a.py."
    );
}

#[test]
fn limits_hold_whatever_was_before() {
    let limits = Limits {
        peak_bytes: Some(250 * MIB),
        headroom_bytes: Some(100 * MIB),
        retained_bytes: Some(10 * MIB),
        ..Limits::default()
    };
    let report = check(
        &job(300, 99),
        &[
            row("a.py", 11, 900),
            row("b.py", 10, 10),
            row("c.py", 8, 10),
        ],
        "main",
        &[],
        &limits,
    );
    assert_eq!(report.verdict, CheckVerdict::Regression);
    let limit = FindingCause::Limit;
    assert_eq!(
        told(&report),
        [
            (CheckFigure::Peak, None, limit),
            (CheckFigure::Headroom, None, limit),
            (CheckFigure::Retained, Some("a.py"), limit),
            // What is exactly at its limit keeps it.
            (CheckFigure::Retained, Some("b.py"), FindingCause::NearLimit)
        ]
    );
}

#[test]
fn jobs_are_alike_that_share_what_memory_hangs_on() {
    let session = |dist: &str, numprocesses| SessionReport {
        dist: dist.to_owned(),
        ..samples::session(numprocesses)
    };
    let mut job = samples::job();
    job.environment
        .versions
        .insert("python".to_owned(), "3.11.4".to_owned());
    let mut other = job.clone();
    other
        .environment
        .versions
        .insert("python".to_owned(), "3.11.9".to_owned());
    other.environment.kernel = "6.1".to_owned();
    assert_eq!(comparable(&job), comparable(&other));
    type Change = fn(&mut JobReport);
    let changes: [Change; 4] = [
        |job| job.diagnosis = Some(Diagnosis::default()),
        |job| job.shard = Some(ShardReport { index: 1, total: 2 }),
        |job| drop(job.variant.insert("os".to_owned(), "linux".to_owned())),
        |job| {
            let versions = &mut job.environment.versions;
            drop(versions.insert("python".to_owned(), "3.12.1".to_owned()));
        },
    ];
    for change in changes {
        let mut other = job.clone();
        change(&mut other);
        assert_ne!(comparable(&job), comparable(&other));
    }
    let mut two = job.clone();
    two.sessions = vec![session("load", 2)];
    let mut four = job.clone();
    four.sessions = vec![session("load", 4)];
    assert_ne!(comparable(&two), comparable(&four));
    job.censored = true;
    assert_eq!(comparable(&job), None);
}

#[test]
fn what_others_take_of_the_machine_is_no_doing_of_the_job() {
    let mut job = job(300, 200);
    job.limits[0].kind = LimitKind::Machine;
    let report = checked(&job, &[row("a.py", 21, 41)], &before(12));
    assert_eq!(told(&report), []);
}
