use serde::{Deserialize, Serialize};

use super::{FileRow, JobReport, PlanHint};

/// A job as one document: its figures, what is to be said of it, and its test files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportDocument {
    /// The job.
    pub job: JobReport,
    /// What is to be said of it, the worst first; empty where there is nothing.
    pub remarks: Vec<Remark>,
    /// How to cut its suite into jobs that fit, where memory ended it or it grows towards its limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hint: Option<PlanHint>,
    /// Its test files, in the order they first ran; empty where they are gone.
    pub files: Vec<FileRow>,
    /// Why there are no test files where they are gone; empty where they are there.
    #[serde(default)]
    pub files_gone: String,
}

/// Something that a reader is to be told of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Remark {
    /// What it tells of.
    pub kind: RemarkKind,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, such as `file tests/test_a.py`, `fixture db (session)`, `session 1` or a limit; empty for the job itself.
    pub subject: String,
    /// The test file to show it at, by its path; none where it is at no file.
    pub path: Option<String>,
    /// It in plain words.
    pub sentence: String,
    /// The same for the same thing in each job of that name, variant and shard, so that others can tell what is new.
    pub fingerprint: uuid::Uuid,
    /// Whether it was a finding and is none any more, since a confirming run refuted it.
    #[serde(default)]
    pub is_refuted: bool,
}

impl Remark {
    /// The test file to show it at, where its words do not name that themselves.
    #[must_use]
    pub fn unsaid_path(&self) -> Option<&str> {
        let path = self.path.as_deref()?;
        (!self.sentence.contains(path)).then_some(path)
    }
}

/// What a remark tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RemarkKind {
    /// The job died.
    Death,
    /// It held the memory of which the job died.
    Culprit,
    /// Memory grew on and on, or in steps.
    Growth,
    /// What memory comes to if it goes on so, or would have come to in a job that was cut short.
    Forecast,
    /// Why memory stays, of a job that was diagnosed.
    Diagnosis,
    /// Little was left below a limit.
    Headroom,
    /// A figure got worse beside the jobs before, or is over a limit that was set.
    Finding,
}

impl RemarkKind {
    /// The word that every form uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Death => "death",
            Self::Culprit => "culprit",
            Self::Growth => "growth",
            Self::Forecast => "forecast",
            Self::Diagnosis => "diagnosis",
            Self::Headroom => "headroom",
            Self::Finding => "finding",
        }
    }
}

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something went wrong.
    Error,
    /// Something is about to.
    Warning,
    /// Good to know; nothing speaks up for its sake alone.
    Notice,
}

impl Severity {
    /// The word that every form uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}
