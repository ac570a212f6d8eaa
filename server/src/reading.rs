//! Answers from the store; of a job that is not settled, from what has arrived so far.

use std::sync::Arc;

use highwater_analysis::digest::Visit;
use highwater_store::{DetailKind, JobKey};
use highwater_wire::report::{FileRow, FixtureRow, JobReport, ProcessRow, TestRow};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    error::AppError,
    finalise::{self, Column, FinaliseError},
    state::AppState,
};

impl From<FinaliseError> for AppError {
    fn from(error: FinaliseError) -> Self {
        match error {
            FinaliseError::Store(error) => error.into(),
            other => Self::internal(&other),
        }
    }
}

/// A job to be read.
pub(crate) struct Job<'a> {
    state: &'a AppState,
    uuid: Uuid,
    key: JobKey,
}

impl<'a> Job<'a> {
    pub(crate) async fn find(state: &'a AppState, uuid: Uuid) -> Result<Self, AppError> {
        let key = state.store.job(uuid).await?.ok_or_else(|| {
            AppError::not_found(
                format!("there is no job {uuid}"),
                "check the uuid, or upload the job's spool",
            )
        })?;
        Ok(Self { state, uuid, key })
    }

    /// True when everything that arrived is in the pages.
    fn is_settled(&self) -> bool {
        !self.key.unsettled && self.key.revision > 0
    }

    async fn digest(&self) -> Result<Arc<highwater_analysis::digest::Digest>, AppError> {
        let heard = self.key.heard_unix_us;
        if let Some(known) = self.state.cached(self.uuid, heard) {
            return Ok(known);
        }
        let digest = Arc::new(finalise::digest_now(self.state, self.key.clone(), self.uuid).await?);
        self.state.keep(self.uuid, heard, &digest);
        Ok(digest)
    }

    async fn detail<T: DeserializeOwned>(&self, kind: DetailKind) -> Result<T, AppError> {
        let content = self.state.store.detail(self.key.id, kind).await?;
        let content = content.ok_or_else(|| {
            AppError::internal(&format!("job {}: {kind:?} is missing", self.uuid))
        })?;
        serde_json::from_slice(&content).map_err(|error| AppError::internal(&error))
    }

    pub(crate) async fn report(&self) -> Result<JobReport, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Report).await;
        }
        Ok(self.digest().await?.job.clone())
    }

    pub(crate) async fn processes(&self) -> Result<Vec<ProcessRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Processes).await;
        }
        Ok(self.digest().await?.processes.clone())
    }

    pub(crate) async fn files(&self) -> Result<Vec<FileRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Files).await;
        }
        Ok(self.digest().await?.files.clone())
    }

    pub(crate) async fn tests(&self) -> Result<Vec<TestRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Tests).await;
        }
        Ok(self.digest().await?.tests.clone())
    }

    pub(crate) async fn fixtures(&self) -> Result<Vec<FixtureRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Fixtures).await;
        }
        Ok(self.digest().await?.fixtures.clone())
    }

    pub(crate) async fn visits(&self) -> Result<Vec<Visit>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Visits).await;
        }
        Ok(self.digest().await?.visits.clone())
    }

    /// Every series in a span of time, in at most `points` points each.
    pub(crate) async fn series(
        &self,
        from_us: i64,
        to_us: i64,
        points: usize,
    ) -> Result<Vec<Column>, AppError> {
        if self.is_settled() {
            return Ok(finalise::load_columns(
                &self.state.store,
                self.key.id,
                from_us,
                to_us,
                points,
            )
            .await?);
        }
        let mut columns = finalise::columns_now(self.state, self.key.clone(), self.uuid).await?;
        for column in &mut columns {
            column.clip(from_us, to_us);
            column.thin(points);
        }
        Ok(columns)
    }
}
