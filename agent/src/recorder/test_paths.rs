//! What a test file is called whose node id was read from outside: by the rule of `pytest-plugin/FORMAT.md`, "Paths".

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];
/// Names beyond this are worked out again.
const MAX_KNOWN: usize = 20_000;

/// Names of files, worked out once each.
#[derive(Debug, Default)]
pub(super) struct TestPaths {
    repo_root: Option<PathBuf>,
    known: HashMap<(PathBuf, String), String>,
}

impl TestPaths {
    /// Names relative to the repository's root, where there is one.
    pub(super) fn new(repo_root: Option<PathBuf>) -> Self {
        let repo_root = repo_root.map(|root| root.canonicalize().unwrap_or(root));
        Self {
            repo_root,
            known: HashMap::new(),
        }
    }

    /// The path of the file of a node id, in a process that works in `folder`.
    pub(super) fn of(&mut self, nodeid: &str, folder: &Path) -> String {
        let file = nodeid.split("::").next().unwrap_or(nodeid);
        let key = (folder.to_path_buf(), file.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let word = self.work_out(file, folder);
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(key, word.clone());
        word
    }

    fn work_out(&self, file: &str, folder: &Path) -> String {
        // Node ids are relative to pytest's root directory, which the command may have been started below.
        let root = folder
            .ancestors()
            .find(|root| root.join(file).exists())
            .unwrap_or(folder);
        let path = normal(&root.join(file));
        let parts: Vec<&OsStr> = path.iter().collect();
        let package = parts[..parts.len().saturating_sub(1)]
            .iter()
            .rposition(|part| PACKAGES.iter().any(|name| part == name));
        let word = match (package, &self.repo_root) {
            (Some(at), _) => parts[at + 1..].iter().collect::<PathBuf>(),
            (None, Some(repo_root)) if path.starts_with(repo_root) => below(&path, repo_root),
            _ if path.starts_with(root) => below(&path, root),
            _ => path,
        };
        word.to_string_lossy().into_owned()
    }
}

fn below(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_path_buf()
}

/// Without `.` and `..`, by the words alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_called_as_the_plugin_calls_it() {
        let mut paths = TestPaths::new(Some("/no/repo".into()));
        for (nodeid, folder, expected) in [
            ("tests/test_a.py::t", "/no/repo", "tests/test_a.py"),
            (
                "tests/test_a.py::t[a::b]",
                "/no/repo/sub",
                "sub/tests/test_a.py",
            ),
            ("../x/test_a.py::C::t", "/no/repo/sub", "x/test_a.py"),
            ("test_a.py::t", "/other/folder", "test_a.py"),
            ("../test_a.py::t", "/other/folder", "/other/test_a.py"),
            (
                "../../v/lib/python3.11/site-packages/pkg/tests/test_b.py::t",
                "/no/repo",
                "pkg/tests/test_b.py",
            ),
            (
                "/v/dist-packages/pkg/test_b.py::t",
                "/no/repo",
                "pkg/test_b.py",
            ),
            ("", "/no/repo", ""),
        ] {
            assert_eq!(paths.of(nodeid, Path::new(folder)), expected, "{nodeid}");
        }
    }

    #[test]
    fn a_command_may_be_started_below_the_root_of_its_node_ids() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir(root.join("tests")).unwrap();
        fs::write(root.join("tests/test_a.py"), "").unwrap();
        let mut paths = TestPaths::new(Some(root.clone()));
        let word = paths.of("tests/test_a.py::t", &root.join("tests"));
        assert_eq!(word, "tests/test_a.py");
    }
}
