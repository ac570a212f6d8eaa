//! Whom the kernel takes when memory runs out: the tests, so that the agent lives to tell.

use std::{
    fs,
    os::{fd::AsRawFd, unix::process::ExitStatusExt},
    process::Command,
};

use highwater_agent::{procfs::Procfs, witness::Protector};
use highwater_wire::v1::Metric;

use crate::{
    cgroups::Cgroup,
    harness::{Place, not_run, wait_for, wait_for_file},
};

/// Tells its own `oom_score_adj` once the agent has had the time to raise it.
const TELL: &str = "import time; time.sleep(1); print(open('/proc/self/oom_score_adj').read())";

#[test]
fn the_tests_stand_above_the_agent_for_the_kernel_unless_told_otherwise() {
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let protector = Protector::above(&Procfs::system(), std::process::id(), &[]);
    let Some(target) = protector.map(|protector| protector.target()) else {
        return not_run("nothing can stand above this test's own oom_score_adj");
    };
    let words = ["sh", "-c", "python3 -c \"$0\"; exit 0", TELL];
    let place = Place::new();
    let ended = place.run(&words);
    assert_eq!(ended.stdout.trim(), target.to_string(), "{ended:?}");
    let told = place.recorded().processes("python3 -c");
    assert!(
        told.iter()
            .any(|process| process.oom_score_adj == Some(target)),
        "{told:?}"
    );
    let place = Place::new();
    let mut agent = place.agent(&words);
    agent.env("HIGHWATER_PROTECT", "0");
    let output = agent.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        own.trim(),
        "{output:?}"
    );
    assert!(
        place
            .recorded()
            .processes("")
            .iter()
            .all(|process| process.oom_score_adj.is_none())
    );
}

/// Smaller than the agent itself, it first fills the memory of its cgroup with what counts for no process, a file in memory that is held
/// elsewhere, and meets the limit with the few pages of its own that are then still free. These are what the kernel gets back at once by
/// killing it; were they the file's, it would take the agent as well before that is gone.
const FILLER: &str = r#"
import os, sys, time
usage, limit, room = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "r+b", buffering=0)
part = bytes(1 << 20)
print(os.getpid(), file=open("filler", "w"), flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
while int(open(usage).read()) < limit - 5 * len(part):
    room.write(part)
held = []
while True:
    held.append(bytearray(b"x" * len(part)))
"#;
/// Whether nothing is left of a process but its number.
fn has_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        stat.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X'])
    })
}

/// Of the cgroup, bytes.
const LIMIT: u64 = 64 << 20;

/// Runs the agent and the filler in one cgroup of 64 MB; how the agent ended, and whether it was the bigger of the two.
fn run_out_of_memory(place: &Place, protects: bool) -> Option<(std::process::ExitStatus, bool)> {
    let cgroup = Cgroup::with_limit(if protects { "protect" } else { "expose" }, LIMIT)
        .map_err(|reason| not_run(&format!("memory cgroup: {reason}")))
        .ok()?;
    let python = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    let room = rustix::fs::memfd_create("room", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let path_of_room = format!("/proc/{}/fd/{}", std::process::id(), room.as_raw_fd());
    let usage = cgroup.usage_file().display().to_string();
    let limit = LIMIT.to_string();
    let arguments = [usage.as_str(), &limit, &path_of_room];
    let command = [python.trim(), "-I", "-S", "-c", FILLER];
    let mut agent = place.agent(&[&command[..], &arguments].concat());
    agent.env("HIGHWATER_PROTECT", if protects { "1" } else { "0" });
    let mut agent = cgroup.holding(&agent).spawn().unwrap();
    let filler: u32 = wait_for_file(&place.file("filler")).trim().parse().unwrap();
    wait_for("the first batch", || {
        let recorded = place.jobs().first().map(|_| place.recorded())?;
        (!recorded.values(Metric::Rss, filler).is_empty()).then_some(())
    });
    let page_bytes = rustix::param::page_size() as u64;
    let rss = |pid| {
        let statm = Procfs::system().open_statm(pid, page_bytes).unwrap();
        statm.unwrap().read().unwrap().unwrap().resident_bytes
    };
    let is_bigger = rss(agent.id()) > rss(filler) + (1 << 20);
    // Whoever asks for memory while the one that was chosen is taken down may be taken as well: the kernel counts a process as gone a moment before
    // its pages are given back. So the agent asks for none until then; the kernel can choose it all the same.
    let signal = |signal| {
        let pid = rustix::process::Pid::from_child(&agent);
        // It may have been taken.
        let _lived = rustix::process::kill_process(pid, signal).is_ok();
    };
    signal(rustix::process::Signal::STOP);
    fs::write(place.file("go"), "").unwrap();
    wait_for("whom the kernel takes", || {
        (has_ended(filler) || has_ended(agent.id())).then_some(())
    });
    signal(rustix::process::Signal::CONT);
    let status = agent.wait().unwrap();
    // Where the agent was taken, its command lives on.
    for pid in fs::read_to_string(cgroup.folder.join("cgroup.procs"))
        .unwrap()
        .lines()
    {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        // It may have ended since.
        let _lived = rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok();
    }
    wait_for("an empty cgroup", || {
        let left = fs::read_to_string(cgroup.folder.join("cgroup.procs")).unwrap();
        left.is_empty().then_some(())
    });
    Some((status, is_bigger))
}

#[test]
fn the_kernel_takes_the_tests_and_the_agent_lives_to_tell() {
    let place = Place::new();
    let Some((status, _)) = run_out_of_memory(&place, true) else {
        return;
    };
    assert_eq!(status.code(), Some(137), "{status:?}");
    let end = place.recorded().end.unwrap();
    assert_eq!((end.signal, end.agent_lost), (Some(9), false));
}

#[test]
fn without_protection_the_kernel_takes_the_bigger_of_the_two() {
    let place = Place::new();
    match run_out_of_memory(&place, false) {
        None => {}
        Some((status, true)) => {
            assert_eq!(status.signal(), Some(9), "{status:?}");
            assert!(place.recorded().end.is_none(), "nobody was left to tell");
        }
        Some((_, false)) => not_run("the agent is smaller than python here"),
    }
}
