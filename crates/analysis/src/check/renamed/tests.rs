use highwater_wire::report::{CheckFigure, CheckVerdict, PeakKind, TestRow};

use super::{
    super::tests::{before, checked, job, row},
    *,
};
use crate::check::Again;

fn tests(path: &str, names: &[&str]) -> Vec<TestRow> {
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

fn names(path: &str, tests_of_it: &[&str]) -> TestNames {
    let mut names = TestNames::default();
    let wanted = BTreeSet::from([path.to_owned()]);
    names.add(&tests(path, tests_of_it), &wanted);
    names
}

fn moved(path: &str, from: &str) -> MovedFile {
    MovedFile {
        path: path.to_owned(),
        moved_from: from.to_owned(),
    }
}

#[test]
fn a_file_is_compared_with_what_it_was_under_its_old_name() {
    let files = [row("new.py", 61, 81), row("b.py", 1, 90)];
    let now = job(301, 699);
    let mut before = before(12);
    let found = renaming(&now, &files, &before, 12).unwrap();
    assert_eq!((found.at, found.job), (11, before[11].job.uuid));
    let told = rename(
        &mut before,
        &found,
        &names("a.py", &["test_one", "test_two"]),
        &names("new.py", &["test_one", "test_two"]),
    );
    assert_eq!(told, [moved("new.py", "a.py")]);
    assert_eq!(renaming(&now, &files, &before, 12), None);
    let mut report = checked(&now, &files, &before);
    tell_moved(&mut report, &now, told);
    assert_eq!(report.verdict, CheckVerdict::Regression);
    assert_eq!(
        report.sentence,
        "new.py retains 61.0 MiB, 40.0 MiB more than before (21.0 MiB, give or take 1.5 MiB). It was a.py before."
    );
    assert!(report.new_files.is_empty() && report.gone_files.is_empty());
    assert_eq!(report.moved_files, [moved("new.py", "a.py")]);
    assert_eq!(report.findings[0].figure, CheckFigure::Retained);
}

/// Twice, by its tests and then by its name, and with what a confirming run measured.
#[test]
fn a_file_that_was_renamed_before_has_all_of_its_history() {
    let files = [row("core/c.py", 21, 41), row("b.py", 1, 90)];
    let now = job(301, 699);
    let mut before = before(12);
    for (at, job) in before.iter_mut().enumerate() {
        let names = ["a.py", "c.py", "core/c.py"];
        job.files[0].path = names[at / 4].to_owned();
    }
    before[2].again = Some(Again {
        job: Uuid::nil(),
        of_files: 2,
        files: vec![before[2].files[0].clone()],
    });
    let second = renaming(&now, &files, &before, 12).unwrap();
    assert_eq!(second.at, 7);
    let none = TestNames::default();
    assert_eq!(
        rename(&mut before, &second, &none, &none),
        [moved("core/c.py", "c.py")]
    );
    let first = renaming(&now, &files, &before, second.at).unwrap();
    assert_eq!(first.at, 3);
    let told = rename(
        &mut before,
        &first,
        &names("a.py", &["test_one"]),
        &names("core/c.py", &["test_one"]),
    );
    assert_eq!(told, [moved("core/c.py", "a.py")]);
    let has = |job: &Before| job.files[0].path == "core/c.py";
    assert!(before.iter().all(has));
    let again = before[2].again.as_ref().unwrap();
    assert_eq!(again.files[0].path, "core/c.py");
}

#[test]
fn what_may_be_another_file_is_not_taken_for_it() {
    let before = before(12);
    let files = [row("new.py", 61, 81), row("b.py", 1, 90)];
    let mut cut_short = job(301, 699);
    cut_short.censored = true;
    assert_eq!(renaming(&cut_short, &files, &before, 12), None);
    let now = job(301, 699);
    // With all files of before, or without a new one.
    let more = [files.to_vec(), vec![row("a.py", 1, 1)]].concat();
    assert_eq!(renaming(&now, &more, &before, 12), None);
    assert_eq!(renaming(&now, &files[1..], &before, 12), None);
    // One that went before another came.
    let mut earlier = before.clone();
    earlier[11].files.remove(0);
    assert_eq!(renaming(&now, &files, &earlier, 12), None);
    // Neither its tests nor its name are the same.
    let found = renaming(&now, &files, &before, 12).unwrap();
    let (then, is) = (names("a.py", &["test_one"]), names("new.py", &["test_two"]));
    let mut renamed = before.clone();
    assert_eq!(rename(&mut renamed, &found, &then, &is), []);
    assert_eq!(renamed, before);
    // Nor are they of a file of the same name elsewhere, which is another one; some of them may be new.
    let files = [row("unit/a.py", 61, 81), row("b.py", 1, 90)];
    let found = renaming(&now, &files, &before, 12).unwrap();
    let then = names("a.py", &["test_users", "test_login"]);
    let renamed_as = |tests: &[&str]| {
        let mut renamed = before.clone();
        rename(&mut renamed, &found, &then, &names("unit/a.py", tests))
    };
    assert_eq!(
        renamed_as(&["test_pdf", "test_fonts", "test_thumbnails"]),
        []
    );
    assert_eq!(
        renamed_as(&["test_users", "test_fonts", "test_thumbnails"]),
        [moved("unit/a.py", "a.py")]
    );
}
