use highwater_wire::report::{CheckFigure, CheckVerdict, FindingCause, LimitKind, LimitUse};
use uuid::Uuid;

use crate::check::tests::{MIB, before, checked, figures, job, row};

/// What it holds at the end is no need for a while, in the newest job before as in this one.
#[test]
fn a_second_job_like_the_first_that_was_worse_is_not_worse_again() {
    let mut before = before(12);
    before.remove(0);
    let mut newest = before[10].clone();
    newest.job.uuid = Uuid::from_u128(99);
    newest.peak_bytes = 400 * MIB;
    newest.headroom_bytes = Some(600 * MIB);
    newest.files = vec![figures("a.py", 60, 104), figures("b.py", 1, 90)];
    before.push(newest);
    let files = [row("a.py", 60, 104), row("b.py", 1, 90)];
    let report = checked(&job(400, 600), &files, &before);
    assert_eq!(report.verdict, CheckVerdict::Clean, "{}", report.sentence);
    let causes = report.findings.iter().map(|it| it.cause);
    assert!(causes.clone().count() >= 2);
    assert!(
        causes
            .into_iter()
            .all(|it| it == FindingCause::ChangedBefore)
    );
}

/// Jobs before the first budget had what the machine left them.
#[test]
fn the_first_budget_is_no_loss_of_headroom() {
    let limit = |kind, limit_mib: i64, used: i64| LimitUse {
        kind,
        path: String::new(),
        limit_bytes: (limit_mib * MIB).cast_unsigned(),
        worst_used_bytes: (used * MIB).cast_unsigned(),
    };
    let mut now = job(301, 20);
    now.limits = vec![
        limit(LimitKind::Budget, 321, 301),
        limit(LimitKind::Machine, 24_000, 2_000),
    ];
    let files = [row("a.py", 21, 41), row("b.py", 1, 90)];
    let mut before = before(12);
    for job in &mut before {
        job.headroom_bytes = Some(22_000 * MIB);
    }
    let report = checked(&now, &files, &before);
    assert_eq!(report.findings, [], "{}", report.sentence);
    // Beside jobs that had one it is.
    for job in &mut before {
        job.headroom_bytes = Some(100 * MIB);
    }
    let report = checked(&now, &files, &before);
    assert_eq!(report.findings[0].figure, CheckFigure::Headroom);
}

#[test]
fn a_peak_that_varies_too_much_to_be_told_is_named() {
    let mut before = before(8);
    for (at, job) in before.iter_mut().enumerate() {
        job.peak_bytes = (300 + 60 * (at % 2) as i64) * MIB;
    }
    let files = [row("a.py", 21, 41), row("b.py", 1, 90)];
    let report = checked(&job(380, 699), &files, &before);
    let named = report
        .unsteady
        .iter()
        .any(|it| it.figure == CheckFigure::Peak);
    assert!(named, "{:?}", report.unsteady);
}
