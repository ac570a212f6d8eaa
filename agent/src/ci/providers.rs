//! The providers and the variables that each documents.

use std::path::Path;

use serde_json::Value;

use super::{Env, Metadata, slug_of_remote, slug_part};

/// Gives the content of a file that a provider names.
type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

pub(super) struct Provider {
    pub(super) name: &'static str,
    pub(super) is_here: fn(&Env) -> bool,
    pub(super) read: fn(&Env, Read<'_>) -> Metadata,
}

/// The first that is here counts: some providers also set the general variables of another.
pub(super) const ALL: &[Provider] = &[
    Provider {
        name: "github",
        is_here: |env| has(env, "GITHUB_ACTIONS"),
        read: github,
    },
    Provider {
        name: "gitlab",
        is_here: |env| has(env, "GITLAB_CI"),
        read: |env, _| gitlab(env),
    },
    Provider {
        name: "circleci",
        is_here: |env| has(env, "CIRCLECI"),
        read: |env, _| circleci(env),
    },
    Provider {
        name: "buildkite",
        is_here: |env| has(env, "BUILDKITE"),
        read: |env, _| buildkite(env),
    },
    Provider {
        name: "azure",
        is_here: |env| has(env, "TF_BUILD"),
        read: |env, _| azure(env),
    },
    Provider {
        name: "bitbucket",
        is_here: |env| has(env, "BITBUCKET_BUILD_NUMBER"),
        read: |env, _| bitbucket(env),
    },
    Provider {
        name: "drone",
        is_here: |env| has(env, "DRONE"),
        read: |env, _| drone(env),
    },
    Provider {
        name: "travis",
        is_here: |env| has(env, "TRAVIS"),
        read: |env, _| travis(env),
    },
    Provider {
        name: "jenkins",
        is_here: |env| has(env, "JENKINS_URL"),
        read: |env, _| jenkins(env),
    },
];

fn has(env: &Env, name: &str) -> bool {
    env.get(name)
        .is_some_and(|value| !value.is_empty() && value != "false")
}

fn get(env: &Env, name: &str) -> String {
    env.get(name).cloned().unwrap_or_default()
}

fn first(env: &Env, names: &[&str]) -> String {
    names
        .iter()
        .map(|name| get(env, name))
        .find(|value| !value.is_empty())
        .unwrap_or_default()
}

/// A number from 1, or 0.
fn number(env: &Env, name: &str) -> u32 {
    get(env, name).parse().unwrap_or(0)
}

/// A number of some unit of time, µs; 0 where there is none or it cannot be.
fn times(env: &Env, name: &str, unit_us: u64) -> u64 {
    let number = get(env, name).trim().parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(unit_us))
        .filter(|us| *us < 1 << 61)
        .unwrap_or(0)
}

/// A shard from an index that counts from `base`; none for a total of less than two.
fn shard(env: &Env, index: &str, total: &str, base: u32) -> Option<(u32, u32)> {
    let total = number(env, total);
    let index = get(env, index)
        .parse::<u32>()
        .ok()?
        .checked_add(1)?
        .checked_sub(base)?;
    (total > 1 && (1..=total).contains(&index)).then_some((index, total))
}

/// A page below the address that a variable holds; empty where it holds none, as in a container that is given few variables.
fn page(env: &Env, base: &str, rest: &str) -> String {
    match get(env, base) {
        base if base.is_empty() => base,
        base => base + rest,
    }
}

/// `owner/repo`, where both are there.
fn slug(owner: &str, repo: &str) -> String {
    if owner.is_empty() || repo.is_empty() {
        String::new()
    } else {
        format!("{}/{}", slug_part(owner), slug_part(repo))
    }
}

fn github(env: &Env, read: Read<'_>) -> Metadata {
    let event: Value = read(Path::new(&get(env, "GITHUB_EVENT_PATH")))
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let text = |pointer: &str| {
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let is_pull = event.get("pull_request").is_some();
    let pull = event
        .pointer("/pull_request/number")
        .and_then(Value::as_u64);
    // Where the event cannot be read, as in a container that does not have the file.
    let pull = pull.or_else(|| merged(&get(env, "GITHUB_REF"), &get(env, "GITHUB_REF_NAME")));
    let project = get(env, "GITHUB_REPOSITORY");
    let run_url = page(
        env,
        "GITHUB_SERVER_URL",
        &format!("/{project}/actions/runs/{}", get(env, "GITHUB_RUN_ID")),
    );
    let head_repo = text("/pull_request/head/repo/full_name");
    Metadata {
        run_id: get(env, "GITHUB_RUN_ID"),
        job: get(env, "GITHUB_JOB"),
        attempt: number(env, "GITHUB_RUN_ATTEMPT"),
        // Where it is not known whether a fork's branch is meant, it would be taken for the one of that name here.
        branch: match !is_pull && has(env, "GITHUB_HEAD_REF") {
            true => String::new(),
            false => first(env, &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"]),
        },
        head_commit: if is_pull {
            text("/pull_request/head/sha")
        } else {
            get(env, "GITHUB_SHA")
        },
        base_commit: if is_pull {
            text("/pull_request/base/sha")
        } else {
            text("/before")
        },
        pull_request: pull.map_or_else(String::new, |number| number.to_string()),
        // A fork that was deleted has no repository any more.
        fork: is_pull && head_repo != project,
        event: get(env, "GITHUB_EVENT_NAME"),
        job_url: run_url.clone(),
        run_url,
        project,
        ..Metadata::default()
    }
}

/// The number of a pull request, by GitHub's name of what it comes to once it is merged: `refs/pull/7/merge`, `7/merge`.
fn merged(reference: &str, name: &str) -> Option<u64> {
    let name = match reference {
        "" => name,
        _ => reference.strip_prefix("refs/pull/")?,
    };
    name.strip_suffix("/merge")?.parse().ok()
}

fn gitlab(env: &Env) -> Metadata {
    let source = get(env, "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH");
    let project = get(env, "CI_PROJECT_PATH");
    // A pipeline may run in the fork itself.
    let target = first(env, &["CI_MERGE_REQUEST_PROJECT_PATH", "CI_PROJECT_PATH"]);
    Metadata {
        run_id: get(env, "CI_PIPELINE_ID"),
        job: get(env, "CI_JOB_NAME"),
        shard: shard(env, "CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
        branch: first(
            env,
            &[
                "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
                "CI_COMMIT_BRANCH",
                "CI_COMMIT_REF_NAME",
            ],
        ),
        // In a merged-results pipeline CI_COMMIT_SHA is the merge commit.
        head_commit: first(
            env,
            &["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_COMMIT_SHA"],
        ),
        base_commit: first(
            env,
            &["CI_MERGE_REQUEST_DIFF_BASE_SHA", "CI_COMMIT_BEFORE_SHA"],
        ),
        commit_unix_us: timestamp_us(&get(env, "CI_COMMIT_TIMESTAMP")),
        pull_request: first(
            env,
            &["CI_MERGE_REQUEST_IID", "CI_EXTERNAL_PULL_REQUEST_IID"],
        ),
        fork: !source.is_empty() && source != target,
        event: get(env, "CI_PIPELINE_SOURCE"),
        // Seconds, as the runner itself counts them from the begin of the job.
        timeout_us: times(env, "CI_JOB_TIMEOUT", 1_000_000),
        started_unix_us: timestamp_us(&get(env, "CI_JOB_STARTED_AT")),
        run_url: get(env, "CI_PIPELINE_URL"),
        job_url: get(env, "CI_JOB_URL"),
        project,
        ..Metadata::default()
    }
}

fn circleci(env: &Env) -> Metadata {
    let pull = first(env, &["CIRCLE_PULL_REQUEST", "CI_PULL_REQUEST"]);
    Metadata {
        project: slug(
            &get(env, "CIRCLE_PROJECT_USERNAME"),
            &get(env, "CIRCLE_PROJECT_REPONAME"),
        ),
        run_id: first(env, &["CIRCLE_WORKFLOW_ID", "CIRCLE_BUILD_NUM"]),
        job: get(env, "CIRCLE_JOB"),
        shard: shard(env, "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
        branch: first(env, &["CIRCLE_BRANCH", "CIRCLE_TAG"]),
        head_commit: get(env, "CIRCLE_SHA1"),
        pull_request: first(env, &["CIRCLE_PR_NUMBER"])
            .split(' ')
            .find(|part| !part.is_empty())
            .map_or_else(
                || pull.rsplit('/').next().unwrap_or_default().to_owned(),
                ToOwned::to_owned,
            ),
        fork: has(env, "CIRCLE_PR_NUMBER"),
        event: if pull.is_empty() {
            "push"
        } else {
            "pull_request"
        }
        .to_owned(),
        job_url: get(env, "CIRCLE_BUILD_URL"),
        run_url: get(env, "CIRCLE_BUILD_URL"),
        ..Metadata::default()
    }
}

fn buildkite(env: &Env) -> Metadata {
    let pull = Some(get(env, "BUILDKITE_PULL_REQUEST"))
        .filter(|number| number != "false")
        .unwrap_or_default();
    let repo = get(env, "BUILDKITE_REPO");
    let pull_repo = get(env, "BUILDKITE_PULL_REQUEST_REPO");
    let project = slug_of_remote(&repo).unwrap_or_default();
    Metadata {
        run_id: get(env, "BUILDKITE_BUILD_ID"),
        job: first(env, &["BUILDKITE_STEP_KEY", "BUILDKITE_LABEL"]),
        shard: shard(
            env,
            "BUILDKITE_PARALLEL_JOB",
            "BUILDKITE_PARALLEL_JOB_COUNT",
            0,
        ),
        attempt: number(env, "BUILDKITE_RETRY_COUNT") + 1,
        branch: get(env, "BUILDKITE_BRANCH"),
        head_commit: get(env, "BUILDKITE_COMMIT"),
        fork: !pull.is_empty() && slug_of_remote(&pull_repo).is_some_and(|slug| slug != project),
        event: if pull.is_empty() {
            get(env, "BUILDKITE_SOURCE")
        } else {
            "pull_request".to_owned()
        },
        pull_request: pull,
        // Minutes, or `false` where there is none.
        timeout_us: times(env, "BUILDKITE_TIMEOUT", 60_000_000),
        run_url: get(env, "BUILDKITE_BUILD_URL"),
        job_url: page(
            env,
            "BUILDKITE_BUILD_URL",
            &format!("#{}", get(env, "BUILDKITE_JOB_ID")),
        ),
        project,
        ..Metadata::default()
    }
}

fn azure(env: &Env) -> Metadata {
    let team = get(env, "SYSTEM_TEAMPROJECT");
    let run_url = page(
        env,
        "SYSTEM_COLLECTIONURI",
        &format!(
            "{}/_build/results?buildId={}",
            team.replace(' ', "%20"),
            get(env, "BUILD_BUILDID")
        ),
    );
    let branch = first(
        env,
        &["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH"],
    );
    let name = get(env, "BUILD_REPOSITORY_NAME");
    Metadata {
        project: if name.contains('/') {
            name
        } else {
            slug(&team, &name)
        },
        run_id: get(env, "BUILD_BUILDID"),
        job: first(env, &["SYSTEM_JOBDISPLAYNAME", "AGENT_JOBNAME"]),
        shard: shard(
            env,
            "SYSTEM_JOBPOSITIONINPHASE",
            "SYSTEM_TOTALJOBSINPHASE",
            1,
        ),
        attempt: number(env, "SYSTEM_JOBATTEMPT"),
        branch: branch.trim_start_matches("refs/heads/").to_owned(),
        // BUILD_SOURCEVERSION is the merge commit in pull requests.
        head_commit: first(
            env,
            &["SYSTEM_PULLREQUEST_SOURCECOMMITID", "BUILD_SOURCEVERSION"],
        ),
        pull_request: first(
            env,
            &[
                "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER",
                "SYSTEM_PULLREQUEST_PULLREQUESTID",
            ],
        ),
        fork: get(env, "SYSTEM_PULLREQUEST_ISFORK").eq_ignore_ascii_case("true"),
        event: get(env, "BUILD_REASON"),
        job_url: run_url.clone(),
        run_url,
        ..Metadata::default()
    }
}

fn bitbucket(env: &Env) -> Metadata {
    let project = get(env, "BITBUCKET_REPO_FULL_NAME");
    let run_url = page(
        env,
        "BITBUCKET_GIT_HTTP_ORIGIN",
        &format!("/pipelines/results/{}", get(env, "BITBUCKET_BUILD_NUMBER")),
    );
    Metadata {
        run_id: get(env, "BITBUCKET_BUILD_NUMBER"),
        job: first(env, &["BITBUCKET_STEP_NAME", "BITBUCKET_STEP_UUID"]),
        shard: shard(
            env,
            "BITBUCKET_PARALLEL_STEP",
            "BITBUCKET_PARALLEL_STEP_COUNT",
            0,
        ),
        attempt: number(env, "BITBUCKET_STEP_RUN_NUMBER"),
        branch: first(env, &["BITBUCKET_BRANCH", "BITBUCKET_TAG"]),
        head_commit: get(env, "BITBUCKET_COMMIT"),
        base_commit: get(env, "BITBUCKET_PR_DESTINATION_COMMIT"),
        pull_request: get(env, "BITBUCKET_PR_ID"),
        event: if has(env, "BITBUCKET_PR_ID") {
            "pull_request"
        } else {
            "push"
        }
        .to_owned(),
        job_url: run_url.clone(),
        run_url,
        project,
        ..Metadata::default()
    }
}

fn drone(env: &Env) -> Metadata {
    Metadata {
        project: get(env, "DRONE_REPO"),
        run_id: get(env, "DRONE_BUILD_NUMBER"),
        job: first(env, &["DRONE_STEP_NAME", "DRONE_STAGE_NAME"]),
        branch: first(env, &["DRONE_SOURCE_BRANCH", "DRONE_BRANCH"]),
        head_commit: first(env, &["DRONE_COMMIT_SHA", "DRONE_COMMIT"]),
        base_commit: get(env, "DRONE_COMMIT_BEFORE"),
        pull_request: get(env, "DRONE_PULL_REQUEST"),
        event: get(env, "DRONE_BUILD_EVENT"),
        started_unix_us: times(env, "DRONE_STAGE_STARTED", 1_000_000).cast_signed(),
        run_url: get(env, "DRONE_BUILD_LINK"),
        job_url: get(env, "DRONE_BUILD_LINK"),
        ..Metadata::default()
    }
}

fn travis(env: &Env) -> Metadata {
    let pull = Some(get(env, "TRAVIS_PULL_REQUEST"))
        .filter(|number| number != "false")
        .unwrap_or_default();
    let project = get(env, "TRAVIS_REPO_SLUG");
    let (base, pushed) = get(env, "TRAVIS_COMMIT_RANGE")
        .split_once("...")
        .map(|(base, head)| (base.to_owned(), head.to_owned()))
        .unwrap_or_default();
    let source = get(env, "TRAVIS_PULL_REQUEST_SLUG");
    Metadata {
        run_id: get(env, "TRAVIS_BUILD_ID"),
        job: first(env, &["TRAVIS_JOB_NAME", "TRAVIS_JOB_NUMBER"]),
        branch: first(env, &["TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"]),
        // TRAVIS_COMMIT is the merge commit in pull requests.
        head_commit: if pull.is_empty() {
            get(env, "TRAVIS_COMMIT")
        } else {
            Some(get(env, "TRAVIS_PULL_REQUEST_SHA"))
                .filter(|sha| !sha.is_empty())
                .unwrap_or(pushed)
        },
        base_commit: base,
        fork: !pull.is_empty() && !source.is_empty() && source != project,
        pull_request: pull,
        event: get(env, "TRAVIS_EVENT_TYPE"),
        run_url: get(env, "TRAVIS_BUILD_WEB_URL"),
        job_url: get(env, "TRAVIS_JOB_WEB_URL"),
        project,
        ..Metadata::default()
    }
}

fn jenkins(env: &Env) -> Metadata {
    let url = first(env, &["GIT_URL", "GIT_URL_1"]);
    Metadata {
        project: slug_of_remote(&url).unwrap_or_default(),
        run_id: get(env, "BUILD_TAG"),
        job: get(env, "JOB_NAME"),
        branch: first(env, &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"])
            .trim_start_matches("origin/")
            .to_owned(),
        head_commit: get(env, "GIT_COMMIT"),
        base_commit: get(env, "GIT_PREVIOUS_SUCCESSFUL_COMMIT"),
        pull_request: get(env, "CHANGE_ID"),
        fork: has(env, "CHANGE_FORK"),
        event: if has(env, "CHANGE_ID") {
            "pull_request"
        } else {
            "push"
        }
        .to_owned(),
        run_url: get(env, "BUILD_URL"),
        job_url: get(env, "BUILD_URL"),
        ..Metadata::default()
    }
}

fn timestamp_us(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_microsecond)
}
