//! `cargo xtask tidy`: what no compiler checks.

mod versions;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::tools::{Done, TaskError, command, io, root, said};

const MOST_LINES: usize = 600;
const TWO_COMMANDS: [&str; 2] = ["cargo xtask demo", "cargo xtask test"];

pub(crate) fn run() -> Done {
    let mut problems = Vec::new();
    let files = listed(command("git").args(["ls-files", "-z"]))?;
    for path in &files {
        check_file(path, &mut problems)?;
    }
    check_documents(&mut problems)?;
    versions::check(&mut problems)?;
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    if problems.is_empty() {
        println!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    Err(said(format!("{} things are not in order", problems.len())))
}

/// Files that git lists, relative to the root. None at all is an error: what looks at nothing finds nothing.
fn listed(git: &mut Command) -> Done<Vec<PathBuf>> {
    let output = git
        .stderr(Stdio::inherit())
        .output()
        .map_err(io(Path::new("git")))?;
    if !output.status.success() {
        return Err(TaskError::Failed {
            command: format!("{git:?}"),
            status: output.status,
        });
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let files: Vec<PathBuf> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect();
    if files.is_empty() {
        return Err(said(format!("`{git:?}` lists no file that is there")));
    }
    Ok(files)
}

fn check_file(path: &Path, problems: &mut Vec<String>) -> Done {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("");
    if !matches!(
        extension,
        "rs" | "py" | "html" | "css" | "js" | "sql" | "proto"
    ) {
        return Ok(());
    }
    let full = root().join(path);
    let text = fs::read_to_string(&full).map_err(io(&full))?;
    let shown = path.display();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        problems.push(format!(
            "{shown} has {lines} lines; split it by what it does (at most {MOST_LINES})"
        ));
    }
    // The words are put together here, so that this file does not find itself.
    for mark in [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ] {
        if text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == mark)
        {
            problems.push(format!("{shown} has an unfinished mark ({mark})"));
        }
    }
    if extension == "rs"
        && !path.starts_with("crates/store")
        && text.contains(&["sqlx", "::query"].concat())
    {
        problems.push(format!("{shown} speaks SQL; only crates/store does"));
    }
    Ok(())
}

fn check_documents(problems: &mut Vec<String>) -> Done {
    let read = |name: &str| {
        let path = root().join(name);
        fs::read_to_string(&path).map_err(io(&path))
    };
    let (readme, architecture) = (read("README.md")?, read("ARCHITECTURE.md")?);
    for wanted in TWO_COMMANDS {
        if !readme.contains(wanted) {
            problems.push(format!("README.md does not name `{wanted}`"));
        }
    }
    let crates = root().join("crates");
    for entry in fs::read_dir(&crates).map_err(io(&crates))? {
        let name = entry
            .map_err(io(&crates))?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if !architecture.contains(&format!("crates/{name}")) {
            problems.push(format!("ARCHITECTURE.md does not speak of crates/{name}"));
        }
    }
    for link in links(&readme).chain(links(&architecture)) {
        if !root().join(link).exists() {
            problems.push(format!("a document links to {link}, which is not there"));
        }
    }
    Ok(())
}

/// Targets of links within the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|link| link.split('#').next().unwrap_or(link))
        .filter(|link| !link.is_empty() && !link.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_git_lists_nothing_nothing_is_in_order() {
        // No folder of git's own.
        let mut failing = command("git");
        failing
            .args(["ls-files", "-z"])
            .env("GIT_DIR", root().join("xtask/src"));
        let told = listed(&mut failing).unwrap_err().to_string();
        assert!(told.contains("failed with exit status"), "{told}");
        let told = listed(command("printf").arg("no such file\\0"))
            .unwrap_err()
            .to_string();
        assert!(told.ends_with("lists no file that is there"), "{told}");
        let files = listed(command("printf").arg("Cargo.toml\\0gone\\0README.md\\0")).unwrap();
        assert_eq!(files, [Path::new("Cargo.toml"), Path::new("README.md")]);
    }
}
