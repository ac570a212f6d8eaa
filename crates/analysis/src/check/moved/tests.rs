use highwater_wire::report::{CheckFigure, FileRow, FindingCause, ShardReport};

use super::super::tests::{MIB, before, checked, figures, job, row, told};
use super::*;
use crate::{chance::Chance, samples};

/// Jobs in which a library of 40 MiB was imported by one file or another.
fn with_a_late_import(by: impl Fn(usize) -> usize) -> Vec<Before> {
    let mut jobs = before(12);
    for (at, job) in jobs.iter_mut().enumerate() {
        job.files = ["a.py", "b.py", "c.py", "d.py"]
            .map(|path| figures(path, 5, 50))
            .into();
        job.files[by(at)].retained_bytes += 40 * MIB;
    }
    jobs
}

fn rows_with(late: &[usize], grown: &[usize]) -> Vec<FileRow> {
    let paths = ["a.py", "b.py", "c.py", "d.py"].into_iter().enumerate();
    let retained = |at: usize| {
        let of = |files: &[usize]| i64::from(files.contains(&at));
        5 + 40 * of(late) + 30 * of(grown)
    };
    paths
        .map(|(at, path)| row(path, retained(at), 50))
        .collect()
}

/// A job whose files two workers shared.
fn shared_out() -> JobReport {
    JobReport {
        sessions: vec![samples::session(2)],
        ..job(301, 699)
    }
}

#[test]
fn what_moved_from_one_file_to_another_is_nobodys() {
    // The same file had it in each job; or another each time.
    for before in [with_a_late_import(|_| 0), with_a_late_import(|at| at % 3)] {
        let report = checked(&shared_out(), &rows_with(&[3], &[]), &before);
        assert_eq!((told(&report), report.better.len()), (Vec::new(), 0));
        let report = checked(&shared_out(), &rows_with(&[0], &[3]), &before);
        let changed = (CheckFigure::Retained, Some("d.py"), FindingCause::Changed);
        assert_eq!(told(&report), [changed], "{before:?}");
    }
}

#[test]
fn a_file_that_was_mended_excuses_no_other_where_each_runs_in_its_turn() {
    let before = with_a_late_import(|_| 0);
    let report = checked(&job(301, 699), &rows_with(&[3], &[]), &before);
    let changed = (CheckFigure::Retained, Some("d.py"), FindingCause::Changed);
    assert_eq!(told(&report), [changed]);
    let better: Vec<Option<&str>> = report.better.iter().map(|it| it.path.as_deref()).collect();
    assert_eq!(better, [Some("a.py")]);
    // What falls on another file in each job is nobody's there too, as with tests in random order.
    let before = with_a_late_import(|at| at % 3);
    let report = checked(&job(301, 699), &rows_with(&[3], &[]), &before);
    assert_eq!((told(&report), report.better.len()), (Vec::new(), 0));
}

/// Rows of one process, in the order in which the files ran.
fn in_turn(retained: &[(&str, i64)]) -> Vec<FileRow> {
    let at = |(at, (path, retained)): (usize, &(&str, i64))| FileRow {
        started_us: at as i64,
        ..row(path, *retained, 50)
    };
    retained.iter().enumerate().map(at).collect()
}

#[test]
fn what_the_first_caller_fills_for_all_moves_with_a_file_that_has_another_name_or_is_gone() {
    let changed = |path| vec![(CheckFigure::Retained, Some(path), FindingCause::Changed)];
    // Called z.py now; a.py had the 40 MiB, and b.py comes first now.
    let mut renamed = with_a_late_import(|_| 0);
    for job in &mut renamed {
        job.files[0].path = "z.py".to_owned();
        job.renamed.insert("z.py".to_owned());
    }
    let rows = in_turn(&[("b.py", 45), ("c.py", 5), ("d.py", 5), ("z.py", 5)]);
    let report = checked(&job(301, 699), &rows, &renamed);
    assert_eq!((told(&report), report.better.len()), (vec![], 0));
    // As where d.py had it, which is called a0.py now.
    let mut first = with_a_late_import(|_| 0);
    for job in &mut first {
        job.files[3].path = "a0.py".to_owned();
        job.renamed.insert("a0.py".to_owned());
    }
    let rows = in_turn(&[("a0.py", 45), ("a.py", 5), ("b.py", 5), ("c.py", 5)]);
    let report = checked(&job(301, 699), &rows, &first);
    assert_eq!((told(&report), report.better.len()), (vec![], 0));
    let gone = with_a_late_import(|_| 0);
    let rows = in_turn(&[("b.py", 45), ("c.py", 5), ("d.py", 5)]);
    let report = checked(&job(301, 699), &rows, &gone);
    assert_eq!((told(&report), report.better.len()), (vec![], 0));

    // One that gave it away later, others of which none has another name, a file that holds more than was to be had, and a second one.
    let before = with_a_late_import(|_| 0);
    let rest = [("c.py", 5), ("d.py", 5)];
    for (before, head, tail) in [
        (&renamed, vec![("z.py", 5), ("b.py", 45)], &rest[..]),
        (&before, vec![("b.py", 45), ("a.py", 5)], &rest),
        (&renamed, vec![("b.py", 75), ("z.py", 5)], &rest),
        (&gone, vec![("b.py", 75)], &rest),
    ] {
        let rows = in_turn(&[&head[..], tail].concat());
        assert_eq!(
            told(&checked(&job(301, 699), &rows, before)),
            changed("b.py"),
            "{head:?}"
        );
    }
    for before in [&renamed, &gone] {
        let mut rows = in_turn(&[("b.py", 45), ("c.py", 45), ("d.py", 5), ("z.py", 5)]);
        rows.retain(|row| {
            before
                .iter()
                .any(|it| it.files.iter().any(|file| file.path == row.path))
        });
        let report = checked(&job(301, 699), &rows, before);
        assert_eq!(told(&report).len(), 2, "{report:?}");
    }
    // What others were mended by, or took with them, is not this one's either.
    let rows = in_turn(&[("b.py", 45), ("c.py", 45), ("z.py", 5)]);
    let mut heavy = renamed.clone();
    for job in &mut heavy {
        job.files[3].retained_bytes = 205 * MIB;
    }
    assert_eq!(told(&checked(&job(301, 699), &rows, &heavy)).len(), 2);
    // What came later by its name was not before it; and who runs a part of the suite has deleted nothing.
    let late = with_a_late_import(|_| 3);
    let rows = in_turn(&[("a.py", 45), ("b.py", 5), ("c.py", 5)]);
    assert_eq!(
        told(&checked(&job(301, 699), &rows, &late)),
        changed("a.py")
    );
    let rows = in_turn(&[("b.py", 45), ("c.py", 5)]);
    assert_eq!(
        told(&checked(&job(301, 699), &rows, &gone)),
        changed("b.py")
    );
    // Each session is a process of its own.
    let mut rows = in_turn(&[("b.py", 45), ("c.py", 5), ("d.py", 5), ("z.py", 5)]);
    rows[3].session = 2;
    assert_eq!(
        told(&checked(&job(301, 699), &rows, &renamed)),
        changed("b.py")
    );
    // In a shard it may be in another one, and of a job that was cut short still to come.
    let mut shard = job(301, 699);
    shard.shard = Some(ShardReport { index: 1, total: 2 });
    let rows = in_turn(&[("b.py", 45), ("c.py", 5), ("d.py", 5)]);
    assert_eq!(told(&checked(&shard, &rows, &gone)), changed("b.py"));
}

/// With many files of much noise there is one that lies anywhere in most jobs: it excuses no other that got worse.
#[test]
fn noise_of_many_files_excuses_no_other() {
    let mut chance = Chance(9);
    let noisy: Vec<String> = (0..60).map(|at| format!("noisy_{at}.py")).collect();
    let mut noise = |path: &String| figures(path, 60 + (6.0 * chance.normal()) as i64, 90);
    let mut before = before(12);
    for job in &mut before {
        job.files = noisy.iter().map(&mut noise).collect();
        job.files.push(figures("calm.py", 5, 50));
    }
    let rows = |calm: i64| {
        let rows = noisy.iter().map(|path| row(path, 60, 90));
        rows.chain([row("calm.py", calm, 50)]).collect::<Vec<_>>()
    };
    for job in [job(301, 699), shared_out()] {
        let report = checked(&job, &rows(17), &before);
        let changed = (
            CheckFigure::Retained,
            Some("calm.py"),
            FindingCause::Changed,
        );
        assert_eq!(told(&report), [changed]);
        assert_eq!(told(&checked(&job, &rows(5), &before)), []);
    }
}
