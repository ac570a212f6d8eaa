use std::process::{Child, Command, Stdio};

use super::*;

fn child(script: &str) -> (Child, Held) {
    let child = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stat = Procfs::system().stat(child.id(), &mut Vec::new());
    let key = ProcessKey {
        pid: child.id(),
        start_ticks: stat.unwrap().unwrap().start_ticks,
    };
    (child, Held::of(&Procfs::system(), key).unwrap())
}

fn wait_for_zombie(pid: u32) {
    let is_dead = || {
        let stat = Procfs::system().stat(pid, &mut Vec::new()).unwrap();
        stat.unwrap().is_dead()
    };
    while !is_dead() {
        std::thread::yield_now();
    }
}

#[test]
fn the_end_is_known_before_and_after_it_was_reaped() {
    let procfs = Procfs::system();
    for (script, code, signal) in [
        ("read x; exit 0", Some(0), None),
        ("read x; exit 7", Some(7), None),
        ("read x; kill -9 $$", None, Some(9)),
    ] {
        let (mut child, held) = child(script);
        assert_eq!(held.exit_status(&procfs), None, "it lives");
        drop(child.stdin.take());
        wait_for_zombie(child.id());
        let parts = |status: ExitStatus| (status.code(), status.signal());
        let zombie = held.exit_status(&procfs).map(parts);
        assert_eq!(zombie, Some((code, signal)), "{script}");
        child.wait().unwrap();
        match held.status_of_reaped() {
            Ok(reaped) => assert_eq!(reaped.map(parts), Some((code, signal)), "{script}"),
            Err(error) => crate::terminal::answer(&format!(
                "NOT RUN: exits of reaped processes need Linux 6.15: {error}"
            )),
        }
    }
}

#[test]
fn a_process_that_is_gone_cannot_be_held() {
    let (mut child, held) = child("exit 0");
    child.wait().unwrap();
    let again = Held::of(&Procfs::system(), held.key).unwrap_err();
    assert_eq!(again.raw_os_error(), Some(Errno::SRCH.raw_os_error()));
}

#[test]
fn a_number_used_again_is_not_taken_for_the_one_before() {
    let procfs = Procfs::system();
    let (mut child, mut held) = child("exit 3");
    wait_for_zombie(child.id());
    held.key.start_ticks += 1;
    assert_eq!(held.status_of_zombie(&procfs), None);
    let again = Held::of(&procfs, held.key).unwrap_err();
    assert_eq!(again.raw_os_error(), Some(Errno::SRCH.raw_os_error()));
    child.wait().unwrap();
}
