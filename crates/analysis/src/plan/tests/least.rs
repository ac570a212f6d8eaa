//! Files that fit only behind others that give back.

use super::*;

#[test]
fn the_least_budget_is_nearly_always_found() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut cases, mut found) = (0, 0);
    for _ in 0..300 {
        let files = files().new_tree(&mut runner).unwrap().current();
        let wanted = Wanted {
            budget_bytes: 10,
            jobs: None,
        };
        if let Plan::Infeasible { least_bytes, .. } = cut(0, &files, wanted) {
            cases += 1;
            found += usize::from(fewest_jobs(0, &files, least_bytes - 1) == usize::MAX);
        }
    }
    println!("the least budget was found in {found} of {cases} suites");
    assert!(
        cases > 200 && found * 100 >= cases * 99,
        "{found} of {cases}"
    );
}

#[test]
fn a_file_that_needs_more_than_the_budget_runs_behind_one_that_gives_back() {
    let files = [
        file("heavy", 500, 10, 1),
        file("gives", 20, -150, 1),
        file("gives little", 5, -1, 1),
        file("light", 30, 20, 1),
    ];
    let at = |budget_bytes| {
        let wanted = Wanted {
            budget_bytes,
            jobs: None,
        };
        cut(200, &files, wanted)
    };
    let Plan::Shards(shards) = at(551) else {
        panic!("it fits behind what gives back");
    };
    let with = |path: &str| {
        let mut shards = shards.iter();
        shards.position(|shard| shard.files.iter().any(|file| file.path == path))
    };
    assert_eq!(with("heavy"), with("gives"));
    assert!(shards.iter().all(|shard| shard.peak_bytes <= 551));
    let least = Plan::Infeasible {
        path: "heavy".to_owned(),
        with: 0,
        alone_bytes: 700,
        least_bytes: 549,
    };
    assert_eq!(at(548), least);
    assert!(matches!(at(549), Plan::Shards(_)));
}
