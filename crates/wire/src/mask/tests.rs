use super::*;

fn masked(mut line: String) -> String {
    text(&mut line);
    line
}

/// Written in parts, so that no scanner takes the example for a leak.
fn token(prefix: &str, length: usize) -> String {
    format!(
        "{prefix}{}",
        "a1B2c3D4e5F6g7H8".repeat(8).split_at(length).0
    )
}

#[test]
fn the_patterns_can_be_read() {
    for pattern in [&TOKENS, &LOGINS, &NAMED] {
        assert!(pattern.is_some());
    }
}

#[test]
fn what_has_the_form_of_a_token_is_masked_wherever_it_stands() {
    let tokens = [
        token("ghp_", 36),
        token("github_pat_", 40),
        token("glpat-", 20),
        token("xoxb-", 24),
        token("sk_live_", 24),
        token("npm_", 36),
        token("pypi-", 60),
        format!("hw_{}_{}", "0123456789abcdef", "0123456789abcdef".repeat(4)),
        format!("{}{}", "AKIA", "ABCDEFGHIJKLMNOP"),
        format!(
            "{}.{}.{}",
            token("eyJ", 20),
            token("eyJ", 20),
            token("", 20)
        ),
    ];
    for token in tokens {
        let line = masked(format!("curl -H x:{token} https://a.example/{token}?q=1"));
        assert_eq!(line, "curl -H x:*** https://a.example/***?q=1", "{token}");
    }
}

#[test]
fn what_is_called_a_secret_is_masked_and_what_only_sounds_so_is_not() {
    let table = [
        ("psql --password=hunter2 -d x", "psql --password=*** -d x"),
        ("psql --password hunter2 -d x", "psql --password *** -d x"),
        (
            "env DB_PASSWORD=hunter2 pytest",
            "env DB_PASSWORD=*** pytest",
        ),
        ("pytest --api-key=abc tests", "pytest --api-key=*** tests"),
        (
            r#"x '{"token": "abc", "n": 1}'"#,
            r#"x '{"token": "***", "n": 1}'"#,
        ),
        (
            "curl -H 'Authorization: Bearer abcdefgh1'",
            "curl -H 'Authorization: ***'",
        ),
        ("db postgres://u:hunter2@h:5/d", "db postgres://u:***@h:5/d"),
        ("db postgres://u:p@ss@h:5/d", "db postgres://u:***@h:5/d"),
        (
            "git clone https://0123456789abcdef0123@h/r",
            "git clone https://***@h/r",
        ),
        ("git clone ssh://git@h/r", "git clone ssh://git@h/r"),
        (
            "x \"password\": \"two words, and more\" y",
            "x \"password\": \"***\" y",
        ),
        ("http://h:80/path?x=a@b", "http://h:80/path?x=a@b"),
        ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
        (
            "pytest --token-file /run/token -q",
            "pytest --token-file /run/token -q",
        ),
        (
            "pytest -k token tests/test_token.py",
            "pytest -k token tests/test_token.py",
        ),
        ("pytest --password --quiet", "pytest --password --quiet"),
        (
            "python -m pytest -n 2 --author=me",
            "python -m pytest -n 2 --author=me",
        ),
        ("no token here", "no token here"),
        ("a token is asked for", "a token is asked for"),
    ];
    for (line, expected) in table {
        assert_eq!(masked(line.to_owned()), expected);
    }
}

#[test]
fn in_words_a_value_may_follow_its_name() {
    let mut command = [
        "--password=my long&pass'word",
        "psql",
        "--password",
        "hunter2",
        "--secret",
        "-x",
        "--token=abc",
        "file",
    ]
    .map(str::to_owned);
    words(&mut command);
    assert_eq!(
        command,
        [
            "--password=***",
            "psql",
            "--password",
            "***",
            "--secret",
            "-x",
            "--token=***",
            "file"
        ]
    );
}

#[test]
fn of_a_test_only_parameters_that_look_like_a_secret_are_masked() {
    let secret = token("ghp_", 36);
    let table = [
        (
            format!("test_a.py::test[{secret}-1]"),
            "test_a.py::test[***-1]",
        ),
        (
            "t.py::test[password=hunter2]".to_owned(),
            "t.py::test[password=***]",
        ),
        (
            "t.py::test[http://u:pw@h/]".to_owned(),
            "t.py::test[http://u:***@h/]",
        ),
        ("t.py::test[token=ID]".to_owned(), "t.py::test[token=ID]"),
        (
            "t.py::test[token=identifier]".to_owned(),
            "t.py::test[token=identifier]",
        ),
        (
            "t.py::test_token_refresh[secret]".to_owned(),
            "t.py::test_token_refresh[secret]",
        ),
        (
            "t.py::TestToken::test_x".to_owned(),
            "t.py::TestToken::test_x",
        ),
    ];
    for (mut id, expected) in table {
        test_id(&mut id);
        assert_eq!(id, expected);
    }
}

#[test]
fn masking_twice_changes_nothing_more() {
    for line in [
        "x --password=hunter2 --token abc",
        "Authorization: Bearer abcdefgh1",
        "postgres://u:p@h",
    ] {
        let once = masked(line.to_owned());
        assert_eq!(masked(once.clone()), once);
    }
}

#[test]
fn words_that_are_masked_say_the_same_when_they_are_masked_again() {
    for line in [
        "-----BEGIN PRIVATE KEY-----db --password=https://u:p@h/x]ab",
        "--pass-it -H 'Authorization: Bearer abcdefgh=1|hunter2",
        "--token|-x=1|y",
        "--password|--token|hunter2",
    ] {
        let mut once: Vec<String> = line.split('|').map(str::to_owned).collect();
        words(&mut once);
        let mut twice = once.clone();
        words(&mut twice);
        assert_eq!(twice, once, "{line}");
    }
}
