//! Pytests without the plugin, as the sampler sees them.

use highwater_wire::v1::{Mark, Role, Session};

use super::*;
use crate::{
    environ::Phase,
    sampler::{Glance, Seeing, Sight},
};

/// The process whose title is read, in the test of workers.
const BY_TITLE: u32 = 12;
const WORKER: &str = "import sys;exec(eval(sys.stdin.readline()))";

impl Scene {
    fn sights(&self, t_us: i64, pid: u32, whats: Vec<Seeing>) {
        let sight = |what| Sight {
            key: key(pid),
            t_us,
            rss_bytes: t_us.cast_unsigned(),
            before: None,
            what,
        };
        let sights = whats.into_iter().map(sight).collect();
        self.tell(Message::Seen(Seen::Sights(sights)));
    }

    fn runs(&self, t_us: i64, pid: u32, nodeid: &str, phase: Phase) {
        self.sights(t_us, pid, vec![running(nodeid, phase)]);
    }

    fn begins(&self, t_us: i64, pid: u32, nodeid: &str, phase: Phase) {
        self.sights(t_us, pid, vec![begun(None), running(nodeid, phase)]);
    }

    fn gone(&self, t_us: i64, pid: u32, exit_code: Option<i32>, signal: Option<i32>) {
        self.tell(Message::Seen(Seen::Tree(
            TreeEvent::Gone { key: key(pid) },
            t_us,
        )));
        let ending = Ending { exit_code, signal };
        if ending != Ending::default() {
            self.tell(Message::Reaped { pid, t_us, ending });
        }
    }

    fn worker(&self, pid: u32, parent_pid: u32, t_us: i64) {
        let birth = Birth {
            key: key(pid),
            parent_pid,
            words: ["python", "-u", "-c", WORKER].map(str::to_owned).to_vec(),
            is_copy: false,
            is_as_large: None,
        };
        self.tell(Message::Seen(Seen::Tree(TreeEvent::Born(birth), t_us)));
    }
}

fn begun(worker: Option<&str>) -> Seeing {
    Seeing::Begun {
        folder: Some("/r".into()),
        worker: worker.map(str::to_owned),
        by_title: false,
        controller_rss_bytes: Some(77),
    }
}

fn session(id: &str) -> String {
    format!("S\t{{\"session\": \"{id}\", \"role\": \"pytest\"}}\n")
}

fn running(nodeid: &str, phase: Phase) -> Seeing {
    Seeing::Running {
        nodeid: nodeid.to_owned(),
        phase: Some(phase),
    }
}

/// What a recording holds, put together.
struct Told {
    marks: Vec<(u32, Mark)>,
    sessions: BTreeMap<String, Session>,
    roles: BTreeMap<u32, (Role, String)>,
    notices: Vec<String>,
}

fn told(scene: Scene) -> Told {
    let mut told = Told {
        marks: Vec::new(),
        sessions: BTreeMap::new(),
        roles: BTreeMap::new(),
        notices: Vec::new(),
    };
    for batch in scene.finish().sink.kept {
        let pid = |mark: &Mark| batch.processes[mark.process as usize].pid;
        told.marks
            .extend(batch.marks.iter().map(|mark| (pid(mark), mark.clone())));
        told.sessions
            .extend(batch.sessions.iter().map(|it| (it.id.clone(), it.clone())));
        for process in batch.processes.iter().filter(|it| it.exact == Some(false)) {
            assert!(process.exact_reason.contains("without the plugin"));
            assert!(told.sessions.contains_key(&process.session));
            let by_title = process.exact_reason.contains("title");
            assert_eq!(by_title, process.pid == BY_TITLE, "{process:?}");
            let is = (process.role(), process.worker.clone());
            told.roles.insert(process.pid, is);
        }
        let notices = batch.notices.into_iter();
        told.notices.extend(
            notices
                .filter(|it| it.code == "pytest_without_plugin")
                .map(|it| it.message),
        );
    }
    told.marks.sort_by_key(|(_, mark)| mark.t_us);
    told
}

impl Told {
    /// Kind, node id or phase, and time of each mark of a process.
    fn of(&self, pid: u32) -> Vec<String> {
        let own = self.marks.iter().filter(|(of, _)| *of == pid);
        let line = |(_, mark): &(u32, Mark)| {
            assert_eq!(mark.peak_bytes, None);
            let what = match mark.what.as_ref().unwrap() {
                What::SessionBegin(_) => "session".to_owned(),
                What::TestBegin(test) => format!("{} in {}", test.nodeid, test.path),
                What::TestPhase(phase) => phase.phase.clone(),
                What::TestEnd(end) => format!("end {}", end.outcome),
                What::Leave(_) => "leave".to_owned(),
                other => panic!("{other:?}"),
            };
            format!("{} {what} {}", mark.t_us, mark.rss_bytes)
        };
        own.map(line).collect()
    }
}

#[test]
fn a_controller_is_not_judged_before_its_workers_are_there_and_have_run_a_test() {
    // On a machine that is busy workers are started late, or collect for long.
    for early in [None, Some(-50_000_000)] {
        let mut scene = scene(0);
        scene.born(7, 1, "pytest -n 1", -60_000_000);
        if let Some(born_us) = early {
            scene.worker(BY_TITLE, 7, born_us);
        }
        let closed = "its memory is closed".to_owned();
        scene.sights(0, 7, vec![Seeing::Unknown(closed)]);
        // Long after its plugin should have come.
        scene.hear_all();
        scene.recorder.flush_now();
        if early.is_none() {
            scene.worker(BY_TITLE, 7, 5);
        }
        let by_title = Seeing::Begun {
            folder: None,
            worker: None,
            by_title: true,
            controller_rss_bytes: None,
        };
        let runs = Seeing::Running {
            nodeid: "t.py::a".to_owned(),
            phase: None,
        };
        scene.sights(10, BY_TITLE, vec![by_title, runs]);
        scene.gone(20, BY_TITLE, None, None);
        scene.gone(30, 7, Some(0), None);
        let told = told(scene);
        let [notice] = &told.notices[..] else {
            panic!("{early:?}: {:?}", told.notices);
        };
        assert!(
            notice.contains("(its memory is closed): they are named by the titles"),
            "{early:?}: {notice}"
        );
    }
}

#[test]
fn what_was_seen_of_a_pytest_becomes_a_session() {
    let scene = scene(0);
    scene.born(7, 1, "python -m pytest -q tests", 5);
    scene.begins(100, 7, "a.py::x", Phase::Call);
    scene.runs(150, 7, "a.py::x", Phase::Teardown);
    scene.runs(200, 7, "b.py::y", Phase::Setup);
    // The same test again is another execution.
    scene.runs(250, 7, "b.py::y", Phase::Call);
    scene.runs(300, 7, "b.py::y", Phase::Setup);
    scene.sights(350, 7, vec![Seeing::Idle]);
    scene.runs(400, 7, "b.py::z", Phase::Call);
    scene.gone(2_000_000, 7, Some(1), None);
    let told = told(scene);
    assert_eq!(
        told.of(7),
        [
            "100 session 100",
            "100 a.py::x in a.py 100",
            "100 call 100",
            "150 teardown 150",
            "200 end unknown 200",
            "200 b.py::y in b.py 200",
            "250 call 250",
            "300 end unknown 300",
            "300 b.py::y in b.py 300",
            "350 end unknown 350",
            "400 b.py::z in b.py 400",
            "400 call 400",
            "2000000 end unknown 400",
            "2000000 leave 400",
        ]
    );
    let sessions: Vec<_> = told.sessions.values().collect();
    let [session] = sessions.as_slice() else {
        panic!("{sessions:?}");
    };
    assert!(session.sampled && session.id.len() == 32);
    assert_eq!(
        (session.root.as_str(), session.args.join(" ").as_str()),
        ("/r", "-q tests")
    );
    assert_eq!(
        (session.began_us, session.ended_us, session.exit_status),
        (Some(100), Some(2_000_000), None)
    );
    assert_eq!(told.roles[&7], (Role::Pytest, String::new()));
    let [notice] = told.notices.as_slice() else {
        panic!("{:?}", told.notices);
    };
    assert!(
        notice.contains("named by what its memory showed"),
        "{notice}"
    );
}

#[test]
fn what_grew_between_two_looks_is_the_next_tests_and_what_was_given_back_the_formers() {
    let scene = scene(0);
    scene.born(7, 1, "pytest", 5);
    let sight = |before: (i64, u64), now: (i64, u64), what| {
        let [before, now] = [before, now].map(|(t_us, rss_bytes)| Glance { t_us, rss_bytes });
        let sight = Sight {
            key: key(7),
            t_us: now.t_us,
            rss_bytes: now.rss_bytes,
            before: Some(before),
            what,
        };
        scene.tell(Message::Seen(Seen::Sights(vec![sight])));
    };
    sight((50, 500), (100, 510), begun(None));
    sight((50, 500), (100, 510), running("a.py::x", Phase::Call));
    // It was still the same at 300; then the next took 90.
    sight((300, 520), (350, 610), running("b.py::y", Phase::Setup));
    sight((350, 610), (400, 650), running("b.py::y", Phase::Call));
    sight((500, 660), (550, 530), running("c.py::z", Phase::Call));
    sight((600, 540), (650, 535), Seeing::Idle);
    sight((700, 536), (750, 590), running("d.py::w", Phase::Call));
    scene.gone(900, 7, Some(0), None);
    assert_eq!(
        told(scene).of(7),
        [
            "75 session 500",
            "75 a.py::x in a.py 500",
            "75 call 500",
            "325 end unknown 520",
            "325 b.py::y in b.py 520",
            "375 call 610",
            "525 end unknown 530",
            "525 c.py::z in c.py 530",
            "525 call 530",
            "650 end unknown 535",
            "725 d.py::w in d.py 536",
            "725 call 536",
            "900 end unknown 590",
            "900 leave 590",
        ]
    );
}

#[test]
fn what_the_interpreter_lets_go_of_at_its_end_is_no_release_of_the_last_test() {
    let scene = scene(0);
    scene.born(7, 1, "pytest", 5);
    scene.begins(100, 7, "a.py::x", Phase::Call);
    let idle = Sight {
        key: key(7),
        t_us: 150,
        rss_bytes: 20,
        before: None,
        what: Seeing::Idle,
    };
    scene.tell(Message::Seen(Seen::Sights(vec![idle])));
    scene.gone(200, 7, Some(0), None);
    assert_eq!(
        told(scene).of(7)[3..],
        ["150 end unknown 100", "200 leave 20"]
    );
}

#[test]
fn a_test_that_clears_its_environment_goes_on() {
    let scene = scene(0);
    scene.born(7, 1, "pytest", 5);
    scene.begins(100, 7, "a.py::x", Phase::Call);
    scene.sights(150, 7, vec![Seeing::Idle]);
    scene.runs(200, 7, "a.py::x", Phase::Call);
    scene.sights(250, 7, vec![Seeing::Idle]);
    scene.runs(300, 7, "a.py::x", Phase::Teardown);
    scene.sights(350, 7, vec![Seeing::Idle]);
    scene.runs(400, 7, "a.py::y", Phase::Call);
    scene.sights(450, 7, vec![Seeing::Idle]);
    // Nothing was open when it was killed.
    scene.gone(500, 7, None, Some(9));
    assert_eq!(
        told(scene).of(7),
        [
            "100 session 100",
            "100 a.py::x in a.py 100",
            "100 call 100",
            "300 teardown 300",
            "350 end unknown 350",
            "400 a.py::y in a.py 400",
            "400 call 400",
            "450 end unknown 450",
        ]
    );
}

#[test]
fn a_test_that_ran_when_its_process_was_killed_stays_open() {
    for (exit_code, signal, below_a_shell) in [
        (None, Some(9), false),
        (Some(139), None, false),
        (Some(137), None, true),
    ] {
        let scene = scene(0);
        scene.born(6, 1, "sh -c x", 4);
        scene.born(7, 6, "pytest", 5);
        scene.begins(100, 7, "a.py::x", Phase::Call);
        if below_a_shell {
            scene.gone(150, 7, None, None);
            scene.gone(160, 6, exit_code, signal);
        } else {
            scene.gone(150, 7, exit_code, signal);
        }
        let told = told(scene);
        let last = told.of(7).pop();
        assert_eq!(last.as_deref(), Some("100 call 100"), "{exit_code:?}");
    }
}

#[test]
fn a_shell_that_went_on_tells_that_its_pytest_ended_in_order() {
    let scene = scene(0);
    scene.born(6, 1, "sh -c x", 4);
    scene.born(7, 6, "pytest", 5);
    scene.begins(100, 7, "a.py::x", Phase::Call);
    scene.gone(150, 7, None, None);
    scene.gone(900, 6, Some(1), None);
    let last = told(scene).of(7).pop();
    assert_eq!(last.as_deref(), Some("150 leave 100"));
}

#[test]
fn where_nobody_tells_the_end_an_idle_pytest_ended_in_order() {
    for (is_idle, exit_code, expected) in [
        (true, None, "150 leave 120"),
        (false, None, "100 call 100"),
        (true, Some(42), "150 leave 120"),
        (false, Some(42), "100 call 100"),
    ] {
        let scene = scene(0);
        scene.born(7, 1, "pytest", 5);
        scene.begins(100, 7, "a.py::x", Phase::Call);
        if is_idle {
            scene.sights(120, 7, vec![Seeing::Idle]);
        }
        scene.gone(150, 7, exit_code, None);
        let last = told(scene).of(7).pop();
        assert_eq!(last.as_deref(), Some(expected), "{exit_code:?}");
    }
}

#[test]
fn a_plugin_that_comes_late_leaves_nothing_said() {
    let mut scene = scene(0);
    scene.born(7, 1, "pytest", 5);
    scene.sights(100, 7, vec![begun(None), Seeing::Idle]);
    scene.hear_all();
    scene.recorder.settle_sighted(false);
    scene.write(7, &format!("{}{}", header(7), session("its own")));
    scene.gone(2_000_000, 7, Some(0), None);
    let told = told(scene);
    assert!(told.sessions.keys().eq(["its own"]), "{:?}", told.sessions);
    assert_eq!(told.marks.len(), 0);
}

#[test]
fn a_plugin_that_failed_as_it_began_does_not_keep_its_tests_from_being_seen() {
    let scene = scene(0);
    scene.born(7, 1, "pytest", 5);
    scene.write(
        7,
        &format!(
            "{}N\t{{\"code\": \"plugin_stopped\", \"message\": \"begin: no\"}}\n",
            header(7)
        ),
    );
    scene.begins(100, 7, "a.py::x", Phase::Call);
    scene.gone(2_000_000, 7, Some(0), None);
    let told = told(scene);
    assert_eq!(
        told.of(7),
        [
            "100 session 100",
            "100 a.py::x in a.py 100",
            "100 call 100",
            "2000000 end unknown 100",
            "2000000 leave 100"
        ]
    );
    assert_eq!(told.notices, [""; 0], "the plugin said it itself");
}

#[test]
fn a_pytest_in_which_no_test_was_seen_is_a_session_at_its_end() {
    let scene = scene(0);
    scene.born(7, 1, "pytest", 5);
    scene.sights(100, 7, vec![begun(None), Seeing::Idle]);
    scene.gone(2_000_000, 7, Some(2), None);
    let told = told(scene);
    assert_eq!(told.of(7), ["100 session 100", "2000000 leave 100"]);
    assert_eq!(told.sessions.len(), 1);
}

#[test]
fn workers_belong_to_the_session_of_their_controller() {
    let scene = scene(0);
    scene.born(7, 1, "pytest -n 3", 5);
    scene.worker(8, 7, 10);
    scene.worker(9, 7, 11);
    scene.worker(BY_TITLE, 7, 11);
    // Another that uses execnet, and one that a test of a worker started.
    scene.worker(10, 9, 12);
    scene.sights(100, 9, vec![begun(None), running("a.py::x", Phase::Call)]);
    scene.sights(
        110,
        8,
        vec![begun(Some("gw0")), running("b.py::y", Phase::Call)],
    );
    scene.sights(120, 10, vec![begun(None), running("a.py::x", Phase::Call)]);
    let title = Seeing::Begun {
        folder: None,
        worker: None,
        by_title: true,
        controller_rss_bytes: None,
    };
    scene.sights(125, BY_TITLE, vec![title, Seeing::Idle]);
    scene.sights(130, 7, vec![begun(None), Seeing::Idle]);
    scene.gone(200, 8, None, None);
    scene.gone(210, 9, None, None);
    scene.gone(300, 7, Some(0), None);
    let unwatched = scene.unwatched.clone();
    let told = told(scene);
    assert_eq!(told.sessions.len(), 1);
    let role = |role, worker: &str| (role, worker.to_owned());
    assert_eq!(
        told.roles,
        BTreeMap::from([
            (7, role(Role::Controller, "")),
            (8, role(Role::Worker, "gw0")),
            // Without a name of its own, by the order of the births.
            (9, role(Role::Worker, "gw1")),
            (BY_TITLE, role(Role::Worker, "gw2")),
        ])
    );
    assert_eq!(told.of(7), ["100 session 77", "300 leave 130"]);
    assert_eq!(
        told.of(8),
        [
            "110 session 110",
            "110 b.py::y in b.py 110",
            "110 call 110",
            "200 end unknown 110",
            "200 leave 110"
        ]
    );
    assert_eq!(told.of(10), Vec::<String>::new());
    assert!(unwatched.take().contains(&key(10)));
    let sessions: Vec<_> = told.sessions.values().collect();
    assert_eq!(sessions[0].numprocesses, 3);
}

#[test]
fn a_worker_in_whose_place_another_came_had_died() {
    let scene = scene(0);
    scene.born(7, 1, "pytest -n 1", 5);
    scene.worker(8, 7, 10);
    scene.begins(100, 8, "a.py::x", Phase::Call);
    scene.gone(150, 8, None, None);
    scene.worker(9, 7, 160);
    scene.begins(200, 9, "a.py::y", Phase::Call);
    scene.gone(250, 9, None, None);
    scene.gone(260, 7, Some(1), None);
    let told = told(scene);
    assert_eq!(told.of(8).pop().as_deref(), Some("100 call 100"));
    assert_eq!(told.of(9).pop().as_deref(), Some("250 leave 200"));
}

#[test]
fn whoever_has_the_plugin_or_belongs_to_a_test_is_left_alone() {
    let scene = scene(0);
    scene.born(7, 1, "pytest", 5);
    scene.write(7, &format!("{}{}", header(7), session("its own")));
    scene.begins(100, 7, "a.py::x", Phase::Call);
    // A pytest that a recorded test starts, a fork of it, and one that a sampled test starts.
    scene.born(8, 7, "pytest inner", 6);
    scene.begins(110, 8, "i.py::i", Phase::Call);
    scene.born(20, 1, "pytest", 7);
    scene.begins(120, 20, "b.py::x", Phase::Call);
    scene.born(21, 20, "pytest", 8);
    scene.begins(130, 21, "b.py::x", Phase::Call);
    let unwatched = scene.unwatched.clone();
    let told = told(scene);
    assert_eq!(told.sessions.len(), 2);
    assert_eq!(told.roles.keys().copied().collect::<Vec<_>>(), [20]);
    assert!(told.marks.iter().all(|(pid, _)| *pid == 20));
    let left: Vec<_> = [7, 8, 21].map(key).into();
    let unwatched = unwatched.take();
    assert!(left.iter().all(|key| unwatched.contains(key)));
}

#[test]
fn a_memory_that_cannot_be_read_is_told_with_the_reason() {
    let scene = scene(0);
    scene.born(7, 1, "pytest -n 1", 0);
    scene.worker(8, 7, 10);
    let why = "kernel.yama.ptrace_scope is 2".to_owned();
    scene.sights(100, 8, vec![Seeing::Unknown(why)]);
    scene.gone(2_000_000, 7, Some(0), None);
    let told = told(scene);
    let [notice] = told.notices.as_slice() else {
        panic!("{:?}", told.notices);
    };
    assert!(notice.contains("ptrace_scope is 2"), "{notice}");
    assert_eq!(told.sessions.len(), 0);
}
