use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CheckFigure, Finding, JobReport, ShardReport};

/// For so many days a figure can be acknowledged at the most.
pub const MOST_DAYS: u32 = 365;
/// Most characters of a reason.
pub const MOST_REASON: usize = 500;
/// Most characters of the name of whoever acknowledges.
pub const MOST_BY: usize = 100;

/// What is to be acknowledged: a figure of a job as it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAcknowledgement {
    /// The job that has the figure. What is acknowledged counts for jobs of its name.
    pub job: Uuid,
    /// Which figure.
    pub figure: CheckFigure,
    /// Of which file; left out for one of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why nothing is to be done about it now.
    pub reason: String,
    /// For how many days; either this or `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Through which day in UTC, as `2026-12-31`, or until which moment, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who says so; where it is left out, what the token is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether it counts for every matrix leg, and not for that of the job alone.
    #[serde(default)]
    pub every_variant: bool,
}

/// A figure that somebody knows of: as much of it fails no check for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Acknowledgement {
    /// Identity.
    pub id: Uuid,
    /// Name of the jobs that it counts for.
    pub name: String,
    /// Their matrix leg; none where it counts for every one.
    pub variant: Option<BTreeMap<String, String>>,
    /// For a figure of a job that is a part of its suite: which part. A file counts in whichever runs it.
    pub shard: Option<ShardReport>,
    /// Which figure.
    pub figure: CheckFigure,
    /// Of which file; none for one of the job.
    pub path: Option<String>,
    /// What it was: this much is known, and clearly more is a finding again.
    pub bytes: i64,
    /// The job that it was acknowledged in.
    pub job: Uuid,
    /// Why nothing is to be done about it now.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// Until when it counts, RFC 3339.
    pub until: String,
    /// When it was withdrawn, RFC 3339; none where it was not.
    pub withdrawn_at: Option<String>,
    /// Whether it counts now.
    pub counts: bool,
}

/// Answer of `GET /api/v1/projects/{project}/acknowledgements`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcknowledgementsPage {
    /// The newest first.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Key of the next page.
    pub next: Option<String>,
}

/// What a finding says of its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AcknowledgedFinding))]
pub struct Acknowledged {
    /// Identity of the acknowledgement.
    pub id: Uuid,
    /// Why nothing is to be done about it now.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// Until when, RFC 3339.
    pub until: String,
    /// What the figure was then.
    pub bytes: i64,
}

impl From<&Acknowledgement> for Acknowledged {
    fn from(it: &Acknowledgement) -> Self {
        Self {
            id: it.id,
            reason: it.reason.clone(),
            by: it.by.clone(),
            until: it.until.clone(),
            bytes: it.bytes,
        }
    }
}

impl Acknowledgement {
    /// Whether it is of a finding of a job.
    #[must_use]
    pub fn is_of(&self, finding: &Finding, job: &JobReport) -> bool {
        self.figure == finding.figure
            && self.path == finding.path
            && self.variant.as_ref().is_none_or(|own| *own == job.variant)
            && (self.path.is_some() || self.shard == job.shard)
    }
}
