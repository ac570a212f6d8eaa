use super::*;

#[test]
fn the_password_in_an_address_is_masked() {
    check(&[
        ("db postgres://u:hunter2@h:5/d", "db postgres://u:***@h:5/d"),
        ("db postgres://u:p@ss@h:5/d", "db postgres://u:***@h:5/d"),
        ("db postgres://u:p%40s%2Fs@h/d", "db postgres://u:***@h/d"),
        ("db postgres://u:p/w@h:5/d", "db postgres://u:***@h:5/d"),
        ("db postgres://u:p:w@h:5/d", "db postgres://u:***@h:5/d"),
        ("db postgres://u:p@s/s@h:5/d", "db postgres://u:***@h:5/d"),
        ("db postgres://u:p?w#x@h:5/d", "db postgres://u:***@h:5/d"),
        ("db postgres://u:#pw@h/d", "db postgres://u:***@h/d"),
        ("db postgres://u:123456@h/d", "db postgres://u:***@h/d"),
        ("redis://:hunter2@h:6379/0", "redis://:***@h:6379/0"),
        ("https://u:pw@h/a@b", "https://u:***@b"),
        ("https://u:pw@h.example/a@b", "https://u:***@h.example/a@b"),
        (
            "pip install git+https://u:pw@h.example/o/r.git@v1#egg=x",
            "pip install git+https://u:***@h.example/o/r.git@v1#egg=x",
        ),
        ("https://u:pw@h:80/?x=a@b", "https://u:***@h:80/?x=a@b"),
        (
            "smtp://me@a.example:hunter2@b.example:25",
            "smtp://me@a.example:***@b.example:25",
        ),
        (
            "http://u:p@a.example,http://v:q@b.example",
            "http://u:***@a.example,http://v:***@b.example",
        ),
        (
            "git clone https://0123456789abcdef0123@h/r",
            "git clone https://***@h/r",
        ),
        (
            "git clone https://0123456789abcdef0123:@h/r",
            "git clone https://***:@h/r",
        ),
        (
            "git clone https://0123456789abcdef0123:x-oauth-basic@h/r",
            "git clone https://***:x-oauth-basic@h/r",
        ),
        ("https://u:\"x\"@h/", "https://u:***@h/"),
    ]);
}

#[test]
fn an_address_needs_no_scheme() {
    check(&[
        ("x //user:PW@host y", "x //user:***@host y"),
        ("x --dsn=//user:PW@host/p", "x --dsn=//user:***@host/p"),
        ("x \"//user:PW@host/p\" y@z", "x \"//user:***@host/p\" y@z"),
        ("user:pw@host:5432/db", "user:***@host:5432/db"),
        ("x user:pw@host/db y", "x user:***@host/db y"),
        ("x user:pw@host:5432 y", "x user:***@host:5432 y"),
        ("x 'user:pw@db.example/x'", "x 'user:***@db.example/x'"),
        (
            "DSN=user:pw@tcp(127.0.0.1:3306)/db",
            "DSN=user:***@tcp(127.0.0.1:3306)/db",
        ),
        ("x user:pw@/db", "x user:***@/db"),
        ("x user:p@s:s@10.0.0.1:1/db", "x user:***@10.0.0.1:1/db"),
        ("x user:p/w@host:5/db", "x user:***@host:5/db"),
        ("x user:p%2Fw@[::1]:5/db", "x user:***@[::1]:5/db"),
    ]);
}

#[test]
fn an_address_that_lets_in_whoever_knows_it_is_masked() {
    check(&[
        (
            "curl https://hooks.slack.com/services/T0A/B0B/a1B2c3 -d x",
            "curl https://hooks.slack.com/services/*** -d x",
        ),
        (
            "'https://discord.com/api/webhooks/123/a1-B2_c3?wait=1'",
            "'https://discord.com/api/webhooks/***?wait=1'",
        ),
        (
            "https://x.webhook.office.com/webhookb2/a-1@b/IncomingWebhook/c/d",
            "https://x.webhook.office.com/webhookb2/***",
        ),
        (
            "https://api.telegram.org/bot123456:AAa1/sendMessage",
            "https://api.telegram.org/bot***",
        ),
    ]);
}

#[test]
fn what_only_looks_like_a_login_stays() {
    check_plain(&[
        "git clone ssh://git@h/r",
        "git clone git@github.com:org/repo.git",
        "git clone ssh://git@github.com:22/org/repo@v1",
        "http://h:80/path?x=a@b",
        "http://h:80?x=a@b",
        "https://[::1]:80/a@b",
        "mail me@a.example you@b.example",
        "mail To:me@a.example",
        "mailto:me@a.example/x",
        "docker pull a.example:5000/alpine:3.19@sha256:0123",
        "docker pull docker://alpine:3.19@sha256:0123",
        "docker pull alpine:3.19@sha256:0123",
        "npm install a@npm:b@1.2.3/x npm:b@1.2",
        "pytest tests/a.py::test_x[u@h/x]",
        "pytest tests//x.py::test@a/b",
        "bazel test //pkg:target @repo//pkg:target",
        "rsync -a me@host:/srv/x /tmp/y",
        "rsync -v a:/b@c/d",
        "pytest --tx ssh=me@host//python=python3//chdir=/x",
        "x 12:30 a@b/c",
        "file:///a:b/c@d",
        "jdbc:postgresql://h:5/d?x=a@b",
        "x C:\\a@b/c",
        "pip install a@git+https://h.example/x@v1",
        "https://hooks.slack.com/ https://discord.com/api",
    ]);
    let line = r#"["http://h:80", "a@b"]"#;
    assert_eq!(masked(line), line);
}

#[test]
fn in_the_id_of_a_test_a_plain_word_without_a_scheme_is_no_password() {
    for (id, expected) in [
        ("t.py::test[http://u:pw@h/]", "t.py::test[http://u:***@h/]"),
        ("t.py::test[u:pw@h/x]", "t.py::test[u:pw@h/x]"),
        ("t.py::test[u:hunter2@h/x]", "t.py::test[u:***@h/x]"),
        (
            "t.py::test[http://h:80/-a@b]",
            "t.py::test[http://h:80/-a@b]",
        ),
    ] {
        assert_eq!(masked_id(id), expected);
    }
}
