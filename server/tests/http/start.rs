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
        let answer = ureq::get(format!("{url}/healthz")).call().unwrap();
        let id = answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let log = wait_for("a line in the log with the answer's id", || {
            let log = std::fs::read_to_string(&path).unwrap();
            let is_told = |line: &str| line.contains("path=\"/healthz\"") && line.contains(&id);
            log.lines().any(is_told).then_some(log)
        });
        assert!(!log.contains('\u{1b}'), "{log}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(line.contains("listening on http://127.0.0.1:"), "{log}");
}

/// What the doctor says, and the code it ends with.
fn doctor(folder: &TempDir, args: &[&str]) -> (String, Option<i32>) {
    let done = Command::new(env!("CARGO_BIN_EXE_highwater-server"))
        .current_dir(folder.path())
        .arg("doctor")
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&done.stdout) + &text(&done.stderr), done.status.code())
}

/// How it is with one thing.
fn status(said: &str, name: &str) -> String {
    let line = said
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or("");
    line[name.len()..].trim().to_owned()
}

#[test]
fn the_doctor_says_what_stands_in_the_way_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let (said, code) = doctor(&folder, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(status(&said, "database").starts_with("works"), "{said}");
    assert!(status(&said, "server").starts_with("not checked"), "{said}");
    assert!(
        !folder.path().join("highwater.db").exists(),
        "it only looked"
    );
    let (said, code) = doctor(&folder, &["--listen", "0.0.0.0:1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(status(&said, "access").starts_with("missing"), "{said}");
    assert!(said.contains("token create"), "{said}");
    std::fs::write(folder.path().join("garbage.db"), "no database\n".repeat(99)).unwrap();
    let (said, code) = doctor(&folder, &["--running", "--listen", "127.0.0.1:1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(status(&said, "server").starts_with("missing"), "{said}");
    let (said, code) = doctor(&folder, &["--database", "sqlite://garbage.db"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(status(&said, "database").starts_with("missing"), "{said}");
}

#[test]
fn the_doctor_looks_at_a_server_that_runs() {
    let app = crate::app::App::start();
    assert_eq!(app.get("/healthz").status, 200);
    let folder = TempDir::new().unwrap();
    let address = app.url.strip_prefix("http://").unwrap();
    let args = [
        "--running",
        "--listen",
        address,
        "--database",
        &app.database,
    ];
    let (said, code) = doctor(&folder, &args);
    assert_eq!(code, Some(0), "{said}");
    for name in ["database", "integrity", "schema", "access", "TLS", "server"] {
        assert!(status(&said, name).starts_with("works"), "{name}: {said}");
    }
    assert!(status(&said, "server").contains("200"), "{said}");
}

#[test]
fn nobody_else_on_the_machine_reads_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_highwater-server"))
        .current_dir(folder.path())
        .args(["token", "create", "--all-projects", "--scope", "read"])
        .output()
        .unwrap();
    assert!(made.status.success());
    let about = std::fs::metadata(folder.path().join("highwater.db")).unwrap();
    assert_eq!(about.permissions().mode() & 0o077, 0);
}

#[test]
fn a_database_that_is_named_wrongly_is_told_and_not_made() {
    let folder = TempDir::new().unwrap();
    let orders: [&[&str]; 4] = [
        &["token", "list"],
        &["token", "revoke", "x"],
        &["job", "pin", "0197a7d4-0000-7000-8000-00000000ffff"],
        &["retention", "--dry-run"],
    ];
    for order in orders {
        let done = Command::new(env!("CARGO_BIN_EXE_highwater-server"))
            .current_dir(folder.path())
            .args(order)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{order:?}: {said}");
        assert!(
            said.contains("highwater.db") && said.contains("--database"),
            "{order:?}: {said}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_log_of_json_is_one_object_a_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log");
    let mut child = server(&folder)
        .envs([("HIGHWATER_LOG_FORMAT", "json"), ("HIGHWATER_LOG", "debug")])
        .stderr(File::create(&path).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let (_, url) = line.trim().split_once("listening on ").unwrap();
    ureq::get(format!("{url}/healthz")).call().unwrap();
    let log = wait_for("a line about the request", || {
        let log = std::fs::read_to_string(&path).unwrap();
        (log.contains("/healthz") && log.ends_with('\n')).then_some(log)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    for line in log.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["level"].is_string(), "{line}");
    }
    let refused = server(&folder)
        .env("HIGHWATER_LOG_FORMAT", "xml")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
