use std::collections::BTreeSet;

use highwater_wire::report::{
    BaselineJob, Change, ChangeKind, ChangesReport, CheckFigure, Direction, JobsAlike,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    chance::Chance,
    check::{Again, Before, FileFigures},
    regression::least_change,
    time::rfc3339,
};

mod climbs;

const MB: f64 = 1_048_576.0;
const MIB: i64 = 1 << 20;
const FLOOR: f64 = 4.0 * MB;

/// What the page for users says of these figures.
const PAGE: &str = include_str!("../../../../docs/ANALYSIS.md");

#[test]
fn the_page_tells_the_figures_that_count() {
    for told in [
        format!("The newest {MOST_JOBS} jobs alike"),
        format!("With fewer than {LEAST_JOBS} of them"),
        format!("of {CLEAN_SERIES} series without a change"),
        format!("| certain | {CERTAIN_JOBS} or more | {CERTAIN_NOISES} times"),
        format!("| likely | {LIKELY_JOBS} or more | {LIKELY_NOISES} times"),
        format!("of {LEAST_CREEP_JOBS} jobs or more"),
        format!("must be {CREEP_SURE} or more"),
        format!("{LEAST_BETWEEN} jobs or more between two levels"),
        format!("{LEAST_RISING} jobs or more behind the level"),
        format!("or anywhere between the levels at {COST_BETWEEN} a job"),
        format!("by {CLEARLY_BETTER} or more it takes their place"),
        format!("by {BETTER} or more the step is likely at the most"),
        format!("has {SHARED} of the step already"),
        format!("it has {CERTAIN_CREEP_JOBS} jobs or more"),
    ] {
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
}

/// A series around 40 MiB with noise, and what is added to each place.
fn series(chance: &mut Chance, count: usize, noise: f64, added: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..count)
        .map(|at| 40.0 * MB + noise * chance.normal() + added(at))
        .collect()
}

#[test]
fn steps_are_told_on_their_commit_and_as_no_creep() {
    let mut chance = Chance(3);
    let mut right = 0;
    for _ in 0..300 {
        let count = chance.whole(12, 60);
        let at = chance.whole(6, count - 2);
        let noise = chance.between(0.2, 3.0) * MB;
        let step = (6.0 * noise).max(5.0 * MB) * if chance.next() < 0.5 { 1.0 } else { -1.0 };
        let values = series(&mut chance, count, noise, |place| match place >= at {
            true => step,
            false => 0.0,
        });
        let found = shifts(&values, FLOOR);
        right += usize::from(
            found.len() == 1
                && found[0].from == at
                && found[0].per_job.is_none()
                && (found[0].after - found[0].before > 0.0) == (step > 0.0),
        );
    }
    println!("of 300 steps {right} were told on their commit, and nothing else");
    assert!(right >= 285, "{right}");
}

#[test]
fn nothing_is_told_where_nothing_changed() {
    let mut chance = Chance(4);
    let mut told = 0;
    for _ in 0..1_500 {
        let count = chance.whole(5, 60);
        let noise = chance.between(0.2, 6.0) * MB;
        // Now and then a job is wild.
        let mut values = series(&mut chance, count, noise, |_| 0.0);
        if chance.next() < 0.2 {
            let at = chance.whole(0, count - 1);
            values[at] += chance.between(20.0, 300.0) * MB;
        }
        told += shifts(&values, FLOOR).len();
    }
    println!("of 1500 series without a change {told} changes were told");
    assert!(told <= 3, "{told}");
}

#[test]
fn a_creep_that_no_step_shows_is_found() {
    let mut chance = Chance(5);
    let (mut found, mut steps) = (0, 0);
    for _ in 0..300 {
        let count = chance.whole(20, 60);
        let noise = chance.between(0.2, 3.0) * MB;
        let grown = FLOOR.max(3.0 * noise) * chance.between(2.0, 8.0);
        let each = grown / (count - 1) as f64;
        let values = series(&mut chance, count, noise, |at| each * at as f64);
        let told = shifts(&values, FLOOR);
        let is_near = |shift: &Shift| {
            let per_job = shift.per_job.unwrap_or_default();
            (per_job - each).abs() < 0.4 * each
        };
        found += usize::from(told.iter().any(is_near));
        steps += told.iter().filter(|it| it.per_job.is_none()).count();
    }
    println!("of 300 creeps {found} were found; {steps} steps were told of them");
    assert!(found >= 285, "{found}");
    assert!(steps <= 15, "{steps}");
}

#[test]
fn what_was_flat_before_is_no_part_of_a_creep_and_a_step_within_stands_by_itself() {
    let mut chance = Chance(6);
    let bent = series(&mut chance, 60, 0.3 * MB, |at| {
        at.saturating_sub(30) as f64 * 0.8 * MB
    });
    let found = shifts(&bent, FLOOR);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((25..=36).contains(&found[0].from) && found[0].to == 60);
    assert_eq!(found[0].confidence, Confidence::Certain);
    let stepped = series(&mut chance, 60, 0.3 * MB, |at| {
        at as f64 * 0.8 * MB + if at >= 28 { 60.0 * MB } else { 0.0 }
    });
    let found = shifts(&stepped, FLOOR);
    let steps: Vec<usize> = found
        .iter()
        .filter(|it| it.per_job.is_none())
        .map(|it| it.from)
        .collect();
    assert_eq!((steps, found.len()), (vec![28], 3), "{found:?}");
}

#[test]
fn how_sure_a_step_is_hangs_on_both_levels_and_the_noise() {
    let mut values = vec![20.0 * MB; 12];
    let confidence = |values: &[f64]| shifts(values, FLOOR).last().map(|it| it.confidence);
    values.push(60.0 * MB);
    assert_eq!(confidence(&values), None, "one job is no level");
    values.push(60.0 * MB);
    assert_eq!(confidence(&values), Some(Confidence::Possible));
    values.push(60.0 * MB);
    assert_eq!(confidence(&values), Some(Confidence::Likely));
    values.extend([60.0 * MB; 2]);
    assert_eq!(confidence(&values), Some(Confidence::Certain));
    // Noise of 2 MiB and a step of 9.
    let noisy: Vec<f64> = (0..40)
        .map(|at| [0.0, 2.7, -2.7, 1.4, -1.4][at % 5] * MB + if at >= 20 { 9.0 * MB } else { 0.0 })
        .collect();
    assert_eq!(confidence(&noisy), Some(Confidence::Likely));
}

/// Noise of several kinds, in units of what [`changepoint::noise`](crate::changepoint::noise) takes it for: normal, Laplace's, two-valued, and with wild jobs.
fn noise_of_kind(kind: usize, chance: &mut Chance) -> f64 {
    match kind {
        0 => chance.normal(),
        1 => {
            let part = chance.between(-0.5, 0.5);
            -part.signum() * (1.0 - 2.0 * part.abs()).max(1e-12).ln() / 2_f64.sqrt()
        }
        2 if chance.next() < 0.15 => 1.3,
        2 => 0.0,
        _ if chance.next() < 0.02 => chance.between(-10.0, 20.0),
        _ => chance.normal(),
    }
}

/// That a climb may explain it too makes hardly a step less sure.
#[test]
fn a_step_stays_certain_whatever_the_noise() {
    let mut chance = Chance(21);
    for kind in 0..4 {
        for (size, least) in [(7.0, 85), (10.0, 95)] {
            let (mut steps, mut certain) = (0, 0);
            for _ in 0..400 {
                let (before, after) = (chance.whole(5, 30), chance.whole(5, 30));
                let noise = chance.between(0.7, 3.0) * MB;
                let values: Vec<f64> = (0..before + after)
                    .map(|at| {
                        let step = if at < before { 0.0 } else { size * noise };
                        40.0 * MB + step + noise * noise_of_kind(kind, &mut chance)
                    })
                    .collect();
                let found = shifts(&values, FLOOR);
                let is_step = found
                    .iter()
                    .find(|it| it.per_job.is_none() && it.from == before);
                // How sure it would be were there no such thing as a climb.
                let Some(step) = is_step else { continue };
                let jobs = before.min(after);
                let change = (step.after - step.before).abs();
                if jobs >= CERTAIN_JOBS && change >= CERTAIN_NOISES * step.noise {
                    steps += 1;
                    certain += usize::from(step.confidence == Confidence::Certain);
                }
            }
            println!(
                "noise of kind {kind}: of {steps} steps of {size} times it {certain} are certain"
            );
            assert!(
                certain * 100 >= steps * least && steps >= 100,
                "{certain} of {steps}"
            );
        }
    }
}

#[test]
fn few_values_and_small_changes_are_left_alone() {
    assert_eq!(shifts(&[], FLOOR), []);
    assert_eq!(shifts(&[0.0, 0.0, 90.0 * MB, 90.0 * MB], FLOOR), []);
    let small: Vec<f64> = (0..40)
        .map(|at| if at < 20 { 0.0 } else { 3.9 * MB })
        .collect();
    assert_eq!(shifts(&small, FLOOR), []);
    assert!((least_change(200.0 * MB) - 10.0 * MB).abs() < 1.0);
    assert!((least_change(0.0) - FLOOR).abs() < 1.0);
}

/// The job of a day, with one file.
fn job(at: usize, retained: i64, spike: i64, peak: i64) -> Before {
    Before {
        job: BaselineJob {
            uuid: Uuid::from_u128(at as u128),
            commit: format!("{at:02}aaaaaaaaaaaaaa"),
            ordered_at: rfc3339(1_763_000_000_000_000 + at as i64 * 86_400_000_000),
        },
        peak_bytes: peak * MIB,
        headroom_bytes: None,
        failed: 0,
        files: vec![FileFigures {
            path: "tests/test_a.py".to_owned(),
            retained_bytes: retained * MIB,
            spike_bytes: spike * MIB,
            tree_peak_bytes: 90 * MIB,
            import_bytes: 0,
            tests: 3,
            is_whole: true,
        }],
        renamed: BTreeSet::new(),
        again: None,
    }
}

fn of(jobs: &[Before]) -> Vec<Change> {
    of_suite(&Series {
        name: "unit",
        alike: "linux",
        jobs,
    })
}

#[test]
fn a_file_that_retains_more_is_told_with_its_commit_and_once() {
    let jobs: Vec<Before> = (0..12)
        .map(|at| match at < 7 {
            true => job(at, 21, 30, 200),
            false => job(at, 61, 70, 240),
        })
        .collect();
    let found = of(&jobs);
    let figures: Vec<CheckFigure> = found.iter().map(|it| it.figure).collect();
    // What it holds it also needed for a while: that is no change of its own.
    assert_eq!(
        figures,
        [CheckFigure::Peak, CheckFigure::Retained],
        "{found:?}"
    );
    let held = &found[1];
    assert_eq!(held.since, jobs[7].job);
    assert_eq!(held.last_before.as_ref(), Some(&jobs[6].job));
    assert_eq!((held.jobs, held.jobs_before, held.is_current), (5, 7, true));
    assert_eq!(
        (held.kind, held.direction),
        (ChangeKind::Step, Direction::Worse)
    );
    assert_eq!(
        held.sentence,
        "Since 07aaaaaaaa (20 Nov 2025) tests/test_a.py retains 61.0 MiB, 40.0 MiB more than in the 7 jobs before; certain."
    );
    assert_eq!(
        of_change(held, "it"),
        "Since 07aaaaaaaa (20 Nov 2025) it retains 61.0 MiB, 40.0 MiB more than in the 7 jobs before; certain."
    );
    assert!(
        found[0]
            .sentence
            .contains("job unit peaks at 240.0 MiB, 40.0 MiB more")
    );
    let series = Series {
        name: "unit",
        alike: "linux",
        jobs: &jobs,
    };
    assert_eq!(of_file(&series, "tests/test_a.py"), found[1..]);
    assert_eq!(of_file(&series, "tests/test_b.py"), []);
}

#[test]
fn a_change_begins_with_no_job_that_was_refuted() {
    let mut jobs: Vec<Before> = (0..12)
        .map(|at| match at < 7 {
            true => job(at, 21, 30, 200),
            false => job(at, 61, 70, 240),
        })
        .collect();
    // The job before the change was wild by as much; nothing of the two tells them apart but that its file ran again.
    jobs[6] = job(6, 61, 70, 240);
    let since = |jobs: &[Before]| {
        let found = of(jobs);
        found.iter().map(|it| it.since.clone()).collect::<Vec<_>>()
    };
    let (wild, real) = (jobs[6].job.clone(), jobs[7].job.clone());
    assert_eq!(since(&jobs), [wild.clone(), wild]);
    let calm = job(6, 21, 30, 200).files;
    jobs[6].again = Some(Again {
        job: Uuid::from_u128(77),
        of_files: 1,
        files: calm,
    });
    assert_eq!(since(&jobs), [real.clone(), real]);
    let series = Series {
        name: "unit",
        alike: "linux",
        jobs: &jobs,
    };
    assert_eq!(of_file(&series, "tests/test_a.py"), of(&jobs)[1..]);
}

#[test]
fn what_passed_and_what_crept_is_told_as_such() {
    let passed: Vec<Before> = (0..18)
        .map(|at| job(at, if (6..12).contains(&at) { 61 } else { 21 }, 30, 200))
        .collect();
    let found = of(&passed);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        found[0].sentence,
        "Since 12aaaaaaaa (25 Nov 2025) tests/test_a.py retains 21.0 MiB, 40.0 MiB less than in the 6 jobs before; certain."
    );
    assert_eq!(
        found[1].sentence,
        "From 06aaaaaaaa (19 Nov 2025) to 11aaaaaaaa (24 Nov 2025) tests/test_a.py retained 61.0 MiB, 40.0 MiB more than in the 6 jobs before; certain."
    );
    let crept: Vec<Before> = (0..24).map(|at| job(at, 20 + at as i64, 60, 200)).collect();
    let found = of(&crept);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].sentence,
        "From 00aaaaaaaa (13 Nov 2025) to 23aaaaaaaa (6 Dec 2025) tests/test_a.py came to retain 43.0 MiB, 23.0 MiB more than 23 jobs before, about 1.0 MiB a job and with no single step, and still climbs; certain."
    );
    assert_eq!(
        (found[0].kind, found[0].last_before.as_ref()),
        (ChangeKind::Creep, None)
    );
}

#[test]
fn failed_and_missing_files_leave_holes_and_no_changes() {
    let mut jobs: Vec<Before> = (0..14).map(|at| job(at, 20, 30, 200)).collect();
    for at in [4, 5] {
        jobs[at].files[0].is_whole = false;
        jobs[at].files[0].retained_bytes = 300 * MIB;
        jobs[at].failed = 1;
        jobs[at].peak_bytes = 900 * MIB;
    }
    jobs[8].files.clear();
    assert_eq!(of(&jobs), []);
    let tell = |path| jobs.iter().filter(|job| tells(job, path)).count();
    assert_eq!(
        (
            tell(None),
            tell(Some("tests/test_a.py")),
            tell(Some("a.py"))
        ),
        (14, 11, 0)
    );
    // In two sessions it is taken as the most of each.
    for job in &mut jobs[9..] {
        let mut again = job.files[0].clone();
        again.retained_bytes = 2 * MIB;
        job.files.insert(0, again);
    }
    assert_eq!(of(&jobs), []);
}

#[test]
fn a_report_says_what_came_out() {
    let alike = |jobs: u64| JobsAlike {
        name: "unit".to_owned(),
        alike: "linux".to_owned(),
        jobs,
        first: None,
        last: None,
    };
    let report = |jobs: Vec<JobsAlike>, path: Option<&str>, left_out| ChangesReport {
        path: path.map(str::to_owned),
        branch: "main".to_owned(),
        looked_at: jobs,
        sentence: String::new(),
        changes: Vec::new(),
        left_out,
    };
    for (report, told) in [
        (
            report(vec![], None, 0),
            "Nothing is known yet: no job of main went well since the server keeps such histories.",
        ),
        (
            report(vec![alike(3)], Some("a.py"), 0),
            "There is not enough to tell changes of a.py from noise: it ran whole, with no test that failed, in 3 jobs of main that went well and ran alike, and 5 are needed.",
        ),
        (
            report(vec![alike(0)], Some("a.py"), 0),
            "Nothing is known of a.py yet: no job of main that went well tells of it.",
        ),
        (
            report(vec![alike(4)], None, 0),
            "There is not enough to tell changes from noise: 4 jobs of main went well and ran alike, and 5 are needed.",
        ),
        (
            report(vec![alike(9), alike(30)], None, 0),
            "Nothing changed for good in the 39 jobs of main.",
        ),
        (
            report(vec![alike(9)], Some("a.py"), 1),
            "1 change of a.py in the 9 jobs of main.",
        ),
        (
            report(vec![alike(9)], None, 4),
            "4 changes in the 9 jobs of main.",
        ),
    ] {
        assert_eq!(of_report(&report), told);
    }
}

#[test]
fn changes_of_several_kinds_of_jobs_say_which() {
    let jobs: Vec<Before> = (0..12)
        .map(|at| {
            job(
                at,
                if at < 7 { 21 } else { 61 },
                30,
                if at < 7 { 200 } else { 240 },
            )
        })
        .collect();
    let kind = |name: &str, alike: &str| JobsAlike {
        name: name.to_owned(),
        alike: alike.to_owned(),
        jobs: 12,
        first: None,
        last: None,
    };
    let sentences = |looked_at: Vec<JobsAlike>| -> Vec<String> {
        let mut report = ChangesReport {
            path: None,
            branch: "main".to_owned(),
            looked_at,
            sentence: String::new(),
            changes: of(&jobs),
            left_out: 0,
        };
        tell_apart(&mut report);
        report.changes.into_iter().map(|it| it.sentence).collect()
    };
    for (others, peak, file) in [
        (vec![], " job unit peaks", " tests/test_a.py retains"),
        (
            vec![kind("e2e", "linux")],
            " job unit peaks",
            " tests/test_a.py in job unit retains",
        ),
        (
            vec![kind("unit", "macos")],
            " job unit (linux) peaks",
            " tests/test_a.py in job unit (linux) retains",
        ),
    ] {
        let told = sentences([vec![kind("unit", "linux")], others].concat());
        assert!(told[0].contains(peak) && told[1].contains(file), "{told:?}");
    }
}

proptest! {
    #[test]
    fn any_series_has_changes_in_order(values in proptest::collection::vec(-1e9..1e9_f64, 0..60), least in 1e5..1e8_f64) {
        let found = shifts(&values, least);
        for shift in &found {
            prop_assert!(shift.from < shift.to && shift.to <= values.len());
            prop_assert!(shift.before_from <= shift.from);
            prop_assert!((shift.after - shift.before).abs() >= least);
        }
        prop_assert!(found.windows(2).all(|pair| pair[0].from <= pair[1].from));
    }
}

/// Two regressions in a row, and a wild job before a step: one job between the levels has most of the change, and the next is not charged with it.
#[test]
fn a_job_between_two_levels_leaves_no_commit_certain() {
    let series = |head: usize, middle: &[f64], tail: usize, last: f64| {
        let middle = middle.iter().copied();
        let all = [5.0]
            .repeat(head)
            .into_iter()
            .chain(middle)
            .chain([last].repeat(tail));
        all.map(|it| it * MB).collect::<Vec<f64>>()
    };
    for values in [series(14, &[45.0], 16, 65.0), series(14, &[80.0], 16, 25.0)] {
        let told = shifts(&values, 4.0 * MB);
        assert!(!told.is_empty());
        for shift in told {
            assert_ne!(shift.confidence, Confidence::Certain, "{shift:?}");
        }
    }
    let clean = shifts(&series(15, &[], 16, 65.0), 4.0 * MB);
    assert_eq!(clean[0].confidence, Confidence::Certain);
}
