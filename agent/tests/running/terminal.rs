//! Standard streams that cannot be written, and limits of the file size: the command runs and ends as ever.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use crate::harness::Place;

/// Accepts no byte: every write fails as on a full disk.
fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe whose reader has gone.
fn deserted() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn the_command_runs_and_ends_as_ever_where_nothing_can_be_said() {
    for stderr in [full, deserted] {
        for words in [&["--no-exact"][..], &["--quiet"]] {
            let place = Place::new();
            let mut agent = Command::new(env!("CARGO_BIN_EXE_highwater"));
            agent
                .args(["run", "--server", "http://127.0.0.1:9", "--spool"])
                .arg(place.spool())
                .args(words)
                .args(["--", "sh", "-c", "echo ran; exit 3"])
                .env_remove("HIGHWATER_JOB")
                .stderr(stderr());
            let output = agent.output().unwrap();
            assert_eq!(
                (output.status.code(), output.stdout.as_slice()),
                (Some(3), &b"ran\n"[..]),
                "{words:?}"
            );
            assert!(place.recorded().end.is_some(), "{words:?}");
        }
    }
}

#[test]
fn a_program_that_is_not_there_has_the_shells_code_also_where_nobody_reads_why() {
    let place = Place::new();
    let mut agent = place.agent(&["no-such-program-here"]);
    let status = agent.stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(127));
}

/// Ends a report whose text goes to `stdout`: its exit code, and what it said.
fn reported(place: &Place, stdout: Stdio) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["report", "--spool"])
        .arg(place.spool())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_report_that_nobody_reads_is_no_failure_and_one_that_cannot_be_written_is() {
    let place = Place::new();
    assert_eq!(place.run(&["true"]).code(), 0);
    assert_eq!(reported(&place, deserted()), (Some(0), String::new()));
    let (code, said) = reported(&place, full());
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(
        said,
        "highwater: standard output: the answer cannot be written: No space left on device (os error 28)\n"
    );
}

/// Runs a command under a shell that sets a limit before it becomes the agent.
fn limited(place: &Place, limit: &str, words: &[&str]) -> std::process::Output {
    let agent = place.agent(words);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")])
        .arg(agent.get_program())
        .args(agent.get_args());
    shell.output().unwrap()
}

#[test]
fn a_limit_of_the_file_size_is_an_error_of_the_recording_and_not_its_end() {
    let place = Place::new();
    let output = limited(&place, "ulimit -f 0", &["sh", "-c", "echo ran; exit 3"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(output.stdout, b"ran\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("highwater: not recording: "), "{said}");

    // In the middle of the run: whatever the recording loses, the command goes on.
    let place = Place::new();
    assert_eq!(
        place.run(&["true"]).code(),
        0,
        "the plugin's files are there"
    );
    let script = "for i in 1 2 3; do python3 -c 'import time; time.sleep(1)' $(seq 2000); done; echo ran; exit 3";
    let output = limited(&place, "ulimit -f 4", &["sh", "-c", script]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(3), &b"ran\n"[..]),
        "{output:?}"
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("of the recording are lost"), "{said}");
}

#[test]
fn the_command_itself_is_ended_by_its_file_limit_as_without_the_agent() {
    let place = Place::new();
    let output = limited(
        &place,
        "ulimit -f 512",
        &["sh", "-c", "head -c 1000000 /dev/zero > large"],
    );
    let without = Command::new("sh")
        .args(["-c", "ulimit -f 512; head -c 1000000 /dev/zero > large"])
        .current_dir(place.spool())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), without.status.code(), "{output:?}");
    assert_eq!(output.status.code(), Some(128 + 25), "SIGXFSZ");
}
