//! What git says of the folder, outside CI or where the CI leaves something out.

use std::{path::Path, process::Command};

use super::{Metadata, slug_of_remote};

/// Asks git; what it does not know stays empty.
#[must_use]
pub fn from_git(folder: &Path) -> Metadata {
    let ask = |args: &[&str]| -> String {
        Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(args)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
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
