//! `[tool.highwater]` of the nearest `pyproject.toml`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{SettingsError, parse_bytes, parse_duration};

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Address of the server.
    pub server: Option<String>,
    /// `owner/repo`.
    pub project: Option<String>,
    /// Name of the job.
    pub job: Option<String>,
    /// The matrix leg.
    pub variant: BTreeMap<String, String>,
    /// Root of the spool; relative to the file.
    pub spool: Option<PathBuf>,
    /// Length of the sampling grid.
    pub interval: Option<Duration>,
    /// Memory the user allows, bytes.
    pub budget_bytes: Option<u64>,
    /// Whether the kernel's mark is used.
    pub exact: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    server: Option<String>,
    project: Option<String>,
    job: Option<String>,
    #[serde(default)]
    variant: BTreeMap<String, String>,
    spool: Option<PathBuf>,
    interval: Option<String>,
    budget: Option<String>,
    exact: Option<bool>,
}

/// Reads the file; none, or one without the table, says nothing.
///
/// # Errors
/// When it is no TOML, or a setting is unknown or cannot be.
pub fn read(folder: &Path) -> Result<File, SettingsError> {
    let Some(path) = folder
        .ancestors()
        .map(|folder| folder.join("pyproject.toml"))
        .find(|path| path.is_file())
    else {
        return Ok(File::default());
    };
    let wrong = |reason: String| SettingsError::File {
        path: path.clone(),
        reason,
    };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let all: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let Some(table) = all.get("tool").and_then(|tool| tool.get("highwater")) else {
        return Ok(File::default());
    };
    let raw: Raw = table.clone().try_into().map_err(|error: toml::de::Error| {
        wrong(format!("[tool.highwater]: {}", error.message()))
    })?;
    let setting = |name: &str| {
        let name = name.to_owned();
        move |problem: String| format!("[tool.highwater] {name}: {problem}")
    };
    Ok(File {
        server: raw.server,
        project: raw.project,
        job: raw.job,
        variant: raw.variant,
        spool: raw
            .spool
            .map(|spool| path.parent().unwrap_or(folder).join(spool)),
        interval: raw
            .interval
            .map(|text| parse_duration(&text).map_err(setting("interval")))
            .transpose()
            .map_err(wrong)?,
        budget_bytes: raw
            .budget
            .map(|text| parse_bytes(&text).map_err(setting("budget")))
            .transpose()
            .map_err(wrong)?,
        exact: raw.exact,
    })
}
