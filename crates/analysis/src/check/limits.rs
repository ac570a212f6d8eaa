//! What a job and its files may take. A limit of some files is written as `tests/e2e/**=max-retained:5MB,max-spike:off`, wherever it is given.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use highwater_wire::report::{CheckFigure, Finding, FindingCause, JobReport, LimitName, SetLimit};

use super::{FileFigures, words};
use crate::{figures::parse_bytes, plan::is_like};

/// So many limits of files count at the most.
pub const MOST_FILE_LIMITS: usize = 100;
/// Each is so long at the most, bytes; so all of them fit into an address.
pub const MOST_FILE_LIMIT_BYTES: usize = 200;
/// What files may have a limit of.
const OF_FILES: [LimitName; 3] = [
    LimitName::MaxRetained,
    LimitName::MaxSpike,
    LimitName::MaxPeak,
];
/// How a limit of files looks.
const EXAMPLE: &str = "tests/e2e/**=max-retained:5MB,max-spike:off";

/// What a job may take, bytes; each is kept by everybody where it is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// The job's peak at the most.
    pub peak_bytes: Option<i64>,
    /// The job's headroom at the least.
    pub headroom_bytes: Option<i64>,
    /// What each file retains at the most.
    pub retained_bytes: Option<i64>,
    /// What each file needs for a while at the most.
    pub spike_bytes: Option<i64>,
    /// Limits of some files, which go before those of each; of several for a file the last that says something.
    pub files: Vec<FileLimits>,
}

/// Limits of the files that a glob is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLimits {
    glob: String,
    most: BTreeMap<LimitName, Most>,
}

/// What files may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Most {
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

    fn is_for(&self, path: &str) -> bool {
        is_like(&self.glob, path)
    }
}

impl FromStr for FileLimits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        of_length(text.len())?;
        let form = || format!("{text:?} is no limit of files, such as {EXAMPLE}");
        // A path may hold what a limit cannot.
        let (glob, limits) = text.rsplit_once('=').ok_or_else(form)?;
        let limits = limits.split(',').filter(|limit| !limit.trim().is_empty());
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

/// A figure and its limit.
struct Held<'a> {
    figure: CheckFigure,
    path: Option<&'a str>,
    bytes: i64,
    limit: i64,
    set: SetLimit,
}

impl Limits {
    /// What is over a limit, the job's figures first.
    pub(super) fn broken(
        &self,
        job: &JobReport,
        files: &BTreeMap<String, FileFigures>,
    ) -> Vec<Finding> {
        let of_files = files.values().flat_map(|file| self.of_file(file));
        let held = self.of_job(job).into_iter().chain(of_files);
        held.filter(|it| !it.is_kept()).map(Held::told).collect()
    }

    /// Globs of limits that are for none of the files.
    pub(super) fn unmatched(&self, files: &BTreeMap<String, FileFigures>) -> Vec<String> {
        let for_none = |it: &&FileLimits| !files.keys().any(|path| it.is_for(path));
        let globs = self.files.iter().filter(for_none).map(|it| it.glob.clone());
        globs.collect::<BTreeSet<String>>().into_iter().collect()
    }

    fn of_job(&self, job: &JobReport) -> Vec<Held<'static>> {
        let of = |figure, name, bytes: Option<i64>, limit: Option<i64>| {
            Some(Held {
                figure,
                path: None,
                bytes: bytes?,
                limit: limit?,
                set: SetLimit { name, files: None },
            })
        };
        let peak = Some(job.peak_bytes.cast_signed());
        let peak = of(CheckFigure::Peak, LimitName::MaxPeak, peak, self.peak_bytes);
        let headroom = of(
            CheckFigure::Headroom,
            LimitName::MinHeadroom,
            job.headroom_bytes,
            self.headroom_bytes,
        );
        peak.into_iter().chain(headroom).collect()
    }

    fn of_file<'a>(&self, file: &'a FileFigures) -> Vec<Held<'a>> {
        let own = self.files.iter().rev().filter(|it| it.is_for(&file.path));
        let own: Vec<&FileLimits> = own.collect();
        let of = |figure, name, bytes, of_each: Option<i64>| {
            let own = own.iter().find_map(|it| Some((*it.most.get(&name)?, it)));
            let (limit, files) = match own {
                Some((Most::Off, _)) => return None,
                Some((Most::Bytes(limit), own)) => (limit, Some(own.glob.clone())),
                None => (of_each?, None),
            };
            Some(Held {
                figure,
                path: Some(&file.path),
                bytes,
                limit,
                set: SetLimit { name, files },
            })
        };
        let held = [
            of(
                CheckFigure::Retained,
                LimitName::MaxRetained,
                file.retained_bytes,
                self.retained_bytes,
            ),
            of(
                CheckFigure::Spike,
                LimitName::MaxSpike,
                file.spike_bytes,
                self.spike_bytes,
            ),
            // The project's own is of the job.
            of(
                CheckFigure::Peak,
                LimitName::MaxPeak,
                file.tree_peak_bytes,
                None,
            ),
        ];
        held.into_iter().flatten().collect()
    }
}

impl Held<'_> {
    fn is_kept(&self) -> bool {
        match self.figure {
            CheckFigure::Headroom => self.bytes >= self.limit,
            _ => self.bytes <= self.limit,
        }
    }

    fn told(self) -> Finding {
        Finding {
            figure: self.figure,
            path: self.path.map(str::to_owned),
            cause: FindingCause::Limit,
            sentence: words::of_limit(self.figure, self.path, self.bytes, self.limit, &self.set),
            limit: Some(self.set),
            bytes: self.bytes,
            before_bytes: None,
            least_bytes: self.limit,
            noise_bytes: None,
            since: None,
            tests: None,
            acknowledged: None,
            again: None,
        }
    }
}

#[cfg(test)]
mod tests;
