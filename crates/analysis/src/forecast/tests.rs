//! The forecast against suites whose truth is known.

mod suites;

use super::*;
use suites::{Cut, MB, Suite};

/// Sets of suites; the constants were set on others (seeds from 0 to 599).
const SETS: std::ops::Range<u64> = 1_000..1_120;
/// What was seen before an interval is judged: at a quarter, half and three quarters of the files.
const CUTS: [f64; 3] = [0.25, 0.5, 0.75];

/// What the page for users says of these figures.
const PAGE: &str = include_str!("../../../../docs/ANALYSIS.md");

#[test]
fn the_page_tells_the_figures_that_count() {
    let most = MOST_DRAWS / PATHS;
    let tail = pool::TAIL;
    let between = pool::BETWEEN_RUNS;
    for told in [
        format!("With fewer than {LEAST_FILES} files nothing is said of files"),
        format!("Of more than {MOST_SEEN} the last count"),
        format!(
            "gone through {PATHS} times (fewer where more than {most} files are to come, {} at the least; of more than {MOST_AHEAD} the rest",
            PATHS / 4
        ),
        format!("up to the highest tenth ({tail})"),
        format!("of shape {} with the mean excess", pool::SHAPE),
        format!("(log-normal, deviation {})", pool::TAIL_SPREAD),
        format!("5 % ({between}) at the least"),
        format!("up to {} spreads above the middle", pool::CAP_SPREADS),
        format!("a factor between 0 and {}", pool::MOST_MEETING),
        format!("from {LIKELY} on `file` is the middle"),
        format!("`is_warning` from {WARN_FROM} on"),
        format!("Where the last {} files or more", settled::LEAST_AFTER),
        format!(
            "more than {} MiB and than {} of the mean",
            growth::LEAST_GROWTH_BYTES / 2.0 / MB as f64,
            growth::LEVEL_OFF
        ),
        format!("crossed in fewer than {LIKELY} of a hundred draws, it takes"),
        format!("makes {} suites", SETS.count()),
    ] {
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
    assert_eq!([LOW, HIGH], [0.05, 0.95], "the percentiles are in words");
}

/// How the forecasts of a kind of suites came out.
#[derive(Debug, Default)]
struct Score {
    sets: u32,
    covered: u32,
    below: u32,
    errors: Vec<f64>,
    widths: Vec<f64>,
    /// Of limits that lie where it matters: how many, and of how many the file lay in the interval.
    limits: u32,
    files_covered: u32,
}

impl Score {
    fn take(&mut self, cut: &Cut) {
        let limit = Limit {
            limit_bytes: cut.limit_bytes,
            beside_bytes: 0,
        };
        let Some(found) = forecast(&cut.seen(), &cut.ahead, &[limit]) else {
            panic!("nothing is said after {} files", cut.steps.len());
        };
        let truth = cut.peak_bytes as f64;
        let peak = found.peak_bytes;
        self.sets += 1;
        self.covered += u32::from(peak.low <= truth && truth <= peak.high);
        self.below += u32::from(truth > peak.high);
        self.errors.push((peak.value - truth).abs() / truth);
        self.widths.push((peak.high - peak.low) / truth);
        if let Some(crossing) = found.crossings[0] {
            self.limits += 1;
            // Beyond all files where the limit holds.
            let beyond = |at: Option<usize>| at.unwrap_or(usize::MAX);
            let at = beyond(cut.crossed);
            let is_in = beyond(crossing.low) <= at && at <= beyond(crossing.high);
            self.files_covered += u32::from(is_in);
        }
    }

    fn coverage(&self) -> f64 {
        f64::from(self.covered) / f64::from(self.sets.max(1))
    }

    fn within(&self, error: f64) -> f64 {
        let good = self.errors.iter().filter(|it| **it <= error).count();
        good as f64 / self.errors.len().max(1) as f64
    }

    fn print(&self, name: &str) {
        let of = |values: &[f64], share: f64| {
            let mut values = values.to_vec();
            values.sort_unstable_by(f64::total_cmp);
            let at = ((values.len().max(1) - 1) as f64 * share) as usize;
            100.0 * values.get(at).copied().unwrap_or(0.0)
        };
        println!(
            "{name:<34} {:>4} sets: {:>5.1} % covered ({:>4.1} % above), width {:>5.1} % (nine in ten below {:>5.1} %), error {:>4.1} % (nine in ten below {:>4.1} %, \
             {:>5.1} % within 10 %), file of a crossing covered {:>5.1} % of {}",
            self.sets,
            100.0 * self.coverage(),
            100.0 * f64::from(self.below) / f64::from(self.sets.max(1)),
            of(&self.widths, 0.5),
            of(&self.widths, 0.9),
            of(&self.errors, 0.5),
            of(&self.errors, 0.9),
            100.0 * self.within(0.1),
            100.0 * f64::from(self.files_covered) / f64::from(self.limits.max(1)),
            self.limits,
        );
    }
}

#[test]
fn the_peak_of_known_suites_is_forecast() {
    let mut scores: Vec<(String, Score)> = Vec::new();
    let mut take = |name: String, cut: &Cut| {
        let at = scores.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| {
            scores.push((name, Score::default()));
            scores.len() - 1
        });
        scores[at].1.take(cut);
    };
    for seed in SETS {
        let suite = Suite::of(seed);
        for share in CUTS {
            let cut = suite.cut(share);
            take("all".to_owned(), &cut);
            take(format!("at {:.0} %", 100.0 * share), &cut);
            take(format!("{} workers", suite.workers), &cut);
            take(format!("{:?}", suite.growth), &cut);
            let known = match suite.has_history {
                true => "with history",
                false => "without history",
            };
            take(known.to_owned(), &cut);
            if (share - 0.5).abs() < 0.01 && cut.holds_nothing_unseen {
                take("at half, no spike unseen".to_owned(), &cut);
            }
        }
        if suite.has_history && suite.workers == 1 {
            take("before the job".to_owned(), &suite.cut(0.0));
        }
    }
    scores.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, score) in &scores {
        score.print(name);
    }
    let of = |name: &str| &scores.iter().find(|(known, _)| known == name).unwrap().1;
    let covered = of("all").coverage();
    assert!((0.85..=0.97).contains(&covered), "{covered}");
    for name in [
        "at 25 %",
        "at 50 %",
        "at 75 %",
        "with history",
        "without history",
        "1 workers",
        "4 workers",
    ] {
        let covered = of(name).coverage();
        assert!((0.80..=0.99).contains(&covered), "{name}: {covered}");
    }
    let usual = of("at half, no spike unseen");
    assert!(
        usual.sets > 50 && usual.within(0.1) >= 0.95,
        "{}",
        usual.within(0.1)
    );
}

fn steady(files: i64, each: i64) -> Vec<(Step, Option<Known>)> {
    let step = |at: i64| Step {
        path: format!("test_{at}.py"),
        before_bytes: (100 + at * each) * MB,
        after_bytes: (100 + (at + 1) * each) * MB,
        peak_bytes: (110 + (at + 1) * each) * MB,
        is_first: at == 0,
    };
    (0..files).map(|at| (step(at), None)).collect()
}

/// Files of which the first 5 keep 40 MiB each, and the others nothing.
fn five_that_keep(files: i64) -> Vec<(Step, Option<Known>)> {
    let held = |at: i64| 34 + 40 * at.min(5);
    let step = |at: i64| Step {
        path: format!("test_{at}.py"),
        before_bytes: held(at) * MB,
        after_bytes: held(at + 1) * MB,
        peak_bytes: held(at + 1) * MB,
        is_first: at == 0,
    };
    (0..files).map(|at| (step(at), None)).collect()
}

#[test]
fn the_first_files_alone_warn_of_nothing() {
    let limit = Limit {
        limit_bytes: 600 * MB,
        beside_bytes: 0,
    };
    for files in 7..=30 {
        let steps = five_that_keep(files);
        let ahead = vec![None; 60 - files as usize];
        let found = forecast(&seen(&steps), &ahead, &[limit]).unwrap();
        let Estimate { value, high, .. } = found.peak_bytes;
        let percent = found.crossings[0].unwrap().percent;
        assert!(percent < LIKELY, "after {files}: {percent} %");
        assert_eq!(value as i64 / MB, 234, "after {files}");
        if growth_of(&steps) == growth::Course::LevelsOff {
            assert_eq!(high as i64 / MB, 234, "after {files}");
        }
    }
}

/// As it is told beside the forecast.
fn growth_of(steps: &[(Step, Option<Known>)]) -> growth::Course {
    let point = |(at, (step, _)): (i64, &(Step, Option<Known>))| Point {
        t_us: at,
        bytes: step.after_bytes,
    };
    let points: Vec<Point> = (0..).zip(steps).map(point).collect();
    growth::of(&points).course
}

fn seen(steps: &[(Step, Option<Known>)]) -> Seen<'_> {
    let last = &steps[steps.len() - 1].0;
    Seen {
        steps,
        held_bytes: last.after_bytes,
        peak_bytes: last.peak_bytes,
        workers: 1,
    }
}

#[test]
fn what_is_the_same_for_each_file_is_forecast_to_the_file() {
    let steps = steady(40, 20);
    let limit = Limit {
        limit_bytes: 1_505 * MB,
        beside_bytes: 100 * MB,
    };
    let found = forecast(&seen(&steps), &[None; 45], &[limit]).unwrap();
    let Estimate { value, low, high } = found.peak_bytes;
    assert_eq!([value, low, high].map(|it| it as i64 / MB), [1_810; 3]);
    // 1,405 MB are left to the job: 110 MB and 20 MB a file make 65 files, of which 40 have ended.
    assert_eq!(
        found.crossings,
        [Some(Crossing {
            percent: 100,
            at: Some(24),
            low: Some(24),
            high: Some(24),
        })]
    );
}

#[test]
fn nothing_is_said_where_too_little_is_known_or_nothing_is_to_come() {
    let few = steady(LEAST_FILES as i64, 20);
    assert_eq!(forecast(&seen(&few), &[None; 9], &[]), None);
    let enough = steady(LEAST_FILES as i64 + 1, 20);
    assert!(forecast(&seen(&enough), &[None; 9], &[]).is_some());
    assert_eq!(forecast(&seen(&enough), &[], &[]), None);
    // History alone is enough for files that it knows.
    let known = Some(Known {
        retained_bytes: MB,
        above_bytes: 500 * MB,
    });
    let nothing = Seen {
        steps: &[],
        held_bytes: 100 * MB,
        peak_bytes: 100 * MB,
        workers: 1,
    };
    let found = forecast(&nothing, &[known; 3], &[]).unwrap().peak_bytes;
    assert!(found.low < found.high && (found.value / MB as f64 - 603.0).abs() < 60.0);
    assert_eq!(forecast(&nothing, &[known, None], &[]), None);
}

#[test]
fn a_file_that_history_knows_silences_no_forecast_of_several_workers() {
    let steps = steady(20, 20);
    let workers = Seen {
        workers: 2,
        ..seen(&steps)
    };
    let known = Some(Known {
        retained_bytes: 0,
        above_bytes: 0,
    });
    let strange = forecast(&workers, &[None, known, None], &[]).unwrap();
    assert_eq!(Some(strange), forecast(&workers, &[None; 3], &[]));
    // Before enough have ended nobody knows how they meet.
    let few = Seen {
        steps: &steps[..LEAST_FILES],
        ..workers
    };
    assert_eq!(forecast(&few, &[None, known, None], &[]), None);
}

#[test]
fn a_file_whose_tests_run_again_has_ended_once() {
    let mut steps = Steps::default();
    steps.collected("1 flaky.py\n1 next.py");
    let mut ended = |path, end_bytes| {
        steps.ended(&Ended {
            process: 1,
            path,
            start_bytes: 0,
            end_bytes,
            peak_bytes: end_bytes,
            tests: 1,
        })
    };
    let visits = [("flaky.py", 1), ("flaky.py", 4), ("next.py", 9)];
    let told: Vec<bool> = visits.map(|(path, bytes)| ended(path, bytes)).into();
    assert_eq!(told, [true, false, true]);
    let done: Vec<i64> = steps.done().iter().map(Step::retained_bytes).collect();
    assert_eq!(done, [1, 8]);
}

#[test]
fn a_limit_that_was_passed_is_no_forecast_and_one_out_of_reach_holds() {
    let steps = steady(20, 20);
    let limits = [400, 900_000].map(|limit| Limit {
        limit_bytes: limit * MB,
        beside_bytes: 0,
    });
    let found = forecast(&seen(&steps), &[None; 20], &limits).unwrap();
    let holds = Crossing {
        percent: 0,
        at: None,
        low: None,
        high: None,
    };
    assert_eq!(found.crossings, [None, Some(holds)]);
}

#[test]
fn figures_that_cannot_be_break_nothing() {
    let wild = |before_bytes, after_bytes, peak_bytes| Step {
        path: String::new(),
        before_bytes,
        after_bytes,
        peak_bytes,
        is_first: false,
    };
    let steps: Vec<_> = (0..12)
        .map(|at| match at % 3 {
            0 => wild(i64::MIN, i64::MAX, i64::MIN),
            1 => wild(i64::MAX, i64::MIN, i64::MAX),
            _ => wild(0, 0, i64::MAX),
        })
        .map(|step| {
            (
                step,
                Some(Known {
                    retained_bytes: i64::MAX,
                    above_bytes: i64::MIN,
                }),
            )
        })
        .collect();
    let found = forecast(
        &seen(&steps),
        &[None; 30],
        &[Limit {
            limit_bytes: i64::MIN,
            beside_bytes: i64::MIN,
        }],
    )
    .unwrap();
    let Estimate { value, low, high } = found.peak_bytes;
    assert!(low <= value && value <= high && low.is_finite() && high.is_finite());
}

#[test]
fn files_that_nobody_could_have_are_counted_to_a_bound() {
    let mut steps = Steps::default();
    steps.collected("3 a.py\n+18446744073709551615\n+18446744073709551615\n1 b.py");
    assert_eq!(steps.further(), 100_000);
}
