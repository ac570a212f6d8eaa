use std::fs;

use tempfile::TempDir;

use super::*;

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn folder(pyproject: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("pyproject.toml"), pyproject).unwrap();
    folder
}

fn resolve_in(folder: &TempDir, given: Given, pairs: &[(&str, &str)]) -> Settings {
    resolve(
        given,
        &env(pairs),
        folder.path(),
        &["/usr/bin/pytest".to_owned()],
    )
    .unwrap()
}

const CI: &[(&str, &str)] = &[
    ("DRONE", "true"),
    ("DRONE_REPO", "ci/repo"),
    ("DRONE_STEP_NAME", "ci-job"),
    ("DRONE_BUILD_NUMBER", "12"),
];

#[test]
fn a_flag_beats_the_file_beats_the_ci_beats_the_default() {
    let bare = folder("");
    let with_file = folder("[tool.highwater]\nproject = 'file/repo'\njob = 'file-job'\n");
    let given = || Given {
        project: Some("flag/repo".to_owned()),
        exact: true,
        ..Given::default()
    };
    assert_eq!(resolve_in(&with_file, given(), CI).job.project, "flag/repo");
    assert_eq!(resolve_in(&with_file, given(), CI).job.name, "file-job");
    assert_eq!(
        resolve_in(&with_file, Given::default(), CI).job.project,
        "file/repo"
    );
    assert_eq!(
        resolve_in(&bare, Given::default(), CI).job.project,
        "ci/repo"
    );
    let local = resolve_in(&bare, Given::default(), &[]);
    assert!(
        local.job.project.starts_with("local/"),
        "{}",
        local.job.project
    );
    assert_eq!((local.job.name.as_str(), local.job.attempt), ("pytest", 1));
}

#[test]
fn an_error_names_the_file_the_setting_and_what_is_expected() {
    let cases = [
        (
            "[tool.highwater]\ninterval = 'soon'\n",
            r#"[tool.highwater] interval: "soon" is not a duration such as 50ms or 1s"#,
        ),
        (
            "[tool.highwater]\nbudget = '3 apples'\n",
            r#"[tool.highwater] budget: "3 apples" is not one of the units"#,
        ),
        (
            "[tool.highwater]\nsevrer = 'x'\n",
            "[tool.highwater]: unknown field `sevrer`",
        ),
        ("[tool.highwater\n", "TOML parse error"),
    ];
    for (text, expected) in cases {
        let folder = folder(text);
        let error = resolve(Given::default(), &Env::new(), folder.path(), &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("pyproject.toml: ") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn the_spool_is_where_the_user_keeps_state() {
    let at = |pairs: &[(&str, &str)]| default_spool(&env(pairs)).display().to_string();
    assert_eq!(
        at(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]),
        "/x/highwater"
    );
    assert_eq!(
        at(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]),
        "/h/.local/state/highwater"
    );
    assert!(at(&[]).starts_with("/var/tmp/highwater-"));
}

#[test]
fn units_are_read_as_people_write_them() {
    assert_eq!(parse_duration("50ms"), Ok(Duration::from_millis(50)));
    assert_eq!(parse_duration("0.5 s"), Ok(Duration::from_millis(500)));
    assert_eq!(parse_bytes("3GB"), Ok(3_000_000_000));
    assert_eq!(parse_bytes("1.5 GiB"), Ok(1_610_612_736));
    assert_eq!(parse_shard("2/3"), Ok((2, 3)));
    assert_eq!(
        parse_pair("python=3.11"),
        Ok(("python".to_owned(), "3.11".to_owned()))
    );
    for bad in ["", "-1s", "1e400s", "x"] {
        assert!(parse_duration(bad).is_err(), "{bad}");
        assert!(parse_bytes(bad).is_err(), "{bad}");
    }
    for bad in ["0/3", "4/3", "1", "a/b"] {
        assert!(parse_shard(bad).is_err(), "{bad}");
    }
}
