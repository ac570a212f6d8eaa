use proptest::prelude::*;

use super::*;
use crate::samples;

fn facts() -> Facts {
    let file = |at: i64| File {
        path: format!("test_{at}.py"),
        spike_bytes: 50 + at,
        retained_bytes: 40,
        duration_us: 100,
    };
    Facts {
        base_bytes: 100,
        controller_bytes: 30,
        begin_us: Some(7),
        shared: vec![("shared".to_owned(), 60)],
        files: (0..10).map(file).collect(),
        ..Facts::default()
    }
}

fn told(
    facts: &Facts,
    workers: u32,
    budget_bytes: i64,
    kind: AlternativeKind,
) -> Option<Alternative> {
    let ground = Ground {
        base_bytes: facts.base_bytes,
        set_up_bytes: facts.set_up_bytes,
        controller_bytes: facts.controller_bytes,
        workers,
    };
    let all = of(&samples::job(), facts, ground, budget_bytes);
    all.into_iter().find(|it| it.kind == kind)
}

proptest! {
    #[test]
    fn a_pytest_is_restarted_after_the_most_files_that_stay_inside(
        figures in proptest::collection::vec((0..100_i64, -60..80_i64), 1..30),
        set_up_bytes in 0..60_i64,
        budget_bytes in 90..400_i64,
    ) {
        let file = |(spike_bytes, retained_bytes)| File { path: String::new(), spike_bytes, retained_bytes, duration_us: 1 };
        let facts = Facts {
            base_bytes: 50,
            set_up_bytes,
            begin_us: Some(7),
            files: figures.into_iter().map(file).collect(),
            ..Facts::default()
        };
        let highest = |files: usize| facts.files.chunks(files).map(|part| alone(&facts).peak(part)).max().unwrap();
        let all = facts.files.len();
        let most = (1..=all).rev().find(|files| highest(*files) <= budget_bytes);
        let expected = most.filter(|files| *files < all).map(|files| {
            let begins = i64::try_from(all.div_ceil(files)).unwrap() - 1;
            let duration_us = i64::try_from(all).unwrap() + 7 * begins;
            (files, Predicted { peak_bytes: highest(files), duration_us })
        });
        prop_assert_eq!(restarted(&facts, budget_bytes), expected);
    }
}

#[test]
fn each_alternative_has_its_peak_and_duration() {
    let facts = facts();
    // 100 and nine files of 40 lie there when the last needs 59, or the first of them 50.
    for (kind, peak, duration, bound, fits) in [
        (
            AlternativeKind::AsRecorded,
            100 + 360 + 59,
            1_000,
            Bound::About,
            Some(false),
        ),
        (
            AlternativeKind::BestOrder,
            100 + 360 + 50,
            1_000,
            Bound::About,
            Some(false),
        ),
        (
            AlternativeKind::Workers,
            230 + 400 + 19 + 18,
            500,
            Bound::AtMost,
            None,
        ),
        // In fours, of which the second is the highest: 100, 120 and 57 for the last. Two begins more.
        (
            AlternativeKind::Restart,
            277,
            1_014,
            Bound::About,
            Some(true),
        ),
        (
            AlternativeKind::FixtureScope,
            40 + 360 + 50,
            1_000,
            Bound::AtLeast,
            Some(false),
        ),
        (
            AlternativeKind::LargerRunner,
            519,
            1_000,
            Bound::About,
            Some(true),
        ),
    ] {
        let told = told(&facts, 1, 280, kind).unwrap();
        let predicted = (told.predicted.peak_bytes, told.predicted.duration_us);
        assert_eq!(
            (predicted, told.bound, told.fits),
            ((peak, duration), bound, fits),
            "{kind:?}"
        );
    }
    let runner = told(&facts, 1, 280, AlternativeKind::LargerRunner).unwrap();
    assert_eq!(runner.needed_bytes, Some(611));
    let restart = told(&facts, 1, 280, AlternativeKind::Restart).unwrap();
    assert_eq!(restart.files, Some(4));
    let workers = told(&facts, 5, 800, AlternativeKind::Workers).unwrap();
    assert_eq!(
        (workers.workers, workers.predicted.duration_us),
        (Some(5), 200)
    );
}

#[test]
fn what_is_not_known_is_not_told_as_known() {
    for (peak, bound, told) in [
        (9, Bound::About, Some(true)),
        (11, Bound::About, Some(false)),
        (9, Bound::AtMost, Some(true)),
        (11, Bound::AtMost, None),
        (9, Bound::AtLeast, None),
        (11, Bound::AtLeast, Some(false)),
    ] {
        assert_eq!(fits(peak, bound, 10), told, "{peak} {bound:?}");
    }
    // Fixtures that hold little are no matter, and a suite that fits needs no restart.
    assert_eq!(
        told(&facts(), 1, 1_220, AlternativeKind::FixtureScope),
        None
    );
    assert_eq!(told(&facts(), 1, 1_000, AlternativeKind::Restart), None);
    // Of a file that was cut short only the least is known.
    let cut_short = Facts {
        cut_short: vec!["test_9.py".to_owned()],
        ..facts()
    };
    for (kind, bound, fits) in [
        (AlternativeKind::AsRecorded, Bound::AtLeast, None),
        (AlternativeKind::Workers, Bound::About, None),
        (AlternativeKind::LargerRunner, Bound::AtLeast, None),
    ] {
        let told = told(&cut_short, 1, 1_000, kind).unwrap();
        assert_eq!((told.bound, told.fits), (bound, fits), "{kind:?}");
    }
    // What it held as it was cut short it may have needed for a while: the others are not on top of it for sure.
    let first = Facts {
        cut_short: vec!["test_0.py".to_owned()],
        ..facts()
    };
    for (kind, peak) in [
        (AlternativeKind::AsRecorded, 100 + 320 + 59),
        (AlternativeKind::LargerRunner, 100 + 320 + 59),
        (AlternativeKind::Restart, 277),
    ] {
        let told = told(&first, 1, 280, kind).unwrap();
        assert_eq!(told.predicted.peak_bytes, peak, "{kind:?}");
    }
    let unseen = Facts {
        begin_us: None,
        ..facts()
    };
    let restart = told(&unseen, 1, 280, AlternativeKind::Restart).unwrap();
    assert!(
        restart.sentence.contains("is not counted"),
        "{}",
        restart.sentence
    );
}

#[test]
fn what_the_job_came_to_is_told_beside_what_its_files_lead_to() {
    const MIB: i64 = 1 << 20;
    let file = |path: &str| File {
        path: path.to_owned(),
        spike_bytes: 50 * MIB,
        retained_bytes: 0,
        duration_us: 100,
    };
    let facts = Facts {
        base_bytes: 100 * MIB,
        files: vec![file("a"), file("b")],
        ..Facts::default()
    };
    let told = |job: &JobReport, facts: &Facts| {
        let all = of(job, facts, alone(facts), 900 * MIB);
        let find = |kind| all.iter().find(|it| it.kind == kind).unwrap().clone();
        let as_recorded = find(AlternativeKind::AsRecorded);
        let larger = find(AlternativeKind::LargerRunner);
        let (_, behind) = as_recorded.sentence.split_once("recorded").unwrap();
        assert_eq!(as_recorded.predicted.peak_bytes, 150 * MIB);
        (behind.to_owned(), larger.predicted)
    };
    let mut job = samples::job();
    job.sessions = vec![samples::session(0)];
    job.sessions[0].tests = 2;
    job.peak_bytes = 150 << 20;
    let same = Predicted {
        peak_bytes: 150 * MIB,
        duration_us: 200,
    };
    assert_eq!(told(&job, &facts), (String::new(), same));
    job.peak_bytes = 140 << 20;
    let less = Predicted {
        peak_bytes: 140 * MIB,
        ..same
    };
    let says = " (that job came to 140.0 MiB; a plan counts what files share from the start)";
    assert_eq!(told(&job, &facts), (says.to_owned(), less));
    job.sessions[0].numprocesses = 2;
    let workers = Predicted {
        duration_us: 100,
        ..less
    };
    let says = " (that job came to 140.0 MiB, on 2 workers)";
    assert_eq!(told(&job, &facts), (says.to_owned(), workers));
    job.sessions.push(samples::session(0));
    job.sessions[1].tests = 1;
    job.sessions[0].numprocesses = 0;
    let (says, _) = told(&job, &facts);
    assert_eq!(says, " (that job came to 140.0 MiB, in 2 sessions)");
    // What ran of it says nothing of all of it.
    job.censored = true;
    let says = " (that job came to 140.0 MiB, until it was cut short)";
    assert_eq!(told(&job, &facts), (says.to_owned(), same));
}
