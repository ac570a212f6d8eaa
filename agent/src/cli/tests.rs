use clap::CommandFactory;

use super::*;
use crate::settings::Given;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn what_follows_the_dashes_is_the_command_word_by_word() {
    let cli = Cli::try_parse_from([
        "highwater",
        "run",
        "--job",
        "unit",
        "--",
        "pytest",
        "--job",
        "x",
    ])
    .unwrap();
    let Task::Run(task) = cli.into_task() else {
        panic!("no run")
    };
    assert_eq!(task.command, ["pytest", "--job", "x"]);
    assert_eq!(task.given.job.as_deref(), Some("unit"));
    assert_eq!(task.given.exact, None);
}

fn refused(flags: &[&str]) -> String {
    let words = ["highwater", "run"].iter().chain(flags);
    let error = Cli::try_parse_from(words.chain(&["--", "pytest"])).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{flags:?}");
    error.to_string()
}

#[test]
fn a_flag_that_cannot_be_is_an_error_that_names_it() {
    let long = "x".repeat(2_000);
    for (flag, value) in [
        ("--project", "a"),
        ("--project", "a/b c"),
        ("--url", "javascript:x"),
        ("--commit", long.as_str()),
        ("--base-commit", long.as_str()),
        ("--branch", "a\nb"),
        ("--job", long.as_str()),
        ("--run-id", long.as_str()),
        ("--variant", "python"),
        ("--shard", "4/3"),
        ("--attempt", "0"),
        ("--interval", "soon"),
        ("--budget", "3 apples"),
        ("--ci-timeout", "60"),
        ("--server", "ftp://x"),
    ] {
        let said = refused(&[flag, value]);
        assert!(said.contains(flag), "{said}");
    }
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let said = refused(&["--server", "http://user:hunter2@127.0.0.1:8080"]);
    assert!(
        said.contains("HIGHWATER_TOKEN") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn a_flag_that_is_empty_says_nothing() {
    let names = [
        "server",
        "project",
        "job",
        "provider",
        "run-id",
        "branch",
        "commit",
        "base-commit",
        "pull-request",
        "event",
        "url",
    ];
    let flags = names.map(|name| format!("--{name}="));
    let words = ["highwater", "run"].map(str::to_owned).into_iter();
    let words = words
        .chain(flags)
        .chain(["--", "pytest"].map(str::to_owned));
    let Task::Run(task) = Cli::try_parse_from(words).unwrap().into_task() else {
        panic!("no run")
    };
    assert_eq!(task.given, Given::default());
}

#[test]
fn a_plan_needs_the_plugin_that_follows_it() {
    // Else each shard would run the whole suite.
    let told = refused(&["--plan", "plan.json", "--no-plugin"]);
    assert!(
        told.contains("--plan") && told.contains("--no-plugin"),
        "{told}"
    );
}

#[test]
fn a_plan_that_is_kept_is_made_by_nothing_else() {
    for (words, says) in [
        (&["--keep", "--budget", "1GB"][..], "<JOB>"),
        (&["--kept", "x"], "--kept"),
        (
            &["--kept", "20ae0677-d026-5218-8f01-9ba3b2a9777e", "--keep"],
            "cannot be used with",
        ),
    ] {
        let words = ["highwater", "plan"].iter().chain(words);
        let told = Cli::try_parse_from(words).unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    }
}
