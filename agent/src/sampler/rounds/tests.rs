use super::*;
use crate::{procfs::Procfs, sampler::slow::Round, tree::Tree};

/// A tree with so many living members, first seen at 0: this process stands in for all of them.
fn members(count: usize) -> Tree {
    let mut tree = Tree::new(Procfs::system(), 1, 4096);
    for _ in 0..count {
        tree.adopt(std::process::id(), vec!["x".to_owned()], 0)
            .unwrap();
    }
    tree
}

const MB: u64 = 1 << 20;
const PSS: Option<Round> = Some(Round::Pss { swap: false });

#[test]
fn the_first_round_comes_when_newcomers_have_settled() {
    let tree = members(2);
    let mut rounds = Rounds::default();
    let cost = Cost::default();
    assert_eq!(rounds.due(50_000, MB, tree.members(), &cost), None);
    assert_eq!(rounds.due(300_000, MB, tree.members(), &cost), PSS);
}

#[test]
fn a_new_maximum_is_worth_a_round_within_the_budget() {
    let mut tree = members(2);
    tree.members_mut()
        .iter_mut()
        .for_each(|member| member.has_pss = true);
    let mut rounds = Rounds::default();
    let cost = Cost::default();
    assert_eq!(rounds.due(0, 100 * MB, tree.members(), &cost), PSS);
    // It took 5.4 ms of CPU time, of which 5 were saved: none before 2 s have passed, whatever happens.
    cost.finish(5_400);
    assert_eq!(rounds.due(1_999_999, 200 * MB, tree.members(), &cost), None);
    assert_eq!(
        rounds.due(2_000_000, 109 * MB, tree.members(), &cost),
        None,
        "not 10 % more"
    );
    assert_eq!(rounds.due(2_000_000, 111 * MB, tree.members(), &cost), PSS);
    cost.finish(1);
    assert_eq!(
        rounds.due(2_100_000, 50 * MB, tree.members(), &cost),
        None,
        "no maximum and too soon"
    );
    assert_eq!(
        rounds.due(4_000_000, 50 * MB, tree.members(), &cost),
        PSS,
        "now and then without a reason"
    );
}

#[test]
fn rounds_without_a_reason_keep_twice_the_distance() {
    let mut tree = members(2);
    tree.members_mut()
        .iter_mut()
        .for_each(|member| member.has_pss = true);
    let mut rounds = Rounds::default();
    let cost = Cost::default();
    assert_eq!(rounds.due(2_000_000, MB, tree.members(), &cost), PSS);
    cost.finish(5_200);
    assert_eq!(rounds.due(53_000_000, MB, tree.members(), &cost), None);
    assert_eq!(rounds.due(54_000_000, MB, tree.members(), &cost), PSS);
}

#[test]
fn a_process_alone_is_not_stalled_for_its_pss() {
    let tree = members(1);
    let mut rounds = Rounds::default();
    let cost = Cost::default();
    assert_eq!(rounds.due(9_000_000, 900 * MB, tree.members(), &cost), None);
    rounds.has_swap = true;
    assert_eq!(
        rounds.due(9_000_000, 900 * MB, tree.members(), &cost),
        Some(Round::Swap)
    );
}

#[test]
fn one_round_at_a_time() {
    let tree = members(2);
    let mut rounds = Rounds::default();
    let cost = Cost::default();
    cost.busy.store(true, std::sync::atomic::Ordering::Release);
    assert_eq!(rounds.due(9_000_000, MB, tree.members(), &cost), None);
}

#[test]
fn over_a_long_time_rounds_take_their_share_and_no_more() {
    let mut tree = members(2);
    let mut rounds = Rounds::default();
    let cost = Cost::default();
    let (mut spent, mut sum) = (0, MB);
    for now_us in (0..600_000_000).step_by(50_000) {
        sum += sum / 1_000;
        sum = if sum > 1 << 40 { MB } else { sum };
        if rounds.due(now_us, sum, tree.members(), &cost).is_some() {
            tree.members_mut()
                .iter_mut()
                .for_each(|member| member.has_pss = true);
            let took = 40 + now_us % 20_000;
            cost.finish(took);
            spent += took;
        }
    }
    assert!(
        spent > 0 && spent as f64 <= 610e6 * ROUNDS_SHARE + 20_000.0,
        "{spent}"
    );
}
