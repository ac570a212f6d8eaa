//! What the server answers once something is on its disk.
//!
//! A status alone says little: a page that asks for a login, or a proxy that takes everything, answers 200 as well. So the server
//! names what it took, and an agent lets go only of what is named.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Header of an answer that is a report: [`JobTold`].
pub const JOB_HEADER: &str = "highwater-job";

/// Which job a report tells of, and as of which revision. Reports have many forms, and none of them would tell a page of somebody else's from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobTold {
    /// The job.
    pub job: Uuid,
    /// How often it was finalised.
    pub revision: u32,
}

const REVISION: &str = "; revision=";

impl fmt::Display for JobTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{REVISION}{}", self.job, self.revision)
    }
}

impl FromStr for JobTold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let told = || {
            let (job, revision) = text.split_once(REVISION)?;
            Some(Self {
                job: job.parse().ok()?,
                revision: revision.parse().ok()?,
            })
        };
        told().ok_or_else(|| format!("{text:?} names no job and revision"))
    }
}

/// One thing that an agent sent, by its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// What was taken.
    pub acknowledged: Acknowledged,
    /// The job it belongs to.
    pub job: Uuid,
    /// Stream of a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Uuid>,
    /// Number of a batch in its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// What can be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// How a job began.
    Job,
    /// A batch of it.
    Batch,
    /// How it ended.
    End,
}

impl Receipt {
    /// For how a job began.
    #[must_use]
    pub fn of_job(job: Uuid) -> Self {
        Self {
            acknowledged: Acknowledged::Job,
            job,
            stream: None,
            seq: None,
        }
    }

    /// For a batch.
    #[must_use]
    pub fn of_batch(job: Uuid, stream: Uuid, seq: u64) -> Self {
        Self {
            acknowledged: Acknowledged::Batch,
            job,
            stream: Some(stream),
            seq: Some(seq),
        }
    }

    /// For how a job ended.
    #[must_use]
    pub fn of_end(job: Uuid) -> Self {
        Self {
            acknowledged: Acknowledged::End,
            ..Self::of_job(job)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_report_says_of_itself_is_read_again_and_nothing_else_is() {
        let told = JobTold {
            job: Uuid::from_u128(7),
            revision: 3,
        };
        assert_eq!(told.to_string().parse(), Ok(told));
        for text in [
            "",
            "seven; revision=3",
            "00000000-0000-0000-0000-000000000007",
            "00000000-0000-0000-0000-000000000007; revision=x",
        ] {
            assert!(text.parse::<JobTold>().is_err(), "{text}");
        }
    }
}
