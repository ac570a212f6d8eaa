mod brought;
mod guard;
mod kinds;

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
fn the_branch_of_a_fork_is_told_with_its_pull_request_alone() {
    let bare = folder("");
    let told = |pairs: &[(&str, &str)]| {
        let fork = [("HIGHWATER_FORK", "yes"), ("HIGHWATER_BRANCH", "patch-1")];
        let settings = resolve_in(&bare, Given::default(), &[&fork[..], pairs].concat());
        let is_told = |it: &String| it.contains("\"patch-1\" is a fork's");
        let branch = settings.job.run.unwrap_or_default().branch;
        (branch, settings.places.problems.iter().any(is_told))
    };
    assert_eq!(told(&[]), (String::new(), true));
    let numbered = [("HIGHWATER_PULL_REQUEST", "7")];
    assert_eq!(told(&numbered), ("patch-1".to_owned(), false));
}

#[test]
fn a_problem_names_the_file_the_setting_and_what_is_expected_and_nothing_else_is_left_out() {
    let cases = [
        (
            "[tool.highwater]\ninterval = 'soon'\njob = 'mine'\n",
            r#"[tool.highwater] interval: "soon" is not a duration such as 50ms or 1s"#,
        ),
        (
            "[tool.highwater]\nbudget = '3 apples'\njob = 'mine'\n",
            r#"[tool.highwater] budget: "3 apples" is not one of the units"#,
        ),
        (
            "[tool.highwater]\nmemory-limit = '101%'\njob = 'mine'\n",
            r#"[tool.highwater] memory-limit: "101%" is not a share from 1% to 100%"#,
        ),
        (
            "[tool.highwater]\non-limit = 'kill'\njob = 'mine'\n",
            r#"[tool.highwater] on-limit: "kill" is neither warn nor stop"#,
        ),
        (
            "[tool.highwater]\nsevrer = 'x'\njob = 'mine'\n",
            "[tool.highwater] sevrer: there is no such setting; there are server,",
        ),
        (
            "[tool.highwater]\nproject = 7\njob = 'mine'\n",
            "[tool.highwater] project: 7 is no text",
        ),
        (
            "[tool.highwater]\nproject = 'repo'\njob = 'mine'\n",
            "[tool.highwater] project: \"repo\" is not `owner/repo`",
        ),
        (
            "[tool.highwater]\nserver = 'http://me:secret@x'\njob = 'mine'\n",
            "[tool.highwater] server: an address with a user or password",
        ),
    ];
    for (text, expected) in cases {
        let settings = resolve_in(&folder(text), Given::default(), &[]);
        let [problem] = settings.places.problems.as_slice() else {
            panic!("{:?}", settings.places.problems)
        };
        assert!(
            problem.contains("pyproject.toml: ") && problem.contains(expected),
            "{problem}"
        );
        assert_eq!(settings.job.name, "mine");
    }
    let broken = resolve_in(&folder("[a]\n[tool.highwater\n"), Given::default(), &[]);
    let [problem] = broken.places.problems.as_slice() else {
        panic!("{:?}", broken.places.problems)
    };
    assert!(
        problem.contains("TOML, line 2: ") && !problem.contains('\n'),
        "{problem}"
    );
}

#[test]
fn empty_variables_say_nothing_and_impossible_ones_are_told() {
    let bare = folder("");
    let names = [
        "SERVER",
        "PROJECT",
        "JOB_NAME",
        "VARIANT",
        "SHARD",
        "PLAN",
        "ATTEMPT",
        "PROVIDER",
        "RUN_ID",
        "BRANCH",
        "COMMIT",
        "BASE_COMMIT",
        "PULL_REQUEST",
        "FORK",
        "EVENT",
        "CONFIRMS",
        "URL",
        "SPOOL",
        "INTERVAL",
        "BUDGET",
        "CI_TIMEOUT",
        "PROTECT",
        "NO_EXACT",
        "DIAGNOSE",
        "SUMMARY",
        "QUIET",
        "TOKEN",
    ];
    let all = |value: &str| -> Env {
        let names = names.iter().map(|name| format!("HIGHWATER_{name}"));
        names.map(|name| (name, value.to_owned())).collect()
    };
    for value in ["", "  "] {
        let settings = resolve(Given::default(), &all(value), bare.path(), &[]).unwrap();
        assert_eq!(settings.places.problems, Vec::<String>::new());
        assert!(settings.exact && settings.protects);
    }
    let wrong = env(&[
        ("HIGHWATER_BUDGET", "3X"),
        ("HIGHWATER_SHARD", "4/3"),
        ("HIGHWATER_FORK", "perhaps"),
        ("HIGHWATER_SERVER", "ftp://x"),
        ("HIGHWATER_ATTEMPT", "2"),
    ]);
    let settings = resolve(Given::default(), &wrong, bare.path(), &[]).unwrap();
    assert_eq!(
        settings.places.problems.len(),
        4,
        "{:?}",
        settings.places.problems
    );
    assert!(settings.places.problems[1].starts_with(r#"HIGHWATER_SHARD: "4/3" is not a shard"#));
    assert_eq!((settings.job.attempt, settings.places.server), (2, None));
}

#[test]
fn a_diagnosis_is_asked_for_in_one_order_everywhere() {
    let bare = tempfile::tempdir().unwrap();
    assert_eq!(
        resolve_in(&bare, Given::default(), &[]).diagnose,
        Diagnose::No
    );
    let on = folder("[tool.highwater]\ndiagnose = true\n");
    assert_eq!(
        resolve_in(&on, Given::default(), &[]).diagnose,
        Diagnose::Yes
    );
    let lines = folder("[tool.highwater]\ndiagnose = \"tracemalloc\"\n");
    let variable = |value| [("HIGHWATER_DIAGNOSE", value)];
    for (value, expected) in [
        ("", Diagnose::Tracemalloc),
        ("1", Diagnose::Yes),
        ("tracemalloc", Diagnose::Tracemalloc),
        ("0", Diagnose::No),
    ] {
        let settings = resolve_in(&lines, Given::default(), &variable(value));
        assert_eq!(settings.diagnose, expected, "{value}");
    }
    let given = Given {
        diagnose: Some(Diagnose::No),
        ..Given::default()
    };
    let settings = resolve_in(&lines, given.clone(), &variable("1"));
    assert_eq!(settings.diagnose, Diagnose::No);

    let wrong = resolve_in(&bare, Given::default(), &variable("deeply"));
    assert_eq!(
        wrong.places.problems,
        ["HIGHWATER_DIAGNOSE: \"deeply\" is none of true, false and tracemalloc; it is left out"]
    );
    let without = Given {
        plugin: Some(false),
        ..Given::default()
    };
    let problems = resolve_in(&on, without, &[]).places.problems;
    assert_eq!(
        problems,
        ["diagnose: the plugin does it, and pytest is not given it"]
    );
}

#[test]
fn switches_are_read_from_variables_and_a_flag_beats_the_file() {
    let off = folder("[tool.highwater]\nexact = false\nplugin = false\n");
    assert!(!resolve_in(&off, Given::default(), &[]).plugin);
    for (name, value) in [("HIGHWATER_PLUGIN", "1"), ("HIGHWATER_NO_PLUGIN", "0")] {
        assert!(resolve_in(&off, Given::default(), &[(name, value)]).plugin);
    }
    assert!(!resolve_in(&off, Given::default(), &[]).exact);
    assert!(resolve_in(&off, Given::default(), &[("HIGHWATER_NO_EXACT", "0")]).exact);
    let given = Given {
        exact: Some(true),
        ..Given::default()
    };
    assert!(resolve_in(&off, given, &[]).exact);
    for (value, quiet) in [("1", true), ("true", true), ("0", false), ("", false)] {
        let env = env(&[("HIGHWATER_QUIET", value)]);
        assert_eq!(super::quiet(&Given::default(), &env), quiet, "{value}");
    }
}

#[test]
fn a_time_limit_is_taken_from_whoever_says_it_first() {
    let in_file = folder("[tool.highwater]\nci-timeout = '2h'\nprotect = false\n");
    let job = |given, env: &[(&str, &str)]| {
        let job = resolve_in(&in_file, given, env).job;
        (job.ci_timeout_us / 1_000_000, job.ci_started_unix_us)
    };
    let gitlab = [
        ("GITLAB_CI", "true"),
        ("CI_JOB_TIMEOUT", "3600"),
        ("CI_JOB_STARTED_AT", "2026-01-02T03:04:05Z"),
    ];
    assert_eq!(job(Given::default(), &[]), (7200, 0));
    let began_us = 1_767_323_045_000_000;
    assert_eq!(job(Given::default(), &gitlab), (7200, began_us));
    let variable = [("HIGHWATER_CI_TIMEOUT", "45m")];
    assert_eq!(job(Given::default(), &variable), (2700, 0));
    let given = Given {
        ci_timeout: Some(Duration::from_secs(60)),
        ..Given::default()
    };
    assert_eq!(job(given, &variable), (60, 0));
    let bare = folder("");
    let of_ci = resolve_in(&bare, Given::default(), &gitlab).job;
    assert_eq!(of_ci.ci_timeout_us, 3_600_000_000);
    // What no server takes costs the limit, not the recording.
    let impossible = [("GITLAB_CI", "true"), ("CI_JOB_TIMEOUT", "1000000000000")];
    let settings = resolve_in(&bare, Given::default(), &impossible);
    assert_eq!(settings.job.ci_timeout_us, 0);
    assert_eq!(settings.places.problems.len(), 1);
    assert!(!resolve_in(&in_file, Given::default(), &[]).protects);
    assert!(resolve_in(&in_file, Given::default(), &[("HIGHWATER_PROTECT", "1")]).protects);
}

#[test]
fn a_server_without_a_scheme_is_taken_as_http() {
    let bare = folder("");
    let at = |server: &str| {
        resolve_in(&bare, Given::default(), &[("HIGHWATER_SERVER", server)])
            .places
            .server
    };
    assert_eq!(
        at("localhost:8080").as_deref(),
        Some("http://localhost:8080")
    );
    assert_eq!(
        at("https://x.example/").as_deref(),
        Some("https://x.example/")
    );
    assert_eq!(at("http://"), None);
}

#[test]
fn what_cannot_be_is_told_with_its_source_and_the_next_source_counts() {
    let with_file = folder("[tool.highwater]\nproject = 'file/repo'\njob = ''\nspool = ''\n");
    let long = "j".repeat(3_000);
    let mut variables = vec![
        ("HIGHWATER_PROJECT", "x"),
        ("HIGHWATER_URL", "javascript:x"),
        ("HIGHWATER_COMMIT", long.as_str()),
    ];
    variables.extend(CI);
    let settings = resolve_in(&with_file, Given::default(), &variables);
    assert_eq!(
        (settings.job.project.as_str(), settings.job.name.as_str()),
        ("file/repo", "ci-job")
    );
    assert_eq!(settings.places.spool, default_spool(&env(&variables)));
    assert_eq!(settings.places.problems.len(), 3);

    // Each of these is a CI whose variables reached a container in part only, or hold what no server takes.
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("GITHUB_ACTIONS", "true")], ""),
        (
            &[("GITHUB_ACTIONS", "true"), ("GITHUB_JOB", &long)],
            "github: job: 3000 bytes",
        ),
        (&[("BUILDKITE", "true")], ""),
        (&[("BITBUCKET_BUILD_NUMBER", "1")], ""),
        (
            &[("CIRCLECI", "true"), ("CIRCLE_PROJECT_REPONAME", "r")],
            "",
        ),
        (&[("TF_BUILD", "True")], ""),
        (
            &[("DRONE", "true"), ("DRONE_REPO", "not a slug")],
            "drone: project: ",
        ),
        (
            &[("DRONE", "true"), ("DRONE_BUILD_LINK", "/builds/7")],
            "drone: url of the run: ",
        ),
    ];
    for (variables, told) in cases {
        let settings = resolve_in(&folder(""), Given::default(), variables);
        assert!(settings.job.project.starts_with("local/"), "{variables:?}");
        assert_eq!(settings.job.url, "", "{variables:?}");
        let problems = &settings.places.problems;
        assert_eq!(problems.is_empty(), told.is_empty(), "{problems:?}");
        assert!(
            problems.iter().any(|line| line.starts_with(told)) || told.is_empty(),
            "{problems:?}"
        );
    }
}
