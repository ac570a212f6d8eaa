use std::{fs, process::Command};

use tempfile::TempDir;

use super::*;

/// Runs git in a folder, with nobody's settings.
fn git(folder: &Path, args: &[&str]) -> String {
    let done = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=a", "-c", "user.email=a@b.invalid"])
        .args([
            "-c",
            "commit.gpgsign=false",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn commit(folder: &Path, text: &str) -> String {
    fs::write(folder.join("file"), text).unwrap();
    git(folder, &["add", "file"]);
    git(folder, &["commit", "-q", "-m", text]);
    git(folder, &["rev-parse", "HEAD"])
}

#[test]
fn a_branch_began_where_it_left_the_trunk_and_the_trunk_nowhere() {
    let root = TempDir::new().unwrap();
    let origin = root.path().join("origin");
    fs::create_dir(&origin).unwrap();
    git(&origin, &["init", "-q", "-b", "trunk"]);
    let first = commit(&origin, "one");
    let clone = root.path().join("clone");
    let paths = [&origin, &clone].map(|path| path.to_str().unwrap());
    git(root.path(), &["clone", "-q", paths[0], paths[1]]);
    let told = |folder: &Path| {
        let told = from_git(folder);
        (told.branch, told.base_commit)
    };
    assert_eq!(told(&clone), ("trunk".to_owned(), String::new()));
    git(&clone, &["checkout", "-q", "-b", "topic"]);
    commit(&clone, "two");
    // What came to the trunk since is no part of the branch.
    commit(&origin, "three");
    git(&clone, &["fetch", "-q"]);
    assert_eq!(told(&clone), ("topic".to_owned(), first.clone()));
    // CI checks a commit out by itself, without a branch.
    git(&clone, &["checkout", "-q", "--detach"]);
    assert_eq!(told(&clone), (String::new(), first));
    // Without a history nothing is known.
    let shallow = root.path().join("shallow");
    let address = format!("file://{}", clone.display());
    git(
        root.path(),
        &[
            "clone",
            "-q",
            "--depth",
            "1",
            "--branch",
            "topic",
            &address,
            shallow.to_str().unwrap(),
        ],
    );
    assert_eq!(told(&shallow), ("topic".to_owned(), String::new()));
}
