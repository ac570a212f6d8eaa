use super::*;

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn seen(pairs: &[(&str, &str)], event: &str) -> Metadata {
    detect(&env(pairs), &|_| Some(event.to_owned())).expect("a known CI")
}

#[test]
fn a_pull_request_from_a_fork_on_github_is_its_head_and_not_the_merge_commit() {
    let event = r#"{"pull_request":{"number":7,"head":{"sha":"aaa","repo":{"full_name":"someone/repo"}},"base":{"sha":"bbb"}}}"#;
    let run = seen(
        &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "owner/repo"),
            ("GITHUB_SHA", "merge"),
            ("GITHUB_RUN_ID", "12"),
            ("GITHUB_RUN_ATTEMPT", "2"),
            ("GITHUB_JOB", "unit"),
            ("GITHUB_HEAD_REF", "topic"),
            ("GITHUB_REF_NAME", "7/merge"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_EVENT_PATH", "/event.json"),
            ("GITHUB_SERVER_URL", "https://git.example"),
        ],
        event,
    );
    assert_eq!(
        (run.head_commit.as_str(), run.base_commit.as_str()),
        ("aaa", "bbb")
    );
    assert_eq!(
        (run.branch.as_str(), run.pull_request.as_str(), run.fork),
        ("topic", "7", true)
    );
    assert_eq!((run.provider.as_str(), run.attempt), ("github", 2));
    assert_eq!(
        run.run_url,
        "https://git.example/owner/repo/actions/runs/12"
    );
}

#[test]
fn a_pull_request_on_github_is_none_of_the_branch_of_its_name_though_its_event_cannot_be_read() {
    let told = |pairs: &[(&str, &str)]| {
        let here = [("GITHUB_ACTIONS", "true"), ("GITHUB_HEAD_REF", "main")];
        let run = detect(&env(&[&here[..], pairs].concat()), &|_| None).unwrap();
        (run.branch, run.pull_request)
    };
    let number = (String::new(), "7".to_owned());
    assert_eq!(told(&[("GITHUB_REF", "refs/pull/7/merge")]), number);
    assert_eq!(told(&[("GITHUB_REF_NAME", "7/merge")]), number);
    let pushed = [("GITHUB_REF", "refs/heads/7/merge")];
    assert_eq!(told(&pushed), (String::new(), String::new()));
    // Of `pull_request_target` these are the branch that it is to be merged into.
    let target = [
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_REF_NAME", "main"),
    ];
    assert_eq!(told(&target), (String::new(), String::new()));
}

#[test]
fn a_merge_request_on_gitlab_is_a_forks_wherever_its_pipeline_runs() {
    for (runs_in, source, is_fork) in [
        ("group/repo", "someone/repo", true),
        ("someone/repo", "someone/repo", true),
        ("group/repo", "group/repo", false),
    ] {
        let run = seen(
            &[
                ("GITLAB_CI", "true"),
                ("CI_PROJECT_PATH", runs_in),
                ("CI_MERGE_REQUEST_PROJECT_PATH", "group/repo"),
                ("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", source),
                ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "main"),
                ("CI_MERGE_REQUEST_IID", "7"),
            ],
            "",
        );
        assert_eq!(run.fork, is_fork, "{runs_in} {source}");
        assert_eq!(
            (run.branch.as_str(), run.pull_request.as_str()),
            ("main", "7")
        );
    }
}

#[test]
fn a_push_on_github_is_its_own_commit() {
    let run = seen(
        &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "owner/repo"),
            ("GITHUB_SHA", "abc"),
            ("GITHUB_REF_NAME", "main"),
        ],
        r#"{"before":"old"}"#,
    );
    assert_eq!(
        (run.head_commit.as_str(), run.base_commit.as_str(), run.fork),
        ("abc", "old", false)
    );
}

#[test]
fn each_provider_tells_its_project_run_branch_commit_and_shard() {
    type Case<'a> = (
        &'a str,
        Vec<(&'a str, &'a str)>,
        Option<(u32, u32)>,
        &'a str,
    );
    let cases: Vec<Case<'_>> = vec![
        (
            "gitlab",
            vec![
                ("GITLAB_CI", "true"),
                ("CI_PROJECT_PATH", "owner/repo"),
                ("CI_PIPELINE_ID", "12"),
                ("CI_JOB_NAME", "unit"),
                ("CI_NODE_INDEX", "2"),
                ("CI_NODE_TOTAL", "3"),
                ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "topic"),
                ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "abc"),
                ("CI_COMMIT_SHA", "merge"),
                ("CI_MERGE_REQUEST_IID", "7"),
            ],
            Some((2, 3)),
            "7",
        ),
        (
            "circleci",
            vec![
                ("CIRCLECI", "true"),
                ("CIRCLE_PROJECT_USERNAME", "owner"),
                ("CIRCLE_PROJECT_REPONAME", "repo"),
                ("CIRCLE_WORKFLOW_ID", "12"),
                ("CIRCLE_JOB", "unit"),
                ("CIRCLE_NODE_INDEX", "1"),
                ("CIRCLE_NODE_TOTAL", "3"),
                ("CIRCLE_BRANCH", "topic"),
                ("CIRCLE_SHA1", "abc"),
                (
                    "CIRCLE_PULL_REQUEST",
                    "https://git.example/owner/repo/pull/7",
                ),
            ],
            Some((2, 3)),
            "7",
        ),
        (
            "buildkite",
            vec![
                ("BUILDKITE", "true"),
                ("BUILDKITE_REPO", "git@git.example:owner/repo.git"),
                ("BUILDKITE_BUILD_ID", "12"),
                ("BUILDKITE_STEP_KEY", "unit"),
                ("BUILDKITE_PARALLEL_JOB", "1"),
                ("BUILDKITE_PARALLEL_JOB_COUNT", "3"),
                ("BUILDKITE_BRANCH", "topic"),
                ("BUILDKITE_COMMIT", "abc"),
                ("BUILDKITE_PULL_REQUEST", "false"),
            ],
            Some((2, 3)),
            "",
        ),
        (
            "azure",
            vec![
                ("TF_BUILD", "True"),
                ("BUILD_REPOSITORY_NAME", "owner/repo"),
                ("BUILD_BUILDID", "12"),
                ("SYSTEM_JOBDISPLAYNAME", "unit"),
                ("SYSTEM_JOBPOSITIONINPHASE", "2"),
                ("SYSTEM_TOTALJOBSINPHASE", "3"),
                ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "refs/heads/topic"),
                ("SYSTEM_PULLREQUEST_SOURCECOMMITID", "abc"),
                ("BUILD_SOURCEVERSION", "merge"),
                ("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER", "7"),
            ],
            Some((2, 3)),
            "7",
        ),
        (
            "bitbucket",
            vec![
                ("BITBUCKET_BUILD_NUMBER", "12"),
                ("BITBUCKET_REPO_FULL_NAME", "owner/repo"),
                ("BITBUCKET_STEP_NAME", "unit"),
                ("BITBUCKET_PARALLEL_STEP", "1"),
                ("BITBUCKET_PARALLEL_STEP_COUNT", "3"),
                ("BITBUCKET_BRANCH", "topic"),
                ("BITBUCKET_COMMIT", "abc"),
            ],
            Some((2, 3)),
            "",
        ),
        (
            "drone",
            vec![
                ("DRONE", "true"),
                ("DRONE_REPO", "owner/repo"),
                ("DRONE_BUILD_NUMBER", "12"),
                ("DRONE_STEP_NAME", "unit"),
                ("DRONE_SOURCE_BRANCH", "topic"),
                ("DRONE_COMMIT_SHA", "abc"),
                ("DRONE_PULL_REQUEST", "7"),
            ],
            None,
            "7",
        ),
        (
            "travis",
            vec![
                ("TRAVIS", "true"),
                ("TRAVIS_REPO_SLUG", "owner/repo"),
                ("TRAVIS_BUILD_ID", "12"),
                ("TRAVIS_JOB_NAME", "unit"),
                ("TRAVIS_PULL_REQUEST", "7"),
                ("TRAVIS_PULL_REQUEST_BRANCH", "topic"),
                ("TRAVIS_PULL_REQUEST_SHA", "abc"),
                ("TRAVIS_COMMIT", "merge"),
            ],
            None,
            "7",
        ),
        (
            "jenkins",
            vec![
                ("JENKINS_URL", "https://ci.example"),
                ("GIT_URL", "https://git.example/owner/repo.git"),
                ("BUILD_TAG", "12"),
                ("JOB_NAME", "unit"),
                ("CHANGE_BRANCH", "topic"),
                ("GIT_COMMIT", "abc"),
                ("CHANGE_ID", "7"),
            ],
            None,
            "7",
        ),
    ];
    for (name, pairs, shard, pull) in cases {
        let run = seen(&pairs, "");
        assert_eq!(run.provider, name);
        assert_eq!(
            (run.project.as_str(), run.run_id.as_str(), run.job.as_str()),
            ("owner/repo", "12", "unit"),
            "{name}"
        );
        assert_eq!(
            (run.branch.as_str(), run.head_commit.as_str()),
            ("topic", "abc"),
            "{name}"
        );
        assert_eq!(
            (run.shard, run.pull_request.as_str()),
            (shard, pull),
            "{name}"
        );
    }
}

#[test]
fn outside_ci_there_is_nothing_to_detect() {
    assert_eq!(
        detect(&env(&[("PATH", "/bin"), ("TRAVIS", "")]), &|_| None),
        None
    );
}

#[test]
fn remotes_in_every_form_name_the_same_project() {
    for remote in [
        "https://git.example/owner/repo.git",
        "https://user:secret@git.example/owner/repo",
        "ssh://git@git.example:22/owner/repo.git",
        "git@git.example:owner/repo.git",
    ] {
        assert_eq!(
            slug_of_remote(remote).as_deref(),
            Some("owner/repo"),
            "{remote}"
        );
    }
    assert_eq!(slug_of_remote("/srv/repo"), None);
}

#[test]
fn a_time_limit_is_known_where_the_ci_tells_it() {
    let gitlab = |limit, began| {
        let run = seen(
            &[
                ("GITLAB_CI", "true"),
                ("CI_JOB_TIMEOUT", limit),
                ("CI_JOB_STARTED_AT", began),
            ],
            "",
        );
        (run.timeout_us, run.started_unix_us)
    };
    let began_us = 1_767_323_045_000_000;
    assert_eq!(
        gitlab("3600", "2026-01-02T03:04:05Z"),
        (3_600_000_000, began_us)
    );
    assert_eq!(gitlab("", ""), (0, 0));
    assert_eq!(gitlab("an hour", "noon"), (0, 0));
    let buildkite = |limit| {
        let run = seen(&[("BUILDKITE", "true"), ("BUILDKITE_TIMEOUT", limit)], "");
        (run.timeout_us, run.started_unix_us)
    };
    assert_eq!(buildkite("15"), (900_000_000, 0));
    assert_eq!(buildkite("false"), (0, 0));
    assert_eq!(buildkite("99999999999999999999"), (0, 0));
    let drone = seen(
        &[("DRONE", "true"), ("DRONE_STAGE_STARTED", "1767323045")],
        "",
    );
    assert_eq!((drone.timeout_us, drone.started_unix_us), (0, began_us));
}
