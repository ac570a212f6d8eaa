//! What the kernel says of an ending: cgroups that pytest was put into, kills for want of memory, how processes ended, limits, the rest of the machine,
//! senders of signals. With real processes and real memory cgroups, which need root.

use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    process::{Command, Stdio},
};

use highwater_wire::v1::{Metric, Role, event::What};

use crate::{
    cgroups::Cgroup,
    harness::{Place, not_run, wait_for, wait_for_file},
};

/// Whoever cannot have a memory cgroup says why.
fn cgroup(label: &str, bytes: u64) -> Option<Cgroup> {
    Cgroup::with_limit(label, bytes)
        .map_err(|reason| not_run(&format!("memory cgroup: {reason}")))
        .ok()
}

/// Joins a cgroup after the fork, as a test harness would; there it waits for `go`, and then needs far more than is allowed.
const JOINER: &str = r#"
import os, sys, time
folder = sys.argv[1]
child = os.fork()
if not child:
    with open(folder + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
    os.execvp(sys.executable, [sys.executable, "eater.py"])
with open("child", "w") as file:
    file.write(f"{child}\n")
_, status = os.waitpid(child, 0)
os.system(f"rmdir {folder}")
with open("status", "w") as file:
    file.write(f"{status}\n")
deadline = time.monotonic() + 60
while not os.path.exists("stop") and time.monotonic() < deadline:
    time.sleep(0.01)
"#;

const EATER: &str = r#"
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
held = bytearray(b"x" * (400 << 20))
"#;

#[test]
fn a_kill_in_a_cgroup_of_its_own_is_seen_though_the_cgroup_is_removed_at_once() {
    let Some(cgroup) = cgroup("joined", 64 << 20) else {
        return;
    };
    let place = Place::new();
    fs::write(place.file("joiner.py"), JOINER).unwrap();
    fs::write(place.file("eater.py"), EATER).unwrap();
    let folder = cgroup.folder.to_str().unwrap().to_owned();
    let running = place.start(&["python3", "joiner.py", &folder]);
    let pid: u32 = wait_for_file(&place.file("child")).trim().parse().unwrap();
    // Seen from outside, before anything happened.
    wait_for("the cgroup of the child", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        let kills = recorded.cgroup(Metric::CgroupOomKills, &cgroup.name);
        (kills.first() == Some(&0)).then_some(())
    });
    fs::write(place.file("go"), "").unwrap();
    assert_eq!(wait_for_file(&place.file("status")).trim(), "9");
    assert!(!cgroup.folder.exists());
    let child = wait_for("its end", || {
        let found = place.recorded().processes("eater.py");
        found.into_iter().find(|child| child.signal.is_some())
    });
    fs::write(place.file("stop"), "").unwrap();
    assert_eq!(running.end().code(), 0);
    assert_eq!((child.pid, child.signal), (pid, Some(9)));
    assert_eq!(child.cgroup, cgroup.name);
    let recorded = place.recorded();
    let values = |metric| recorded.cgroup(metric, &cgroup.name);
    assert_eq!(values(Metric::CgroupLimit).first(), Some(&(64 << 20)));
    let kills = values(Metric::CgroupOomKills);
    assert_eq!(
        (kills.first(), kills.last()),
        (Some(&0), Some(&1)),
        "{kills:?}"
    );
    let met = values(Metric::CgroupLimitMet);
    assert!(met.last() > met.first(), "{met:?}");
    assert_eq!(recorded.notices("second_failed").len(), 0);
    // The agent's own cgroup is not forgotten over it.
    let names: Vec<_> = recorded
        .batches
        .iter()
        .flat_map(|batch| &batch.samples)
        .flat_map(|samples| &samples.series)
        .map(|series| series.cgroup.as_str())
        .collect();
    assert!(
        names
            .iter()
            .any(|name| !name.is_empty() && *name != cgroup.name)
    );
    if fs::File::open("/dev/kmsg").is_err() {
        return not_run("the kernel's log may not be read");
    }
    let oom = recorded.events().into_iter().find_map(|what| match what {
        What::KernelOom(oom) if oom.pid == pid => Some(oom),
        _ => None,
    });
    let oom = oom.unwrap();
    assert_eq!(
        (oom.cgroup.as_str(), oom.comm.as_str()),
        (cgroup.name.as_str(), "python3")
    );
    assert!(oom.anon_bytes > 32 << 20);
}

/// Whether this is python itself, and not a shell that looks for it.
fn is_python(command: &str) -> bool {
    let program = command.split(' ').next().unwrap();
    program.rsplit('/').next().unwrap().starts_with("python")
}

/// A grandchild that ends in its own way, and whose parent then goes on.
fn ends_of_grandchildren(place: &Place, mut agent: Command) {
    let script = "python3 -c 'import os, time; time.sleep(0.3); os.kill(os.getpid(), 11)'; \
                  python3 -c 'import sys, time; time.sleep(0.3); sys.exit(3)'; \
                  sleep 1; exit 0";
    let output = agent.args(["sh", "-c", script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let recorded = place.recorded();
    let end = |text: &str| {
        let found = recorded.processes(text);
        let process = found.iter().find(|process| is_python(&process.command));
        process
            .map(|process| (process.exit_code, process.signal))
            .unwrap_or_else(|| panic!("{:?}", recorded.processes("")))
    };
    assert_eq!(end("os.kill"), (None, Some(11)));
    assert_eq!(end("sys.exit"), (Some(3), None));
}

#[test]
fn how_a_grandchild_ended_is_known() {
    let place = Place::new();
    ends_of_grandchildren(&place, place.agent(&[]));
}

/// An agent of a user without any privilege, or why there is none.
fn agent_of_nobody(place: &Place) -> Option<Command> {
    if !rustix::process::geteuid().is_root() {
        not_run("being another user: only root can become one");
        return None;
    }
    let nobody = Some(65_534);
    let work = place.file("");
    chown(&work, nobody, nobody).unwrap();
    chown(work.parent().unwrap(), nobody, nobody).unwrap();
    let mut agent = place.agent(&[]);
    agent.uid(65_534).gid(65_534);
    let mut tried = Command::new(agent.get_program());
    match tried.arg("--version").current_dir("/").uid(65_534).output() {
        Ok(_) => Some(agent),
        Err(error) => {
            not_run(&format!("the agent as another user: {error}"));
            None
        }
    }
}

#[test]
fn how_another_users_process_ended_is_known_once_it_was_reaped() {
    let place = Place::new();
    let Some(mut agent) = agent_of_nobody(&place) else {
        return;
    };
    // As root for whoever runs it: nobody else may look into it.
    let program = place.file("as-root");
    fs::copy("/usr/bin/timeout", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let script = "./as-root 0.6 sleep 60; sleep 1; exit 0";
    let output = agent.args(["sh", "-c", script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let recorded = place.recorded();
    let found = recorded.processes("./as-root 0.6");
    let process = found
        .iter()
        .find(|process| process.command.starts_with("./as-root"))
        .unwrap_or_else(|| panic!("{found:?}"));
    match process.exit_code {
        None => not_run("Linux before 6.15, or no setuid programs here"),
        Some(code) => assert_eq!(code, 124),
    }
}

#[test]
fn without_privileges_all_that_is_left_is_recorded() {
    let place = Place::new();
    let Some(agent) = agent_of_nobody(&place) else {
        return;
    };
    ends_of_grandchildren(&place, agent);
    let recorded = place.recorded();
    for code in ["second_failed", "kernel_log_failed", "rest_failed"] {
        assert!(recorded.notices(code).is_empty(), "{code}");
    }
}

#[test]
fn the_limit_of_an_address_space_and_the_most_it_was_are_told() {
    let place = Place::new();
    let hold = "import time; held = bytearray(64 << 20); time.sleep(2.5)";
    let script = format!("ulimit -v 400000; python3 -c '{hold}'; exit 0");
    assert_eq!(place.run(&["sh", "-c", &script]).code(), 0);
    let recorded = place.recorded();
    let limited = &recorded.processes("python3 -c")[..];
    let process = limited
        .iter()
        .find(|process| is_python(&process.command))
        .unwrap_or_else(|| panic!("{:?}", recorded.processes("")));
    assert_eq!(process.address_space_limit_bytes, Some(400_000 << 10));
    let peak = process.address_space_peak_bytes.unwrap();
    assert!((64 << 20..=400_000 << 10).contains(&peak), "{peak}");
    let place = Place::new();
    assert_eq!(place.run(&["sleep", "1.2"]).code(), 0);
    let unlimited = &place.recorded().processes("sleep")[0];
    assert_eq!(unlimited.address_space_limit_bytes, None);
    assert_eq!(unlimited.address_space_peak_bytes, None);
}

#[test]
fn the_rest_of_the_machine_is_told_and_not_what_its_arguments_say() {
    let place = Place::new();
    let mut other = Command::new("python3")
        .args([
            "-c",
            "secret = bytearray(b'x' * (300 << 20)); print(flush=True); input()",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    other.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let ended = place.run(&["sleep", "2"]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(ended.code(), 0);
    let recorded = place.recorded();
    let others: Vec<_> = recorded
        .batches
        .iter()
        .flat_map(|batch| &batch.processes)
        .filter(|process| process.role() == Role::Other)
        .collect();
    let all = recorded.collect_all(Metric::MachineOthers);
    assert!(
        !all.is_empty() && all.iter().all(|bytes| *bytes >= 300 << 20),
        "{all:?}"
    );
    let Some(told) = others.iter().find(|process| process.pid == other.id()) else {
        assert_eq!(others.len(), 8, "{others:?}");
        return not_run("eight larger processes run beside it");
    };
    assert!(
        told.command.starts_with("python3") && !told.command.contains("secret"),
        "{told:?}"
    );
    let rss = recorded.values(Metric::OtherRss, other.id());
    assert!(
        !rss.is_empty() && rss.iter().all(|bytes| *bytes >= 300 << 20),
        "{rss:?}"
    );
    // In no sum of the job, and the agent is not among them.
    assert!(recorded.values(Metric::Rss, other.id()).is_empty());
    assert!(
        others
            .iter()
            .all(|process| !process.command.contains("highwater ")),
        "{others:?}"
    );
}

#[test]
fn a_job_that_is_over_at_once_knows_the_rest_of_the_machine_too() {
    let place = Place::new();
    assert_eq!(place.run(&["true"]).code(), 0);
    let all = place.recorded().collect_all(Metric::MachineOthers);
    assert!(
        !all.is_empty() && all.iter().all(|bytes| *bytes > 0),
        "{all:?}"
    );
}

#[test]
fn a_signal_is_told_with_its_sender() {
    let place = Place::new();
    let script = "echo x > ready; while [ ! -e stop ]; do sleep 0.05; done";
    let running = place.start(&["sh", "-c", &format!("trap 'touch stop' TERM; {script}")]);
    wait_for_file(&place.file("ready"));
    let agent = rustix::process::Pid::from_raw(running.pid().cast_signed()).unwrap();
    rustix::process::kill_process(agent, rustix::process::Signal::TERM).unwrap();
    assert_eq!(running.end().code(), 0);
    let events = place.recorded().events();
    let [What::Signal(taken)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (taken.signal, taken.sender_pid, taken.from_terminal),
        (15, std::process::id(), false)
    );
    assert!(taken.sender.contains("running"), "{taken:?}");
}
