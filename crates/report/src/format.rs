//! The forms of a report.

use std::str::FromStr;

use serde::Deserialize;

use crate::{Source, badge, github, gitlab, html, json, junit, markdown, prometheus, terminal};

/// A form that a report can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Text for a terminal.
    Terminal,
    /// Markdown for a job summary of GitHub Actions.
    Markdown,
    /// The job, what is to be said of it and its test files as one document.
    Json,
    /// JUnit's XML: a case a test file.
    Junit,
    /// One file with its chart, that needs nothing else.
    Html,
    /// Prometheus's text.
    Prometheus,
    /// Annotations of GitHub Actions.
    Github,
    /// A code quality report of GitLab.
    Gitlab,
    /// A badge with the peak and the headroom.
    Badge,
}

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// As JSON.
    #[error("as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// As a page.
    #[error("as a page: {0}")]
    Page(#[from] askama::Error),
    /// Its chart.
    #[error("its chart: {0}")]
    Chart(String),
}

impl Format {
    /// Every form there is.
    pub const ALL: [Self; 9] = [
        Self::Terminal,
        Self::Markdown,
        Self::Json,
        Self::Junit,
        Self::Html,
        Self::Prometheus,
        Self::Github,
        Self::Gitlab,
        Self::Badge,
    ];

    /// The word for it, on the command line and in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Markdown => "markdown",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Html => "html",
            Self::Prometheus => "prometheus",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Badge => "badge",
        }
    }

    /// Whether it says how to cut a job into jobs that fit.
    #[must_use]
    pub fn tells_of_plans(self) -> bool {
        match self {
            Self::Terminal | Self::Markdown | Self::Html | Self::Json => true,
            Self::Junit | Self::Prometheus | Self::Github | Self::Gitlab | Self::Badge => false,
        }
    }

    /// What it is to whoever gets it over HTTP.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Terminal | Self::Github => "text/plain; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Json | Self::Gitlab => "application/json",
            Self::Junit => "application/xml",
            Self::Html => "text/html; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::Badge => "image/svg+xml",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("there is no format {word:?}; there are {all}")
        })
    }
}

/// Writes a report.
///
/// # Errors
/// When a library fails that writes into memory, which none of them does.
pub fn write(format: Format, source: &Source<'_>) -> Result<String, WriteError> {
    Ok(match format {
        Format::Terminal => terminal(source),
        Format::Markdown => markdown::write(source),
        Format::Json => json::write(source)?,
        Format::Junit => junit::write(source),
        Format::Html => html::write(source)?,
        Format::Prometheus => prometheus::write(source),
        Format::Github => github::write(source),
        Format::Gitlab => gitlab::write(source)?,
        Format::Badge => badge::of_job(&source.digest.job),
    })
}
