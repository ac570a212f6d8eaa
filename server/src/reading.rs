//! Answers from the store, all of one request from one moment of it; of a job that is not settled, from what has arrived so far; of one that
//! retention took something from, from what is left.

mod check;
mod facts;
mod histories;
mod history;
mod of_branch;
mod removed;
mod settled;

use std::sync::Arc;

use highwater_analysis::digest::{Digest, Visit};
use highwater_store::{DetailKind, JobKey, Snapshot};
use highwater_wire::report::{FileRow, FixtureRow, JobReport, ProcessRow, TestRow};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    access::Access,
    error::AppError,
    finalise::{self, Column, FinaliseError, Live, Rows, Span, Stored},
    state::{AppState, LiveKey},
};

pub(crate) use check::Against;
pub(crate) use facts::{MOST_ROWS, ROW_WEIGHT};
pub(crate) use histories::Histories;
pub(crate) use history::Wanted;
pub(crate) use of_branch::of_branch;
pub(crate) use removed::Removed;
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
    key: JobKey,
    /// A connection of the store, when everything that arrived is in the pages, or can no longer get there.
    pages: Option<Snapshot>,
    removed: Removed,
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
        let found = Self::any(state, uuid).await?;
        found
            .filter(|job| access.may_read(&job.key.project, job.key.public))
            .ok_or_else(|| access.hidden(AppError::no_job(uuid)))
    }

    /// A job, whoever may see it.
    async fn any(state: &'a AppState, uuid: Uuid) -> Result<Option<Self>, AppError> {
        let mut snapshot = state.store.snapshot().await?;
        let Some(key) = snapshot.job(uuid).await? else {
            return Ok(None);
        };
        let removed = Removed::of(&key);
        let is_settled = !key.unsettled && key.revision > 0 || removed.has_no_samples();
        Ok(Some(Self {
            state,
            uuid,
            key,
            pages: is_settled.then_some(snapshot),
            removed,
            live: None,
        }))
    }

    /// Gives back the connection of the store that it keeps, as whoever asks the store for more has to: were all of them kept by requests that wait for
    /// one more, none would go on. What is read of the job after that is worked out anew.
    pub(crate) fn let_go(&mut self) {
        self.pages = None;
    }

    /// Slug of its project.
    pub(crate) fn project(&self) -> &str {
        &self.key.project
    }

    /// Whether it is as it was finalised at that revision.
    pub(crate) fn stands_at(&self, revision: u32) -> bool {
        !self.key.unsettled && self.key.revision == revision
    }

    /// When it was last heard of, µs since 1970.
    pub(crate) fn heard_unix_us(&self) -> i64 {
        self.key.heard_unix_us
    }

    /// Numbers of its project and its run.
    pub(crate) fn run(&self) -> (i64, i64) {
        (self.key.project_id, self.key.run_id)
    }

    /// Whether retention passes it by.
    pub(crate) fn is_pinned(&self) -> bool {
        self.key.pinned
    }

    /// What retention removed of it.
    pub(crate) fn removed(&self) -> Removed {
        self.removed
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
            let key = snapshot
                .job(uuid)
                .await?
                .ok_or_else(|| AppError::no_job(uuid))?;
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
        if let Some(snapshot) = &mut self.pages {
            let detail = snapshot.detail(self.key.id, kind).await?;
            let read = move || detail.map_or(Rows::Unreadable, |it| finalise::read_rows(&it));
            let weight = self.key.weight.cast_unsigned();
            let rows = self.state.reading.run(weight, read).await;
            match rows.map_err(FinaliseError::from)? {
                Rows::Current(rows) => return Ok(rows),
                Rows::Older(rows) if self.removed.has_no_samples() => {
                    self.removed.has_older_rows = true;
                    return Ok(rows);
                }
                Rows::Unreadable if self.removed.has_no_samples() => {
                    return Err(self.removed.no_detail());
                }
                Rows::Older(_) | Rows::Unreadable => {}
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
        let report = self.rows(DetailKind::Report, |digest| &digest.job).await;
        let mut report = match (report, &mut self.pages) {
            (Err(error), Some(snapshot)) if error.is_removed() => {
                let figures = snapshot.job_figures(self.key.id).await?;
                finalise::report_of_remains(self.uuid, self.key.clone(), figures)?
            }
            (report, _) => report?,
        };
        report.notices.extend(self.removed.notices());
        Ok(report)
    }

    /// The rows within it; none where they are gone.
    pub(crate) async fn within(&mut self) -> Result<Option<Within>, AppError> {
        let mut read = async || {
            Ok(Within {
                processes: self.processes().await?,
                files: self.files().await?,
                tests: self.tests().await?,
                fixtures: self.fixtures().await?,
                visits: self.visits().await?,
            })
        };
        match read().await {
            Ok(within) => Ok(Some(within)),
            Err(error) if AppError::is_removed(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its test files and fixtures; none where they are gone.
    pub(crate) async fn files_and_fixtures(
        &mut self,
    ) -> Result<Option<(Vec<FileRow>, Vec<FixtureRow>)>, AppError> {
        let mut read = async || Ok((self.files().await?, self.fixtures().await?));
        match read().await {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if AppError::is_removed(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// When it began, µs since 1970, and its number: its place in a list.
    pub(crate) fn place(&self) -> [i64; 2] {
        [self.key.started_unix_us, self.key.id]
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

    /// What the processes hold at the last tick, bytes, and the tests that run then; `None` where the figures were not worked out now.
    pub(crate) fn now(&self) -> Option<(Option<i64>, Vec<String>)> {
        let digest = &self.live.as_ref()?.digest;
        let ended_us = digest.job.duration_us;
        let runs = |test: &&TestRow| test.started_us.saturating_add(test.duration_us) >= ended_us;
        let running = digest.tests.iter().filter(runs).map(TestRow::name);
        Some((
            digest.tree.last().map(|point| point.bytes),
            running.collect(),
        ))
    }

    /// The job to be read in pieces; refused while something of it is not finalised.
    pub(crate) async fn settled(mut self) -> Result<Settled, AppError> {
        // Rows of another version are noticed here, before anything was handed out.
        let report = self.report().await?;
        if self.removed.has_no_samples() {
            return Err(self.removed.no_samples());
        }
        if self.pages.is_none() {
            return Err(AppError::unsettled(self.uuid));
        }
        let weight = self.key.weight.cast_unsigned();
        Ok(Settled::new(
            self.state.clone(),
            self.key.id,
            weight,
            report,
        ))
    }

    /// Every series in a span of time.
    pub(crate) async fn series(&mut self, span: Span) -> Result<Vec<Column>, AppError> {
        if self.removed.has_no_samples() {
            return Err(self.removed.no_samples());
        }
        if let Some(snapshot) = &mut self.pages {
            return Ok(finalise::load_columns(snapshot, self.key.id, span).await?);
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

/// The rows within a job.
#[derive(Debug, Default)]
pub(crate) struct Within {
    pub(crate) processes: Vec<ProcessRow>,
    pub(crate) files: Vec<FileRow>,
    pub(crate) tests: Vec<TestRow>,
    pub(crate) fixtures: Vec<FixtureRow>,
    pub(crate) visits: Vec<Visit>,
}

async fn stored(state: &AppState, uuid: Uuid) -> Result<Stored, AppError> {
    let mut snapshot = state.store.snapshot().await?;
    let key = snapshot
        .job(uuid)
        .await?
        .ok_or_else(|| AppError::no_job(uuid))?;
    Ok(finalise::read(state.silent_since(), &mut snapshot, uuid, key).await?)
}

async fn work_out(state: &AppState, uuid: Uuid) -> Result<Arc<Live>, AppError> {
    let stored = stored(state, uuid).await?;
    state.metrics.live.inc();
    let live = state
        .digesting
        .run(stored.weight(), move || {
            Ok::<_, FinaliseError>(Live::of(&stored.load()?))
        })
        .await
        .map_err(FinaliseError::from)??;
    Ok(Arc::new(live))
}
