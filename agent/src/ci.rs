//! What the CI says of the run, read from its environment; pure functions of a map of variables.
//!
//! Each provider's documented variables are read in its own file. For pull requests the head commit is the one that was
//! pushed, never the merge commit that some providers check out.

mod git;
mod providers;

use std::{collections::BTreeMap, path::Path};

pub use git::{from_git, repo_root};

/// Variables of an environment.
pub type Env = BTreeMap<String, String>;

/// What is known of a run and job; empty where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name of the provider, `local` outside CI.
    pub provider: String,
    /// The provider's id of the run.
    pub run_id: String,
    /// `owner/repo`.
    pub project: String,
    /// Name of the job.
    pub job: String,
    /// Shard index (from 1) and total.
    pub shard: Option<(u32, u32)>,
    /// From 1; 0 when not known.
    pub attempt: u32,
    /// Branch.
    pub branch: String,
    /// Commit under test.
    pub head_commit: String,
    /// Commit it is compared with: where a pull request began, or what a push came after.
    pub base_commit: String,
    /// Committer time of the head commit, µs since 1970; 0 when not known.
    pub commit_unix_us: i64,
    /// Number of the pull request.
    pub pull_request: String,
    /// True when the run belongs to a fork.
    pub fork: bool,
    /// What set it off.
    pub event: String,
    /// Page of the run.
    pub run_url: String,
    /// Page of the job.
    pub job_url: String,
    /// How long the job may take, µs; 0 when not known.
    pub timeout_us: u64,
    /// When that began to count, µs since 1970; 0 when not known.
    pub started_unix_us: i64,
}

/// Reads the provider's variables; `None` outside any known CI. `read` gives the content of a file that the provider names.
pub fn detect(env: &Env, read: &dyn Fn(&Path) -> Option<String>) -> Option<Metadata> {
    let mut metadata = providers::ALL
        .iter()
        .find(|provider| (provider.is_here)(env))
        .map(|provider| {
            let mut metadata = (provider.read)(env, read);
            provider.name.clone_into(&mut metadata.provider);
            metadata
        })?;
    for text in [
        &mut metadata.branch,
        &mut metadata.job,
        &mut metadata.event,
        &mut metadata.pull_request,
    ] {
        *text = text.trim().chars().filter(|c| !c.is_control()).collect();
    }
    Some(metadata)
}

/// A name as a part of a slug: what a slug may not hold is replaced.
#[must_use]
pub fn slug_part(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.chars()
        .map(|c| if is_allowed(c) { c } else { '-' })
        .take(100)
        .collect()
}

/// `owner/repo` from the address of a remote, in any of the forms git knows; `None` when there is none in it.
#[must_use]
pub fn slug_of_remote(url: &str) -> Option<String> {
    let url = url.trim().trim_end_matches('/').trim_end_matches(".git");
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => url.split_once(':')?.1,
    };
    let path = path.trim_matches('/');
    highwater_wire::ids::ProjectSlug::new(path)
        .ok()
        .map(String::from)
}

#[cfg(test)]
mod tests;
