//! `highwater doctor` on this machine: what it says of it, of servers and of spools, and that it leaves nothing behind.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    harness::{Place, not_run},
    peer::{Act, Peer, authority},
};

/// How a server of ours says that it does not know a job.
const NO_JOB: &str = r#"{"error":{"code":"not_found","message":"there is no such job"}}"#;

fn doctor(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command
        .arg("doctor")
        .arg("--spool")
        .arg(place.spool())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HIGHWATER_PROJECT", "o/r")
        .current_dir(place.file(""))
        .stdin(Stdio::null());
    command
}

/// Runs it with `--json`: the exit code and the document, which must agree.
fn examined(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = match document["can_record"].as_bool().unwrap() {
        true => 0,
        false => 2,
    };
    assert_eq!(output.status.code(), Some(expected), "{document:#}");
    document
}

/// Status and words of a check.
fn check<'a>(document: &'a Value, name: &str) -> (&'a str, &'a str) {
    let mut checks = document["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["name"] == name);
    let text = |key: &str| check.and_then(|check| check[key].as_str()).unwrap_or("");
    (text("status"), text("seen"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn against(place: &Place, server: &str) -> Value {
    examined(doctor(place).args(["--server", server]))
}

#[test]
fn without_a_server_all_that_a_recording_needs_is_looked_at() {
    let place = Place::new();
    let document = examined(&mut doctor(&place));
    for name in ["statm", "memory", "spool", "names"] {
        assert_eq!(check(&document, name).0, "works", "{name}: {document:#}");
    }
    assert_eq!(check(&document, "server").0, "not_checked");
    assert_eq!(check(&document, "clock"), ("", ""));
    if check(&document, "clear_refs").0 != "works" {
        not_run(&format!("clear_refs: {}", check(&document, "clear_refs").1));
    }
    // A Python of this machine was started and looked at.
    match check(&document, "environ") {
        ("works", seen) => assert!(seen.contains("shows its test"), "{seen}"),
        (_, seen) => not_run(&format!("environ: {seen}")),
    }
    assert!(!place.spool().exists(), "the spool stayed");
}

#[test]
fn through_sysinfo_what_the_kernel_would_tell_is_not_looked_at() {
    let place = Place::new();
    let document = examined(doctor(&place).env("HIGHWATER_BACKEND", "sysinfo"));
    for name in ["processes", "memory", "spool"] {
        assert_eq!(check(&document, name).0, "works", "{document}");
    }
    let checks = document["checks"].as_array().unwrap();
    assert!(
        checks.iter().all(|check| check["name"] != "statm"),
        "{document}"
    );
}

#[test]
fn the_table_says_what_to_do_and_ends_with_a_sum() {
    let place = Place::new();
    let output = doctor(&place).env("LANG", "C.UTF-8").output().unwrap();
    let text = text(&output);
    let sum = text.lines().last().unwrap();
    assert!(sum.ends_with(": tests can be recorded here"), "{text}");
    assert!(text.starts_with("clear_refs     "), "{text}");
    assert!(text.contains("→ give --server URL"), "{text}");
}

#[test]
fn a_dead_server_is_told_with_what_happens_meanwhile() {
    let place = Place::new();
    // The port of a listener that has gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let document = against(&place, &format!("http://127.0.0.1:{port}"));
    let (status, seen) = check(&document, "server");
    assert_eq!(status, "missing", "{document:#}");
    assert!(seen.contains("onnection refused"), "{seen}");
    assert_eq!(check(&document, "token"), ("", ""));
}

/// A server of ours.
fn ours(path: &str) -> Act {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    match path {
        "/healthz" => Act::Say(200, date, "ok\n".to_owned()),
        _ => Act::Say(404, "", NO_JOB.to_owned()),
    }
}

#[test]
fn a_server_of_ours_is_known_and_its_clock_compared() {
    let place = Place::new();
    let peer = Peer::new(|path, _| ours(path));
    let document = examined(
        doctor(&place)
            .args(["--server", &peer.url()])
            .env("HIGHWATER_TOKEN", "s3cret")
            // Not for a server on this machine.
            .env("HTTP_PROXY", "http://127.0.0.1:9"),
    );
    assert_eq!(check(&document, "server").0, "works", "{document:#}");
    assert_eq!(check(&document, "token"), ("works", "taken"));
    let (status, seen) = check(&document, "clock");
    assert!(
        status == "limited" && seen.contains(" s ahead of"),
        "{seen}"
    );
    let asked = peer.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for asked in &asked {
        assert_eq!(asked.method, "GET");
        assert_eq!(asked.authorization.as_deref(), Some("Bearer s3cret"));
    }
    assert!(!document.to_string().contains("s3cret"), "{document:#}");
}

#[test]
fn a_proxy_on_the_way_is_named() {
    let place = Place::new();
    let mut command = doctor(&place);
    command
        .args(["--server", "http://server.invalid"])
        .env("HTTP_PROXY", "http://user:hunter2@127.0.0.1:9");
    let document = examined(&mut command);
    let (status, seen) = check(&document, "server");
    assert_eq!(status, "missing");
    assert!(
        seen.ends_with("through the proxy 127.0.0.1:9 of HTTP_PROXY"),
        "{seen}"
    );
    assert!(!document.to_string().contains("hunter2"), "{document:#}");
}

#[test]
fn a_server_over_tls_is_asked_as_the_recording_would() {
    let place = Place::new();
    let peer = Peer::over_tls(|path, _| ours(path));
    let document = against(&place, &peer.url());
    let (status, seen) = check(&document, "server");
    assert!(
        status == "missing" && seen.contains("HIGHWATER_CA_FILE"),
        "{seen}"
    );
    let mut command = doctor(&place);
    command
        .args(["--server", &peer.url()])
        .env("HIGHWATER_CA_FILE", authority());
    let document = examined(&mut command);
    assert_eq!(check(&document, "server").0, "works", "{document:#}");
}

#[test]
fn a_token_that_is_not_taken_is_told() {
    let place = Place::new();
    for status in [401, 403] {
        for guards_all in [true, false] {
            let peer = Peer::new(move |path, _| match path {
                "/healthz" if !guards_all => ours(path),
                _ => Act::status(status),
            });
            let document = against(&place, &peer.url());
            assert_eq!(check(&document, "server").0, "works", "{document:#}");
            let (token, seen) = check(&document, "token");
            assert_eq!(token, "missing", "{document:#}");
            assert!(seen.contains("HIGHWATER_TOKEN is not set"), "{seen}");
        }
    }
}

#[test]
fn whoever_else_answers_is_no_server() {
    let place = Place::new();
    let page = || Act::Say(200, "", "<html>\u{1b}[2Jplease log in</html>".to_owned());
    type Answers = fn() -> Act;
    let cases: [(Answers, &str); 5] = [
        (
            || Act::Say(302, "Location: https://sso/\r\n", String::new()),
            "302 Found to https://sso/",
        ),
        (
            || Act::status(404),
            "404 Not Found: is this a highwater-server?",
        ),
        (|| Act::status(503), "503 Service Unavailable"),
        (
            || Act::Say(200, "", "ok\n".to_owned()),
            "200 OK: is this a highwater-server?",
        ),
        (|| Act::Cut, ""),
    ];
    for (act, words) in cases {
        let peer = Peer::new(move |_, _| act());
        let document = against(&place, &peer.url());
        let (status, seen) = check(&document, "server");
        assert!(status == "missing" && seen.contains(words), "{document:#}");
    }
    let peer = Peer::new(move |_, _| page());
    let output = doctor(&place)
        .args(["--server", &peer.url()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output).contains('\u{1b}'), "{output:?}");
}

#[test]
fn a_server_that_never_answers_is_not_waited_for() {
    let place = Place::new();
    // Longer than any test would wait.
    let peer = Peer::new(|_, _| Act::Late(Duration::from_secs(3_600), Box::new(Act::Cut)));
    let document = against(&place, &peer.url());
    let (status, seen) = check(&document, "server");
    assert!(
        status == "missing" && seen.contains("no answer within"),
        "{seen}"
    );
}

#[test]
fn a_spool_that_cannot_be_made_is_missing() {
    let place = Place::new();
    fs::write(place.spool(), "a file stops root too").unwrap();
    let document = examined(&mut doctor(&place));
    for name in ["spool", "plugin"] {
        let (status, seen) = check(&document, name);
        assert!(
            status == "missing" && seen.contains("Not a directory"),
            "{name}: {document:#}"
        );
    }
}

#[test]
fn what_the_spool_holds_is_left_as_it_is() {
    let place = Place::new();
    assert_eq!(place.run(&["true"]).code(), 0);
    let files = || -> Vec<_> {
        let entries = fs::read_dir(place.spool()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    examined(&mut doctor(&place));
    assert_eq!(files(), before);
}

/// A `pytest` of a Python that has the module `pytest`, or what stands in for both.
fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_python_of_the_script_is_the_one_that_is_asked() {
    let place = Place::new();
    let folder = place.file("bin");
    fs::create_dir(&folder).unwrap();
    let python = |pytest: &str, plugin: &str| {
        format!(
            "#!/bin/sh\n[ -f \"${{PYTHONPATH%%:*}}/highwater_pytest/__init__.py\" ] || exit 9\n\
             echo '{{\"python\": \"3.12.1\", \"pytest\": {pytest}, \"plugin\": {plugin}}}'\n"
        )
    };
    script(&folder, "python3", &python("null", "null"));
    script(
        &folder,
        "python3.12",
        &python("\"8.2.0\"", "\"/found/it.py\""),
    );
    let shebang = format!("#!/usr/bin/env python3.12\n# {}\n", folder.display());
    script(&folder, "pytest", &shebang);
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let document = examined(doctor(&place).env("PATH", &path).env("PYTHONPATH", "src"));
    assert_eq!(check(&document, "python").0, "works", "{document:#}");
    let (status, seen) = check(&document, "pytest");
    assert!(
        status == "works" && seen.starts_with("8.2.0 at "),
        "{document:#}"
    );
    assert_eq!(
        check(&document, "plugin"),
        ("works", "pytest would find /found/it.py")
    );

    script(&folder, "python3.12", "#!/bin/sh\nsleep 3600\n");
    let document = examined(doctor(&place).env("PATH", &path));
    let (status, seen) = check(&document, "pytest");
    assert!(
        status == "not_checked" && seen.contains("was stopped"),
        "{document:#}"
    );
    assert_eq!(check(&document, "plugin").0, "not_checked");
}

const STAND_IN: &str =
    "__version__ = '8.2.0'\ndef hookimpl(**_):\n    return lambda function: function\n";

#[test]
fn a_real_python_finds_the_plugin_by_its_entry_point() {
    let place = Place::new();
    // Stands in for pytest, with what the plugin takes of it to be loaded.
    let module = place.file("pytest.py");
    fs::write(&module, STAND_IN).unwrap();
    let mut command = doctor(&place);
    let document = examined(command.env("PYTHONPATH", place.file("")));
    if check(&document, "python").0 != "works" {
        return not_run(&format!(
            "plugin of doctor: {}",
            check(&document, "python").1
        ));
    }
    if check(&document, "pytest").1.contains("8.2.0") {
        let expected = ("works", "pytest would find the agent's own");
        assert_eq!(check(&document, "plugin"), expected, "{document:#}");
    } else {
        not_run("plugin of doctor: the pytest on PATH belongs to no Python that is seen");
    }
    assert!(!place.spool().exists());
    assert!(!place.file("__pycache__").exists());
}
