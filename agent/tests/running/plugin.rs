//! What the plugin writes, in the recording. A shell stands in for it, so that each byte is known.

use std::{fs, process::Command};

use highwater_agent::spool;
use highwater_wire::v1::{Metric, Process, Role, mark::What};

use crate::{
    harness::{Place, kill, not_run, wait_for},
    leftovers::upload,
    peer::{Act, Peer},
};

/// Writes as the plugin would, half a line at a time, and waits in between until `go` is there.
const WRITER: &str = r#"
set -e
start=$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)
file="$HIGHWATER_EVENTS/$$.events"
now() { cut -d" " -f1 /proc/uptime | sed "s/[.]//;s/$/0000/"; }
printf 'H\t1\t{"pid": %d, "start_ticks": %d, "boot_id": "%s", "exact": true, "pytest": "9.2.0"}\n' $$ "$start" "$(cat /proc/sys/kernel/random/boot_id)" >> "$file"
printf 'S\t{"session": "0123", "role": "pytest", "dist": "no", "root": "/r", "args": ["-q"]}\n' >> "$file"
printf 'sb\t%d\t1000\t2000\ntb\t%d\t1000\t-\t1\ta.py\ta.py' "$(now)" "$(now)" >> "$file"
printf '::test\nnonsense\tx\nsb\tbroken\n' >> "$file"
while [ ! -e go ]; do sleep 0.05; done
printf 'te\t%d\t3000\t4000\tpassed\tpassed\tpassed\tpassed\nse\t%d\t3000\t4000\t1\ntorn' "$(now)" "$(now)" >> "$file"
exit 1
"#;

#[test]
fn marks_are_read_while_they_come_and_to_their_end() {
    let place = Place::new();
    let running = place.start(&["sh", "-c", WRITER]);
    let began = wait_for("the mark of the test", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        let mut marks = recorded.batches.into_iter().flat_map(|batch| batch.marks);
        marks.find(
            |mark| matches!(&mark.what, Some(What::TestBegin(test)) if test.nodeid == "a.py::test"),
        )
    });
    assert_eq!((began.rss_bytes, began.peak_bytes), (1000, None));
    fs::write(place.file("go"), "").unwrap();
    assert_eq!(running.end().code(), 1);

    let recorded = place.recorded();
    let marks: Vec<_> = recorded
        .batches
        .iter()
        .flat_map(|batch| &batch.marks)
        .collect();
    assert_eq!(marks.len(), 4);
    let end = recorded.end.as_ref().unwrap().ended_us;
    // /proc/uptime counts hundredths, and the job begins between two of them.
    assert!(
        marks
            .iter()
            .all(|mark| (-10_000..=end).contains(&mark.t_us)),
        "{marks:?}"
    );
    let sessions: Vec<_> = recorded
        .batches
        .iter()
        .flat_map(|batch| &batch.sessions)
        .collect();
    let last = sessions.last().unwrap();
    assert_eq!(
        (last.id.as_str(), last.exit_status, last.args.as_slice()),
        ("0123", Some(1), &["-q".to_owned()][..])
    );
    let process = recorded
        .processes("sh -c")
        .into_iter()
        .find(|process| process.role() == Role::Pytest)
        .unwrap();
    assert_eq!(
        (
            process.session.as_str(),
            process.exact,
            process.pytest.as_str()
        ),
        ("0123", Some(true), "9.2.0")
    );
    let malformed = recorded.notices("marks_malformed");
    assert!(
        malformed[0]
            .message
            .contains(".events, line 6: sb: field t_us"),
        "{malformed:?}"
    );
}

/// Names what it runs as pytest does.
const NAMES_ITS_TESTS: &str = r#"
import os, time
for test in ["a.py::one", "b.py::two"]:
    for phase in ["setup", "call", "teardown"]:
        os.environ["PYTEST_CURRENT_TEST"] = f"{test} ({phase})"
        time.sleep(0.3)
    del os.environ["PYTEST_CURRENT_TEST"]
"#;

#[test]
fn a_pytest_whose_path_was_replaced_is_pointed_out() {
    let place = Place::new();
    // A program that is called as pytest is, below a script that forgets the environment.
    fs::write(place.file("pytest"), NAMES_ITS_TESTS).unwrap();
    let ended = place.run(&["sh", "-c", "env -i PATH=\"$PATH\" python3 ./pytest"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let recorded = place.recorded();
    let notices = recorded.notices("pytest_without_plugin");
    assert!(
        notices.len() == 1 && notices[0].message.contains("PYTHONPATH"),
        "{notices:?}"
    );
    // It names its tests all the same.
    let marks = recorded.batches.iter().flat_map(|batch| &batch.marks);
    let tests: Vec<_> = marks
        .filter_map(|mark| match &mark.what {
            Some(What::TestBegin(test)) => Some((test.path.as_str(), test.nodeid.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(tests, [("a.py", "a.py::one"), ("b.py", "b.py::two")]);
    let sessions = recorded.batches.iter().flat_map(|batch| &batch.sessions);
    assert!(sessions.clone().count() > 0 && sessions.clone().all(|session| session.sampled));
}

#[test]
fn marks_that_were_written_survive_the_agent() {
    let place = Place::new();
    let running = place.start(&["sh", "-c", WRITER]);
    wait_for("the mark of the test", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        recorded
            .batches
            .iter()
            .any(|batch| !batch.marks.is_empty())
            .then_some(())
    });
    let before = place.recorded().batches.len();
    let is_pytest = |process: &Process| process.role() == Role::Pytest;
    let command = place.recorded().processes("set -e");
    let command = command.into_iter().find(is_pytest).unwrap().pid;
    Command::new("kill")
        .args(["-s", "KILL", &running.pid().to_string()])
        .status()
        .unwrap();
    fs::write(place.file("go"), "").unwrap();
    assert!(!running.end().status.success());
    let recorded = place.recorded();
    assert!(recorded.batches.len() >= before && recorded.end.is_none());
    // The command goes on without its agent.
    wait_for("the command's own end", || {
        (!fs::exists(format!("/proc/{command}")).unwrap()).then_some(())
    });
}

/// Holds memory for a second between its header and its first mark, below a shell that stands where pytest would.
const SANDBOXED: &str = r#"
import json, os, time
with open("/proc/self/stat") as stat:
    start = int(stat.read().rsplit(")", 1)[1].split()[19])
held = bytearray(b"x" * (64 << 20))
with open(f"{os.environ['HIGHWATER_EVENTS']}/{os.getpid()}.events", "a") as file:
    header = {"pid": os.getpid(), "start_ticks": start, "exact": True, "pytest": "9.2.0"}
    file.write(f"H\t1\t{json.dumps(header)}\n")
    file.write('S\t{"session": "0123", "role": "pytest", "root": "/r"}\n')
    file.write(f"sb\t{time.monotonic_ns() // 1000}\t{64 << 20}\t{64 << 20}\n")
    file.flush()
    time.sleep(1.2)
    file.write(f"se\t{time.monotonic_ns() // 1000}\t{64 << 20}\t{64 << 20}\t0\n")
"#;

const UNSHARE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

/// Whether a PID namespace can be made here; says so where it cannot.
fn may_unshare() -> bool {
    let mut can = Command::new(UNSHARE[0]);
    can.args(&UNSHARE[1..]).arg("true");
    let may = can.output().is_ok_and(|output| output.status.success());
    if !may {
        not_run("PID namespaces: `unshare --pid --fork --mount-proc` is not allowed");
    }
    may
}

#[test]
fn a_pytest_in_a_pid_namespace_of_its_own_is_one_process() {
    if !may_unshare() {
        return;
    }
    let place = Place::new();
    fs::write(place.file("sandboxed.py"), SANDBOXED).unwrap();
    let words = [&UNSHARE[..], &["python3", "sandboxed.py"]].concat();
    let ended = place.run(&words);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let recorded = place.recorded();
    let pytest: Vec<_> = recorded
        .processes("")
        .into_iter()
        .filter(|process| process.role() == Role::Pytest)
        .collect();
    let [process] = pytest.as_slice() else {
        panic!("{pytest:?}")
    };
    assert!(process.command.ends_with("python3 sandboxed.py"));
    let rss = recorded.values(Metric::Rss, process.pid);
    assert!(rss.iter().any(|bytes| *bytes >= 64 << 20), "{rss:?}");
    for batch in &recorded.batches {
        let pids = batch
            .marks
            .iter()
            .map(|mark| batch.processes[mark.process as usize].pid);
        assert!(
            pids.clone().all(|pid| pid == process.pid),
            "marks and samples are of one process"
        );
        assert!(batch.processes.iter().all(|other| other.pid != 1));
    }
}

#[test]
fn what_a_pytest_in_a_pid_namespace_still_writes_is_not_sent_before_its_end() {
    if !may_unshare() {
        return;
    }
    let place = Place::new();
    let running = place.start(&[&UNSHARE[..], &["sh", "-c", WRITER]].concat());
    let pytest = wait_for("the mark of the test", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        let mut batches = recorded.batches.into_iter();
        let batch = batches.find(|batch| !batch.marks.is_empty())?;
        Some(batch.processes[batch.marks[0].process as usize].pid)
    });
    assert_ne!(pytest, 1);
    kill(running.pid(), "KILL");
    let folder = place.jobs().remove(0);
    drop(spool::lock_of_gone(&folder).unwrap());
    let peer = Peer::new(|_, _| Act::Take);
    let early = upload(&place, &peer);
    assert!(
        early.code() == 0 && early.stdout.contains("still recorded, left alone"),
        "{early:?}"
    );
    assert!(spool::is_job(&folder) && peer.items().is_empty());
    fs::write(place.file("go"), "").unwrap();
    running.end();
    wait_for("pytest's end", || {
        (!fs::exists(format!("/proc/{pytest}")).unwrap()).then_some(())
    });
    let late = upload(&place, &peer);
    assert!(
        late.code() == 0 && late.stdout.contains("sent ("),
        "{late:?}"
    );
    assert!(!folder.exists());
}
