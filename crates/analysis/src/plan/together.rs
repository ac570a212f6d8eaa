//! Files that stay together.

use super::File;

/// Files that run in one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What their paths look like.
    pub globs: Vec<String>,
    /// Their places in the list of files.
    pub files: Vec<usize>,
}

/// The groups that globs name. Those that share a file are one.
///
/// # Errors
/// The first glob that no file is like.
pub fn groups<'g>(globs: &'g [String], files: &[File]) -> Result<Vec<Group>, &'g str> {
    let mut groups: Vec<Group> = Vec::new();
    for glob in globs {
        let like = files.iter().enumerate();
        let like = like.filter(|(_, file)| is_like(glob, &file.path));
        let mut group = Group {
            globs: Vec::new(),
            files: like.map(|(at, _)| at).collect(),
        };
        if group.files.is_empty() {
            return Err(glob);
        }
        let shares = |other: &Group| other.files.iter().any(|at| group.files.contains(at));
        let (shared, apart) = groups.into_iter().partition(shares);
        groups = apart;
        for other in Vec::<Group>::into_iter(shared) {
            group.globs.extend(other.globs);
            group.files.extend(other.files);
        }
        group.globs.push(glob.clone());
        group.files.sort_unstable();
        group.files.dedup();
        groups.push(group);
    }
    Ok(groups)
}

/// Whether a path looks like a glob: `*` stands for any characters, `/` among them, `?` for one, and every other for itself. The plugin has the same rule.
#[must_use]
pub fn is_like(glob: &str, path: &str) -> bool {
    let (glob, path): (Vec<char>, Vec<char>) = (glob.chars().collect(), path.chars().collect());
    let (mut at, mut in_path) = (0, 0);
    // Where the last star stands, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while in_path < path.len() {
        match (glob.get(at), star) {
            (Some('*'), _) => {
                star = Some((at, in_path));
                at += 1;
            }
            (Some(sign), _) if *sign == '?' || *sign == path[in_path] => {
                at += 1;
                in_path += 1;
            }
            (_, Some((of_star, reach))) => {
                star = Some((of_star, reach + 1));
                (at, in_path) = (of_star + 1, reach + 1);
            }
            (_, None) => return false,
        }
    }
    glob[at..].iter().all(|sign| *sign == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<File> {
        let file = |path: &&str| File {
            path: (*path).to_owned(),
            spike_bytes: 0,
            retained_bytes: 0,
            duration_us: 0,
        };
        paths.iter().map(file).collect()
    }

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_is_one() {
        for (glob, path, is) in [
            ("tests/db/*", "tests/db/a/test_x.py", true),
            ("tests/db/*", "tests/db2/test_x.py", false),
            ("*db*", "tests/db2/test_x.py", true),
            ("test_?.py", "test_é.py", true),
            ("test_?.py", "test_ab.py", false),
            ("test_[ab].py", "test_a.py", false),
            ("test_[ab].py", "test_[ab].py", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(is_like(glob, path), is, "{glob} {path}");
        }
    }

    #[test]
    fn groups_that_share_a_file_are_one_and_a_glob_of_no_file_is_told() {
        let files = files(&["a1", "a2", "b1", "b2", "ab", "c"]);
        let globs = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let apart = groups(&globs(&["a?", "c"]), &files).unwrap();
        assert_eq!(apart.len(), 2);
        let named = globs(&["c", "a*", "b*", "?b"]);
        let one = groups(&named, &files).unwrap();
        let places: Vec<_> = one.iter().map(|group| &group.files[..]).collect();
        assert_eq!(places, [&[5][..], &[2, 3], &[0, 1, 4]]);
        let named = globs(&["a*", "b*", "*"]);
        let [all] = &groups(&named, &files).unwrap()[..] else {
            panic!("one group");
        };
        assert_eq!((all.files.len(), all.globs.len()), (6, 3));
        assert_eq!(groups(&globs(&["a*", "d*"]), &files), Err("d*"));
    }
}
