//! Whose what a fixture takes is: that of the test file that sets it up, or nobody's, since which of several files that is is a matter of order.

/// Whether a fixture of this scope outlives test files: in which of them it is torn down is a matter of order.
#[must_use]
pub fn outlives_files(scope: &str) -> bool {
    !matches!(scope, "function" | "class" | "module")
}

/// Whether several files share a fixture, so that any of them may come first and set it up: it outlives files, and its definition, a node id, is in none of
/// them. One that a test file defines no other can ask for.
#[must_use]
pub fn is_shared(scope: &str, base: &str) -> bool {
    // Of a conftest.py the folder is told, and of a plugin nothing.
    let place = base.split_once("::").map_or(base, |(file, _)| file);
    let is_in_a_file = place.ends_with(".py");
    outlives_files(scope) && !is_in_a_file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixture_is_shared_where_any_file_may_come_first() {
        for (scope, base, outlives, shared) in [
            ("function", "", false, false),
            ("class", "tests/test_a.py::TestA", false, false),
            ("module", "tests", false, false),
            ("package", "tests/unit", true, true),
            ("session", "", true, true),
            ("session", "tests", true, true),
            // None but the tests of this file can ask for them.
            ("session", "tests/test_a.py", true, false),
            ("session", "tests/test_a.py::TestA", true, false),
            ("package", "test_a.py", true, false),
        ] {
            let told = (outlives_files(scope), is_shared(scope, base));
            assert_eq!(told, (outlives, shared), "{scope} {base}");
        }
    }
}
