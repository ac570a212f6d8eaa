//! The agent locks its own memory where nothing limits that, and nobody else's.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    process::{Command, Stdio},
};

use crate::harness::{Place, not_run, wait_for, wait_for_file};

const NOBODY: u32 = 65_534;

/// `VmLck` of a process, kB.
fn locked(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmLck:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Says its number and waits for the file that lets it go.
const WAIT: &str = "echo $$ > pid; until [ -e go ]; do sleep 0.02; done";

#[test]
fn who_may_lock_does_and_its_command_inherits_nothing() {
    if !rustix::process::geteuid().is_root() {
        return not_run("needs CAP_IPC_LOCK");
    }
    let place = Place::new();
    let running = place.start(&["sh", "-c", WAIT]);
    let command: u32 = wait_for_file(&place.file("pid")).trim().parse().unwrap();
    wait_for("a lock", || locked(running.pid()).filter(|kb| *kb > 0));
    assert_eq!(locked(command), Some(0));
    fs::write(place.file("go"), "").unwrap();
    assert_eq!(running.end().code(), 0);
}

#[test]
fn under_the_usual_limit_nothing_is_locked_and_the_recording_is_whole() {
    if !rustix::process::geteuid().is_root() {
        return not_run("needs root to become nobody");
    }
    let place = Place::new();
    let agent = place.agent(&["sh", "-c", WAIT]);
    // Nobody may reach the folder of the build or that of the test.
    let program = place.file("highwater");
    fs::copy(agent.get_program(), &program).unwrap();
    for folder in [place.file(".."), place.file("")] {
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -l 8192 && exec \"$0\" \"$@\""])
        .arg(&program)
        .args(agent.get_args())
        .current_dir(place.file(""))
        .uid(NOBODY)
        .gid(NOBODY)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(Stdio::null());
    let mut running = shell.spawn().unwrap();
    let command: u32 = wait_for_file(&place.file("pid")).trim().parse().unwrap();
    // By then the sampler works.
    wait_for("a first batch", || {
        let jobs = place.jobs();
        let folder = jobs.first()?;
        let read = highwater_agent::spool::read(folder).ok()?;
        (!read.batches.is_empty()).then_some(())
    });
    assert_eq!((locked(running.id()), locked(command)), (Some(0), Some(0)));
    fs::write(place.file("go"), "").unwrap();
    assert!(running.wait().unwrap().success());
    assert!(place.recorded().end.is_some());
}
