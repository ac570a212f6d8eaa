use proptest::{prelude::*, strategy::ValueTree as _};

use super::*;

mod hints;
mod least;

fn file(path: &str, spike_bytes: i64, retained_bytes: i64, duration_us: i64) -> File {
    File {
        path: path.to_owned(),
        spike_bytes,
        retained_bytes,
        duration_us,
    }
}

/// Cut for one process a job, of files that may be apart.
fn cut(base_bytes: i64, files: &[File], wanted: Wanted) -> Plan {
    super::cut(Ground::alone(base_bytes), files, &[], wanted)
}

fn files() -> impl Strategy<Value = Vec<File>> {
    let one = (0..100_i64, -60..80_i64, 1..50_i64);
    proptest::collection::vec(one, 1..7).prop_map(|rows| {
        let file = |(at, (spike, retained, duration)): (usize, &(i64, i64, i64))| {
            file(&format!("t{at}"), *spike, *retained, *duration)
        };
        rows.iter().enumerate().map(file).collect()
    })
}

/// Each order of some files.
fn orders(files: &[File]) -> Vec<Vec<File>> {
    if files.len() < 2 {
        return vec![files.to_vec()];
    }
    let first = |at: usize| {
        let mut rest = files.to_vec();
        let file = rest.remove(at);
        orders(&rest).into_iter().map(move |mut order| {
            order.insert(0, file.clone());
            order
        })
    };
    (0..files.len()).flat_map(first).collect()
}

/// The fewest jobs, by trying each way to cut.
fn fewest_jobs(base: i64, files: &[File], budget: i64) -> usize {
    fn place(base: i64, rest: &[File], budget: i64, bins: &mut Vec<Vec<File>>, best: &mut usize) {
        let Some((file, rest)) = rest.split_first() else {
            let fits = bins.iter().all(|bin| {
                let mut bin = bin.clone();
                order(&mut bin);
                peak(base, &bin) <= budget
            });
            if fits {
                *best = bins.len().min(*best);
            }
            return;
        };
        for at in 0..bins.len() {
            bins[at].push(file.clone());
            place(base, rest, budget, bins, best);
            bins[at].pop();
        }
        bins.push(vec![file.clone()]);
        place(base, rest, budget, bins, best);
        bins.pop();
    }
    let mut best = usize::MAX;
    place(base, files, budget, &mut Vec::new(), &mut best);
    best
}

proptest! {
    #[test]
    fn no_order_has_a_lower_peak(files in files()) {
        let mut ordered = files.clone();
        order(&mut ordered);
        let least = orders(&files).iter().map(|order| peak(7, order)).min();
        prop_assert_eq!(Some(peak(7, &ordered)), least);
    }

    #[test]
    fn each_file_is_in_one_job_inside_the_budget(files in files(), budget in 100..300_i64) {
        match cut(7, &files, Wanted { budget_bytes: budget, jobs: None }) {
            Plan::Shards(shards) => {
                let mut cut: Vec<&str> = shards.iter().flat_map(|it| &it.files).map(|it| it.path.as_str()).collect();
                cut.sort_unstable();
                prop_assert_eq!(cut, files.iter().map(|it| it.path.as_str()).collect::<Vec<_>>());
                for shard in &shards {
                    prop_assert_eq!(peak(7, &shard.files), shard.peak_bytes);
                    prop_assert!(shard.peak_bytes <= budget);
                }
                // Never more than one job above what is possible.
                prop_assert!(shards.len() <= fewest_jobs(7, &files, budget) + 1);
            }
            Plan::Infeasible { path, alone_bytes, least_bytes, .. } => {
                prop_assert!(budget < least_bytes && least_bytes <= alone_bytes);
                let alone: Vec<File> = files.iter().filter(|it| it.path == path).cloned().collect();
                prop_assert_eq!(peak(7, &alone), alone_bytes);
                // Who follows it gets a plan.
                let followed = cut(7, &files, Wanted { budget_bytes: least_bytes, jobs: None });
                prop_assert!(matches!(followed, Plan::Shards(_)), "{:?}", followed);
            }
            Plan::TooFew { .. } => prop_assert!(false, "any number was allowed"),
        }
    }

    #[test]
    fn no_share_among_workers_and_no_order_leads_higher(files in files(), workers in 2..4_u32, set_up_bytes in 0..90_i64, seed in 0..u64::MAX) {
        let ground = Ground { base_bytes: 7, set_up_bytes, controller_bytes: 3, workers };
        let most = ground.peak(&files);
        // Each worker takes the next file when it likes: at each moment it stands between two files, or runs one, with the first of which it may set up what
        // files share.
        let mut chance = seed;
        let mut pick = |below: usize| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(chance >> 33).unwrap() % below
        };
        let mut left: Vec<&File> = files.iter().collect();
        let mut levels = vec![7; workers as usize];
        let mut runs: Vec<Option<(&File, i64)>> = vec![None; workers as usize];
        let mut needs_set_up = vec![set_up_bytes; workers as usize];
        loop {
            let needed = |(file, set_up): (&File, i64)| top(file).max(set_up);
            let now: i64 = levels.iter().zip(&runs).map(|(level, run)| level + run.map_or(0, needed)).sum();
            prop_assert!(3 + now <= most, "{} {most}", 3 + now);
            let at = pick(levels.len());
            match runs[at].take() {
                Some((file, _)) => levels[at] += file.retained_bytes,
                None if !left.is_empty() => {
                    let set_up = std::mem::take(&mut needs_set_up[at]);
                    runs[at] = Some((left.remove(pick(left.len())), set_up));
                }
                None if runs.iter().all(Option::is_none) => break,
                None => {}
            }
        }
    }

    #[test]
    fn what_stays_together_is_in_one_job(files in files(), budget in 100..300_i64) {
        let group = |places: &[usize]| Group { globs: Vec::new(), files: places.iter().copied().filter(|at| *at < files.len()).collect() };
        let groups = [group(&[0, 2, 4]), group(&[1])];
        match super::cut(Ground::alone(7), &files, &groups, Wanted { budget_bytes: budget, jobs: None }) {
            Plan::Shards(shards) => {
                let count: usize = shards.iter().map(|it| it.files.len()).sum();
                prop_assert_eq!(count, files.len());
                prop_assert!(shards.iter().all(|it| it.peak_bytes <= budget && peak(7, &it.files) == it.peak_bytes));
                let has = |path: &str| shards.iter().position(|it| it.files.iter().any(|it| it.path == path));
                for other in ["t2", "t4"] {
                    prop_assert!(has(other).is_none() || has(other) == has("t0"));
                }
            }
            Plan::Infeasible { with, least_bytes, .. } => prop_assert!(least_bytes > budget && with <= 2),
            Plan::TooFew { .. } => prop_assert!(false, "any number was allowed"),
        }
    }
}

#[test]
fn what_files_share_is_set_up_before_the_first() {
    let files = [file("a", 50, 10, 4), file("b", 20, 10, 3)];
    let ground = |set_up_bytes| Ground {
        set_up_bytes,
        ..Ground::alone(100)
    };
    for (set_up_bytes, expected) in [(0, 150), (50, 150), (70, 170)] {
        assert_eq!(ground(set_up_bytes).peak(&files), expected);
        let wanted = Wanted {
            budget_bytes: 1_000,
            jobs: None,
        };
        let Plan::Shards(shards) = super::cut(ground(set_up_bytes), &files, &[], wanted) else {
            panic!("it fits");
        };
        assert_eq!(shards[0].peak_bytes, expected);
    }
}

#[test]
fn workers_share_the_time_and_each_has_a_base() {
    let files = [
        file("a", 50, 10, 4),
        file("b", 20, 10, 3),
        file("c", 5, 0, 2),
    ];
    let two = Ground {
        base_bytes: 100,
        set_up_bytes: 0,
        controller_bytes: 30,
        workers: 2,
    };
    // 230 stand there, 20 stay, and a and b may spike at once.
    assert_eq!(two.peak(&files), 230 + 20 + 40 + 10);
    assert_eq!(two.duration_us(&files), 5);
    let many = Ground {
        workers: 1_000,
        ..two
    };
    assert_eq!(
        (many.peak::<File>(&[]), many.duration_us(&files)),
        (100_030, 4)
    );
    let wanted = Wanted {
        budget_bytes: 299,
        jobs: None,
    };
    let Plan::Shards(shards) = super::cut(two, &files, &[], wanted) else {
        panic!("it fits");
    };
    assert_eq!(shards.len(), 2);
    let least = Plan::Infeasible {
        path: "a".to_owned(),
        with: 0,
        alone_bytes: 280,
        least_bytes: 280,
    };
    let tight = Wanted {
        budget_bytes: 279,
        ..wanted
    };
    assert_eq!(super::cut(two, &files, &[], tight), least);
}

#[test]
fn the_fewest_jobs_are_nearly_always_found() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut cases, mut found) = (0, 0);
    for _ in 0..400 {
        let files = files().new_tree(&mut runner).unwrap().current();
        let wanted = Wanted {
            budget_bytes: 160,
            jobs: None,
        };
        if let Plan::Shards(shards) = cut(0, &files, wanted) {
            cases += 1;
            found += usize::from(shards.len() == fewest_jobs(0, &files, 160));
        }
    }
    println!("the fewest jobs were found in {found} of {cases} suites");
    assert!(found * 100 >= cases * 99, "{found} of {cases}");
}

#[test]
fn eighty_five_files_of_forty_megabytes_in_a_budget_of_three_gigabytes() {
    let files: Vec<File> = (0..85)
        .map(|at| file(&format!("test_{at:02}.py"), 45, 40, 1_000_000 + at * 10_000))
        .collect();
    let wanted = Wanted {
        budget_bytes: 2_000,
        jobs: None,
    };
    let Plan::Shards(shards) = cut(300, &files, wanted) else {
        panic!("it fits");
    };
    // 1,700 MB are room for 42 files; 85 need three jobs.
    assert_eq!(shards.len(), 3);
    let (shortest, longest) = (shards.last().unwrap().duration_us, shards[0].duration_us);
    assert!(longest - shortest <= 1_000_000, "{shortest} and {longest}");
}

#[test]
fn room_is_left_below_the_budget_where_it_takes_no_more_jobs_and_little_time() {
    let wanted = |budget_bytes| Wanted {
        budget_bytes,
        jobs: None,
    };
    let peaks = |files: &[File], budget_bytes| match cut(0, files, wanted(budget_bytes)) {
        Plan::Shards(shards) => shards.iter().map(|it| it.peak_bytes).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    // All of what takes time retains little, so alike durations alone would fill one job to the brim.
    let mut files: Vec<File> = (0..10)
        .map(|at| file(&format!("{at}"), 10, 10, 2))
        .collect();
    files.extend([file("x", 1, 1, 10), file("y", 1, 1, 10)]);
    assert!(peaks(&files, 100).iter().all(|peak| *peak <= 90));
    // Two jobs of 96 take all of 192: no room is to be had.
    let heavy: Vec<File> = (0..6).map(|at| file(&format!("{at}"), 32, 32, 1)).collect();
    assert_eq!(peaks(&heavy, 100), [96, 96]);
    // What takes all the time would not be apart.
    let slow = [
        file("a", 46, 46, 9),
        file("b", 46, 46, 9),
        file("c", 46, 46, 1),
    ];
    assert_eq!(peaks(&slow, 100), [92, 46]);
}

#[test]
fn a_budget_that_one_file_passes_is_infeasible_with_the_least_that_is_not() {
    let files = [file("a", 10, 5, 1), file("b", 500, 0, 1)];
    let wanted = Wanted {
        budget_bytes: 300,
        jobs: None,
    };
    let least = Plan::Infeasible {
        path: "b".to_owned(),
        with: 0,
        alone_bytes: 600,
        least_bytes: 600,
    };
    assert_eq!(cut(100, &files, wanted), least);
}

#[test]
fn too_few_jobs_are_told_with_how_many_it_takes() {
    let files: Vec<File> = (0..10)
        .map(|at| file(&format!("{at}"), 40, 40, 1))
        .collect();
    let wanted = |jobs| Wanted {
        budget_bytes: 200,
        jobs: Some(jobs),
    };
    assert_eq!(cut(0, &files, wanted(1)), Plan::TooFew { least_jobs: 2 });
    assert!(matches!(cut(0, &files, wanted(4)), Plan::Shards(shards) if shards.len() == 4));
    assert_eq!(cut(0, &[], wanted(4)), Plan::Shards(Vec::new()));
}

#[test]
fn thousands_of_files_are_cut_too() {
    let files: Vec<File> = (0..3_000_i64)
        .map(|at| {
            let retained = 1 + at * 37 % 60;
            file(
                &format!("test_{at}.py"),
                20 + at * 91 % 400,
                retained,
                1_000 + at * 7919 % 90_000,
            )
        })
        .collect();
    let wanted = Wanted {
        budget_bytes: 9_000,
        jobs: None,
    };
    let Plan::Shards(shards) = cut(300, &files, wanted) else {
        panic!("each fits alone");
    };
    let light: Vec<File> = files
        .iter()
        .map(|it| file(&it.path, 5, 0, it.duration_us))
        .collect();
    let twenty = Wanted {
        jobs: Some(20),
        ..wanted
    };
    assert!(matches!(cut(300, &light, twenty), Plan::Shards(shards) if shards.len() == 20));
    let retained: i64 = files.iter().map(|file| file.retained_bytes).sum();
    let fewest = usize::try_from(retained / 8_700 + 1).unwrap();
    assert!(
        (fewest..=fewest + 1).contains(&shards.len()),
        "{} for {fewest}",
        shards.len()
    );
    assert!(shards.iter().all(|shard| shard.peak_bytes <= 9_000));
    let [longest, .., shortest] = &shards[..] else {
        panic!("{}", shards.len());
    };
    assert!(
        longest.duration_us * 9 <= shortest.duration_us * 10,
        "{} {}",
        longest.duration_us,
        shortest.duration_us
    );
}

#[test]
fn jobs_that_were_asked_for_have_files_and_about_the_same_time() {
    let mut files: Vec<File> = (0..10).map(|at| file(&format!("{at}"), 3, 0, 5)).collect();
    files.push(file("long", 3, 0, 100));
    let wanted = Wanted {
        budget_bytes: 500,
        jobs: Some(5),
    };
    let Plan::Shards(shards) = cut(0, &files, wanted) else {
        panic!("it fits");
    };
    let times: Vec<i64> = shards.iter().map(|shard| shard.duration_us).collect();
    assert_eq!(times, [100, 15, 15, 10, 10]);
}

#[test]
fn of_a_base_only_parts_that_are_something_are_told() {
    let told = |imported_bytes, shared_bytes| {
        let refusal = Refusal::Infeasible {
            is_guessed: false,
            limit: None,
            path: "a.py".to_owned(),
            with: 0,
            budget_bytes: 1,
            idle_bytes: 90 << 20,
            each: Each {
                workers: 1,
                imported_bytes,
                shared_bytes,
            },
            alone_bytes: 100 << 20,
            bare_bytes: 40 << 20,
            least_bytes: 100 << 20,
        };
        refusal.to_string()
    };
    let both = told(40 << 20, 20 << 20);
    assert!(
        both.contains("(among it 40.0 MiB for the imports of all test files and 20.0 MiB for fixtures of the session: a job"),
        "{both}"
    );
    let one = told(40 << 20, 0);
    assert!(
        one.contains("(among it 40.0 MiB for the imports of all test files: a job"),
        "{one}"
    );
    assert!(one.ends_with("so that is the least budget (104857600 bytes) with everything that the suite imports and shares; how much of that the files need is not recorded, and without any it is at least 40.0 MiB"), "{one}");
    let none = told(0, 0);
    assert!(
        !none.contains("among it") && none.ends_with("(104857600 bytes)"),
        "{none}"
    );
}

/// A job that passed, to be planned.
fn planned(facts: &Facts, asked: &Asked) -> Result<highwater_wire::report::PlanReport, Refusal> {
    report(&crate::samples::job(), facts, asked)
}

#[test]
fn a_file_whose_name_can_stand_in_no_plan_is_named_and_the_others_are_planned() {
    let mut facts = Facts {
        files: vec![
            file("test_\n.py", 5, 5, 1),
            file("b", 1, 1, 1),
            file("c", 1, 1, 1),
        ],
        ..Facts::default()
    };
    let asked = Asked {
        budget_bytes: Some(3),
        together: vec!["c".to_owned(), "b".to_owned()],
        ..Asked::default()
    };
    let plan = planned(&facts, &asked).unwrap();
    let [job] = &plan.jobs[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(
        (&job.files[..], plan.together.len()),
        (&["b".to_owned(), "c".to_owned()][..], 2)
    );
    assert_eq!(plan.left_out, ["test_\n.py"]);
    assert!(plan.is_whole());
    // What else could be done is done with all of them.
    assert_eq!(plan.alternatives[0].predicted.peak_bytes, 7);
    facts.files.truncate(1);
    let why = planned(
        &facts,
        &Asked {
            together: Vec::new(),
            ..asked
        },
    )
    .unwrap_err()
    .to_string();
    assert!(
        why.starts_with("\"test_\\n.py\": the name of this test file"),
        "{why}"
    );
}

#[test]
fn of_fewer_jobs_than_were_asked_for_it_is_told_why() {
    let facts = Facts {
        files: ["a", "b1", "b2"].map(|path| file(path, 1, 1, 1)).into(),
        ..Facts::default()
    };
    let told = |jobs, together: &[&str]| {
        let asked = Asked {
            budget_bytes: Some(9),
            jobs: Some(jobs),
            workers: None,
            together: together.iter().map(|it| (*it).to_owned()).collect(),
        };
        notes::fewer(&planned(&facts, &asked).unwrap())
    };
    assert_eq!(told(3, &[]), None);
    for (together, says) in [
        (
            &[][..],
            "7 jobs were asked for and 3 made: each has a test file at least, and there are no more",
        ),
        (
            &["b*"],
            "7 jobs were asked for and 2 made: each has a test file at least, and there are no more that need not stay together",
        ),
    ] {
        assert_eq!(told(7, together).as_deref(), Some(says));
    }
    let mut plan = planned(
        &facts,
        &Asked {
            budget_bytes: Some(9),
            ..Asked::default()
        },
    )
    .unwrap();
    assert_eq!(notes::fewer(&plan), None);
    plan.jobs_asked = Some(2);
    let why = notes::fewer(&plan).unwrap();
    assert!(
        why.ends_with("no cut into more was found that has a file in each"),
        "{why}"
    );
}

#[test]
fn what_a_file_needs_at_least_is_told_without_the_imports_of_others() {
    let facts = Facts {
        base_bytes: 100 << 20,
        set_up_bytes: 90 << 20,
        imported_bytes: 40 << 20,
        controller_bytes: 30 << 20,
        shared: vec![("shared".to_owned(), 20 << 20)],
        files: vec![
            file("a", 50 << 20, 60 << 20, 1),
            file("b", 80 << 20, 0, 1),
            file("c", 1 << 20, 70 << 20, 1),
        ],
        ..Facts::default()
    };
    let told = |together: &[&str], workers| {
        let asked = Asked {
            budget_bytes: Some(1 << 20),
            jobs: None,
            workers,
            together: together.iter().map(|it| (*it).to_owned()).collect(),
        };
        match planned(&facts, &asked).unwrap_err() {
            Refusal::Infeasible { bare_bytes, .. } => bare_bytes >> 20,
            other => panic!("{other}"),
        }
    };
    assert_eq!(told(&[], None), 30 + 80);
    assert_eq!(told(&["a", "b"], None), 30 + 80);
    assert_eq!(told(&["?"], None), 30 + 60 + 70);
    assert_eq!(told(&[], Some(2)), 3 * 30 + 80);
}

#[test]
fn the_page_of_the_figures_says_what_the_constants_are() {
    const PAGE: &str = include_str!("../../../../docs/ANALYSIS.md");
    let most = eased::MOST_LOOKED_AT;
    let (part, workers) = (alternatives::LEAST_SHARED_PART, alternatives::USUAL_WORKERS);
    for told in [
        format!("is {:.0} % of the limit that has least left", SHARE * 100.0),
        format!("the peak as recorded over {SHARE}"),
        format!("from a {part}th of the budget on"),
        format!("As an alternative {workers} workers are told of"),
        format!("more than {} of what all retained", given::LEAST_SHARE),
        format!(
            "into {} and {} of the budget",
            fit::SHARES[0],
            fit::SHARES[1]
        ),
        format!(
            "at most {} times as long or {} s longer",
            fit::LONGER,
            fit::LONGER_S
        ),
        format!("Up to {most} files that pass the budget alone are tried behind the {most} that"),
    ] {
        assert!(
            PAGE.contains(&told),
            "docs/ANALYSIS.md does not say {told:?}"
        );
    }
}
