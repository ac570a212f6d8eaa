use highwater_store::{DetailKind, SeriesRow, Snapshot, StoreError};
use highwater_wire::{report::JobReport, v1::Batch};
use prost::Message;
use serde::de::DeserializeOwned;
use tokio::{runtime::Handle, sync::Mutex};
use uuid::Uuid;

use crate::{
    finalise::{self, FinaliseError, KeptTicks, Rows, Window},
    state::AppState,
};

/// A job of which everything is in the pages, read in pieces by a thread that may block. Between two pieces nothing of the store is held; a
/// job that was finalised again meanwhile is noticed.
#[derive(Debug)]
pub(crate) struct Settled {
    state: AppState,
    id: i64,
    weight: u64,
    report: JobReport,
    /// Those of the window that was read last: where all ticks of a job are one window, each series after the first has them.
    ticks: Mutex<KeptTicks>,
}

/// Why a piece cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PieceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Finalise(#[from] FinaliseError),
    #[error("job {0} was finalised again meanwhile, or retention took from it; export it again")]
    Changed(Uuid),
}

impl Settled {
    pub(super) fn new(state: AppState, id: i64, weight: u64, report: JobReport) -> Self {
        Self {
            state,
            id,
            weight,
            report,
            ticks: Mutex::default(),
        }
    }

    pub(crate) fn report(&self) -> &JobReport {
        &self.report
    }

    /// About what its rows take in memory at most, bytes.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// Its rows of a kind.
    pub(crate) fn rows<T: DeserializeOwned>(&self, kind: DetailKind) -> Result<Vec<T>, PieceError> {
        let detail = Handle::current().block_on(async {
            let mut snapshot = self.snapshot().await?;
            Ok::<_, PieceError>(snapshot.detail(self.id, kind).await?)
        })?;
        match detail.as_ref().map(finalise::read_rows) {
            Some(Rows::Current(rows) | Rows::Older(rows)) => Ok(rows),
            Some(Rows::Unreadable) | None => Err(PieceError::Changed(self.report.uuid)),
        }
    }

    /// Its recording without samples.
    pub(crate) fn residue(&self) -> Result<Batch, PieceError> {
        let detail = Handle::current().block_on(async {
            let mut snapshot = self.snapshot().await?;
            Ok::<_, PieceError>(snapshot.detail(self.id, DetailKind::Residue).await?)
        })?;
        let detail = detail.ok_or(PieceError::Changed(self.report.uuid))?;
        let residue = Batch::decode(detail.unpack()?.as_slice());
        Ok(residue.map_err(|error| FinaliseError::damaged(self.id, "residue", error))?)
    }

    /// What there are samples of.
    pub(crate) fn series(&self) -> Result<Vec<SeriesRow>, PieceError> {
        Handle::current().block_on(async { Ok(self.snapshot().await?.series(self.id).await?) })
    }

    /// Hands on the samples of a series in order, a bounded number at a time: time in µs since the job's start, and value.
    pub(crate) fn samples<E: From<PieceError>>(
        &self,
        row: &SeriesRow,
        mut take: impl FnMut(Vec<(i64, i64)>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut place = Some(0);
        while let Some(from) = place {
            let Window { samples, next } = Handle::current().block_on(self.window(row, from))?;
            if !samples.is_empty() {
                take(samples)?;
            }
            place = next;
        }
        Ok(())
    }

    async fn window(&self, row: &SeriesRow, from: usize) -> Result<Window, PieceError> {
        let mut snapshot = self.snapshot().await?;
        let mut ticks = self.ticks.lock().await;
        Ok(finalise::window(&mut snapshot, self.id, row, from, &mut ticks).await?)
    }

    /// The store as it stands, where it still holds the job as it was.
    async fn snapshot(&self) -> Result<Snapshot, PieceError> {
        let mut snapshot = self.state.store.snapshot().await?;
        let key = snapshot.job(self.report.uuid).await?;
        match key {
            // What retention takes is gone for whoever is in the middle of it: the rest would pass for the whole.
            Some(key)
                if key.id == self.id
                    && key.revision == self.report.revision
                    && key.pages_removed_unix_us.is_none()
                    && key.detail_removed_unix_us.is_none() =>
            {
                Ok(snapshot)
            }
            _ => Err(PieceError::Changed(self.report.uuid)),
        }
    }
}
