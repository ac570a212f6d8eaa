//! What `start` and `stop` end with, whatever became of the recording: they fail no job.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
};

use highwater_agent::spool;
use highwater_wire::v1::EndedBy;

use crate::{
    harness::{Place, kill, not_run, wait_for},
    peer::{Act, Peer},
    steps::{Job, lives},
};

#[test]
fn without_a_job_stop_and_status_say_so() {
    let place = Place::new();
    // Where `start` could not record, `stop` is the last step of a job all the same.
    for (words, code) in [
        (["stop"].as_slice(), 0),
        (&["stop", "--job", "unit"], 0),
        (&["status"], 2),
    ] {
        let output = place.command(words[0], &words[1..]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("no recording that was started here")
                && said.contains("the log of its step says why"),
            "{said}"
        );
    }
}

#[test]
fn where_nothing_can_be_recorded_neither_start_nor_stop_fails_the_job() {
    let mut job = Job::new();
    fs::write(job.place.file("file"), "").unwrap();
    for spool in ["file", "/proc/spool"] {
        let started = job.step(&format!("highwater start --job unit --spool {spool}"));
        assert_eq!(started.code, 0, "{started:?}");
        assert!(started.stderr.contains("not recording: "), "{started:?}");
        assert!(job.exported().is_empty());
        let stopped = job.step(&format!("highwater stop --spool {spool}"));
        assert_eq!(stopped.code, 0, "{stopped:?}");
        assert!(stopped.stderr.starts_with("highwater: "), "{stopped:?}");
    }
}

#[test]
fn a_name_that_none_of_the_recordings_has_is_refused() {
    let mut job = Job::new();
    job.start("--job unit");
    let refused = job.step("highwater stop --job untit");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("untit was started here, but unit"),
        "{refused:?}"
    );
    // Where nothing else is found, the one that the environment names is not meant either.
    let passed = job.step("highwater stop --job untit --spool elsewhere");
    assert_eq!(passed.code, 0, "{passed:?}");
    assert!(
        passed.stderr.contains("no recording that was started here"),
        "{passed:?}"
    );
    assert_eq!(job.step("highwater stop --job unit").code, 0);
    assert_eq!(job.place.recorded().end.unwrap().ended_by(), EndedBy::Stop);
}

#[test]
fn an_agent_that_cannot_say_what_it_sent_fails_no_job() {
    let mut job = Job::new();
    job.start("--job unit");
    fs::create_dir(job.folder().join("outcome.json")).unwrap();
    let stopped = job.step("highwater stop --exit-code 3");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stderr.contains("is not known"), "{stopped:?}");
    assert!(stopped.stderr.contains("peak"), "{stopped:?}");
    assert_eq!(job.place.recorded().end.unwrap().exit_code, Some(3));
}

#[test]
fn a_recording_that_somebody_else_holds_fails_no_job() {
    let mut job = Job::new();
    job.start("--job unit");
    let agent = job.agent_pid().unwrap();
    kill(agent, "KILL");
    wait_for("its end", || (!lives(agent)).then_some(()));
    let folder = job.folder();
    let held = wait_for("the lock", || spool::lock(&folder).ok());
    let stopped = job.step("highwater stop");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(
        stopped.stderr.contains("a running agent records there"),
        "{stopped:?}"
    );
    drop(held);
    assert_eq!(job.step("highwater stop").code, 0);
    assert!(job.place.recorded().end.is_some());
}

#[test]
fn a_stop_that_comes_while_the_agent_ends_for_another_reason_finds_the_recording() {
    let mut job = Job::new();
    let spool = job.place.spool();
    let peer = Peer::new(move |path, _| {
        if path.ends_with("/end") {
            wait_for("the word of stop", || {
                let folders = spool::open_jobs(&spool).unwrap();
                folders[0].join("stop.json").exists().then_some(())
            });
        }
        Act::Take
    });
    job.start(&format!("--job unit --server {}", peer.url()));
    let agent = job.agent_pid().unwrap();
    let folder = job.folder();
    kill(agent, "TERM");
    wait_for("the end to be sent", || {
        peer.items().contains(&"end".to_owned()).then_some(())
    });
    let stopped = job.step("highwater stop");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stderr.contains("peak"), "{stopped:?}");
    assert!(!lives(agent) && !folder.exists());
}

#[test]
fn a_folder_that_goes_while_the_agent_is_waited_for_is_made_anew_for_its_end() {
    let mut job = Job::new();
    job.start("--job unit");
    let (agent, folder) = (job.agent_pid().unwrap(), job.folder());
    kill(agent, "STOP");
    let step = job.begin_step("highwater stop");
    wait_for("the word of stop", || {
        folder.join("stop.json").exists().then_some(())
    });
    fs::remove_dir_all(&folder).unwrap();
    kill(agent, "CONT");
    let stopped = step.end();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stderr.contains("was made anew"), "{stopped:?}");
    assert!(!lives(agent));
    // The word of `stop` went with the folder; who sent the signal is known.
    let end = job.place.recorded().end.unwrap();
    assert_eq!(end.ended_by(), EndedBy::Stop);
}

#[test]
fn for_want_of_a_thread_to_send_with_it_is_recorded_and_stop_sends() {
    if !rustix::process::geteuid().is_root() {
        return not_run("needs root to become somebody whose processes are counted");
    }
    let place = Place::new();
    let peer = Peer::new(|_, _| Act::Take);
    let program = place.file("highwater");
    fs::copy(env!("CARGO_BIN_EXE_highwater"), &program).unwrap();
    for folder in [place.file(".."), place.file("")] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    // Each a user of its own, so that nothing of the one before counts. The first who has room for the threads of a recording has none for more.
    let home = (2..40).find_map(|most| {
        let (home, user) = (place.file(&most.to_string()), 54_300 + most);
        fs::create_dir(&home).unwrap();
        chown(&home, Some(user), Some(user)).unwrap();
        let mut start = place.bare("prlimit");
        start
            .arg(format!("--nproc={most}"))
            .arg(&program)
            .args(["start", "--job", "unit", "--project", "o/r", "--spool"])
            .arg(home.join("spool"))
            .args(["--server", &peer.url()])
            .env("HOME", &home)
            .uid(user)
            .gid(user);
        let output = start.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{most}: {said}");
        (!said.contains("not recording")).then_some(home)
    });
    let root = home.unwrap().join("spool");
    let [folder] = spool::open_jobs(&root).unwrap().try_into().unwrap();
    let log = fs::read_to_string(folder.join("agent.log")).unwrap();
    assert!(log.contains("not sending while recording"), "{log}");
    let mut stop = place.bare(env!("CARGO_BIN_EXE_highwater"));
    stop.args(["stop", "--job", "unit", "--spool"]).arg(&root);
    let stopped = stop.output().unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(
        peer.items().contains(&"end".to_owned()) && !folder.exists(),
        "{stopped:?}"
    );
}
