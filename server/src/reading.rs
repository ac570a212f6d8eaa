//! Answers from the store, all of one request from one moment of it; of a job that is not settled, from what has arrived so far.

mod settled;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use highwater_analysis::digest::{Digest, Visit};
use highwater_store::{DetailKind, Snapshot};
use highwater_wire::report::{FileRow, FixtureRow, JobReport, ProcessRow, TestRow};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    access::Access,
    error::AppError,
    finalise::{self, Column, FinaliseError, Live, Span, Stored},
    state::{AppState, LiveKey},
};

pub(crate) use settled::{PieceError, Settled};

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
    /// About what it takes in memory, bytes.
    weight: u64,
    /// Its number, and a connection of the store, when everything that arrived is in the pages.
    pages: Option<(Snapshot, i64)>,
    /// Its figures, where they had to be worked out.
    live: Option<Arc<Live>>,
}

impl<'a> Job<'a> {
    /// A job that may be seen; one that may not is not found.
    pub(crate) async fn find(
        state: &'a AppState,
        access: &Access,
        uuid: Uuid,
    ) -> Result<Self, AppError> {
        let mut snapshot = state.store.snapshot().await?;
        let key = snapshot.job(uuid).await?;
        let key = key
            .filter(|key| access.may_read(&key.project, key.public))
            .ok_or_else(|| access.hidden(unknown(uuid)))?;
        let is_settled = !key.unsettled && key.revision > 0;
        Ok(Self {
            state,
            uuid,
            weight: key.weight.cast_unsigned(),
            pages: is_settled.then_some((snapshot, key.id)),
            live: None,
        })
    }

    /// The figures as they stand, worked out by whoever asks first. Nobody keeps a connection of the store while they wait.
    async fn live(&mut self) -> Result<Arc<Live>, AppError> {
        if let Some(live) = &self.live {
            return Ok(Arc::clone(live));
        }
        self.pages = None;
        let (state, uuid) = (self.state, self.uuid);
        let key = {
            let mut snapshot = state.store.snapshot().await?;
            let key = snapshot.job(uuid).await?.ok_or_else(|| unknown(uuid))?;
            LiveKey {
                uuid,
                arrivals: key.arrivals,
                state: finalise::state_of(state.silent_since(), &mut snapshot, &key).await?,
            }
        };
        let cell = state.live(key);
        let live = cell.get_or_try_init(|| work_out(state, uuid)).await?;
        self.live = Some(Arc::clone(live));
        Ok(Arc::clone(live))
    }

    async fn rows<T: DeserializeOwned + Clone + Send + 'static>(
        &mut self,
        kind: DetailKind,
        of: fn(&Digest) -> &T,
    ) -> Result<T, AppError> {
        if let Some((snapshot, id)) = &mut self.pages {
            let detail = snapshot.detail(*id, kind).await?;
            let read = move || detail.and_then(|detail| finalise::read_rows(&detail));
            let rows = self.state.reading.run(self.weight, read).await;
            if let Some(rows) = rows.map_err(FinaliseError::from)? {
                return Ok(rows);
            }
            // A server of another version wrote them. Residue and pages give them again, here and for whoever comes after.
            tracing::info!(uuid = %self.uuid, ?kind, "rows of another version are made again");
            self.pages = None;
            self.state.store.reopen(self.uuid).await?;
            self.state.settle.notify_one();
        }
        Ok(of(&self.live().await?.digest).clone())
    }

    pub(crate) async fn report(&mut self) -> Result<JobReport, AppError> {
        self.rows(DetailKind::Report, |digest| &digest.job).await
    }

    pub(crate) async fn processes(&mut self) -> Result<Vec<ProcessRow>, AppError> {
        self.rows(DetailKind::Processes, |digest| &digest.processes)
            .await
    }

    pub(crate) async fn files(&mut self) -> Result<Vec<FileRow>, AppError> {
        self.rows(DetailKind::Files, |digest| &digest.files).await
    }

    pub(crate) async fn tests(&mut self) -> Result<Vec<TestRow>, AppError> {
        self.rows(DetailKind::Tests, |digest| &digest.tests).await
    }

    pub(crate) async fn fixtures(&mut self) -> Result<Vec<FixtureRow>, AppError> {
        self.rows(DetailKind::Fixtures, |digest| &digest.fixtures)
            .await
    }

    pub(crate) async fn visits(&mut self) -> Result<Vec<Visit>, AppError> {
        self.rows(DetailKind::Visits, |digest| &digest.visits).await
    }

    /// The job to be read in pieces; refused while something of it is not finalised.
    pub(crate) async fn settled(mut self) -> Result<Settled, AppError> {
        // Rows of another version are noticed here, before anything was handed out.
        let report = self.report().await?;
        match &self.pages {
            Some((_, id)) => Ok(Settled::new(self.state.clone(), *id, self.weight, report)),
            None => Err(AppError::unsettled(self.uuid)),
        }
    }

    /// Every series in a span of time.
    pub(crate) async fn series(&mut self, span: Span) -> Result<Vec<Column>, AppError> {
        if let Some((snapshot, id)) = &mut self.pages {
            return Ok(finalise::load_columns(snapshot, *id, span).await?);
        }
        if span == Span::default() {
            return Ok(self.live().await?.columns.clone());
        }
        let stored = stored(self.state, self.uuid).await?;
        let columns = self.state.digesting.run(stored.weight(), move || {
            let loaded = stored.load()?;
            Ok::<_, FinaliseError>(loaded.columns(&loaded.digest(), span))
        });
        Ok(columns.await.map_err(FinaliseError::from)??)
    }
}

fn unknown(uuid: Uuid) -> AppError {
    AppError::not_found(
        format!("there is no job {uuid}"),
        "check the uuid, or upload the job's spool",
    )
}

async fn stored(state: &AppState, uuid: Uuid) -> Result<Stored, AppError> {
    let mut snapshot = state.store.snapshot().await?;
    let key = snapshot.job(uuid).await?.ok_or_else(|| unknown(uuid))?;
    Ok(finalise::read(state.silent_since(), &mut snapshot, uuid, key).await?)
}

async fn work_out(state: &AppState, uuid: Uuid) -> Result<Arc<Live>, AppError> {
    let stored = stored(state, uuid).await?;
    state.counters.live.fetch_add(1, Relaxed);
    let live = state
        .digesting
        .run(stored.weight(), move || {
            Ok::<_, FinaliseError>(Live::of(&stored.load()?))
        })
        .await
        .map_err(FinaliseError::from)??;
    Ok(Arc::new(live))
}
