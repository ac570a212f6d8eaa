//! Identities: the slug of a project, and how it is written in a path.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest slug, in bytes.
const MAX_SLUG_BYTES: usize = 200;

/// Slug of a project: `owner/repo`, or more parts where the host nests groups. Written with `~` in paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectSlug(String);

/// A slug that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "project {0:?} is no `owner/repo`: two or more parts of letters, digits, `.`, `_` and `-`, at most {MAX_SLUG_BYTES} bytes"
)]
pub struct SlugError(pub String);

impl ProjectSlug {
    /// Checks a slug.
    ///
    /// # Errors
    /// When it is not `owner/repo` of permitted characters.
    pub fn new(slug: impl Into<String>) -> Result<Self, SlugError> {
        let slug = slug.into();
        let part_is_good = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let good = slug.len() <= MAX_SLUG_BYTES
            && slug.split('/').count() >= 2
            && slug.split('/').all(part_is_good);
        if good {
            Ok(Self(slug))
        } else {
            Err(SlugError(slug))
        }
    }

    /// Reads the form that paths use, `owner~repo`.
    ///
    /// # Errors
    /// When what comes out is no slug.
    pub fn from_path(segment: &str) -> Result<Self, SlugError> {
        Self::new(segment.replace('~', "/"))
    }

    /// The form that paths use of a slug, `owner~repo`.
    #[must_use]
    pub fn path_of(slug: &str) -> String {
        slug.replace('/', "~")
    }

    /// `owner/repo`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProjectSlug {
    type Error = SlugError;

    fn try_from(slug: String) -> Result<Self, SlugError> {
        Self::new(slug)
    }
}

impl From<ProjectSlug> for String {
    fn from(slug: ProjectSlug) -> Self {
        slug.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_go_through_paths_and_back() {
        for slug in ["owner/repo", "group/sub.group/my_repo-1"] {
            let parsed = ProjectSlug::new(slug).unwrap();
            assert_eq!(
                ProjectSlug::from_path(&ProjectSlug::path_of(slug)).unwrap(),
                parsed
            );
        }
    }

    #[test]
    fn what_could_leave_its_place_is_refused() {
        for slug in [
            "", "repo", "a/", "/b", "a//b", "a/..", "a/b c", "a~b/c", "a/b\n", "ä/b",
        ] {
            assert_eq!(
                ProjectSlug::new(slug),
                Err(SlugError(slug.to_owned())),
                "{slug:?}"
            );
        }
    }
}
