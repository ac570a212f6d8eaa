//! What the server answers once something is on its disk.
//!
//! A status alone says little: a page that asks for a login, or a proxy that takes everything, answers 200 as well. So the server
//! names what it took, and an agent lets go only of what is named.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
