//! Answers from the store, all of one request from one moment of it; of a job that is not settled, from what has arrived so far.

use std::sync::Arc;

use highwater_analysis::digest::{Digest, Visit};
use highwater_store::{DetailKind, JobKey, Snapshot};
use highwater_wire::report::{FileRow, FixtureRow, JobReport, ProcessRow, TestRow};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    error::AppError,
    finalise::{self, Column, FinaliseError, Loaded},
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

/// A job to be read. It keeps a connection of the store until it is dropped.
pub(crate) struct Job<'a> {
    state: &'a AppState,
    snapshot: Snapshot,
    uuid: Uuid,
    key: JobKey,
    loaded: Option<Arc<Loaded>>,
}

impl<'a> Job<'a> {
    pub(crate) async fn find(state: &'a AppState, uuid: Uuid) -> Result<Self, AppError> {
        let mut snapshot = state.store.snapshot().await?;
        let key = snapshot.job(uuid).await?.ok_or_else(|| {
            AppError::not_found(
                format!("there is no job {uuid}"),
                "check the uuid, or upload the job's spool",
            )
        })?;
        Ok(Self {
            state,
            snapshot,
            uuid,
            key,
            loaded: None,
        })
    }

    /// True when everything that arrived is in the pages.
    fn is_settled(&self) -> bool {
        !self.key.unsettled && self.key.revision > 0
    }

    async fn loaded(&mut self) -> Result<Arc<Loaded>, AppError> {
        if let Some(loaded) = &self.loaded {
            return Ok(Arc::clone(loaded));
        }
        let key = self.key.clone();
        let loaded = finalise::load(self.state, &mut self.snapshot, self.uuid, key).await?;
        let loaded = Arc::new(loaded);
        self.loaded = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    async fn digest(&mut self) -> Result<Arc<Digest>, AppError> {
        if let Some(known) = self.state.cached(self.uuid, self.key.arrivals) {
            return Ok(known);
        }
        let loaded = self.loaded().await?;
        let digest = tokio::task::spawn_blocking(move || loaded.digest())
            .await
            .map_err(FinaliseError::from)?;
        let digest = Arc::new(digest);
        self.state.keep(self.uuid, self.key.arrivals, &digest);
        Ok(digest)
    }

    async fn detail<T: DeserializeOwned>(&mut self, kind: DetailKind) -> Result<T, AppError> {
        let content = self.snapshot.detail(self.key.id, kind).await?;
        let content = content.ok_or_else(|| {
            AppError::internal(&format!("job {}: {kind:?} is missing", self.uuid))
        })?;
        serde_json::from_slice(&content).map_err(|error| AppError::internal(&error))
    }

    pub(crate) async fn report(&mut self) -> Result<JobReport, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Report).await;
        }
        Ok(self.digest().await?.job.clone())
    }

    pub(crate) async fn processes(&mut self) -> Result<Vec<ProcessRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Processes).await;
        }
        Ok(self.digest().await?.processes.clone())
    }

    pub(crate) async fn files(&mut self) -> Result<Vec<FileRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Files).await;
        }
        Ok(self.digest().await?.files.clone())
    }

    pub(crate) async fn tests(&mut self) -> Result<Vec<TestRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Tests).await;
        }
        Ok(self.digest().await?.tests.clone())
    }

    pub(crate) async fn fixtures(&mut self) -> Result<Vec<FixtureRow>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Fixtures).await;
        }
        Ok(self.digest().await?.fixtures.clone())
    }

    pub(crate) async fn visits(&mut self) -> Result<Vec<Visit>, AppError> {
        if self.is_settled() {
            return self.detail(DetailKind::Visits).await;
        }
        Ok(self.digest().await?.visits.clone())
    }

    /// Every series in a span of time, in at most `points` points each.
    pub(crate) async fn series(
        &mut self,
        from_us: i64,
        to_us: i64,
        points: usize,
    ) -> Result<Vec<Column>, AppError> {
        if self.is_settled() {
            let id = self.key.id;
            return Ok(
                finalise::load_columns(&mut self.snapshot, id, from_us, to_us, points).await?,
            );
        }
        let (loaded, digest) = (self.loaded().await?, self.digest().await?);
        let columns = tokio::task::spawn_blocking(move || {
            let mut columns = loaded.columns(&digest);
            for column in &mut columns {
                column.clip(from_us, to_us);
                column.thin(points);
            }
            columns
        });
        Ok(columns.await.map_err(FinaliseError::from)?)
    }
}
