//! How much is kept and what it takes; for benchmarks.

use crate::{Store, StoreError};

pub(crate) const SAMPLES: &str =
    "SELECT COALESCE(SUM(length), 0) FROM page WHERE level = 0 AND column_no >= 0";
pub(crate) const PAGE_BYTES: &str = "SELECT COALESCE(SUM(LENGTH(content)), 0) FROM page";

/// How much is kept and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Values of all series of all finalised jobs, without those of the pyramid.
    pub samples: i64,
    /// Bytes of all pages, the pyramid and the ticks included.
    pub page_bytes: i64,
    /// Jobs.
    pub jobs: i64,
}

impl Store {
    /// Counts everything; reads every page's head, so not for a running server.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sizes(&self) -> Result<Sizes, StoreError> {
        let (jobs, _) = self.job_counts().await?;
        Ok(Sizes {
            samples: sqlx::query_scalar(SAMPLES).fetch_one(&self.readers).await?,
            page_bytes: sqlx::query_scalar(PAGE_BYTES)
                .fetch_one(&self.readers)
                .await?,
            jobs,
        })
    }
}
