use highwater_wire::report::{CheckFigure, CheckReport, FileRow, FindingCause};

use super::{
    super::tests::{MIB, before, checked, figures, job, row},
    *,
};

/// Twelve jobs, of which the newest peaked higher by what a file retained more.
fn risen() -> Vec<Before> {
    let mut jobs = before(12);
    for job in &mut jobs {
        job.files.push(figures("c.py", 5, 50));
    }
    let newest = &mut jobs[11];
    newest.peak_bytes += 100 * MIB;
    newest.headroom_bytes = newest.headroom_bytes.map(|it| it - 100 * MIB);
    newest.files[0] = figures("a.py", 121, 141);
    jobs
}

fn of_job(report: &CheckReport) -> Vec<(CheckFigure, FindingCause, bool)> {
    let findings = report.findings.iter().filter(|it| it.path.is_none());
    findings
        .map(|it| (it.figure, it.cause, it.since.is_some()))
        .collect()
}

#[test]
fn a_peak_that_other_files_make_than_in_the_job_before_came_with_this_job() {
    let mended = row("a.py", 21, 41);
    let others = [
        row("b.py", 101, 190),
        row("c.py", 5, 150),
        row("new.py", 100, 100),
    ];
    for other in others {
        let mut rows = vec![mended.clone(), row("b.py", 1, 91), row("c.py", 5, 50)];
        rows.retain(|it| it.path != other.path);
        rows.push(other);
        let report = checked(&job(401, 599), &rows, &risen());
        assert_eq!(
            of_job(&report),
            [(CheckFigure::Peak, FindingCause::Changed, false)],
            "{rows:?}"
        );
        let peak = report.findings.iter().find(|it| it.path.is_none());
        let peak = &peak.unwrap().sentence;
        assert!(!peak.contains("earlier job"), "{peak}");
        // The file that rose is gone.
        let report = checked(&job(401, 599), &rows[1..], &risen());
        assert_eq!(of_job(&report)[0].1, FindingCause::Changed);
    }
}

#[test]
fn a_peak_that_has_its_reason_still_came_with_the_job_before() {
    let still = [row("a.py", 121, 141), row("b.py", 1, 91)];
    // What is gone, and nothing of the job's own files took its place: a fixture, maybe.
    let unknown = [row("a.py", 21, 41), row("b.py", 1, 91)];
    // As much as a part of it.
    let partly = [row("a.py", 21, 41), row("b.py", 21, 110)];
    let failed = [
        FileRow {
            failed: 1,
            ..row("a.py", 21, 41)
        },
        row("new.py", 100, 100),
    ];
    for rows in [&still[..], &unknown, &partly, &failed] {
        let rows: Vec<FileRow> = rows.iter().cloned().chain([row("c.py", 5, 50)]).collect();
        let report = checked(&job(401, 599), &rows, &risen());
        assert_eq!(
            of_job(&report),
            [(CheckFigure::Peak, FindingCause::ChangedBefore, true)],
            "{rows:?}"
        );
    }
}
