use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

use super::*;
use crate::tree::Birth;

/// Does what each line says, and answers.
const ORDERS: &str =
    "import os, sys\nfor line in sys.stdin:\n    exec(line)\n    print(flush=True)\n";

/// A Python that sets its environment as told.
struct Target {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Target {
    fn new() -> Self {
        let mut child = Command::new("python3")
            .args(["-c", ORDERS])
            .env_remove("PYTEST_CURRENT_TEST")
            .env_remove("PYTEST_XDIST_WORKER")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut target = Self {
            child,
            orders,
            answers,
        };
        target.order("pass");
        target
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        self.answers.read_line(&mut String::new()).unwrap();
    }

    fn runs(&mut self, test: &str) {
        self.order(&format!("os.environ['PYTEST_CURRENT_TEST'] = {test:?}"));
    }

    fn key(&self) -> ProcessKey {
        let stat = Procfs::system().stat(self.child.id(), &mut Vec::new());
        ProcessKey {
            pid: self.child.id(),
            start_ticks: stat.unwrap().unwrap().start_ticks,
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Scene {
    events: TempDir,
    unwatched: Unwatched,
    sights: Sights,
}

impl Scene {
    fn new() -> Self {
        let events = TempDir::new().unwrap();
        let unwatched = Unwatched::default();
        let sights = Sights::new(
            Procfs::system(),
            events.path().to_path_buf(),
            unwatched.clone(),
        );
        Self {
            events,
            unwatched,
            sights,
        }
    }

    fn born(&mut self, key: ProcessKey, words: &[&str]) {
        let birth = Birth {
            key,
            parent_pid: std::process::id(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            is_copy: false,
            is_as_large: None,
        };
        self.sights.hear(&TreeEvent::Born(birth), 0);
    }

    fn tick(&mut self, t_us: i64, key: ProcessKey) -> Vec<Seeing> {
        self.sights.begin_tick(t_us);
        self.sights.look(key, t_us, 5);
        let seen = self.sights.take().unwrap_or_default();
        assert!(
            seen.iter()
                .all(|it| (it.t_us, it.rss_bytes, it.key) == (t_us, 5, key))
        );
        seen.into_iter().map(|sight| sight.what).collect()
    }
}

fn running(nodeid: &str, phase: Phase) -> Seeing {
    Seeing::Running {
        nodeid: nodeid.to_owned(),
        phase: Some(phase),
    }
}

#[test]
fn only_changes_are_told() {
    let (mut target, mut scene) = (Target::new(), Scene::new());
    let key = target.key();
    scene.born(key, &["python", "-m", "pytest"]);
    assert_eq!(scene.tick(50_000, key), []);
    target.runs("t.py::a (setup)");
    let seen = scene.tick(100_000, key);
    let [Seeing::Begun { folder, worker, .. }, first] = seen.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!(folder.as_deref(), std::env::current_dir().ok().as_deref());
    assert_eq!((worker, first), (&None, &running("t.py::a", Phase::Setup)));
    assert_eq!(scene.tick(150_000, key), []);
    target.runs("t.py::a (call)");
    assert_eq!(scene.tick(200_000, key), [running("t.py::a", Phase::Call)]);
    target.order("del os.environ['PYTEST_CURRENT_TEST']");
    assert_eq!(scene.tick(250_000, key), [Seeing::Idle]);
    assert_eq!(scene.tick(300_000, key), []);
}

#[test]
fn a_pytest_that_runs_no_test_is_told_of_once_its_plugin_would_have_spoken() {
    let (target, mut scene) = (Target::new(), Scene::new());
    let key = target.key();
    scene.born(key, &["pytest", "-n", "2"]);
    assert_eq!(scene.tick(PATIENCE_US - 1, key), []);
    let seen = scene.tick(PATIENCE_US, key);
    assert!(
        matches!(seen.as_slice(), [Seeing::Begun { .. }, Seeing::Idle]),
        "{seen:?}"
    );
}

#[test]
fn what_execnet_started_is_a_worker_once_it_runs_a_test() {
    let (mut target, mut scene) = (Target::new(), Scene::new());
    let key = target.key();
    let code = "import sys;exec(eval(sys.stdin.readline()))";
    scene.born(key, &["python", "-u", "-c", code]);
    assert_eq!(scene.tick(2 * PATIENCE_US, key), []);
    target.order("os.environ['PYTEST_XDIST_WORKER'] = 'gw4'");
    target.runs("t.py::a (call)");
    let seen = scene.tick(2 * PATIENCE_US + 1, key);
    let Some(Seeing::Begun {
        worker,
        controller_rss_bytes,
        ..
    }) = seen.first()
    else {
        panic!("{seen:?}");
    };
    assert_eq!(worker.as_deref(), Some("gw4"));
    assert!(controller_rss_bytes.is_some_and(|bytes| bytes > 0));
}

#[test]
fn whoever_has_the_plugin_is_not_looked_at() {
    let (mut target, mut scene) = (Target::new(), Scene::new());
    let key = target.key();
    target.runs("t.py::a (call)");
    scene.born(key, &["pytest"]);
    fs::write(scene.events.path().join(format!("{}.events", key.pid)), "").unwrap();
    assert_eq!(scene.tick(50_000, key), []);
    // Unless it failed as it began: by now the recorder has heard no session of it.
    assert_ne!(scene.tick(PATIENCE_US, key), []);
    // Nor whom the recorder names, nor who is no pytest, nor one that became something else.
    scene.born(key, &["pytest"]);
    scene.unwatched.insert(key);
    assert_eq!(scene.tick(PATIENCE_US + 100_000, key), []);
    scene.born(key, &["python", "-c", "pass"]);
    assert_eq!(scene.tick(PATIENCE_US + 150_000, key), []);
    let words = vec!["make".to_owned()];
    scene.sights.hear(
        &TreeEvent::Renamed {
            key,
            words,
            is_copy: false,
        },
        0,
    );
    assert_eq!(scene.tick(PATIENCE_US + 200_000, key), []);
    assert!(scene.sights.watched.is_empty());
}

#[test]
fn whoever_writes_a_file_that_was_removed_has_the_plugin() {
    writes_a_file_that_was_removed(Scene::new());
}

#[test]
fn the_same_where_the_spool_lies_behind_a_link() {
    let place = TempDir::new().unwrap();
    let link = place.path().join("link");
    let mut scene = Scene::new();
    std::os::unix::fs::symlink(scene.events.path(), &link).unwrap();
    scene.sights = Sights::new(Procfs::system(), link, scene.unwatched.clone());
    writes_a_file_that_was_removed(scene);
}

fn writes_a_file_that_was_removed(mut scene: Scene) {
    let mut target = Target::new();
    let key = target.key();
    scene.born(key, &["pytest"]);
    assert_eq!(scene.tick(50_000, key), []);
    let path = scene.events.path().join(format!("{}.events", key.pid));
    target.order(&format!("KEPT = open({path:?}, 'w')"));
    fs::remove_file(path).unwrap();
    target.runs("t.py::a (call)");
    assert_eq!(scene.tick(100_000, key), []);
    target.runs("t.py::b (call)");
    assert_eq!(scene.tick(2 * PATIENCE_US, key), []);
}

#[test]
fn a_process_that_cannot_be_read_is_told_once() {
    let mut scene = Scene::new();
    // A number that no process can have.
    let key = ProcessKey {
        pid: 4_194_305,
        start_ticks: 1,
    };
    scene.born(key, &["pytest"]);
    assert_eq!(scene.tick(50_000, key), []);
    let seen = scene.tick(PATIENCE_US, key);
    assert!(
        matches!(seen.as_slice(), [Seeing::Unknown(reason)] if reason.contains("ended")),
        "{seen:?}"
    );
    assert_eq!(scene.tick(2 * PATIENCE_US, key), []);
}

#[test]
fn where_the_budget_does_not_suffice_everybody_has_the_same_share() {
    let mut scene = Scene::new();
    let keys: Vec<_> = (1..=8)
        .map(|pid| ProcessKey {
            pid: 4_194_304 + pid,
            start_ticks: 1,
        })
        .collect();
    for key in &keys {
        scene.born(*key, &["pytest"]);
    }
    // 0.005 of a core gives 250 µs a tick: of eight that cost 100 µs each, two.
    scene.sights.budget = Budget::saving(SHARE, 50_000);
    let mut looks: HashMap<ProcessKey, u32> = HashMap::new();
    for tick in 1..=400 {
        let now_us = tick * 50_000;
        scene.sights.begin_tick(now_us);
        for key in &keys {
            let watch = scene.sights.watched.get_mut(key).unwrap();
            if std::mem::take(&mut watch.is_due) {
                watch.cost_us = 100;
                watch.last_look = Some(Glance {
                    t_us: now_us,
                    rss_bytes: 5,
                });
                *looks.entry(*key).or_default() += 1;
                scene.sights.budget.spend(now_us, 100);
            }
        }
    }
    let all: u32 = looks.values().sum();
    let (least, most) = (looks.values().min().unwrap(), looks.values().max().unwrap());
    assert!(most - least <= 1, "{looks:?}");
    assert_eq!(u64::from(all) + scene.sights.left_out(), 8 * 400);
    // Of what the share gives, no look less than fits and none more.
    assert!((790..=810).contains(&all), "{all} looks");
}
