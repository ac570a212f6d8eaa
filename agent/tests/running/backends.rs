//! What `--backend sysinfo` records of real processes, on a system that could do better.

use std::fs;

use highwater_wire::v1::Metric;

use crate::harness::{Place, Recorded, wait_for, wait_for_file};

/// Holds 200 MB until the file `go` is there; says its number and what the kernel says it holds.
const HOLDER: &str = r#"
import os, time
held = bytearray(200 << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
resident = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
with open("held", "w") as file:
    file.write(f"{os.getpid()} {resident}\n")
deadline = time.monotonic() + 60
while not os.path.exists("go") and time.monotonic() < deadline:
    time.sleep(0.01)
"#;

/// `highwater run --backend sysinfo`.
fn start(place: &Place, script: &str) -> std::process::Child {
    let mut agent = place.agent(&["sh", "-c", script]);
    agent.env("HIGHWATER_BACKEND", "sysinfo").spawn().unwrap()
}

fn recorded(place: &Place) -> Option<Recorded> {
    place.jobs().first().map(|_| place.recorded())
}

#[test]
fn a_plateau_of_a_grandchild_is_seen_as_high_as_it_is() {
    let place = Place::new();
    fs::write(place.file("holder.py"), HOLDER).unwrap();
    let mut agent = start(&place, "sh -c 'python3 holder.py; exit 0'; exit 2");
    let held = wait_for_file(&place.file("held"));
    let (pid, resident) = held.trim().split_once(' ').unwrap();
    let (pid, resident): (u32, i64) = (pid.parse().unwrap(), resident.parse().unwrap());
    wait_for("a sample of the plateau", || {
        let values = recorded(&place)?.values(Metric::Rss, pid);
        values.into_iter().find(|bytes| *bytes >= resident * 9 / 10)
    });
    fs::write(place.file("go"), "").unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(2));
    let recorded = place.recorded();
    let values = recorded.values(Metric::Rss, pid);
    let highest = values.into_iter().max().unwrap();
    assert!(highest <= resident * 11 / 10, "{highest} of {resident}");
    let child = recorded.processes("holder.py").pop().unwrap();
    assert!(child.ended_us > child.started_us && child.started_us.is_some());
    // What sysinfo does not know is not there, and the recording says why.
    assert_eq!(recorded.values(Metric::Anon, pid), [0; 0]);
    assert_eq!(recorded.values(Metric::Pss, pid), [0; 0]);
    assert_eq!(recorded.notices("backend_sysinfo").len(), 1);
}

#[test]
fn whoever_becomes_a_daemon_stays_in_the_job_though_nobody_adopts_it() {
    let place = Place::new();
    fs::write(place.file("holder.py"), HOLDER).unwrap();
    // The shell between is seen with its child before it ends.
    let script = "sh -c 'python3 holder.py & while [ ! -e leave ]; do sleep 0.05; done'; while [ ! -e stop ]; do sleep 0.05; done";
    let mut agent = start(&place, script);
    let pid: u32 = wait_for_file(&place.file("held"))
        .split_once(' ')
        .unwrap()
        .0
        .parse()
        .unwrap();
    let samples = || recorded(&place).map_or(0, |recorded| recorded.values(Metric::Rss, pid).len());
    wait_for("a sample of the child", || (samples() > 0).then_some(()));
    let parent = || -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()
    };
    let shell = parent().unwrap();
    fs::write(place.file("leave"), "").unwrap();
    wait_for("the child to be somebody else's", || {
        parent().filter(|parent| *parent != shell)
    });
    assert_ne!(parent(), Some(agent.id()), "nobody adopts it for the job");
    let before = samples();
    wait_for("samples of the orphan", || {
        (samples() > before + 10).then_some(())
    });
    fs::write(place.file("go"), "").unwrap();
    wait_for("its end", || {
        let found = recorded(&place)?.processes("holder.py").pop()?;
        found.ended_us
    });
    fs::write(place.file("stop"), "").unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(0));
}

#[test]
fn the_grid_is_no_finer_than_sysinfo_can_keep() {
    let place = Place::new();
    let mut agent = start(&place, "sleep 2.2");
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    let recorded = place.recorded();
    let mut ticks = Vec::new();
    let grids = recorded.batches.iter().flat_map(|batch| &batch.samples);
    for samples in grids.filter(|samples| !samples.lateness_us.is_empty()) {
        let mut t_us = 0;
        for (delta, lateness) in samples.t_us_delta.iter().zip(&samples.lateness_us) {
            t_us += delta;
            ticks.push(t_us - lateness.cast_signed());
        }
    }
    assert!(!ticks.is_empty());
    assert!(ticks.iter().all(|tick| tick % 200_000 == 0), "{ticks:?}");
}

#[test]
fn a_backend_that_does_not_exist_is_refused_before_anything_runs() {
    let place = Place::new();
    let agent = place.agent(&["touch", "ran"]);
    let words: Vec<_> = agent
        .get_args()
        .map(std::ffi::OsStr::to_os_string)
        .collect();
    let mut agent = std::process::Command::new(agent.get_program());
    let output = agent
        .args(["run", "--backend", "windows"])
        .args(&words[1..])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("--backend") && said.contains("sysinfo"),
        "{said}"
    );
    assert!(!place.file("ran").exists());
}
