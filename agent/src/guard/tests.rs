use std::{
    io::{BufRead, BufReader},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ChildStdout, Command, Stdio},
};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::*;
use crate::tree::Tree;

/// Says when it is ready, and each SIGINT that it gets; holds 40 MB.
const DEAF: &str = "
import signal, sys
held = bytearray(b'x') * 40_000_000
signal.signal(signal.SIGINT, lambda *a: print('int', flush=True))
print('ready', flush=True)
while True:
    signal.pause()
";
/// The same in the background of a shell, which has it ignored.
const BEHIND: &str = "
import signal
held = bytearray(b'x') * 40_000_000
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('ready', flush=True)
while True:
    signal.pause()
";
/// Less than that.
const LIMIT: LimitSize = LimitSize::Bytes(20_000_000);

/// A process that looks like a pytest, and a tree with it alone.
struct World {
    child: Child,
    said: BufReader<ChildStdout>,
    tree: Tree,
    guard: Guard,
}

impl World {
    fn new(name: &str, size: LimitSize, on_limit: OnLimit) -> Self {
        Self::running(DEAF, name, size, on_limit)
    }

    fn running(program: &str, name: &str, size: LimitSize, on_limit: OnLimit) -> Self {
        // What is called python3 may be a script that looks for it, and would not hand on the name.
        let python = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .unwrap();
        let mut child = Command::new(String::from_utf8(python.stdout).unwrap().trim())
            .arg0(name)
            .args(["-c", program])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let procfs = Procfs::system();
        let own = std::process::id();
        let mut tree = Tree::new(procfs.clone(), own, rustix::param::page_size() as u64);
        tree.adopt(child.id(), vec![name.to_owned()], 0).unwrap();
        let limit = Limit {
            size,
            on_limit,
            quiet: true,
            annotates: false,
        };
        let guard = Guard::open(limit, procfs, own, Roster::default());
        let mut world = Self {
            child,
            said,
            tree,
            guard,
        };
        assert_eq!(world.line(), "ready\n");
        world
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line
    }

    fn look(&mut self, now_us: i64) -> Option<GuardAction> {
        for member in self.tree.members_mut() {
            member.read().unwrap();
        }
        self.tree.bury();
        self.guard.look(now_us, self.tree.members())
    }

    fn key(&self) -> ProcessKey {
        self.tree.members()[0].key
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn told(action: Option<GuardAction>) -> (String, i32, Vec<u32>) {
    let action = action.unwrap();
    (action.action, action.signal, action.pids)
}

#[test]
fn who_does_not_stop_is_told_again_and_then_told_to_end() {
    let mut world = World::new("pytest", LIMIT, OnLimit::Stop);
    let pids = vec![world.child.id()];
    let first = world.look(0).unwrap();
    assert_eq!(
        (first.limit.as_str(), first.limit_bytes),
        ("budget", 20_000_000)
    );
    assert!(first.used_bytes > 40_000_000, "{first:?}");
    assert_eq!(
        told(Some(first)),
        ("stopped".to_owned(), SIGINT, pids.clone())
    );
    assert_eq!(world.line(), "int\n");
    assert_eq!(world.look(GRACE_US - 1), None);
    assert_eq!(told(world.look(GRACE_US)).1, SIGINT);
    assert_eq!(world.line(), "int\n");
    assert_eq!(told(world.look(2 * GRACE_US)).1, SIGTERM);
    let status = world.child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGTERM));
    // Nobody is left, so nothing is held.
    assert_eq!(world.look(3 * GRACE_US), None);
}

#[test]
fn who_ignores_sigint_is_not_waited_for() {
    let mut world = World::running(BEHIND, "pytest", LIMIT, OnLimit::Stop);
    assert_eq!(told(world.look(0)).1, SIGTERM);
    let status = world.child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGTERM));
    assert_eq!(world.look(GRACE_US), None);
}

/// Goes up the ladder until a process that neither stops nor ends was told to end.
fn told_in_vain(world: &mut World) {
    for turn in 0..2 {
        assert_eq!(told(world.look(turn * GRACE_US)).1, SIGINT);
        assert_eq!(world.line(), "int\n");
    }
    // Stopped, it cannot obey SIGTERM, but SIGKILL takes it.
    stop(world);
    assert_eq!(told(world.look(2 * GRACE_US)).1, SIGTERM);
}

#[test]
fn who_neither_stops_nor_ends_is_killed_where_the_kernel_would_strike() {
    let proc = tempfile::TempDir::new().unwrap();
    let meminfo = "MemTotal: 60000 kB\nMemAvailable: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
    std::fs::write(proc.path().join("meminfo"), meminfo).unwrap();
    let size = LimitSize::Share(90);
    let mut world = World::new("pytest", size, OnLimit::Stop);
    world.guard.measures = Measures::open(size, &Procfs::new(proc.path()), std::process::id());
    told_in_vain(&mut world);
    assert_eq!(told(world.look(3 * GRACE_US)).1, SIGKILL);
    assert_eq!(world.child.wait().unwrap().signal(), Some(SIGKILL));
}

#[test]
fn a_size_that_is_passed_where_the_kernel_has_room_kills_nobody() {
    let mut world = World::new("pytest", LIMIT, OnLimit::Stop);
    told_in_vain(&mut world);
    assert_eq!(world.look(3 * GRACE_US), None);
    assert_eq!(world.look(60 * GRACE_US), None);
}

/// Stops the process, and waits until it has.
fn stop(world: &World) {
    let pid = rustix::process::Pid::from_raw(world.child.id().cast_signed());
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::STOP).unwrap();
    let path = format!("/proc/{}/stat", world.child.id());
    while !std::fs::read_to_string(&path).unwrap().contains(") T ") {
        std::thread::yield_now();
    }
}

#[test]
fn time_to_write_reports_is_given_to_whoever_has_ended_its_test() {
    use highwater_wire::{
        marks::SessionLine,
        v1::{Mark, TestBegin, TestEnd, mark::What},
    };
    let mut world = World::new("anything", LIMIT, OnLimit::Stop);
    let (roster, key) = (world.guard.roster.clone(), world.key());
    let line = SessionLine {
        role: "pytest".to_owned(),
        ..SessionLine::default()
    };
    let mark = |t_us, what| Mark {
        t_us,
        what: Some(what),
        ..Mark::default()
    };
    roster.joined(key, &line);
    roster.heard(key, &mark(1, What::TestBegin(TestBegin::default())));
    assert_eq!(told(world.look(2)).1, SIGINT);
    roster.heard(key, &mark(3, What::TestEnd(TestEnd::default())));
    assert_eq!(world.look(2 + GRACE_US), None);
    assert_eq!(world.look(1 + GRACE_FOR_REPORTS_US), None);
    // Another test began: it has not stopped.
    roster.heard(key, &mark(4, What::TestBegin(TestBegin::default())));
    assert_eq!(told(world.look(2 + GRACE_US)).1, SIGINT);
}

#[test]
fn a_warning_signals_nobody() {
    let mut world = World::new("pytest", LIMIT, OnLimit::Warn);
    assert_eq!(told(world.look(0)), ("warned".to_owned(), 0, vec![]));
    assert_eq!(world.look(GRACE_US), None);
    assert!(world.child.try_wait().unwrap().is_none());
}

#[test]
fn what_is_no_pytest_is_warned_of_and_left_alone() {
    let mut world = World::new("make", LIMIT, OnLimit::Stop);
    assert_eq!(told(world.look(0)), ("warned".to_owned(), 0, vec![]));
    assert_eq!(world.look(GRACE_US), None);
}

#[test]
fn what_processes_share_counts_once() {
    let mut world = World::new("pytest", LimitSize::Bytes(1 << 40), OnLimit::Warn);
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    world.look(0);
    let alone = world.tree.members()[0].resident_bytes;
    let mut held = Held::default();
    assert_eq!(held.bytes(world.tree.members()), alone);
    world
        .tree
        .adopt(other.id(), vec!["sleep".to_owned()], 0)
        .unwrap();
    let members = world.tree.members_mut();
    // Both have more than the other had at first.
    (members[0].resident_bytes, members[1].resident_bytes) = (100, 70);
    assert_eq!(held.bytes(members), 100);
    // What the newer one has come to hold since is its own.
    members[1].resident_bytes = 90;
    assert_eq!(held.bytes(members), 120);
    // Once PSS was read, that counts.
    let (first, second) = (members[0].key, members[1].key);
    held.learn(vec![(first, 30), (second, 40)], members);
    assert_eq!(held.bytes(members), 120);
    members[0].resident_bytes = 1_000;
    assert_eq!(held.bytes(members), 1_020);
    // Who was there alone shares with nobody, whatever was read before.
    assert_eq!(held.bytes(&members[..1]), 1_000);
    other.kill().unwrap();
    other.wait().unwrap();
}
