mod discovery;

use std::fs;

use tempfile::TempDir;

use super::{
    strangers::{Session, session_of},
    *,
};

mod own;

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
        self.write(&format!("{pid}/environ"), "A=1\0");
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
fn a_birth_tells_whether_the_address_space_is_about_that_of_the_parent() {
    let mut world = World::new();
    world.process(200, AGENT, 20, "pytest");
    world.write("200/statm", "1000 5 1 1 0 1 0\n");
    // A fork that has mapped a little since, and a program of its own; then the parent maps more, and another fork has no part of that.
    for (pid, pages, of_parent) in [(201, 1030, 1000), (202, 400, 1000), (203, 1000, 1500)] {
        world.process(pid, 200, 21, "child");
        world.write(&format!("{pid}/statm"), &format!("{pages} 5 1 1 0 1 0\n"));
        world.write("200/statm", &format!("{of_parent} 5 1 1 0 1 0\n"));
        world.tree.consider(pid, 0).unwrap();
        for member in world.tree.members_mut() {
            member.read().unwrap();
        }
    }
    let births = world.tree.take_events().filter_map(|event| match event {
        TreeEvent::Born(birth) => Some((birth.key.pid, birth.is_as_large)),
        TreeEvent::Renamed { .. } | TreeEvent::Gone { .. } => None,
    });
    let told: Vec<_> = births.collect();
    let children = [(201, Some(true)), (202, Some(false)), (203, Some(true))];
    assert_eq!(told, [&[(200, None)][..], &children].concat());
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

/// A job beside the steps of a CI, started below 50, which runs below 10.
fn beside_steps() -> World {
    let mut world = World::new();
    let key = |pid: u32| ProcessKey {
        pid,
        start_ticks: u64::from(pid),
    };
    let membership = Membership {
        job: "ours".to_owned(),
        chain: vec![key(50), key(10)],
        is_container: false,
        since_ticks: 60,
        rivals: Vec::new(),
        suspects: Vec::new(),
    };
    let procfs = Procfs::new(world.root.path());
    world.tree = Tree::of_job(procfs, AGENT, 4096, membership);
    world.process(10, 1, 10, "runner");
    world.process(50, 10, 50, "sh");
    world
}

#[test]
fn the_environment_goes_before_ancestry_and_what_began_before_stays_out() {
    let mut world = beside_steps();
    world.process(55, 10, 55, "database");
    world.process(70, 55, 70, "its-child");
    world.process(71, 10, 71, "step");
    world.process(72, 71, 72, "pytest");
    world.process(80, 10, 80, "theirs");
    world.write("80/environ", "A=1\0HIGHWATER_JOB=theirs\0");
    world.process(81, 1, 81, "afar");
    world.write("81/environ", "HIGHWATER_JOB=ours\0");
    for pid in [55, 70, 72, 80, 81, AGENT] {
        world.tree.consider(pid, 0).unwrap();
    }
    let born = world.born();
    assert_eq!(born, [(70, 55), (71, 10), (72, 71), (81, 1)]);
}

#[test]
fn of_a_strangers_children_one_is_found_when_it_is_named_or_all_are_looked_at() {
    let mut world = beside_steps();
    world.process(90, 1, 90, "cron");
    world.tree.consider(90, 0).unwrap();
    for pid in [91, 92] {
        world.process(pid, 90, u64::from(pid), "python");
        world.write(&format!("{pid}/environ"), "HIGHWATER_JOB=ours\0");
        world.tree.consider_newborn(pid, 0).unwrap();
    }
    assert_eq!(
        world.born(),
        [],
        "a build starts many, and each costs but one look"
    );
    world.tree.consider(91, 0).unwrap();
    assert_eq!(world.born(), [(91, 90)]);
    world.newest(AGENT);
    Discovery::begin_among(&world.tree, 0)
        .look(&mut world.tree, 0)
        .unwrap();
    assert_eq!(world.born(), [(92, 90)]);
}

#[test]
fn an_agent_met_later_has_what_is_closer_to_it() {
    let mut world = beside_steps();
    world.process(71, 10, 71, "sh");
    world.process(72, 71, 72, "pytest");
    world.tree.consider(72, 0).unwrap();
    assert_eq!(world.born(), [(71, 10), (72, 71)]);
    world.process(75, 1, 75, "highwater");
    world.write(
        "75/cmdline",
        "highwater\0background\0--chain\x0071:71,10:10\0/spool\0",
    );
    world.tree.consider(75, 0).unwrap();
    world.process(76, 71, 76, "child");
    world.tree.consider(76, 0).unwrap();
    world.tree.bury();
    let gone: Vec<_> = world
        .tree
        .take_events()
        .map(|event| match event {
            TreeEvent::Gone { key } => key.pid,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(gone, [71, 72]);
    assert!(world.tree.members().is_empty());
}

impl World {
    /// As hidepid hides it, also from root.
    fn hide(&self, pid: u32) {
        let stat = self.root.path().join(format!("{pid}/stat"));
        fs::remove_file(&stat).unwrap();
        std::os::unix::fs::symlink("/proc/sys/vm/compact_memory", &stat).unwrap();
        let read = Procfs::new(self.root.path()).stat(pid, &mut Vec::new());
        assert!(read.unwrap_err().is_forbidden());
    }

    /// An agent whose starter is 71.
    fn rival(&mut self, pid: u32) {
        self.process(pid, 1, u64::from(pid), "highwater");
        self.write(
            &format!("{pid}/cmdline"),
            "highwater\0background\0--chain\x0071:71,10:10\0/spool\0",
        );
    }

    fn gone(&mut self) -> Vec<u32> {
        self.tree.bury();
        let gone = self.tree.take_events().map(|event| match event {
            TreeEvent::Gone { key } => key.pid,
            other => panic!("{other:?}"),
        });
        gone.collect()
    }
}

#[test]
fn a_member_that_is_hidden_keeps_none_from_an_agent_met_later() {
    let mut world = beside_steps();
    world.process(71, 10, 71, "sh");
    world.process(72, 71, 72, "sudo");
    world.process(73, 72, 73, "pytest");
    world.process(74, 50, 74, "ours");
    for pid in [73, 74] {
        world.tree.consider(pid, 0).unwrap();
    }
    assert_eq!(world.born(), [(71, 10), (72, 71), (73, 72), (74, 50)]);
    world.hide(72);
    world.rival(75);
    for pid in [75, 74] {
        world.tree.consider(pid, 0).unwrap();
    }
    assert_eq!(world.gone(), [71, 72, 73]);
    assert_eq!(world.tree.members().len(), 1);
}

#[test]
fn where_a_member_cannot_be_asked_all_are_asked_again() {
    let mut world = beside_steps();
    world.process(71, 10, 71, "sh");
    world.process(72, 71, 72, "pytest");
    world.tree.consider(72, 0).unwrap();
    world.rival(75);
    world.tree.consider(75, 0).unwrap();
    world.unreadable(72);
    for _ in 0..2 {
        assert!(world.tree.consider(75, 0).is_err());
        assert!(world.tree.members().iter().all(|member| !member.ended));
    }
    world.process(72, 71, 72, "pytest");
    world.tree.consider(75, 0).unwrap();
    // Nobody was told of them yet.
    assert!(world.gone().is_empty());
    assert!(world.tree.members().is_empty());
}

#[test]
fn a_suspect_that_cannot_be_asked_costs_no_other() {
    let mut world = beside_steps();
    world.process(71, 10, 71, "sh");
    world.process(72, 71, 72, "pytest");
    world.tree.consider(72, 0).unwrap();
    assert_eq!(world.born(), [(71, 10), (72, 71)]);
    // About to become agents: they still show the command line of who started them.
    for pid in [75, 76, 77] {
        world.process(pid, 1, u64::from(pid), "highwater");
        world.write(&format!("{pid}/cmdline"), "highwater\0start\0");
    }
    for pid in [75, 76, 77] {
        world.tree.consider(pid, 0).unwrap();
    }
    world.hide(75);
    world.unreadable(76);
    world.rival(77);
    assert!(world.tree.consider(72, 0).is_err());
    let suspects = &world.tree.membership.as_ref().unwrap().suspects;
    assert_eq!(suspects.iter().map(|key| key.pid).collect::<Vec<_>>(), [76]);
    world.end(76);
    world.tree.consider(72, 0).unwrap();
    assert_eq!(world.gone(), [71, 72]);
}

/// As if the agent and its command were in session 50, and a stranger had made 300.
fn sessions(pid: u32) -> Session {
    match pid {
        1 => Session::Is(1),
        210 => Session::Is(210),
        300..400 => Session::Is(300),
        999 => Session::OfNobody,
        _ => Session::Is(50),
    }
}

impl World {
    fn with_sessions() -> Self {
        let mut world = Self::new();
        world.tree.strangers = Some(Strangers::to(AGENT, sessions));
        world.process(200, AGENT, 20, "pytest");
        world.process(300, 1, 20, "make");
        world
    }

    /// Whoever looks at it fails.
    fn unreadable(&self, pid: u32) {
        self.write(&format!("{pid}/stat"), "what is this\n");
    }
}

#[test]
fn who_is_in_a_strangers_session_is_not_looked_at() {
    let mut world = World::with_sessions();
    world.unreadable(301);
    assert!(world.tree.consider(301, 0).is_err(), "nothing is known yet");
    assert!(world.tree.consider(300, 0).unwrap());
    assert!(world.tree.consider(301, 0).unwrap());
    assert!(!world.tree.consider(999, 0).unwrap(), "it may come later");
    assert_eq!(world.born(), []);
}

#[test]
fn a_session_of_the_job_is_never_a_strangers() {
    let mut world = World::with_sessions();
    // Of the agent's own, like the shell that started it; and a thread of one that made its own.
    world.process(90, 1, 5, "sh");
    world.tree.consider(90, 0).unwrap();
    world.process(210, 200, 21, "daemon");
    world.thread(211, 200);
    world.tree.strangers.as_mut().unwrap().ask = |pid| match pid {
        211 => Session::Is(210),
        other => sessions(other),
    };
    world.tree.consider(211, 0).unwrap();
    for pid in [200, 210] {
        assert!(world.tree.consider(pid, 0).unwrap());
    }
    assert_eq!(world.born(), [(200, AGENT), (210, 200)]);
}

#[test]
fn a_number_given_anew_begins_a_session_of_its_own() {
    let mut world = World::with_sessions();
    world.tree.consider(300, 0).unwrap();
    world.process(300, 200, 30, "daemon");
    assert!(world.tree.consider(300, 0).unwrap());
    assert_eq!(world.born(), [(200, AGENT), (300, 200)]);
}

#[test]
fn a_scan_looks_at_one_of_each_strangers_session() {
    let mut world = World::with_sessions();
    let mut discovery = Discovery::begin_among(&world.tree, 0);
    discovery.look(&mut world.tree, 0).unwrap();
    assert_eq!(world.born(), [(200, AGENT)]);
    for pid in 301..310 {
        world.process(pid, 300, 30, "cc");
    }
    world.process(201, 200, 30, "worker");
    let mut discovery = Discovery::begin_among(&world.tree, 9_000_000);
    discovery.look(&mut world.tree, 9_000_000).unwrap();
    assert_eq!(world.born(), [(201, 200)]);
    let outsiders = &world.tree.outsiders;
    let looked_at = outsiders.iter().filter(|pid| (300..400).contains(*pid));
    // Its own leader may be climbed to besides.
    assert!((1..=2).contains(&looked_at.count()));
}

#[test]
fn a_process_in_a_session_of_its_own_is_found_among_real_ones() {
    use std::io::{BufRead as _, BufReader};
    let mut tree = Tree::new(Procfs::system(), std::process::id(), 4096);
    let mut discovery = Discovery::begin_among(&tree, 0);
    discovery.look(&mut tree, 0).unwrap();
    let mut child = std::process::Command::new("setsid")
        .args(["sh", "-c", "echo $$; sleep 60 & echo $!; read x; kill $!"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let pids: Vec<u32> = said
        .lines()
        .take(2)
        .map(|line| line.unwrap().parse().unwrap())
        .collect();
    let is_there = |tree: &Tree, pid| tree.members().iter().any(|it| it.key.pid == pid);
    assert_eq!(session_of(pids[1]), Session::Is(pids[0]));
    assert_eq!(session_of(pids[1]), session_of(pids[0]));
    for pid in &pids {
        assert!(tree.consider(*pid, 1).unwrap());
        assert!(is_there(&tree, *pid));
    }
    let mut tree = Tree::new(Procfs::system(), std::process::id(), 4096);
    let mut discovery = Discovery::begin_among(&tree, 0);
    discovery.look(&mut tree, 0).unwrap();
    assert!(pids.iter().all(|pid| is_there(&tree, *pid)));
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn what_others_start_hides_nobody_of_the_job() {
    let mut world = beside_steps();
    world.process(71, 10, 71, "step");
    world.process(72, 71, 72, "pytest");
    world.newest(AGENT);
    let mut discovery = Discovery::begin_among(&world.tree, 0);
    discovery.look(&mut world.tree, 0).unwrap();
    assert_eq!(world.born(), [(71, 10), (72, 71)]);
    // Thousands of others were born since the last look, and a child of a test and a step among them.
    world.process(5_000, 72, 80, "child");
    world.process(5_001, 10, 80, "next-step");
    world.process(5_002, 1, 80, "stranger");
    for (parent, children) in [
        (72, "5000 "),
        (10, "71 50 5001 "),
        (1, "5002 "),
        (50, ""),
        (71, "72 "),
    ] {
        world.write(&format!("{parent}/task/{parent}/children"), children);
    }
    world.newest(9_000);
    discovery.look(&mut world.tree, 50_000).unwrap();
    let mut born = world.born();
    born.sort_unstable();
    assert_eq!(born, [(5_000, 72), (5_001, 10)]);
}
