//! How long what is kept: `[retention]` of the settings file.

use std::{collections::BTreeMap, time::Duration};

use highwater_store::RetentionKind;
use highwater_wire::ids::ProjectSlug;
use serde::Deserialize;

use crate::durations;

/// Less than that is a mistake: in `30m` the m stands for minutes.
const LEAST: Duration = DAY;
const DAY: Duration = Duration::from_secs(86_400);

/// How long what is kept. By default everything is, for good: what a server was not told to remove is somebody's record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    all: Limits,
    projects: BTreeMap<String, Limits>,
}

/// How long each kind is kept; `None` means for good, as far as what it rests on is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Samples.
    pub pages: Option<Duration>,
    /// Rows within a job.
    pub detail: Option<Duration>,
    /// The job itself.
    pub facts: Option<Duration>,
}

impl Limits {
    /// How long a kind is kept: not longer than those it rests on, for it goes with them.
    pub(crate) fn of(&self, kind: RetentionKind) -> Option<Duration> {
        match kind {
            RetentionKind::Pages => self.pages.or(self.detail).or(self.facts),
            RetentionKind::Detail => self.detail.or(self.facts),
            RetentionKind::Facts => self.facts,
        }
    }
}

impl Retention {
    /// The same for every project.
    #[must_use]
    pub fn of_all(limits: Limits) -> Self {
        Self {
            all: limits,
            projects: BTreeMap::new(),
        }
    }

    /// What counts for a project.
    pub(crate) fn of(&self, slug: &str) -> Limits {
        self.projects.get(slug).copied().unwrap_or(self.all)
    }

    /// Whether nothing of any project is ever to go.
    pub(crate) fn keeps_everything(&self) -> bool {
        let nothing = Limits::default();
        self.all == nothing && self.projects.values().all(|limits| *limits == nothing)
    }
}

/// `[retention]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pages: Option<Limit>,
    detail: Option<Limit>,
    facts: Option<Limit>,
    #[serde(default)]
    projects: BTreeMap<String, OfProject>,
}

/// `[retention.projects."owner/repo"]`: what it does not say is as for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfProject {
    pages: Option<Limit>,
    detail: Option<Limit>,
    facts: Option<Limit>,
}

/// A duration, or `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
enum Limit {
    Of(Duration),
    Forever,
}

impl Limit {
    fn duration(self) -> Option<Duration> {
        match self {
            Self::Of(limit) => Some(limit),
            Self::Forever => None,
        }
    }
}

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim() == "forever" {
            return Ok(Self::Forever);
        }
        parse(&text).map(Self::Of)
    }
}

impl File {
    /// What all of it adds up to.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(crate) fn read(self) -> Result<Retention, String> {
        let mut projects = BTreeMap::new();
        for (slug, own) in self.projects {
            let wrong = |reason: String| format!("projects.{slug:?}: {reason}");
            ProjectSlug::new(slug.clone()).map_err(|error| wrong(error.to_string()))?;
            let said = [
                own.pages.or(self.pages),
                own.detail.or(self.detail),
                own.facts.or(self.facts),
            ];
            let limits = limits(said).map_err(wrong)?;
            projects.insert(slug, limits);
        }
        let all = limits([self.pages, self.detail, self.facts])?;
        Ok(Retention { all, projects })
    }
}

/// What is said of pages, detail and facts.
///
/// # Errors
/// When a kind is to be kept longer than one that takes it along.
fn limits(said: [Option<Limit>; 3]) -> Result<Limits, String> {
    let named = RetentionKind::ALL.into_iter().zip(said);
    let set: Vec<(&str, Limit)> = named
        .filter_map(|(kind, limit)| Some((kind.as_str(), limit?)))
        .collect();
    for pair in set.windows(2) {
        if let [(fine, longer), (coarse, shorter)] = pair
            && longer > shorter
        {
            return Err(format!(
                "{fine} cannot be kept longer than {coarse}, with which they go; keep {coarse} as long, or {fine} shorter"
            ));
        }
    }
    let [pages, detail, facts] = said.map(|limit| limit.and_then(Limit::duration));
    Ok(Limits {
        pages,
        detail,
        facts,
    })
}

/// Reads how long something is kept.
fn parse(text: &str) -> Result<Duration, String> {
    let limit = durations::parse(text)?;
    if limit < LEAST {
        return Err(format!(
            "{text:?} is less than a day; write 30d, 6mo or 2y, or \"forever\""
        ));
    }
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Retention, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        file.read()
    }

    fn days(limits: Limits) -> [Option<u64>; 3] {
        RetentionKind::ALL.map(|kind| limits.of(kind).map(|limit| limit.as_secs() / 86_400))
    }

    #[test]
    fn a_project_says_what_differs_and_what_goes_takes_the_finer_along() {
        let table = [
            ("", [None, None, None]),
            ("pages = '30d'", [Some(30), None, None]),
            ("facts = '2y'", [Some(730), Some(730), Some(730)]),
            ("pages = '1w'\ndetail = '6mo'", [Some(7), Some(180), None]),
            (
                "pages = '30d'\nfacts = '2y'\n[projects.'owner/repo']\npages = '1y'\ndetail = '1y'",
                [Some(365), Some(365), Some(730)],
            ),
            (
                "facts = '30d'\n[projects.'owner/repo']\nfacts = 'forever'",
                [None, None, None],
            ),
        ];
        for (text, expected) in table {
            let retention = read(text).unwrap();
            assert_eq!(days(retention.of("owner/repo")), expected, "{text}");
        }
        assert!(read("pages = 'forever'").unwrap().keeps_everything());
        let one = read("[projects.'owner/repo']\npages = '1d'").unwrap();
        assert!(!one.keeps_everything());
        assert_eq!(days(one.of("owner/other")), [None; 3]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let table = [
            ("pages = '30m'", "less than a day"),
            ("pages = '-30d'", "no time that passes"),
            ("pages = 'soon'", "no duration"),
            ("pages = 30", "string"),
            ("samples = '30d'", "samples"),
            ("pages = '90d'\ndetail = '30d'", "longer than detail"),
            ("pages = 'forever'\nfacts = '2y'", "longer than facts"),
            ("pages = '90d'\nfacts = '30d'", "facts"),
            ("[projects.none]\npages = '30d'", "none"),
            (
                "detail = '30d'\n[projects.'a/b']\npages = '1y'",
                "\"a/b\": pages",
            ),
        ];
        for (text, expected) in table {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
