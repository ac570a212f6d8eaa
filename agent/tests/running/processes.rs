//! Which processes are the job's, and what is recorded of them.

use std::fs;

use highwater_wire::v1::{Metric, Role};

use crate::harness::{Place, wait_for, wait_for_file};

/// Holds 64 MB until the file `go` is there.
const HOLDER: &str = r#"
import os, sys, time
held = bytearray(b"x" * (64 << 20))
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getpid()}\n")
deadline = time.monotonic() + 60
while not os.path.exists("go") and time.monotonic() < deadline:
    time.sleep(0.01)
sys.exit(7)
"#;

fn holds_64_mb(place: &Place, pid: u32) -> Option<i64> {
    if place.jobs().is_empty() {
        return None;
    }
    let values = place.recorded().values(Metric::Rss, pid);
    values.into_iter().max().filter(|bytes| *bytes >= 64 << 20)
}

fn let_go(place: &Place) {
    fs::write(place.file("go"), "").unwrap();
}

#[test]
fn the_whole_tree_is_sampled() {
    let place = Place::new();
    fs::write(place.file("holder.py"), HOLDER).unwrap();
    let running = place.start(&[
        "sh",
        "-c",
        "sh -c 'python3 holder.py child; exit 0'; exit 2",
    ]);
    let pid: u32 = wait_for_file(&place.file("child")).trim().parse().unwrap();
    wait_for("a sample of the grandchild", || holds_64_mb(&place, pid));
    wait_for("its PSS", || {
        Some(place.recorded().values(Metric::Pss, pid))
            .filter(|values| values.iter().any(|bytes| *bytes >= 64 << 20))
    });
    let_go(&place);
    assert_eq!(running.end().code(), 2);
    let recorded = place.recorded();
    let child = recorded.processes("holder.py child");
    let child = child.into_iter().find(|child| child.pid == pid).unwrap();
    assert_eq!(child.role(), Role::Child);
    assert!(
        child.ended_us >= child.started_us && child.started_us.is_some(),
        "{child:?}"
    );
    let command = recorded
        .processes("exit 2")
        .into_iter()
        .find(|process| process.command.ends_with("exit 2'"))
        .unwrap();
    assert_eq!(command.exit_code, Some(2));
    // What is not shared is at least what was allocated, and never more than all.
    let highest = |metric| recorded.values(metric, pid).into_iter().max().unwrap();
    let (anon, rss) = (highest(Metric::Anon), highest(Metric::Rss));
    assert!((64 << 20..=rss).contains(&anon), "{anon} of {rss}");
}

/// Becomes a daemon by the book: two forks and a session of its own.
const DAEMON: &str = r#"
import os, sys
if os.fork():
    os.wait()
else:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execvp("python3", ["python3", "holder.py", "daemon"])
"#;

#[test]
fn a_daemon_stays_in_the_job_and_its_end_is_seen() {
    let place = Place::new();
    fs::write(place.file("holder.py"), HOLDER).unwrap();
    fs::write(place.file("daemonise.py"), DAEMON).unwrap();
    let script = "python3 daemonise.py; while [ ! -e stop ]; do sleep 0.05; done";
    let running = place.start(&["sh", "-c", script]);
    let pid: u32 = wait_for_file(&place.file("daemon")).trim().parse().unwrap();
    let parent = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent = parent
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned();
    assert_eq!(parent, running.pid().to_string(), "the agent adopts it");
    wait_for("a sample of the daemon", || holds_64_mb(&place, pid));
    let_go(&place);
    let daemon = wait_for("its end", || {
        let found = place.recorded().processes("holder.py daemon");
        found
            .into_iter()
            .find(|process| process.exit_code.is_some())
    });
    assert_eq!((daemon.pid, daemon.exit_code), (pid, Some(7)));
    fs::write(place.file("stop"), "").unwrap();
    assert_eq!(running.end().code(), 0);
}

#[test]
fn nobody_elses_process_is_in_the_job() {
    let place = Place::new();
    let mut other = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let running = place.start(&[
        "sh",
        "-c",
        "echo ready > ready; while [ ! -e go ]; do sleep 0.05; done",
    ]);
    wait_for_file(&place.file("ready"));
    wait_for("more than a full scan", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        (recorded.batches.last()?.to_us > 6_000_000).then_some(())
    });
    let_go(&place);
    assert_eq!(running.end().code(), 0);
    other.kill().unwrap();
    other.wait().unwrap();
    let recorded = place.recorded();
    assert_eq!(recorded.processes("sleep 600"), []);
    // Whoever takes much memory is told as one of the others, which have no parent and no samples of the job's.
    let members = recorded.processes("");
    assert!(!members.is_empty());
    assert!(
        members
            .iter()
            .all(|process| process.pid != std::process::id())
    );
    assert!(recorded.values(Metric::Rss, std::process::id()).is_empty());
}

#[test]
fn the_grid_is_kept_and_the_agent_is_cheap() {
    let place = Place::new();
    assert_eq!(place.run(&["sleep", "2.2"]).code(), 0);
    let recorded = place.recorded();
    let mut ticks = Vec::new();
    for samples in recorded
        .batches
        .iter()
        .flat_map(|batch| &batch.samples)
        .filter(|samples| !samples.lateness_us.is_empty())
    {
        let mut t_us = 0;
        for (delta, lateness) in samples.t_us_delta.iter().zip(&samples.lateness_us) {
            t_us += delta;
            ticks.push(t_us - lateness.cast_signed());
        }
    }
    assert!(ticks.iter().all(|tick| tick % 50_000 == 0), "{ticks:?}");
    assert!(
        ticks.windows(2).all(|pair| pair[0] < pair[1]),
        "no tick twice: {ticks:?}"
    );
    let [cpu] = recorded.notices("agent_cpu_us")[..] else {
        panic!("{:?}", recorded.batches)
    };
    assert!(cpu.count > 0);
    assert_eq!(recorded.notices("agent_rss_bytes").len(), 1);
}

/// A pytest whose only test makes a daemon by two forks without exec, which ends by a signal.
const LEAVES_A_FORK: &str = r#"
import os, sys, time
def wait_for(name):
    deadline = time.monotonic() + 60
    while not os.path.exists(name) and time.monotonic() < deadline:
        time.sleep(0.01)
os.environ["PYTEST_CURRENT_TEST"] = "test_d.py::test_daemon (call)"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("daemon", "w") as file:
            file.write(f"{os.getpid()}\n")
        wait_for("end")
        os.kill(os.getpid(), 15)
    os._exit(0)
os.wait()
wait_for("go")
del os.environ["PYTEST_CURRENT_TEST"]
open("end", "w").close()
time.sleep(0.5)
"#;

#[test]
fn a_fork_that_a_test_leaves_behind_is_no_pytest() {
    let place = Place::new();
    fs::write(place.file("pytest"), LEAVES_A_FORK).unwrap();
    let running = place.start(&["python3", "pytest"]);
    let pid: u32 = wait_for_file(&place.file("daemon")).trim().parse().unwrap();
    wait_for("samples of the daemon", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        // So long that it would be taken for a pytest whose plugin does not come.
        (recorded.values(Metric::Rss, pid).len() > 60).then_some(())
    });
    let_go(&place);
    assert_eq!(running.end().code(), 0);
    let recorded = place.recorded();
    let all = recorded.processes("pytest");
    let daemon = all.iter().find(|process| process.pid == pid).unwrap();
    assert_eq!((daemon.role(), daemon.session.as_str()), (Role::Child, ""));
    assert_eq!(daemon.signal, Some(15));
    let sessions = all.iter().filter(|process| !process.session.is_empty());
    assert_eq!(sessions.count(), 1, "{all:?}");
    let notices = recorded.notices("pytest_without_plugin");
    let of_the_daemon = format!("process {pid})");
    assert!(
        !notices.iter().any(|it| it.message.contains(&of_the_daemon)),
        "{notices:?}"
    );
}
