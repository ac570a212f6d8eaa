//! `HIGHWATER_*` variables. A CI sets them for many jobs at once, often to nothing: an empty one says nothing, and one that cannot be
//! is told and left out, for no variable may keep the tests from running.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Given, parse_bytes, parse_interval, parse_pair, parse_shard};
use crate::ci::Env;

/// What the variables say, and what is wrong with them.
#[must_use]
pub(super) fn read(env: &Env) -> (Given, Vec<String>) {
    let mut variables = Variables {
        env,
        problems: Vec::new(),
    };
    let given = Given {
        server: variables.text("SERVER"),
        project: variables.text("PROJECT"),
        job: variables.text("JOB_NAME"),
        variant: variables.read("VARIANT", pairs).unwrap_or_default(),
        shard: variables.read("SHARD", parse_shard),
        attempt: variables.read("ATTEMPT", attempt),
        provider: variables.text("PROVIDER"),
        run_id: variables.text("RUN_ID"),
        branch: variables.text("BRANCH"),
        commit: variables.text("COMMIT"),
        base_commit: variables.text("BASE_COMMIT"),
        pull_request: variables.text("PULL_REQUEST"),
        fork: variables.read("FORK", yes_or_no),
        event: variables.text("EVENT"),
        url: variables.text("URL"),
        spool: variables.text("SPOOL").map(PathBuf::from),
        interval: variables.read("INTERVAL", parse_interval),
        budget_bytes: variables.read("BUDGET", parse_bytes),
        exact: variables.read("NO_EXACT", yes_or_no).map(|no| !no),
        summary: variables.text("SUMMARY").map(PathBuf::from),
        quiet: variables.read("QUIET", yes_or_no),
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
        (!text.trim().is_empty()).then(|| text.clone())
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
