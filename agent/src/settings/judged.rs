//! What a check goes by. In the order of all settings: flag, `HIGHWATER_*` variable, `[tool.highwater.check]` in the nearest `pyproject.toml`, default.
//!
//! Otherwise than where tests are to run, what cannot be is an error: a limit that is left out is a gate that stands open.

mod files;

use std::path::Path;

use highwater_analysis::check::{FileLimits, few_enough};
use highwater_wire::{codec::MAX_BYTES, v1};

use files::FILES;

use super::{parse_bytes, pyproject, said};
use crate::{ci::Env, cli::FailOn};

/// Every key of the table, in the order that they are told in.
const KEYS: [&str; 7] = [
    "fail-on",
    "baseline",
    "max-peak",
    "min-headroom",
    "max-retained",
    "max-spike",
    FILES,
];

/// What a check goes by; `None` where nothing was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// What ends with 1.
    pub fail_on: Option<FailOn>,
    /// Branch of the baseline.
    pub baseline: Option<String>,
    /// The job's peak at the most, bytes.
    pub max_peak: Option<u64>,
    /// The job's headroom at the least, bytes.
    pub min_headroom: Option<u64>,
    /// What each file retains at the most, bytes.
    pub max_retained: Option<u64>,
    /// What each file needs for a while at the most, bytes.
    pub max_spike: Option<u64>,
    /// Limits of some files; of several for a file the last that says something counts.
    pub files: Vec<FileLimits>,
}

impl Judged {
    /// What flags say, else what variables say, else what the file says.
    ///
    /// # Errors
    /// With the place, the key and what is allowed, where a variable or the file says what cannot be.
    pub fn resolve(self, env: &Env, folder: &Path) -> Result<Self, String> {
        let mut variables = Self::default();
        for key in KEYS.into_iter().filter(|key| *key != FILES) {
            let name = format!("HIGHWATER_{}", key.replace('-', "_").to_ascii_uppercase());
            if let Some(text) = env.get(&name).and_then(said) {
                let taken = variables.take(key, &text);
                taken.map_err(|problem| format!("{name}: {problem}"))?;
            }
        }
        variables.files = files::of_variable(env)?;
        let file = match pyproject::check_table(folder)? {
            Some((path, table)) => Self::of_table(&table)
                .map_err(|problem| format!("{}: {problem}", path.display()))?,
            None => Self::default(),
        };
        let judged = self.or(variables).or(file);
        few_enough(&judged.files)?;
        Ok(judged)
    }

    /// What the table says.
    pub(super) fn of_table(table: &toml::Table) -> Result<Self, String> {
        let mut judged = Self::default();
        for (key, value) in table {
            if key == FILES {
                judged.files = files::of_tables(value)?;
                continue;
            }
            let wrong = |problem: String| format!("[tool.highwater.check] {key}: {problem}");
            let text = value
                .as_str()
                .ok_or_else(|| match KEYS.contains(&key.as_str()) {
                    true => wrong(format!("{value} is no text; put it into quotes")),
                    false => wrong(unknown()),
                })?;
            if let Some(text) = said(text) {
                judged.take(key, &text).map_err(wrong)?;
            }
        }
        Ok(judged)
    }

    fn take(&mut self, key: &str, text: &str) -> Result<(), String> {
        let size = || parse_bytes(text).map(Some);
        match key {
            "fail-on" => self.fail_on = Some(text.parse()?),
            "baseline" => self.baseline = Some(text.to_owned()),
            "max-peak" => self.max_peak = size()?,
            "min-headroom" => self.min_headroom = size()?,
            "max-retained" => self.max_retained = size()?,
            "max-spike" => self.max_spike = size()?,
            _ => return Err(unknown()),
        }
        Ok(())
    }

    fn or(self, other: Self) -> Self {
        Self {
            fail_on: self.fail_on.or(other.fail_on),
            baseline: self.baseline.or(other.baseline),
            max_peak: self.max_peak.or(other.max_peak),
            min_headroom: self.min_headroom.or(other.min_headroom),
            max_retained: self.max_retained.or(other.max_retained),
            max_spike: self.max_spike.or(other.max_spike),
            // What comes last counts.
            files: [other.files, self.files].concat(),
        }
    }

    /// The limits as a job brings them along; none where nothing was set.
    pub(super) fn brought_along(&self) -> Option<v1::CheckLimits> {
        let bytes = |size: Option<u64>| size.map(|size| size.min(MAX_BYTES));
        let limits = v1::CheckLimits {
            max_peak_bytes: bytes(self.max_peak),
            min_headroom_bytes: bytes(self.min_headroom),
            max_retained_bytes: bytes(self.max_retained),
            max_spike_bytes: bytes(self.max_spike),
            files: self.files.iter().map(ToString::to_string).collect(),
        };
        (limits != v1::CheckLimits::default()).then_some(limits)
    }

    /// The limits, bytes, by the names they have in the API.
    #[must_use]
    pub fn limits(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("max_peak", self.max_peak),
            ("min_headroom", self.min_headroom),
            ("max_retained", self.max_retained),
            ("max_spike", self.max_spike),
        ]
    }
}

fn unknown() -> String {
    format!("there is no such setting; there are {}", KEYS.join(", "))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn folder(text: &str) -> TempDir {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("pyproject.toml"), text).unwrap();
        folder
    }

    fn env(pairs: &[(&str, &str)]) -> Env {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_flag_goes_before_its_variable_and_both_before_the_file() {
        let file = folder(
            "[tool.highwater.check]\nfail-on = 'limit'\nbaseline = 'develop'\nmax-peak = '3GB'\nmax-spike = '1GB'\nmin-headroom = ''\n",
        );
        let given = Judged {
            max_spike: Some(7),
            ..Judged::default()
        };
        let variables = env(&[
            ("HIGHWATER_MAX_SPIKE", "2GB"),
            ("HIGHWATER_BASELINE", "release"),
            ("HIGHWATER_MAX_RETAINED", " "),
        ]);
        assert_eq!(
            given.resolve(&variables, file.path()),
            Ok(Judged {
                fail_on: Some(FailOn::Limit),
                baseline: Some("release".to_owned()),
                max_peak: Some(3_000_000_000),
                max_spike: Some(7),
                ..Judged::default()
            })
        );
        let bare = TempDir::new().unwrap();
        let nothing = Judged::default().resolve(&Env::new(), bare.path());
        assert_eq!(nothing, Ok(Judged::default()));
    }

    #[test]
    fn what_cannot_be_is_an_error_with_its_place_its_key_and_what_is_allowed() {
        for (text, says) in [
            (
                "[tool.highwater.check]\nmax-peek = '3GB'",
                "[tool.highwater.check] max-peek: there is no such setting; there are fail-on, baseline, max-peak,",
            ),
            (
                "[tool.highwater.check]\nmax-peek = 3",
                "max-peek: there is no such setting",
            ),
            (
                "[tool.highwater.check]\nmax-peak = '3 apples'",
                "max-peak: \"3 apples\" is not one of the units",
            ),
            (
                "[tool.highwater.check]\nmax-peak = 3",
                "max-peak: 3 is no text",
            ),
            (
                "[tool.highwater.check]\nfail-on = 'maybe'",
                "fail-on: \"maybe\" is none of worse, limit and never",
            ),
            (
                "[tool.highwater]\ncheck = 'limit'",
                "[tool.highwater] check: \"limit\" is no table",
            ),
            ("[tool.highwater.check\n", "TOML, line 1"),
        ] {
            let file = folder(text);
            let error = Judged::default()
                .resolve(&Env::new(), file.path())
                .unwrap_err();
            assert!(
                error.contains("pyproject.toml: ") && error.contains(says),
                "{error}"
            );
        }
        let bare = TempDir::new().unwrap();
        let wrong = env(&[("HIGHWATER_MAX_PEAK", "much")]);
        let error = Judged::default().resolve(&wrong, bare.path()).unwrap_err();
        assert!(error.starts_with("HIGHWATER_MAX_PEAK: \"much\""), "{error}");
    }
}
