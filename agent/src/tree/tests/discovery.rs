//! How new processes are found.

use super::*;

#[test]
fn births_are_found_by_their_numbers_alone() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "sh");
    world.newest(200);
    let mut discovery = Discovery::begin(&world.tree, 200, 0);
    world.tree.adopt(200, vec![], 0).unwrap();
    assert_eq!(world.born(), [(200, AGENT)]);
    // A process whose number the counter has not reached would be found by a scan only.
    world.process(500, 200, 25, "unannounced");
    world.process(203, 200, 22, "child");
    world.newest(204);
    discovery.look(&mut world.tree, 50_000).unwrap();
    assert_eq!(world.born(), [(203, 200)]);
    // 204 had its number before it could be seen; the counter stands still meanwhile.
    world.process(204, 203, 23, "late");
    discovery.look(&mut world.tree, 100_000).unwrap();
    assert_eq!(world.born(), [(204, 203)]);
    // Now and then everything is looked at.
    discovery.look(&mut world.tree, 5_000_000).unwrap();
    assert_eq!(world.born(), [(500, 200)]);
}

#[test]
fn nobody_is_looked_for_while_nobody_was_born_since_all_were_looked_at() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "sh");
    world.newest(200);
    let mut discovery = Discovery::begin(&world.tree, 200, 0);
    world.tree.adopt(200, vec![], 0).unwrap();
    let mut until_us = |world: &mut World, from_us: i64, to_us: i64| {
        for t_us in (from_us..to_us).step_by(50_000) {
            discovery.look(&mut world.tree, t_us).unwrap();
        }
        world.born()
    };
    // The first look at all came at 5 s.
    until_us(&mut world, 0, 6_000_000);
    // A number that the counter does not tell, so that only a look at all would betray it.
    world.process(500, 200, 25, "unannounced");
    assert_eq!(until_us(&mut world, 6_000_000, 30_000_000), []);
    world.process(201, 200, 26, "child");
    world.newest(201);
    assert_eq!(
        until_us(&mut world, 30_000_000, 40_000_000),
        [(201, 200), (500, 200)]
    );
    // One whose number came shortly before a look at all may not have been there yet.
    world.newest(202);
    until_us(&mut world, 40_000_000, 40_050_000);
    world.process(501, 200, 27, "unannounced");
    assert_eq!(until_us(&mut world, 40_050_000, 50_000_000), [(501, 200)]);
}

#[test]
fn in_the_calm_a_birth_is_seen_within_a_tenth_of_a_second() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "sh");
    world.newest(200);
    let mut discovery = Discovery::begin(&world.tree, 200, 0);
    world.tree.adopt(200, vec![], 0).unwrap();
    for t_us in (0..10_000_000).step_by(50_000) {
        discovery.look(&mut world.tree, t_us).unwrap();
    }
    world.born();
    for (pid, born_us) in [(203, 10_000_000), (204, 20_000_000), (205, 30_050_000)] {
        let quiet = (born_us - 9_000_000..born_us).step_by(50_000);
        quiet.for_each(|t_us| discovery.look(&mut world.tree, t_us).unwrap());
        world.process(pid, 200, 22, "child");
        world.newest(pid);
        discovery.look(&mut world.tree, born_us).unwrap();
        discovery.look(&mut world.tree, born_us + 50_000).unwrap();
        assert_eq!(world.born(), [(pid, 200)]);
    }
    // And the one after it at once.
    world.process(206, 200, 22, "child");
    world.newest(206);
    discovery.look(&mut world.tree, 30_150_000).unwrap();
    assert_eq!(world.born(), [(206, 200)]);
}

#[test]
fn numbers_that_begin_anew_lead_to_a_scan() {
    let mut world = World::new();
    world.process(30_000, AGENT, 20, "sh");
    world.newest(30_000);
    let mut discovery = Discovery::begin(&world.tree, 30_000, 0);
    world.tree.adopt(30_000, vec![], 0).unwrap();
    world.process(310, 30_000, 30, "after-the-wrap");
    world.newest(310);
    discovery.look(&mut world.tree, 50_000).unwrap();
    assert_eq!(world.born(), [(30_000, AGENT), (310, 30_000)]);
}

#[test]
fn a_counter_that_cannot_be_believed_is_not_used() {
    // The host's numbers, a constant, and none at all.
    for loadavg in ["0 0 0 1/9 2000000\n", "0 0 0 0/0 0\n", "nothing\n"] {
        let mut world = World::new();
        world.process(200, AGENT, 20, "sh");
        world.write("loadavg", loadavg);
        let mut discovery = Discovery::begin(&world.tree, 200, 0);
        world.process(203, 200, 22, "child");
        discovery.look(&mut world.tree, 50_000).unwrap();
        let mut born = world.born();
        born.sort_unstable();
        assert_eq!(born, [(200, AGENT), (203, 200)], "{loadavg:?}");
    }
}

#[test]
fn lists_of_children_are_followed_where_the_kernel_has_them() {
    let mut world = World::new();
    world.write("loadavg", "0 0 0 0/0 0\n");
    world.process(200, AGENT, 20, "sh");
    world.process(203, 200, 22, "child");
    // Not listed, so that a scan would be betrayed.
    world.process(204, 200, 22, "unlisted");
    world.write(&format!("{AGENT}/task/{AGENT}/children"), "200 ");
    world.write("200/task/200/children", "");
    world.write("200/task/207/children", "203 ");
    let mut discovery = Discovery::begin(&world.tree, 200, 0);
    discovery.look(&mut world.tree, 50_000).unwrap();
    assert_eq!(world.born(), [(200, AGENT), (203, 200)]);
}
