//! `HIGHWATER_*` variables. A CI sets them for many jobs at once, often to nothing: an empty one says nothing, and one that cannot be
//! is told and left out, for no variable may keep the tests from running.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Given, Guarded, Token, parse_bytes, parse_ci_timeout, parse_commit, parse_interval,
    parse_memory_limit, parse_name, parse_on_limit, parse_pair, parse_project, parse_server,
    parse_shard, parse_url, said,
};
use crate::ci::Env;

/// What the variables say, and what is wrong with them.
#[must_use]
pub(super) fn read(env: &Env) -> (Given, Vec<String>) {
    let mut variables = Variables {
        env,
        problems: Vec::new(),
    };
    let given = Given {
        server: variables.word("SERVER", parse_server),
        project: variables.word("PROJECT", parse_project),
        job: variables.word("JOB_NAME", parse_name),
        variant: variables.read("VARIANT", pairs).unwrap_or_default(),
        shard: variables.read("SHARD", parse_shard),
        attempt: variables.read("ATTEMPT", attempt),
        provider: variables.word("PROVIDER", parse_name),
        run_id: variables.word("RUN_ID", parse_name),
        branch: variables.word("BRANCH", parse_name),
        commit: variables.word("COMMIT", parse_commit),
        base_commit: variables.word("BASE_COMMIT", parse_commit),
        pull_request: variables.word("PULL_REQUEST", parse_name),
        fork: variables.read("FORK", yes_or_no),
        event: variables.word("EVENT", parse_name),
        confirms: variables.read("CONFIRMS", |text| {
            text.trim()
                .parse()
                .map_err(|_| format!("{text:?} is no uuid of a job"))
        }),
        url: variables.word("URL", parse_url),
        spool: variables.text("SPOOL").map(PathBuf::from),
        interval: variables.read("INTERVAL", parse_interval),
        backend: variables.read("BACKEND", str::parse),
        budget_bytes: variables.read("BUDGET", parse_bytes),
        ci_timeout: variables.read("CI_TIMEOUT", parse_ci_timeout),
        protect: variables.read("PROTECT", yes_or_no),
        guard: Guarded {
            limit: variables.read("MEMORY_LIMIT", parse_memory_limit),
            on_limit: variables.read("ON_LIMIT", parse_on_limit),
        },
        exact: variables.read("NO_EXACT", yes_or_no).map(|no| !no),
        diagnose: variables.read("DIAGNOSE", str::parse),
        plugin: variables
            .read("PLUGIN", yes_or_no)
            .or_else(|| variables.read("NO_PLUGIN", yes_or_no).map(|no| !no)),
        plan: variables.text("PLAN").map(PathBuf::from),
        summary: variables.text("SUMMARY").map(PathBuf::from),
        step_summary: variables.read("STEP_SUMMARY", yes_or_no),
        quiet: variables.read("QUIET", yes_or_no),
        token: variables.read("TOKEN", Token::new),
    };
    (given, variables.problems)
}

struct Variables<'a> {
    env: &'a Env,
    problems: Vec<String>,
}

impl Variables<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let text = self.env.get(&format!("HIGHWATER_{name}"))?;
        said(text)
    }

    /// A text that may turn out to say nothing.
    fn word(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        self.read(name, parse).and_then(said)
    }

    fn read<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(&self.text(name)?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems
                    .push(format!("HIGHWATER_{name}: {problem}; it is left out"));
                None
            }
        }
    }
}

fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    text.split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(parse_pair)
        .collect()
}

fn attempt(text: &str) -> Result<u32, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|attempt| *attempt > 0)
        .ok_or_else(|| format!("{text:?} is not a number from 1"))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}
