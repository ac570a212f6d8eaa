//! Limits of some files, written as `tests/e2e/**=max-retained:5MB,max-spike:off` wherever they are given.

use std::{collections::BTreeMap, fmt, str::FromStr};

use highwater_wire::{
    codec,
    report::{FileRow, LimitName},
};

use crate::{figures::parse_bytes, plan::is_like};

/// So many limits of files count at the most.
pub const MOST_FILE_LIMITS: usize = codec::MAX_FILE_LIMITS;
/// Each is so long at the most, bytes; so all of them fit into an address.
pub const MOST_FILE_LIMIT_BYTES: usize = codec::MAX_FILE_LIMIT_BYTES;
/// To find out which of them are for which files takes so many steps at the most, bytes of globs times bytes of paths: about a second at the worst.
const MOST_STEPS: u64 = 1 << 30;
/// What files may have a limit of.
const OF_FILES: [LimitName; 3] = [
    LimitName::MaxRetained,
    LimitName::MaxSpike,
    LimitName::MaxPeak,
];
/// How a limit of files looks.
const EXAMPLE: &str = "tests/e2e/**=max-retained:5MB,max-spike:off";

/// Limits of the files that a glob is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLimits {
    glob: String,
    most: BTreeMap<LimitName, Most>,
}

/// What files may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Most {
    /// So many bytes.
    Bytes(i64),
    /// Any number of them.
    Off,
}

impl FileLimits {
    /// Limits of the files that a glob is like: each by its name, with a size or `off`.
    ///
    /// # Errors
    /// With the glob, the name and what is allowed, where one of them cannot be.
    pub fn new<'a>(
        glob: &str,
        limits: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, String> {
        let glob = glob.trim();
        if glob.is_empty() || glob.contains(char::is_control) {
            return Err(format!(
                "{glob:?}: files are named by a glob that is not empty and has no control character, such as tests/e2e/**"
            ));
        }
        let mut most = BTreeMap::new();
        for (key, text) in limits {
            let wrong = |problem: String| format!("{glob}: {key}: {problem}");
            let mut names = OF_FILES.into_iter();
            let name = names.find(|name| name.as_str() == key);
            let name = name.ok_or_else(|| wrong(unknown()))?;
            let size = Most::from_str(text).map_err(wrong)?;
            if most.insert(name, size).is_some() {
                return Err(wrong("it is given twice".to_owned()));
            }
        }
        if most.is_empty() {
            return Err(format!("{glob}: no limit is given; give {}", names("or")));
        }
        let limits = Self {
            glob: glob.to_owned(),
            most,
        };
        of_length(limits.to_string().len())?;
        Ok(limits)
    }

    /// What its files are like.
    pub(super) fn glob(&self) -> &str {
        &self.glob
    }

    /// Whether it is for a file.
    pub(super) fn is_for(&self, path: &str) -> bool {
        is_like(&self.glob, path)
    }

    /// The limit of this name; none where it says nothing of that.
    pub(super) fn most(&self, name: LimitName) -> Option<Most> {
        self.most.get(&name).copied()
    }
}

impl FromStr for FileLimits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        of_length(text.len())?;
        let form = || format!("{text:?} is no limit of files, such as {EXAMPLE}");
        // A path may hold what a limit cannot.
        let (glob, limits) = text.rsplit_once('=').ok_or_else(form)?;
        let limits = limits.split(',').filter(|_| !limits.trim().is_empty());
        let limits = limits.map(|limit| {
            let (key, size) = limit.split_once(':').ok_or_else(form)?;
            Ok((key.trim(), size))
        });
        let limits: Vec<(&str, &str)> = limits.collect::<Result<_, String>>()?;
        Self::new(glob, limits)
    }
}

/// The same text however it was given: sizes are bytes.
impl fmt::Display for FileLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.glob)?;
        for (at, (name, most)) in self.most.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}:", name.as_str())?;
            match most {
                Most::Bytes(bytes) => write!(f, "{bytes}")?,
                Most::Off => f.write_str("off")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Most {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "off" {
            return Ok(Self::Off);
        }
        let bytes = parse_bytes(text).map_err(|problem| format!("{problem}, nor off"))?;
        Ok(Self::Bytes(i64::try_from(bytes).unwrap_or(i64::MAX)))
    }
}

/// Says that there are too many limits of files.
///
/// # Errors
/// When there are.
pub fn few_enough(limits: &[FileLimits]) -> Result<(), String> {
    match limits.len() {
        ..=MOST_FILE_LIMITS => Ok(()),
        more => Err(format!(
            "{more} limits of files are more than {MOST_FILE_LIMITS}; give fewer, with wider globs"
        )),
    }
}

/// Says that it would take too long to find out which limits are for which of a job's files.
///
/// # Errors
/// When it would.
pub fn quick_enough(limits: &[FileLimits], rows: &[FileRow]) -> Result<(), String> {
    let globs: usize = limits.iter().map(|it| it.glob.len()).sum();
    let paths: usize = rows.iter().map(|row| row.path.len()).sum();
    match (globs as u64).saturating_mul(paths as u64) {
        ..=MOST_STEPS => Ok(()),
        _ => Err(format!(
            "{} limits of files are too many for a job of {} test files; give fewer, with wider globs",
            limits.len(),
            rows.len()
        )),
    }
}

fn of_length(bytes: usize) -> Result<(), String> {
    match bytes {
        ..=MOST_FILE_LIMIT_BYTES => Ok(()),
        _ => Err(format!(
            "a limit of files has {bytes} bytes, and {MOST_FILE_LIMIT_BYTES} are the most; shorten its glob with *"
        )),
    }
}

fn unknown() -> String {
    format!(
        "there is no such limit of files; there are {}",
        names("and")
    )
}

fn names(last: &str) -> String {
    let [one, two, three] = OF_FILES.map(LimitName::as_str);
    format!("{one}, {two} {last} {three}")
}

#[cfg(test)]
mod tests;
