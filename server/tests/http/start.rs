//! The program itself: what it says while it starts.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::app::wait_for;

fn server(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater-server"));
    command
        .current_dir(folder.path())
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped());
    command
}

#[test]
fn it_listens_only_once_its_database_is_open() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("garbage.db"), "no database\n".repeat(99)).unwrap();
    let ended = server(&folder)
        .args(["--database", "sqlite://garbage.db"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("garbage.db"), "{said}");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "");
}

#[test]
fn empty_variables_say_nothing_and_a_log_in_a_file_has_no_colours() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    let mut child = server(&folder)
        .envs([
            ("HIGHWATER_SILENCE", ""),
            ("HIGHWATER_CONFIG", ""),
            ("HIGHWATER_DATABASE", " "),
            ("HIGHWATER_LOG", "debug"),
        ])
        .stderr(File::create(&path).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    if let Some((_, url)) = line.trim().split_once("listening on ") {
        let answer = ureq::get(format!("{url}/healthz")).call();
        assert!(answer.is_ok());
        let log = wait_for("a line in the log", || {
            let log = std::fs::read_to_string(&path).unwrap();
            log.contains("healthz").then_some(log)
        });
        assert!(!log.contains('\u{1b}'), "{log}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(line.contains("listening on http://127.0.0.1:"), "{log}");
}
