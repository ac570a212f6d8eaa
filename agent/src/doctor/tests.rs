mod system;

use std::{fs, os::unix::fs::PermissionsExt};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{python::Probed, *};
use crate::{
    program::Unanswered,
    shipper::{Permit, Presence, Standing},
    summary::Look,
};

fn assert_check(check: &Check, status: Status, seen: &str) {
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.seen.contains(seen), "{check:?} holds no {seen:?}");
    assert_eq!(check.mend.is_none(), status == Status::Works, "{check:?}");
}

#[test]
fn a_spool_is_tried_out_and_nothing_stays() {
    let root = TempDir::new().unwrap();
    let deep = root.path().join("a/b/c");
    // How much is free is the machine's; that it can be written is not in question.
    let check = spool::spool(&deep);
    assert!(check.status != Status::Missing, "{check:?}");
    assert!(check.seen.contains(" free in "), "{check:?}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("kept"), "").unwrap();
    spool::spool(&deep);
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 1);

    let below_a_file = deep.join("kept/spool");
    assert_check(
        &spool::spool(&below_a_file),
        Status::Missing,
        "kept/spool: ",
    );
}

#[test]
fn the_python_of_a_script_is_read_from_its_first_lines() {
    let root = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let on_path = write("bin/python3", "");
    let on_path = on_path.to_str().unwrap();
    for (text, expected) in [
        (
            "#!/venv/bin/python3.12\nimport sys\n",
            Some("/venv/bin/python3.12"),
        ),
        ("#!/opt/pypy3 -s\n", Some("/opt/pypy3")),
        ("#!/usr/bin/env python3\n", Some(on_path)),
        ("#!/usr/bin/env -S python3 -s\n", Some(on_path)),
        ("#!/usr/bin/env python9\n", None),
        (
            "#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\n",
            Some("/a b/bin/python"),
        ),
        (
            "#!/bin/sh\n'''exec' /long/python \"$0\" \"$@\"\n",
            Some("/long/python"),
        ),
        ("#!/usr/bin/env bash\nexec pyenv exec pytest\n", None),
        ("#!/bin/sh\nexec x\n", None),
        ("\u{7f}ELF", None),
        ("", None),
    ] {
        let script = write("pytest", text);
        let found = python::interpreter(&script, "bin", root.path());
        assert_eq!(found.as_deref(), expected.map(Path::new), "{text}");
    }
}

fn probed(pytest: Option<&str>, plugin: Option<&str>) -> Result<Probed, Unanswered> {
    Ok(Probed {
        python: "3.12.1".to_owned(),
        pytest: pytest.map(str::to_owned),
        plugin: plugin.map(str::to_owned),
        error: None,
    })
}

#[test]
fn python_and_pytest_are_judged() {
    use Status::{Limited, NotChecked, Works};
    let hung = Err(Unanswered {
        why: "python3 did not answer within 5 s and was stopped".to_owned(),
        was_slow: true,
    });
    let broken = Err(Unanswered::from(
        "python3 ended with exit status: 1".to_owned(),
    ));
    let script = Path::new("/v/bin/pytest");
    let new = probed(Some("8.2.0"), None);
    for (check, expected, seen) in [
        (python::python_check(None, None), Limited, "no python3"),
        (
            python::python_check(Some(Path::new("/p")), Some(&new)),
            Works,
            "3.12.1 at /p",
        ),
        (
            python::python_check(Some(Path::new("/p")), Some(&hung)),
            NotChecked,
            "/p: python3 did not answer",
        ),
        (
            python::python_check(Some(Path::new("/p")), Some(&broken)),
            Limited,
            "/p: python3 ended",
        ),
        (
            python::pytest_check(Some(script), Some(&new)),
            Works,
            "8.2.0 at /v/bin/pytest",
        ),
        (
            python::pytest_check(None, Some(&new)),
            Works,
            "as `python3 -m pytest`",
        ),
        (
            python::pytest_check(Some(script), None),
            NotChecked,
            "starts another program",
        ),
        (
            python::pytest_check(Some(script), Some(&probed(Some("6.2.5"), None))),
            Limited,
            "6.2.5",
        ),
        (
            python::pytest_check(Some(script), Some(&hung)),
            NotChecked,
            "was stopped",
        ),
        (
            python::pytest_check(None, Some(&probed(None, None))),
            Limited,
            "neither on PATH",
        ),
        (python::pytest_check(None, None), Limited, "not on PATH"),
    ] {
        assert_check(&check, expected, seen);
    }
}

#[test]
fn what_keeps_a_test_from_being_read_is_told_with_what_to_do() {
    use crate::environ::Reason;
    let python = Path::new("/v/python");
    assert_check(
        &environ::judge(Ok(()), 4.25, python),
        Status::Works,
        "/v/python shows its test without the plugin, 4.2 µs a look",
    );
    for (why, seen, mend) in [
        (None, "shows no test", "let the plugin load"),
        (
            Some(Reason::PtraceScope { scope: 2 }),
            "ptrace_scope is 2",
            "set kernel.yama.ptrace_scope to 1",
        ),
        (
            Some(Reason::PtraceScope { scope: 3 }),
            "ptrace_scope is 3",
            "is booted",
        ),
        (
            Some(Reason::OtherUser { uid: 7 }),
            "belongs to user 7",
            "as the user of the tests",
        ),
        (
            Some(Reason::Forbidden),
            "does not let this program",
            "--cap-add SYS_PTRACE",
        ),
        (Some(Reason::NoSymbol), "no symbol", "is built so"),
    ] {
        let check = environ::judge(Err(why), 1.0, python);
        assert_check(&check, Status::Limited, seen);
        let said = check.mend.unwrap();
        assert!(said.contains(mend) && said.contains("not named"), "{said}");
    }
}

#[test]
fn the_plugin_is_judged_by_what_pytest_would_find() {
    use Status::{Limited, Missing, NotChecked, Works};
    let folder = Path::new("/spool/plugin");
    let env = Env::new();
    let off = Env::from([("PYTEST_DISABLE_PLUGIN_AUTOLOAD".to_owned(), "1".to_owned())]);
    let own = probed(
        Some("8"),
        Some("/spool/plugin/highwater_pytest/__init__.py"),
    );
    let installed = probed(Some("8"), Some("/venv/highwater_pytest/__init__.py"));
    let broken = Ok(Probed {
        error: Some("SyntaxError: x".to_owned()),
        ..probed(Some("8"), None).unwrap()
    });
    let old = |python: &str| {
        Ok(Probed {
            python: python.to_owned(),
            ..probed(Some("4.6.11"), None).unwrap()
        })
    };
    for (probed, env, expected, seen) in [
        (
            Some(old("2.7.18")),
            &env,
            Limited,
            "Python 2.7.18 is older than 3.8",
        ),
        (
            Some(old("3.6.15")),
            &env,
            Limited,
            "Python 3.6.15 is older than 3.8",
        ),
        (None, &env, NotChecked, "no pytest"),
        (
            Some(Err(String::new().into())),
            &env,
            NotChecked,
            "no pytest",
        ),
        (
            Some(Err(Unanswered {
                why: "python3 did not answer".to_owned(),
                was_slow: true,
            })),
            &env,
            NotChecked,
            "did not answer",
        ),
        (Some(probed(None, None)), &env, NotChecked, "no pytest"),
        (Some(own.clone()), &env, Works, "the agent's own"),
        (Some(installed), &env, Works, "/venv/highwater_pytest"),
        (
            Some(probed(Some("8"), None)),
            &env,
            Missing,
            "does not look at PYTHONPATH",
        ),
        (Some(broken), &env, Missing, "SyntaxError: x"),
        (Some(own), &off, Missing, "PYTEST_DISABLE_PLUGIN_AUTOLOAD"),
    ] {
        let check = python::plugin_check(folder, probed.as_ref(), env);
        assert_check(&check, expected, seen);
    }
}

#[test]
fn names_are_those_of_the_recording() {
    let folder = TempDir::new().unwrap();
    let env = |pairs: &[(&str, &str)]| -> Env {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    };
    for (variables, expected, seen) in [
        (
            &[("HIGHWATER_PROJECT", "o/r")][..],
            Status::Works,
            "no CI; project o/r, job pytest",
        ),
        (
            &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "own/repo"),
                ("GITHUB_JOB", "unit"),
                ("GITHUB_RUN_ID", "1"),
                ("HIGHWATER_VARIANT", "python=3.12"),
            ],
            Status::Works,
            "CI github; project own/repo, job unit (python=3.12)",
        ),
        (
            &[("HIGHWATER_PROJECT", "o/r"), ("HIGHWATER_INTERVAL", "soon")],
            Status::Limited,
            "project o/r",
        ),
    ] {
        let check = naming::naming(Given::default(), &env(variables), folder.path());
        assert_check(&check, expected, seen);
    }
}

#[test]
fn an_answer_is_judged_with_its_token_and_its_clock() {
    use Status::{Limited, Missing, NotChecked, Works};
    let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
    let judge = |standing: Standing, date: Option<&str>| -> Vec<(Status, String)> {
        let presence = Presence {
            has_token: true,
            permits: None,
            standing,
            date: date.map(str::to_owned),
            proxy: Some("the proxy p:1 of HTTP_PROXY".to_owned()),
        };
        let checks = server::judge("http://s", &presence, now);
        checks.into_iter().map(|c| (c.status, c.seen)).collect()
    };
    for (date, expected, seen) in [
        (None, NotChecked, "the server tells no time"),
        (Some("yesterday"), NotChecked, "the server tells no time"),
        (
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            Works,
            "as the server's",
        ),
        (
            Some("Sun, 06 Nov 1994 08:49:17 GMT"),
            Works,
            "20 s ahead of the server's",
        ),
        (
            Some("Sun, 06 Nov 1994 08:50:08 GMT"),
            Limited,
            "31 s behind the server's",
        ),
    ] {
        let told = judge(Standing::Ours, date);
        assert_eq!(told[2], (expected, seen.to_owned()));
        assert_eq!((told[0].0, told[1].0), (Works, Works));
    }
    let closed = judge(Standing::Closed("401".to_owned()), None);
    assert_eq!(
        (closed[0].0, closed[1].clone()),
        (Works, (Missing, "401".to_owned()))
    );
    let other = judge(Standing::Other("a page".to_owned()), None);
    assert_eq!(
        other,
        [(
            Missing,
            "http://s: a page, through the proxy p:1 of HTTP_PROXY".to_owned()
        )]
    );
}

#[test]
fn a_token_that_is_not_for_recording_is_told_before_a_recording_is_lost() {
    let permit = |project: Option<&str>, scope: &str| Permit {
        project: project.map(str::to_owned),
        scope: scope.to_owned(),
    };
    for (permits, expected, seen) in [
        (
            vec![permit(Some("o/r"), "ingest")],
            Status::Works,
            "taken, for ingest of o/r",
        ),
        (
            vec![permit(None, "admin")],
            Status::Works,
            "taken, for admin of every project",
        ),
        (
            vec![permit(Some("o/r"), "read")],
            Status::Missing,
            "it is for read of o/r: no recording is taken with it",
        ),
    ] {
        let presence = Presence {
            has_token: true,
            permits: Some(permits),
            standing: Standing::Ours,
            date: None,
            proxy: None,
        };
        let checks = server::judge("http://s", &presence, Timestamp::now());
        assert_eq!(
            (checks[1].status, checks[1].seen.as_str()),
            (expected, seen)
        );
    }
}

fn some_checks() -> Vec<Check> {
    vec![
        Check::works("statm", "0.9 µs a read"),
        Check::limited(
            "cgroup",
            "no memory controller is visible",
            "enable the controller",
        ),
        Check::missing(
            "spool",
            "/r\u{1b}[2Jo: Permission denied",
            "name another folder by --spool, one that can be written by this user",
        ),
        Check::not_checked("server", "none is named", "give --server"),
    ]
}

fn look(columns: usize, unicode: bool) -> Look {
    Look {
        columns,
        name_columns: columns,
        colour: false,
        unicode,
    }
}

#[test]
fn the_table_is_aligned_and_wraps_under_its_columns() {
    insta::assert_snapshot!(
        "at_sixty_columns",
        terminal(&some_checks(), &look(60, true))
    );
    let ascii = terminal(&some_checks(), &look(60, false));
    assert!(ascii.is_ascii(), "{ascii}");
    let wide = terminal(&some_checks(), &look(8_000, true));
    assert_eq!(wide.lines().count(), 4 + 3 + 1);
}

#[test]
fn the_sum_says_whether_tests_can_be_recorded() {
    let checks = some_checks();
    for (checks, expected) in [
        (
            &checks[..],
            "1 works, 1 limited, 1 missing, 1 not checked: mend what is missing",
        ),
        (
            &checks[..2],
            "1 works, 1 limited: tests can be recorded here",
        ),
    ] {
        let text = terminal(checks, &look(80, true));
        assert_eq!(text.lines().last(), Some(expected));
        let value: serde_json::Value = serde_json::from_str(&json(checks)).unwrap();
        assert_eq!(value["can_record"], can_record(checks));
        assert_eq!(value["checks"][0]["status"], "works");
        assert_eq!(value["checks"][1]["mend"], "enable the controller");
    }
}
