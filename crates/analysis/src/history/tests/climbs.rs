//! Climbs that a few jobs or the newest ones make.

use super::*;

#[test]
fn a_climb_over_a_few_jobs_is_charged_to_no_commit_for_certain() {
    let mut chance = Chance(22);
    for kind in 0..4 {
        for length in 4..LEAST_CREEP_JOBS {
            let (mut creeps, mut certain) = (0, 0);
            for _ in 0..100 {
                let (before, after) = (chance.whole(5, 25), chance.whole(1, 25));
                let noise = chance.between(0.05, 2.0) * MB;
                let grown = FLOOR.max(10.0 * noise) * chance.between(1.2, 4.0);
                // Each job adds its part, one more and one less.
                let parts: Vec<f64> = (0..length).map(|_| chance.between(0.5, 1.5)).collect();
                let whole: f64 = parts.iter().sum();
                let values: Vec<f64> = (0..before + length + after)
                    .map(|at| {
                        let had = (at + 1).saturating_sub(before).min(length);
                        let grown = grown * parts[..had].iter().sum::<f64>() / whole;
                        40.0 * MB + grown + noise * noise_of_kind(kind, &mut chance)
                    })
                    .collect();
                let found = shifts(&values, FLOOR);
                creeps += usize::from(found.iter().any(|it| it.per_job.is_some()));
                let of_one =
                    |it: &&Shift| it.per_job.is_none() && it.confidence == Confidence::Certain;
                certain += found.iter().filter(of_one).count();
            }
            println!(
                "noise of kind {kind}: of 100 climbs over {length} jobs {creeps} are told as such, {certain} as certain steps"
            );
            assert_eq!(certain, 0, "noise of kind {kind}, {length} jobs");
            assert!(
                creeps >= 80,
                "noise of kind {kind}, {length} jobs: {creeps}"
            );
        }
    }
}

#[test]
fn a_climb_that_the_newest_jobs_left_does_not_go_on() {
    let level = |megabytes: usize, jobs: usize| vec![megabytes; jobs];
    let line = |from: usize, jobs: usize| (0..jobs).map(|at| from + at).collect::<Vec<_>>();
    for (series, last) in [
        // Back at the level, below it, and far above the climb.
        ([level(10, 14), vec![20, 30, 40, 10]].concat(), 40),
        ([level(30, 14), vec![40, 50, 60, 5]].concat(), 60),
        ([level(10, 14), vec![20, 30, 40, 200]].concat(), 40),
        // Level for a few jobs, too few for a level of their own.
        ([line(20, 30), level(50, 3)].concat(), 50),
        ([line(20, 30), level(49, 4)].concat(), 50),
    ] {
        let values: Vec<f64> = series.iter().map(|it| *it as f64 * MB).collect();
        for found in shifts(&values, FLOOR) {
            assert!(
                found.per_job.is_none() || found.to < values.len(),
                "{series:?}: {found:?}"
            );
            let most = f64::from(last) * MB + FLOOR / 4.0;
            assert!(
                found.per_job.is_none() || found.after <= most,
                "{series:?}: {found:?}"
            );
        }
    }
}

#[test]
fn a_short_climb_is_told_with_its_jobs() {
    let jobs: Vec<Before> = (0..20)
        .map(|at| job(at, 20 + 5 * (at.clamp(7, 13) as i64 - 7), 60, 200))
        .collect();
    let found = of(&jobs);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].sentence,
        "From 07aaaaaaaa (20 Nov 2025) to 13aaaaaaaa (26 Nov 2025) tests/test_a.py came to retain 50.0 MiB, 30.0 MiB more than 6 jobs before, about 5.0 MiB a job and with no single step; possible."
    );
    assert_eq!(found[0].kind, ChangeKind::Creep);
    assert_eq!(found[0].last_before.as_ref(), Some(&jobs[6].job));
    assert!(!found[0].is_current);
}

#[test]
fn a_climb_is_told_while_it_goes_on_from_the_job_that_it_has_risen_by_the_floor() {
    for noise in [0.0, 0.1] {
        let mut chance = Chance(23);
        let around = series(&mut chance, 54, noise * MB, |_| 0.0);
        for (slope, least) in [(1.0, 5), (2.0, 3), (5.0, 3), (-2.0, 3), (-1.5, 4)] {
            for rising in 0..24 {
                let values: Vec<f64> = (0..30 + rising)
                    .map(|at| around[at] + slope * MB * (at + 1).saturating_sub(30) as f64)
                    .collect();
                let told = shifts(&values, FLOOR);
                if rising < LEAST_RISING || slope.abs() * rising as f64 <= 3.5 {
                    assert_eq!(told, [], "{slope} MiB a job for {rising} jobs");
                }
                if rising < least {
                    continue;
                }
                let [climb] = told[..] else {
                    panic!("{slope} MiB a job for {rising} jobs: {told:?}");
                };
                // From the last job of the level; by noise the first may look like that.
                assert!((29..=30).contains(&climb.from), "{climb:?}");
                assert_eq!(climb.to, values.len());
                let per_job = climb.per_job.unwrap_or_default();
                assert!((per_job - slope * MB).abs() < 0.2 * MB, "{climb:?}");
                match rising + 1 {
                    ..LEAST_CREEP_JOBS => assert_eq!(climb.confidence, Confidence::Possible),
                    CERTAIN_CREEP_JOBS.. => assert_ne!(climb.confidence, Confidence::Possible),
                    _ => assert_ne!(climb.confidence, Confidence::Certain),
                }
            }
        }
    }
}

/// By the time that it has risen by three floors.
#[test]
fn a_climb_that_goes_on_is_told_as_one_and_charged_to_no_commit_for_certain() {
    let mut chance = Chance(24);
    for kind in 0..4 {
        for (is_even, least) in [(true, 95), (false, 90)] {
            let (mut open, mut steps) = (0, 0);
            for _ in 0..400 {
                let (before, length) = (chance.whole(6, 34), chance.whole(LEAST_RISING, 25));
                let noise = chance.between(0.1, 1.0) * MB;
                let grown = FLOOR * chance.between(3.0, 9.0);
                let parts: Vec<f64> = (0..length)
                    .map(|_| {
                        if is_even {
                            1.0
                        } else {
                            chance.between(0.5, 1.5)
                        }
                    })
                    .collect();
                let whole: f64 = parts.iter().sum();
                let values = (0..before + length).map(|at| {
                    let had = (at + 1).saturating_sub(before);
                    let grown = grown * parts[..had].iter().sum::<f64>() / whole;
                    40.0 * MB + grown + noise * noise_of_kind(kind, &mut chance)
                });
                let values: Vec<f64> = values.collect();
                let found = shifts(&values, FLOOR);
                let goes_on = |it: &Shift| {
                    let off = (it.from + 1).abs_diff(before) as f64;
                    let is_near = off * grown / length as f64 <= FLOOR;
                    it.per_job.is_some_and(|it| it > 0.0)
                        && it.to == values.len()
                        && (is_near || length >= LEAST_CREEP_JOBS)
                };
                open += usize::from(found.iter().any(goes_on));
                let of_one =
                    |it: &&Shift| it.per_job.is_none() && it.confidence == Confidence::Certain;
                steps += found.iter().filter(of_one).count();
            }
            println!(
                "noise of kind {kind}: of 400 climbs that go on {open} are told as such, {steps} as certain steps"
            );
            // Two wild jobs within a climb may look like a step for all that anybody can know.
            let most = usize::from(kind == 3);
            assert!(steps <= most, "noise of kind {kind}: {steps}");
            assert!(open * 100 >= 400 * least, "noise of kind {kind}: {open}");
        }
    }
}

#[test]
fn a_climb_that_goes_on_is_told_with_what_it_has_risen_so_far() {
    let jobs: Vec<Before> = (0..20)
        .map(|at| job(at, 20 + 3 * (at.max(11) as i64 - 11), 60, 200))
        .collect();
    let found = of(&jobs);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].sentence,
        "From 11aaaaaaaa (24 Nov 2025) to 19aaaaaaaa (2 Dec 2025) tests/test_a.py came to retain 44.0 MiB, 24.0 MiB more than 8 jobs before, about 3.0 MiB a job and with no single step, and still climbs; possible."
    );
    assert!(found[0].is_current);
    assert_eq!(found[0].last_before.as_ref(), Some(&jobs[10].job));
    // Once it has come to its end it goes on no more.
    let mut ended = jobs;
    for at in 20..29 {
        ended.push(job(at, 44, 60, 200));
        let found = of(&ended);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].since, ended[11].job);
        assert_eq!(found[0].until, ended[19].job);
        assert!(!found[0].is_current);
    }
}

#[test]
fn a_step_and_what_wavers_behind_it_is_no_climb_that_goes_on() {
    let levels = |behind: &[f64]| {
        let all = [40.0].repeat(20).into_iter().chain(behind.iter().copied());
        all.map(|it| it * MB).collect::<Vec<f64>>()
    };
    for behind in [
        &[80.0, 81.0, 83.0, 84.0][..],
        &[79.0, 80.5, 80.0, 81.5, 82.0],
    ] {
        let told = shifts(&levels(behind), FLOOR);
        let goes_on = |it: &Shift| it.per_job.is_some() && it.to == 20 + behind.len();
        assert!(!told.iter().any(goes_on), "{told:?}");
    }
    // Nor are wild jobs at the end.
    assert_eq!(shifts(&levels(&[40.0, 50.0, 60.0]), FLOOR), []);
}

#[test]
fn a_creep_behind_a_level_is_told_with_figures_that_were_measured() {
    let climb = (1..=13).map(|at| 1.0 + 3.0 * f64::from(at));
    let values: Vec<f64> = [1.0; 6].into_iter().chain(climb).chain([40.0; 2]).collect();
    let values: Vec<f64> = values.into_iter().map(|it| it * MB).collect();
    let told = shifts(&values, 4.0 * MB);
    assert!(told.iter().any(|it| it.per_job.is_some()), "{told:?}");
    for shift in told {
        for bytes in [shift.before, shift.after] {
            assert!((MB..=40.0 * MB).contains(&bytes), "{shift:?}");
        }
    }
}
