use super::*;
use crate::chance::Chance;

const MB: f64 = 1_048_576.0;

fn points(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
    let point = |(at, bytes): (i64, f64)| Point {
        t_us: at * 3_000_000,
        bytes: bytes as i64,
    };
    (1..).zip(values).map(point).collect()
}

/// What the page for users says of these figures.
const PAGE: &str = include_str!("../../../../docs/ANALYSIS.md");

#[test]
fn the_page_tells_the_figures_that_count() {
    let mib = LEAST_GROWTH_BYTES / MB;
    for told in [
        format!("With fewer than {LEAST_VISITS} visits"),
        format!("the ends differ by less than {mib} MiB"),
        format!("is below {SURE} |"),
        format!("the median of a tenth of the visits there, {LEVEL_VISITS} at least"),
        format!("makes less than half ({STEADY_SHARE}) of it"),
        format!("grew by less than {LEVEL_OFF} of what the first did"),
        format!("at most {MOST_STEPS} visits made all of it but a fifth ({REST_SHARE})"),
        format!("by more than {STEP_SPREADS} times the spread"),
        format!("than a tenth of the growth and than {} MiB", mib / 2.0),
    ] {
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
    let shares = [LEVEL_SHARE, STEP_SHARE, WARM_UP_SHARE];
    assert_eq!(
        shares,
        [0.1, 0.1, 0.25],
        "a tenth, a tenth and a quarter are in words"
    );
}

/// A suite of a course: what it holds after each file.
fn suite(course: Course, chance: &mut Chance) -> Vec<f64> {
    let files = chance.whole(16, 120);
    let size = chance.between(30.0, 400.0) * MB;
    let warm_up = (files as f64 * chance.between(0.03, 0.12)).max(2.0);
    let jumps: Vec<(usize, f64)> = (0..chance.whole(1, MOST_STEPS))
        .map(|_| {
            let at = chance.whole(files * 3 / 10, files * 8 / 10);
            (at, chance.between(30.0, 120.0) * MB)
        })
        .collect();
    let per_file = chance.between(1.5, 40.0) * MB;
    let idle = chance.between(0.0, 0.35);
    let noise = chance.between(0.05, 1.0) * MB;
    let mut held = chance.between(30.0, 300.0) * MB;
    let base = held;
    (0..files)
        .map(|at| {
            match course {
                Course::Steady if chance.next() >= idle => {
                    held += per_file * chance.between(0.4, 1.6);
                }
                Course::LevelsOff => held = base + size * (1.0 - (-(at as f64) / warm_up).exp()),
                Course::Steps => {
                    let here = jumps.iter().filter(|it| it.0 == at);
                    held += here.map(|it| it.1).sum::<f64>();
                }
                _ => {}
            }
            // Now and then a file leaves something for the next to free.
            // Of the last file nobody knows whether it would be freed.
            let left = if chance.next() < 0.03 && at + 1 < files {
                chance.between(0.0, 20.0) * MB
            } else {
                0.0
            };
            held + noise * chance.normal() + left
        })
        .collect()
}

#[test]
fn the_course_is_told_in_ninety_nine_of_a_hundred_suites() {
    let courses = [
        Course::Level,
        Course::LevelsOff,
        Course::Steps,
        Course::Steady,
    ];
    let mut chance = Chance(20_241);
    let mut told = [[0_u32; 4]; 4];
    for (truth, course) in courses.into_iter().enumerate() {
        for _ in 0..125 {
            let found = of(&points(suite(course, &mut chance))).course;
            let found = courses.iter().position(|it| *it == found);
            told[truth][found.unwrap()] += 1;
        }
    }
    println!("truth in rows, told in columns ({courses:?}):");
    for (course, row) in courses.iter().zip(&told) {
        println!("{course:?} {row:?}");
    }
    let right: u32 = (0..4).map(|at| told[at][at]).sum();
    assert!(right >= 495, "{told:?}");
}

#[test]
fn the_interval_holds_the_true_slope_nine_times_in_ten() {
    let mut chance = Chance(7);
    // Of few points it is rather too wide: there is no place between two slopes.
    for (files, least, most) in [
        (6, 0.88, 0.99),
        (10, 0.87, 0.97),
        (30, 0.86, 0.95),
        (90, 0.86, 0.95),
    ] {
        let mut held = 0;
        for _ in 0..400 {
            let per_file = chance.between(1.0, 40.0) * MB;
            let noise = chance.between(0.1, 3.0) * MB;
            let values: Vec<f64> = (0..files)
                .map(|at| 50.0 * MB + f64::from(at) * per_file + noise * chance.normal())
                .collect();
            let found = of(&points(values)).per_visit_bytes.unwrap();
            held += u32::from((found.low..=found.high).contains(&per_file));
        }
        let share = f64::from(held) / 400.0;
        println!("of {files} files the interval held the slope in {share} of all suites");
        assert!((least..=most).contains(&share), "{files}: {share}");
    }
}

#[test]
fn eighty_five_files_of_forty_megabytes() {
    let found = of(&points(
        (0..85).map(|at| (300.0 + 40.0 * f64::from(at)) * MB),
    ));
    assert_eq!(found.course, Course::Steady);
    assert!((found.per_visit_bytes.unwrap().value - 40.0 * MB).abs() < 1.0);
    // A file takes three seconds.
    assert!((found.per_minute_bytes.unwrap().value - 800.0 * MB).abs() < 100.0);
    assert!(
        (found.grown_bytes - 84.0 * 40.0 * MB).abs() <= 1.0,
        "{found:?}"
    );
}

#[test]
fn a_file_that_spiked_and_left_nothing_is_no_growth() {
    let mut values = vec![200.0 * MB; 30];
    values[12] = 900.0 * MB;
    assert_eq!(of(&points(values)).course, Course::Level);
}

#[test]
fn steps_are_named_by_their_visits() {
    let values = (0..40).map(|at| match at {
        0..15 => 100.0 * MB,
        15..30 => 180.0 * MB,
        _ => 330.0 * MB,
    });
    let found = of(&points(values));
    assert_eq!(found.course, Course::Steps);
    assert_eq!(found.steps, [(15, 80.0 * MB), (30, 150.0 * MB)]);
}

#[test]
fn of_few_visits_nothing_is_said() {
    let found = of(&points([1.0, 2.0, 3.0, 4.0, 5.0].map(|it| it * 100.0 * MB)));
    assert_eq!(
        (found.course, found.per_visit_bytes),
        (Course::TooFew, None)
    );
}

#[test]
fn what_shrinks_is_level() {
    let found = of(&points(
        (0..30).map(|at| (900.0 - 10.0 * f64::from(at)) * MB),
    ));
    assert_eq!(found.course, Course::Level);
    assert!(found.grown_bytes < 0.0);
}

#[test]
fn growth_at_the_end_is_told_however_late() {
    let held = |changes: &[(usize, f64)]| {
        let mut held = 100.0 * MB;
        let mut values = Vec::new();
        for (count, each) in changes {
            for _ in 0..*count {
                held += each * MB;
                values.push(held);
            }
        }
        of(&points(values))
    };
    for (name, changes, grown, steps) in [
        ("the last of six", vec![(5, 0.0), (1, 900.0)], 900.0, 1),
        ("the last of many", vec![(30, 0.0), (1, 500.0)], 500.0, 1),
        ("the last three", vec![(30, 0.0), (3, 300.0)], 900.0, 3),
        ("the last four", vec![(30, 0.0), (4, 200.0)], 800.0, 4),
        (
            "the last eight of a hundred",
            vec![(92, 0.0), (8, 100.0)],
            800.0,
            8,
        ),
        (
            "early and late",
            vec![(2, 100.0), (36, 0.0), (1, 90.0)],
            190.0,
            2,
        ),
    ] {
        let found = held(&changes);
        assert_eq!(
            (found.course, found.steps.len()),
            (Course::Steps, steps),
            "{name}: {found:?}"
        );
        assert!(
            (found.grown_bytes - grown * MB).abs() < 1.0,
            "{name}: {found:?}"
        );
    }
    let back = held(&[(20, 45.0), (1, -900.0)]);
    assert_eq!(back.course, Course::Level, "{back:?}");
}
