//! The list of collected test files in a `ce` line.

use super::fields::unescape;

/// One collected test file, or all that the list leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectedFile {
    /// A file of which tests are to run.
    File {
        /// Its path, as other marks have it.
        path: String,
        /// How many tests of it are to run.
        tests: u64,
    },
    /// So many files more, of which nothing is told.
    Further(u64),
}

/// Reads the list; a line that is none of its kind is passed over, as later writers may have more to say.
pub fn collected(files: &str) -> impl Iterator<Item = CollectedFile> + '_ {
    files.split('\n').filter_map(|line| {
        if let Some(further) = line.strip_prefix('+') {
            return further.parse().ok().map(CollectedFile::Further);
        }
        let (tests, path) = line.split_once(' ')?;
        Some(CollectedFile::File {
            path: unescape(path),
            tests: tests.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_order_with_their_tests_and_what_is_left_out() {
        let file = |path: &str, tests| CollectedFile::File {
            path: path.to_owned(),
            tests,
        };
        let found: Vec<_> = collected("3 a b.py\n1 c\\nd.py\nodd\nx y\n+7").collect();
        assert_eq!(
            found,
            [
                file("a b.py", 3),
                file("c\nd.py", 1),
                CollectedFile::Further(7)
            ]
        );
        assert_eq!(collected("").count(), 0);
    }
}
