use std::fs;

use tempfile::TempDir;

use super::*;

const AGENT: u32 = 100;

/// A `/proc` of real files, and a tree that watches it.
struct World {
    root: TempDir,
    tree: Tree,
}

impl World {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let tree = Tree::new(Procfs::new(root.path()), AGENT, 4096);
        let mut world = Self { root, tree };
        world.process(1, 0, 1, "init");
        world.process(AGENT, 1, 10, "highwater");
        world.newest(AGENT);
        world
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn process(&mut self, pid: u32, parent: u32, start: u64, command: &str) {
        let zeros = "0 ".repeat(17);
        let rest = format!("{zeros}{start} {}17 0", "0 ".repeat(15));
        self.write(
            &format!("{pid}/stat"),
            &format!("{pid} ({command}) S {parent} {rest}\n"),
        );
        self.write(&format!("{pid}/statm"), "10 5 1 1 0 1 0\n");
        self.write(&format!("{pid}/cmdline"), &format!("{command}\0-x\0"));
    }

    fn thread(&self, tid: u32, parent: u32) {
        let rest = format!("{}7 {}-1 0", "0 ".repeat(17), "0 ".repeat(15));
        self.write(
            &format!("{tid}/stat"),
            &format!("{tid} (t) S {parent} {rest}\n"),
        );
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.root.path().join(pid.to_string())).unwrap();
    }

    fn newest(&self, pid: u32) {
        self.write("loadavg", &format!("0.0 0.0 0.0 1/9 {pid}\n"));
    }

    fn born(&mut self) -> Vec<(u32, u32)> {
        let births = self.tree.take_events().filter_map(|event| match event {
            TreeEvent::Born(birth) => Some((birth.key.pid, birth.parent_pid)),
            TreeEvent::Renamed { .. } | TreeEvent::Gone { .. } => None,
        });
        births.collect()
    }
}

#[test]
fn descendants_are_members_and_nobody_else_is() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "sh");
    world.process(201, 200, 21, "pytest");
    world.process(202, 201, 22, "worker");
    world.process(300, 1, 20, "other");
    world.process(301, 300, 21, "others-child");
    // From the leaf: those between are found on the way, parents first.
    assert!(world.tree.consider(202, 0).unwrap());
    assert_eq!(world.born(), [(200, AGENT), (201, 200), (202, 201)]);
    assert!(world.tree.consider(301, 0).unwrap());
    assert!(
        !world.tree.consider(999, 0).unwrap(),
        "there is no such process"
    );
    assert_eq!(world.born(), []);
}

#[test]
fn a_thread_is_no_process() {
    let mut world = World::new();
    world.thread(250, AGENT);
    world.tree.consider(250, 0).unwrap();
    assert_eq!(world.born(), []);
}

#[test]
fn an_orphan_stays_and_keeps_the_parent_it_was_seen_with() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "sh");
    world.process(201, 200, 21, "daemon");
    world.tree.consider(201, 0).unwrap();
    assert_eq!(world.born(), [(200, AGENT), (201, 200)]);
    // The shell ends; its child becomes the agent's.
    world.end(200);
    world.process(201, AGENT, 21, "daemon");
    world.write("200/statm", "0 0 0 0 0 0 0\n");
    for member in world.tree.members_mut() {
        // The open file of the first is still the one from before: a fake tree cannot say ESRCH.
        member.ended = member.key.pid == 200;
    }
    world.tree.bury();
    assert_eq!(
        world
            .tree
            .members()
            .iter()
            .map(|member| member.key.pid)
            .collect::<Vec<_>>(),
        [201]
    );
    world.tree.consider(201, 1).unwrap();
    let events: Vec<_> = world.tree.take_events().collect();
    let gone = ProcessKey {
        pid: 200,
        start_ticks: 20,
    };
    assert_eq!(events, [TreeEvent::Gone { key: gone }]);
}

#[test]
fn a_number_used_again_is_another_process() {
    let mut world = World::new();
    world.process(200, 1, 20, "other");
    world.tree.consider(200, 0).unwrap();
    assert_eq!(world.born(), []);
    // What was an outsider's number is now a child's.
    world.process(200, AGENT, 30, "sh");
    world.tree.consider(200, 1).unwrap();
    assert_eq!(world.born(), [(200, AGENT)]);
    assert_eq!(world.tree.members()[0].key.start_ticks, 30);
}

#[test]
fn a_new_program_is_noticed_by_the_size_of_its_code_or_soon_after() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "python");
    world.tree.consider(200, 0).unwrap();
    world.tree.members_mut()[0].read().unwrap();
    world.born();
    world.write("200/cmdline", "sleep\x001\0");
    world.tree.refresh_commands(100).unwrap();
    assert_eq!(
        world.tree.take_events().count(),
        0,
        "nothing gave reason to look"
    );
    world.write("200/statm", "10 5 1 9 0 1 0\n");
    world.tree.members_mut()[0].read().unwrap();
    world.tree.refresh_commands(200).unwrap();
    let renamed = |events: Vec<TreeEvent>| match events.as_slice() {
        [TreeEvent::Renamed { words, .. }] => words.join(" "),
        other => panic!("{other:?}"),
    };
    let events = world.tree.take_events().collect();
    assert_eq!(renamed(events), "sleep 1");
    // The same interpreter with another script.
    world.write("200/cmdline", "python\0b.py\0");
    world.tree.refresh_commands(1_100_000).unwrap();
    let events = world.tree.take_events().collect();
    assert_eq!(renamed(events), "python b.py");
}

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

#[test]
fn the_jobs_own_children_do_not_wait_for_the_births_of_others() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "sh");
    world.newest(200);
    world.write(&format!("{AGENT}/task/{AGENT}/children"), "200 ");
    world.write("200/task/200/children", "");
    let mut discovery = Discovery::begin(&world.tree, 200, 0);
    world.tree.adopt(200, vec![], 0).unwrap();
    assert_eq!(world.born(), [(200, AGENT)]);
    // So many are born elsewhere that each look is at everything, until the share for it is used up.
    let mut newest = 200;
    let mut burst = |world: &mut World| {
        newest += 100;
        assert!(newest < 1_000_000, "the share is never used up");
        let unlisted = newest;
        world.process(unlisted, 200, 30, "unlisted");
        world.newest(newest);
        discovery.look(&mut world.tree, 50_000).unwrap();
        world.born().contains(&(unlisted, 200))
    };
    while burst(&mut world) {}
    world.process(203, 200, 40, "child");
    world.process(204, 203, 41, "grandchild");
    world.write("200/task/200/children", "203 ");
    world.write("203/task/203/children", "204 ");
    burst(&mut world);
    let members: Vec<_> = world.tree.members().iter().map(|it| it.key.pid).collect();
    assert!(
        members.contains(&203) && members.contains(&204),
        "{members:?}"
    );
}
