//! What git says of the folder, outside CI or where the CI leaves something out.

use std::{path::Path, process::Command, time::Duration};

use super::{Metadata, slug_of_remote};
use crate::program;

/// What git may take to answer; one that takes longer is asked nothing more: its folder hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the branch stands that others begin from, the likeliest first: what the remote calls its own, then the usual names of it.
const TRUNKS: [&str; 5] = [
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
];

/// Asks git; what it does not know stays empty.
#[must_use]
pub fn from_git(folder: &Path) -> Metadata {
    let mut is_asked = true;
    let mut ask = |args: &[&str]| -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(args);
        git.env("GIT_OPTIONAL_LOCKS", "0");
        let said = is_asked.then(|| program::ask(&mut git, PATIENCE));
        is_asked &= !matches!(&said, Some(Err(error)) if error.was_slow);
        said.and_then(Result::ok)
            .map(|said| said.trim().to_owned())
            .unwrap_or_default()
    };
    let mut metadata = Metadata::default();
    let head = ask(&["log", "-1", "--format=%H %ct"]);
    if let Some((commit, seconds)) = head.split_once(' ') {
        commit.clone_into(&mut metadata.head_commit);
        metadata.commit_unix_us = seconds
            .parse::<i64>()
            .unwrap_or(0)
            .saturating_mul(1_000_000);
    }
    // One that is part of it began nowhere.
    let mut bases = TRUNKS
        .iter()
        .map(|trunk| ask(&["merge-base", "HEAD", trunk]));
    metadata.base_commit = bases
        .find(|base| !base.is_empty())
        .filter(|base| *base != metadata.head_commit)
        .unwrap_or_default();
    let branch = ask(&["symbolic-ref", "--short", "-q", "HEAD"]);
    metadata.branch = branch;
    metadata.project =
        slug_of_remote(&ask(&["config", "--get", "remote.origin.url"])).unwrap_or_default();
    metadata
}

/// Root of the repository that holds a folder, by git's own mark.
#[must_use]
pub fn repo_root(folder: &Path) -> Option<std::path::PathBuf> {
    folder
        .ancestors()
        .find(|folder| folder.join(".git").exists())
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests;
