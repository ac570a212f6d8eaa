//! `[tool.highwater]` of the nearest `pyproject.toml`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{backend::Backend, diagnose::Diagnose, regular};

use super::{
    Guarded, Judged, parse_bytes, parse_ci_timeout, parse_interval, parse_memory_limit, parse_name,
    parse_on_limit, parse_project, parse_server, said,
};

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct File {
    /// Address of the server.
    pub(super) server: Option<String>,
    /// `owner/repo`.
    pub(super) project: Option<String>,
    /// Name of the job.
    pub(super) job: Option<String>,
    /// The matrix leg.
    pub(super) variant: BTreeMap<String, String>,
    /// Root of the spool; relative to the file.
    pub(super) spool: Option<PathBuf>,
    /// Length of the sampling grid.
    pub(super) interval: Option<Duration>,
    /// What reads processes and machine.
    pub(super) backend: Option<Backend>,
    /// Memory the user allows, bytes.
    pub(super) budget_bytes: Option<u64>,
    /// What the guard guards.
    pub(super) guard: Guarded,
    /// Whether the kernel's mark is used.
    pub(super) exact: Option<bool>,
    /// Whether the plugin takes apart why memory stays.
    pub(super) diagnose: Option<Diagnose>,
    /// Whether the kernel shall take the tests before the agent when memory runs out.
    pub(super) protect: Option<bool>,
    /// The CI's own time limit for the job.
    pub(super) ci_timeout: Option<Duration>,
    /// Whether pytest is given the plugin.
    pub(super) plugin: Option<bool>,
    /// Whether the report goes into the job summary of GitHub Actions.
    pub(super) step_summary: Option<bool>,
}

/// `[tool.highwater.check]` of the file, and where that is; none where nothing is said of checks.
///
/// # Errors
/// With the file, where it cannot be read.
pub(super) fn check_table(folder: &Path) -> Result<Option<(PathBuf, toml::Table)>, String> {
    let mut ancestors = folder
        .ancestors()
        .map(|folder| folder.join("pyproject.toml"));
    let Some(path) = ancestors.find(|path| path.is_file()) else {
        return Ok(None);
    };
    let wrong = |problem: String| format!("{}: {problem}", path.display());
    let text = regular::read_text(&path).map_err(|error| wrong(error.to_string()))?;
    let all: toml::Table =
        toml::from_str(&text).map_err(|error| wrong(in_a_line(&text, &error)))?;
    let table = all.get("tool").and_then(|tool| tool.get("highwater"));
    match table.and_then(|table| table.get("check")) {
        None => Ok(None),
        Some(toml::Value::Table(table)) => Ok(Some((path.clone(), table.clone()))),
        Some(other) => Err(wrong(format!(
            "[tool.highwater] check: {other} is no table"
        ))),
    }
}

/// Reads the file; none, or one without the table, says nothing. What is wrong with it is told, and left out: the file holds the
/// settings of many tools, and none of its faults may keep the tests from running.
#[must_use]
pub(super) fn read(folder: &Path) -> (File, Vec<String>) {
    let mut file = File::default();
    let Some(path) = folder
        .ancestors()
        .map(|folder| folder.join("pyproject.toml"))
        .find(|path| path.is_file())
    else {
        return (file, Vec::new());
    };
    let told = |problem: String| format!("{}: {problem}; it is left out", path.display());
    let text = match regular::read_text(&path) {
        Ok(text) => text,
        Err(error) => return (file, vec![told(error.to_string())]),
    };
    let all: toml::Table = match toml::from_str(&text) {
        Ok(all) => all,
        Err(error) => return (file, vec![told(in_a_line(&text, &error))]),
    };
    let table = all.get("tool").and_then(|tool| tool.get("highwater"));
    let Some(table) = table.and_then(toml::Value::as_table) else {
        return (file, Vec::new());
    };
    let mut problems = Vec::new();
    for (name, value) in table {
        if let Err(problem) = file.take(name, value.clone(), path.parent().unwrap_or(folder)) {
            problems.push(told(format!("[tool.highwater] {name}: {problem}")));
        }
    }
    (file, problems)
}

impl File {
    fn take(&mut self, name: &str, value: toml::Value, folder: &Path) -> Result<(), String> {
        match name {
            "server" => self.server = said(parse_server(&text(value)?)?),
            "project" => self.project = said(parse_project(&text(value)?)?),
            "job" => self.job = said(parse_name(&text(value)?)?),
            "variant" => self.variant = variant(value)?,
            "spool" => self.spool = said(text(value)?).map(|spool| folder.join(spool)),
            "interval" => self.interval = Some(parse_interval(&text(value)?)?),
            "backend" => self.backend = Some(text(value)?.parse()?),
            "budget" => self.budget_bytes = Some(parse_bytes(&text(value)?)?),
            "memory-limit" => {
                let text = said(text(value)?);
                self.guard.limit = text.map(|text| parse_memory_limit(&text)).transpose()?;
            }
            "on-limit" => {
                let text = said(text(value)?);
                self.guard.on_limit = text.map(|text| parse_on_limit(&text)).transpose()?;
            }
            "exact" => self.exact = Some(yes_or_no(&value)?),
            "diagnose" => {
                let said = value.as_bool().map(|said| said.to_string());
                self.diagnose = Some(said.map_or_else(|| text(value), Ok)?.parse()?);
            }
            "protect" => self.protect = Some(yes_or_no(&value)?),
            "ci-timeout" => self.ci_timeout = Some(parse_ci_timeout(&text(value)?)?),
            // For `highwater check`, which reads it by itself; what is wrong with it is told here too.
            "check" => {
                let table = value.as_table().ok_or("write a table")?;
                Judged::of_table(table)?;
            }
            "plugin" => self.plugin = Some(yes_or_no(&value)?),
            "step-summary" => self.step_summary = Some(yes_or_no(&value)?),
            _ => {
                return Err(
                    "there is no such setting; there are server, project, job, variant, spool, interval, backend, budget, memory-limit, on-limit, exact, diagnose, plugin, protect, ci-timeout, step-summary, check"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}

fn yes_or_no(value: &toml::Value) -> Result<bool, String> {
    let said = value.as_bool();
    said.ok_or_else(|| "write true or false".to_owned())
}

fn variant(value: toml::Value) -> Result<BTreeMap<String, String>, String> {
    let pairs: BTreeMap<String, String> = value
        .try_into()
        .map_err(|_| "write a table of words, such as { python = \"3.12\" }".to_owned())?;
    pairs
        .iter()
        .map(|(key, value)| Ok((parse_name(key)?, parse_name(value)?)))
        .collect()
}

/// What is wrong with the text, and where; the parser itself draws the place over four lines.
fn in_a_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!(
            "TOML, line {}: {}",
            before.matches('\n').count() + 1,
            error.message()
        ),
        None => format!("TOML: {}", error.message()),
    }
}

fn text(value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        other => Err(format!("{other} is no text; put it into quotes")),
    }
}
