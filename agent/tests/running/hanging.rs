//! A disk that hangs, by a writing thread that is held still: nobody waits for it without bound, and nobody takes what it has not written for nothing.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use highwater_agent::spool;
use highwater_wire::{codec, v1::End};

use crate::{
    harness::{Place, not_run, wait_for, wait_for_file},
    peer::{Act, Peer},
    steps::Job,
};

/// Holds the thread of a process that writes its recording, until the process is gone.
const HOLD_WRITER: &str = r#"
import ctypes, os, sys
SEIZE, INTERRUPT, ANY_THREAD = 0x4206, 0x4207, 0x40000000
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
tasks = f"/proc/{sys.argv[1]}/task"
names = {int(tid): open(f"{tasks}/{tid}/comm").read().strip() for tid in os.listdir(tasks)}
[writer] = [tid for tid, name in names.items() if name == "highwater-recor"]
for request in SEIZE, INTERRUPT:
    if ptrace(request, writer, None, None) != 0:
        sys.exit(print("not held:", os.strerror(ctypes.get_errno())))
os.waitpid(writer, ANY_THREAD)
print("held", flush=True)
while os.WIFSTOPPED(os.waitpid(writer, ANY_THREAD)[1]):
    pass
"#;

/// Ends by itself with the process whose thread it holds.
struct Holder(Child);

impl Holder {
    /// Why not, where one process may not hold another.
    fn of(pid: u32) -> Result<Self, String> {
        let mut python = Command::new("python3");
        python.args(["-c", HOLD_WRITER, &pid.to_string()]);
        let mut holder = Self(python.stdout(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        let mut stdout = BufReader::new(holder.0.stdout.take().unwrap());
        stdout.read_line(&mut said).unwrap();
        match said.trim_end() {
            "held" => Ok(holder),
            other => Err(other.to_owned()),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.kill());
        }
        drop(self.0.wait());
    }
}

fn has(peer: &Peer, item: &str) -> bool {
    peer.items().contains(&item.to_owned())
}

fn end_at(peer: &Peer) -> End {
    let asked = peer.asked();
    let end = asked.iter().find(|asked| asked.path.ends_with("/end"));
    codec::decode(&end.unwrap().body).unwrap()
}

#[test]
fn the_exit_code_comes_and_the_recording_stays_to_be_completed() {
    let place = Place::new();
    let peer = Peer::new(|_, _| Act::Take);
    let script = "echo $$ > pid; until [ -e go ]; do sleep 0.02; done; exit 3";
    let mut agent = place.agent(&["sh", "-c", script]);
    let child = agent
        .env("HIGHWATER_SERVER", peer.url())
        .env("HIGHWATER_SUMMARY", "summary.json")
        .spawn()
        .unwrap();
    wait_for_file(&place.file("pid"));
    wait_for("a batch to be sent", || has(&peer, "0").then_some(()));
    let held = Holder::of(child.id());
    fs::write(place.file("go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    if let Err(reason) = held {
        return not_run(&reason);
    }
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["did not come to its end", "no summary", "highwater upload"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!place.file("summary.json").exists());
    let [folder] = place.jobs().try_into().unwrap();
    assert_eq!(spool::read_end(&folder).unwrap(), None);
    assert!(!has(&peer, "end"), "{:?}", peer.items());
    let uploaded = place.command("upload", &["--server", &peer.url()]);
    assert!(uploaded.status.success(), "{uploaded:?}");
    let end = end_at(&peer);
    assert!(end.agent_lost && end.streams[0].batches > 0, "{end:?}");
    assert!(!folder.exists());
}

#[test]
fn beside_the_steps_of_a_job_whoever_stops_it_completes_it() {
    let mut job = Job::new();
    let peer = Peer::new(|_, _| Act::Take);
    job.start(&format!("--job unit --server {}", peer.url()));
    wait_for("a batch to be sent", || has(&peer, "0").then_some(()));
    let held = Holder::of(job.agent_pid().unwrap());
    let folder = job.folder();
    let stopped = job.step("highwater stop --exit-code 3");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    if let Err(reason) = held {
        return not_run(&reason);
    }
    assert!(
        stopped.stderr.contains("did not come to its end"),
        "{stopped:?}"
    );
    let end = end_at(&peer);
    assert!(end.agent_lost && end.streams[0].batches > 0, "{end:?}");
    assert_eq!(end.exit_code, Some(3));
    assert!(!folder.exists());
}
