use super::*;

#[test]
fn a_project_of_azure_may_have_blanks_in_its_name() {
    let settings = resolve_in(
        &folder(""),
        Given::default(),
        &[
            ("TF_BUILD", "True"),
            ("SYSTEM_TEAMPROJECT", "My Team"),
            ("SYSTEM_COLLECTIONURI", "https://dev.example/org/"),
            ("BUILD_REPOSITORY_NAME", "repo"),
            ("BUILD_BUILDID", "7"),
        ],
    );
    assert_eq!(settings.job.project, "My-Team/repo");
    assert_eq!(
        settings.job.url,
        "https://dev.example/org/My%20Team/_build/results?buildId=7"
    );
}

#[test]
fn the_zeros_of_a_new_branch_are_no_commit() {
    let zeros = "0".repeat(40);
    let run = |pairs: &[(&str, &str)]| {
        let settings = resolve_in(&folder(""), Given::default(), pairs);
        settings.job.run.unwrap().base_commit
    };
    assert_eq!(
        run(&[("DRONE", "true"), ("DRONE_COMMIT_BEFORE", &zeros)]),
        ""
    );
    assert_eq!(
        run(&[("DRONE", "true"), ("DRONE_COMMIT_BEFORE", "abc0")]),
        "abc0"
    );
    assert_eq!(run(&[("HIGHWATER_BASE_COMMIT", &zeros)]), "");
}

#[test]
fn a_command_of_thousands_of_words_is_recorded_in_part() {
    let mut words: Vec<_> = (0..2_000).map(|n| format!("test_{n}.py")).collect();
    words.push("x".repeat(20_000));
    let settings = resolve(Given::default(), &env(&[]), folder("").path(), &words).unwrap();
    let command = settings.job.command;
    assert_eq!((command.len(), command[0].as_str()), (201, "test_0.py"));
    assert_eq!(command[200], "… and 1801 more");
    let script = ["sh".to_owned(), "-c".to_owned(), "x".repeat(20_000)];
    let settings = resolve(Given::default(), &env(&[]), folder("").path(), &script).unwrap();
    assert_eq!(settings.job.command[2].len(), 16_000);
}

#[test]
fn a_variant_of_too_many_keys_loses_the_last() {
    let pair = |n: u32| (format!("{n:03}"), "x".to_owned());
    let given = Given {
        variant: (0..31).map(pair).collect(),
        ..Given::default()
    };
    let with_file = folder("[tool.highwater]\nvariant = { 000 = 'y', a = '1', b = '2' }\n");
    let settings = resolve_in(&with_file, given, &[]);
    assert_eq!(settings.job.variant.len(), 32);
    assert_eq!(
        (
            settings.job.variant["000"].as_str(),
            settings.job.variant["a"].as_str()
        ),
        ("x", "1")
    );
    assert_eq!(settings.places.problems.len(), 1);
}

#[test]
fn a_token_is_cleaned_of_its_line_end_and_shown_nowhere() {
    let with =
        |token: &str| resolve_in(&folder(""), Given::default(), &[("HIGHWATER_TOKEN", token)]);
    let settings = with("sesame-1\n");
    assert_eq!(
        settings.places.token.as_ref().map(Token::reveal),
        Some("sesame-1")
    );
    assert!(!format!("{settings:?}").contains("sesame"));
    let settings = with("sesame\n1");
    assert_eq!(settings.places.token, None);
    let problem = &settings.places.problems[0];
    assert!(
        problem.starts_with("HIGHWATER_TOKEN: ") && !problem.contains("sesame"),
        "{problem}"
    );
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
fn the_plugin_lies_where_no_colon_cuts_its_path() {
    let at = |spool: &str, home: &str| {
        let settings = resolve_in(
            &folder(""),
            Given::default(),
            &[("HIGHWATER_SPOOL", spool), ("HOME", home)],
        );
        settings.plugin_root.display().to_string()
    };
    let home = TempDir::new().unwrap();
    let home = home.path().to_str().unwrap();
    assert_eq!(at("/s", home), "/s/plugin");
    assert_eq!(
        at("/a:b", home),
        format!("{home}/.local/state/highwater/plugin")
    );
    assert!(at("/a:b", "/c:d").starts_with("/var/tmp/highwater-"));
}

#[test]
fn units_are_read_as_people_write_them() {
    assert_eq!(parse_duration("50ms"), Ok(Duration::from_millis(50)));
    assert_eq!(parse_duration("0.5 s"), Ok(Duration::from_millis(500)));
    assert_eq!(parse_ci_timeout("6h"), Ok(Duration::from_secs(21_600)));
    for bad in ["60", "0s", "900h", "never"] {
        assert!(parse_ci_timeout(bad).is_err(), "{bad}");
    }
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
