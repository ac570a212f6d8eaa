//! The events file that the pytest plugin writes: `pytest-plugin/FORMAT.md` defines it, this reads its lines.
//!
//! Who writes: the plugin of the same version. Who reads: the agent, line by line, while the file grows.
//! A file of an unknown version is refused; an unknown kind of line is skipped.

mod collected;
mod diagnosis;
mod fields;

use serde::Deserialize;

use crate::v1::{
    Blocks, CollectEnd, Empty, FixtureBegin, FixtureEnd, FixtureRef, ImportBegin, ImportEnd, Leave,
    Mark, ModuleBegin, ModuleGone, SessionEnd, TestBegin, TestEnd, TestPhase, mark::What,
};
use fields::Fields;

pub use collected::{CollectedFile, collected};

/// The version of the format this crate reads.
pub const FORMAT_VERSION: &str = "1";

/// One line of an events file.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A process starts to write.
    Header(Header),
    /// A session is configured.
    Session(SessionLine),
    /// The plugin has something to say about the recording.
    Notice(NoticeLine),
    /// A mark or a counter. `process` is 0, and `t_us` is CLOCK_MONOTONIC: the reader knows the process and the job's start.
    Mark(Mark),
    /// A kind that a newer plugin writes.
    Unknown,
}

/// The `H` line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default)]
pub struct Header {
    /// Number of the process.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Which boot the clocks belong to.
    pub boot_id: String,
    /// CLOCK_MONOTONIC, µs.
    pub monotonic_us: i64,
    /// CLOCK_REALTIME at the same instant, µs.
    pub unix_us: i64,
    /// Version of Python.
    pub python: String,
    /// Version of pytest.
    pub pytest: String,
    /// Version of the plugin.
    pub plugin: String,
    /// Whether peaks come from the kernel's mark.
    pub exact: bool,
    /// Why not.
    pub exact_reason: String,
    /// How far a peak may be off by the kernel's own counting.
    pub peak_error_bytes: u64,
    /// Size of a page.
    pub page_bytes: u64,
    /// Recorded process this one was forked from to run a test; 0 otherwise.
    pub forked_from: u32,
}

/// The `S` line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default)]
pub struct SessionLine {
    /// Identity of the session.
    pub session: String,
    /// `pytest`, `controller` or `worker`.
    pub role: String,
    /// `gw0`, or empty.
    pub worker: String,
    /// Distribution mode of xdist.
    pub dist: String,
    /// Workers asked for.
    pub numprocesses: u32,
    /// Root directory.
    pub root: String,
    /// Root of the repository, or empty.
    pub repo_root: String,
    /// Arguments of pytest.
    pub args: Vec<String>,
}

/// The `N` line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default)]
pub struct NoticeLine {
    /// Short name.
    pub code: String,
    /// In words.
    pub message: String,
}

/// Why a line was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Written by a plugin of another major version.
    #[error(
        "events file of version {found:?}, but this agent reads {FORMAT_VERSION:?}; install the plugin of the agent's version"
    )]
    Version {
        /// The version found.
        found: String,
    },
    /// A field is missing or not what it should be.
    #[error("{kind}: field {field} {reason}")]
    Field {
        /// The kind of line.
        kind: String,
        /// The name of the field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads one line, without its newline.
///
/// # Errors
/// When the version is not known, or a field is missing or malformed.
pub fn parse(line: &[u8]) -> Result<Line, LineError> {
    let text = String::from_utf8_lossy(line);
    let (kind, rest) = text.split_once('\t').unwrap_or((&text, ""));
    let mut fields = Fields::new(kind, rest);
    Ok(match kind {
        "H" => {
            let found = fields.raw("version")?;
            if found != FORMAT_VERSION {
                return Err(LineError::Version {
                    found: found.chars().take(40).collect(),
                });
            }
            Line::Header(fields.json("header")?)
        }
        "S" => Line::Session(fields.json("session")?),
        "N" => Line::Notice(fields.json("notice")?),
        "a" => Line::Mark(Mark {
            t_us: fields.int("t_us")?,
            what: Some(What::Blocks(Blocks {
                blocks: fields.int("blocks")?,
                cost_us: fields.int("cost_us")?,
            })),
            ..Mark::default()
        }),
        "sb" | "cb" | "ce" | "ib" | "ie" | "tb" | "tp" | "te" | "fb" | "fe" | "rb" | "re"
        | "se" | "mb" | "me" | "mg" | "db" | "de" | "xx" => Line::Mark(Mark {
            process: 0,
            t_us: fields.int("t_us")?,
            rss_bytes: fields.int("rss_bytes")?,
            peak_bytes: fields.int_or_dash("peak_bytes")?,
            what: Some(what(kind, &mut fields)?),
        }),
        _ => Line::Unknown,
    })
}

fn what(kind: &str, fields: &mut Fields<'_>) -> Result<What, LineError> {
    Ok(match kind {
        "sb" => What::SessionBegin(Empty {}),
        "cb" => What::CollectBegin(Empty {}),
        "ce" => What::CollectEnd(CollectEnd {
            items: fields.int("items")?,
            files: fields.further_text(),
        }),
        "ib" => What::ImportBegin(ImportBegin {
            path: fields.text("path")?,
        }),
        "ie" => What::ImportEnd(ImportEnd {
            outcome: fields.text("outcome")?,
            cause: fields.further_text(),
        }),
        "mb" => What::ModuleBegin(ModuleBegin {
            module: fields.text("module")?,
        }),
        "me" => What::ModuleEnd(Empty {}),
        "mg" => What::ModuleGone(ModuleGone {
            module: fields.text("module")?,
        }),
        "tb" => What::TestBegin(TestBegin {
            execution: fields.int("execution")?,
            path: fields.text("path")?,
            nodeid: fields.text("nodeid")?,
            time_limit_us: fields.further_int(),
            time_limit_ends_process: match &*fields.further_text() {
                "thread" => Some(true),
                "signal" => Some(false),
                _ => None,
            },
        }),
        "tp" => What::TestPhase(TestPhase {
            phase: fields.text("phase")?,
        }),
        "te" => What::TestEnd(TestEnd {
            outcome: fields.text("outcome")?,
            setup: fields.text("setup")?,
            call: fields.text("call")?,
            teardown: fields.text("teardown")?,
            cause: fields.further_text(),
        }),
        "fb" => What::FixtureBegin(FixtureBegin {
            fixture: fields.int("fixture")?,
            name: fields.text("name")?,
            scope: fields.text("scope")?,
            path: fields.text("path")?,
            base: fields.text("base")?,
        }),
        "fe" => What::FixtureEnd(FixtureEnd {
            fixture: fields.int("fixture")?,
            outcome: fields.text("outcome")?,
        }),
        "rb" => What::ReleaseBegin(FixtureRef {
            fixture: fields.int("fixture")?,
        }),
        "re" => What::ReleaseEnd(FixtureRef {
            fixture: fields.int("fixture")?,
        }),
        "se" => What::SessionEnd(SessionEnd {
            exit_status: fields.int("exit_status")?,
        }),
        "db" => What::DiagnosisBegin(Empty {}),
        "de" => What::DiagnosisEnd(fields.json::<diagnosis::Said>("diagnosis")?.into()),
        _ => What::Leave(Leave {
            true_peak_bytes: fields.int_or_dash("true_peak_bytes")?,
        }),
    })
}

#[cfg(test)]
mod tests;
