use super::*;

mod addresses;
mod commands;
mod named;
mod once;
mod statements;
mod tokens;
mod verbs;

fn masked(line: &str) -> String {
    let mut line = line.to_owned();
    text(&mut line);
    line
}

fn masked_id(id: &str) -> String {
    let mut id = id.to_owned();
    test_id(&mut id);
    id
}

/// Masks a command in words, which are parted by blanks here.
fn masked_words(line: &str) -> String {
    let mut command: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words(&mut command);
    command.join(" ")
}

/// Holds texts to what becomes of them.
fn check(table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(masked(line), *expected, "of {line}");
    }
}

/// Holds texts to stay as they are, as a line and as words.
fn check_plain(table: &[&str]) {
    for line in table {
        assert_eq!(masked(line), *line);
        assert_eq!(masked_words(line), *line, "in words");
    }
}

/// Written in parts, so that no scanner takes the example for a leak.
fn token(prefix: &str, length: usize) -> String {
    format!(
        "{prefix}{}",
        "a1B2c3D4e5F6g7H8".repeat(20).split_at(length).0
    )
}

#[test]
fn what_a_batch_says_is_masked_wherever_a_secret_may_stand() {
    let command = || "mysql -phunter2".to_owned();
    let mut batch = Batch {
        processes: vec![v1::Process {
            command: command(),
            ..v1::Process::default()
        }],
        sessions: vec![v1::Session {
            args: ["mysql", "-pno:x", "--token", "hunter2"]
                .map(str::to_owned)
                .to_vec(),
            ..v1::Session::default()
        }],
        notices: vec![v1::Notice {
            message: command(),
            ..v1::Notice::default()
        }],
        ..Batch::default()
    };
    super::batch(&mut batch);
    assert_eq!(batch.processes[0].command, "mysql -p***");
    assert_eq!(batch.notices[0].message, "mysql -p***");
    let args = &batch.sessions[0].args;
    assert_eq!(
        *args,
        ["mysql", "-pno:x", "--token", "***"],
        "no program is named"
    );
}

#[test]
fn the_path_of_a_file_is_masked_as_the_id_of_its_tests_is() {
    let secret = token("ghp_", 36);
    let mark = |what| v1::Mark {
        what: Some(what),
        ..v1::Mark::default()
    };
    for path in [
        format!("{secret}/test_a.py"),
        format!("tests/of-{secret}/test_a.py"),
        format!("tests/test_{secret}.py"),
        format!("tests/{}.py", token("AKIA", 16).to_uppercase()),
        format!("hooks.slack.com/services/{}/test_a.py", token("T", 20)),
        "tests/test_password=hunter2-x.py".to_owned(),
        "tests/test_a.py".to_owned(),
    ] {
        let nodeid = format!("{path}::test_x[{secret}]");
        let mut batch = Batch {
            sessions: vec![v1::Session {
                root: format!("/repo/{secret}"),
                ..v1::Session::default()
            }],
            marks: vec![
                mark(mark::What::TestBegin(v1::TestBegin {
                    path: path.clone(),
                    nodeid,
                    ..v1::TestBegin::default()
                })),
                mark(mark::What::ImportBegin(v1::ImportBegin {
                    path: path.clone(),
                })),
                mark(mark::What::FixtureBegin(v1::FixtureBegin {
                    path: path.clone(),
                    base: format!("{path}::TestX"),
                    ..v1::FixtureBegin::default()
                })),
                mark(mark::What::CollectEnd(v1::CollectEnd {
                    files: format!("3 {path}\n+2"),
                    ..v1::CollectEnd::default()
                })),
                mark(mark::What::ModuleBegin(v1::ModuleBegin {
                    module: format!("helpers.{secret}"),
                })),
                mark(mark::What::ModuleGone(v1::ModuleGone {
                    module: format!("helpers.{secret}"),
                })),
            ],
            ..Batch::default()
        };
        super::batch(&mut batch);
        let said = format!("{batch:?}");
        assert!(!said.contains(&secret), "{said}");
        let mut whats = batch.marks.into_iter().filter_map(|mark| mark.what);
        let Some(mark::What::TestBegin(test)) = whats.next() else {
            panic!("{said}")
        };
        let path = test.path;
        assert_eq!(test.nodeid, format!("{path}::test_x[***]"));
        assert_eq!(
            whats.collect::<Vec<_>>(),
            [
                mark::What::ImportBegin(v1::ImportBegin { path: path.clone() }),
                mark::What::FixtureBegin(v1::FixtureBegin {
                    path: path.clone(),
                    base: format!("{path}::TestX"),
                    ..v1::FixtureBegin::default()
                }),
                mark::What::CollectEnd(v1::CollectEnd {
                    files: format!("3 {path}\n+2"),
                    ..v1::CollectEnd::default()
                }),
                mark::What::ModuleBegin(v1::ModuleBegin {
                    module: "helpers.***".to_owned(),
                }),
                mark::What::ModuleGone(v1::ModuleGone {
                    module: "helpers.***".to_owned(),
                }),
            ]
        );
    }
}

#[test]
fn of_a_job_the_command_its_variant_and_its_addresses_are_masked() {
    let mut job = v1::Job {
        command: ["curl", "-u", "me:hunter2", "https://h"]
            .map(str::to_owned)
            .to_vec(),
        url: "https://u:hunter2@h/job".to_owned(),
        variant: [("token", "hunter2"), ("python", "3.14")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..v1::Job::default()
    };
    super::job(&mut job);
    assert_eq!(job.command, ["curl", "-u", "me:***", "https://h"]);
    assert_eq!(job.url, "https://u:***@h/job");
    assert_eq!(job.variant["token"], "***");
    assert_eq!(job.variant["python"], "3.14");
}

#[test]
fn a_value_that_does_not_settle_is_masked_as_a_whole() {
    // Each look finds one more: a key begins a word only where the one before it is masked.
    let keys = format!("key-{}", "0123456789abcdef".repeat(2)).repeat(MOST_LOOKS + 1);
    assert_eq!(masked(&keys), MASK);
    let mut job = v1::Job {
        variant: [("image", keys.as_str()), ("a=b", "c")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..v1::Job::default()
    };
    super::job(&mut job);
    assert_eq!(job.variant["image"], MASK);
    assert_eq!(job.variant["a=b"], "c");
}
