//! The command's own exit code, streams and words.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::harness::Place;

#[test]
fn the_exit_code_is_the_commands() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let place = Place::new();
        let ended = place.run(&["sh", "-c", script]);
        assert_eq!(ended.code(), code, "{ended:?}");
        let end = place.recorded().end.unwrap();
        let expected = if code > 128 && code < 255 {
            (None, Some(code - 128))
        } else {
            (Some(code), None)
        };
        assert_eq!((end.exit_code, end.signal), expected, "{script}");
        assert_eq!(
            end.streams[0].batches,
            place.recorded().batches.len() as u64
        );
    }
}

#[test]
fn a_command_that_cannot_be_started_says_why_with_the_shells_codes() {
    let place = Place::new();
    let script = place.file("script");
    fs::write(&script, "echo never\n").unwrap();
    for (words, code, message) in [
        (
            &["no-such-program-here"][..],
            127,
            "no-such-program-here: command not found",
        ),
        (
            &["./script"],
            126,
            "./script: cannot be executed; make it executable",
        ),
        (&["/"], 126, "/: cannot be executed"),
    ] {
        let ended = place.run(words);
        assert_eq!(ended.code(), code, "{ended:?}");
        assert!(ended.stderr.contains(message), "{ended:?}");
        assert!(!ended.stderr.contains("no_session"), "{ended:?}");
        assert!(place.jobs().is_empty(), "there is nothing to keep");
    }
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    assert_eq!(place.run(&["./script"]).code(), 127);
}

#[test]
fn words_and_streams_go_through_untouched() {
    let place = Place::new();
    let mut agent = place
        .agent(&["sh", "-c", "cat; echo \"$1\" >&2", "name", "a 'b' \u{fc}"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    agent.stdin.take().unwrap().write_all(b"in\0put").unwrap();
    let output = agent.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"in\0put");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "a 'b' \u{fc}\n");
}

/// A shell that writes into the file of its name which of the standard streams it has.
const OPEN_ONES: &str = r#"for it in 0 1 2; do test -e /proc/$$/fd/$it && open="$open$it "; done; printf %s "$open" > "$0""#;

#[test]
fn a_stream_that_was_closed_is_closed_for_the_command_too() {
    let place = Place::new();
    let seen = |before: &str, redirections: &str| {
        let out = place.file("seen");
        let script = format!(
            "{before} sh -c '{OPEN_ONES}' '{}' {redirections}",
            out.display()
        );
        let mut shell = place.bare("sh");
        let status = shell
            .args(["-c", &script])
            .current_dir(place.file(""))
            .status();
        assert!(status.unwrap().success(), "{script}");
        fs::read_to_string(out).unwrap()
    };
    let agent = format!(
        "'{}' run --spool '{}' --quiet --",
        env!("CARGO_BIN_EXE_highwater"),
        place.spool().display()
    );
    for (redirections, open) in [
        ("", "0 1 2 "),
        (">&-", "0 2 "),
        ("2>&-", "0 1 "),
        ("<&-", "1 2 "),
        (">&- 2>&- <&-", ""),
    ] {
        assert_eq!(seen("", redirections), open, "without: {redirections}");
        assert_eq!(seen(&agent, redirections), open, "{redirections}");
    }
}

#[test]
fn a_spool_that_cannot_be_written_does_not_keep_the_command_from_running() {
    let place = Place::new();
    fs::write(place.spool(), "a file where a folder should be").unwrap();
    let ended = place.run(&["sh", "-c", "echo ran; exit 4"]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (4, "ran\n"));
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert!(
        lines.len() == 1 && lines[0].starts_with("highwater: not recording: "),
        "{lines:?}"
    );
}

#[test]
fn a_run_inside_a_run_joins_its_job() {
    let place = Place::new();
    let inner = env!("CARGO_BIN_EXE_highwater");
    let ended = place.run(&[
        "sh",
        "-c",
        "\"$0\" run -- sh -c 'exit 5'; exit $(($? + 1))",
        inner,
    ]);
    assert_eq!(ended.code(), 6, "{ended:?}");
    assert_eq!(place.jobs().len(), 1);
    let ended = place.run(&[inner, "run", "--", "no-such-program-here"]);
    assert_eq!(ended.code(), 127, "{ended:?}");
}

#[test]
fn a_run_inside_a_job_whose_agent_is_gone_is_a_job_of_its_own() {
    let place = Place::new();
    let outer = place.run(&["sh", "-c", "echo $HIGHWATER_JOB; echo $HIGHWATER_EVENTS"]);
    let [job, events] = outer.stdout.lines().collect::<Vec<_>>()[..] else {
        panic!("{outer:?}");
    };
    assert!(fs::metadata(events).unwrap().is_dir());
    let mut inner = place.bare(env!("CARGO_BIN_EXE_highwater"));
    inner.args(["run", "--spool"]).arg(place.spool());
    inner.args(["--", "sh", "-c", "echo $HIGHWATER_JOB"]);
    inner.envs([("HIGHWATER_JOB", job), ("HIGHWATER_EVENTS", events)]);
    let output = inner.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let of_it: Vec<_> = said.lines().filter(|line| line.contains(job)).collect();
    assert!(
        of_it.len() == 1 && of_it[0].contains("recorded as a job of its own"),
        "{said}"
    );
    assert_ne!(String::from_utf8_lossy(&output.stdout).trim_end(), job);
    assert_eq!(place.jobs().len(), 2);
}

#[test]
fn a_flag_that_cannot_be_ends_before_anything_runs() {
    let place = Place::new();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_highwater"));
    agent.args(["run", "--project", "a", "--", "touch"]);
    let output = agent.arg(place.file("ran")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!place.file("ran").exists());
}
