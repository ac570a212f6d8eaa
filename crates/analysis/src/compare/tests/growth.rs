use highwater_wire::report::{Course, GrowthReport, Span};

use super::*;

#[test]
fn growth_of_one_process_is_not_held_against_that_of_others() {
    let growing = |number, slope: i64, workers| {
        let mut job = job(number, Verdict::Passed, 100);
        let span = |value| Span {
            value,
            low: value,
            high: value,
        };
        job.growth = vec![GrowthReport {
            session: 1,
            course: Course::Steady,
            sentence: String::new(),
            files: 9,
            grown_bytes: 9 * slope,
            per_file_bytes: span(slope),
            per_minute_bytes: span(slope),
            steps: Vec::new(),
            room: None,
        }];
        job.sessions = vec![samples::session(workers)];
        job
    };
    let side = |jobs: &[JobReport]| {
        let mut side = Side::default();
        jobs.iter().for_each(|job| side.add(job, Some((&[], &[]))));
        side
    };
    let one = side(&[growing(1, 5 * MIB, 0)]);
    let told = |after: &Side| {
        let report = compare(&one, after, ALL);
        let rows = totals(&report);
        let row = rows.into_iter().find(|total| total.name == "Growth a file");
        let notes: Vec<String> = report
            .notes
            .into_iter()
            .filter(|it| it.contains("Growth a file"))
            .collect();
        (row.map(|row| row.after), notes.join(" "))
    };
    assert_eq!(
        told(&side(&[growing(2, 7 * MIB, 0)])),
        (Some("7.0 MiB".to_owned()), String::new())
    );
    let shards = side(&[growing(2, MIB, 0), growing(3, 2 * MIB, 0)]);
    let why = "Growth a file is left out: it is of one process over the files that it ran, and";
    assert_eq!(
        told(&shards),
        (
            None,
            format!("{why} the suite ran in 1 job before and in 2 jobs after.")
        )
    );
    let spread = side(&[growing(2, MIB, 2)]);
    assert_eq!(
        told(&spread),
        (
            None,
            format!("{why} the suite was spread over other workers.")
        )
    );
}
