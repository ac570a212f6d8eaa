//! Settles jobs: from what arrived to pages, rows and facts. Pure work on a recording, then one transaction.
//!
//! A job is settled when its end is there and every batch that the end announced, or when it has been silent for long. What comes
//! later reopens it: pages and residue give the recording back, the late batch joins it, and it is settled again.

mod columns;
mod rows;

use std::{
    collections::HashMap,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use highwater_analysis::{
    arrival,
    digest::{Context, Digest, digest, process_numbers},
    recording::Recording,
};
use highwater_store::{
    Detail, DetailKind, JobKey, Put, SeriesRow, Snapshot, StoreError, StoredBatch, StoredPage,
};
use highwater_wire::{
    codec,
    report::JobState,
    v1::{Batch, End, Job},
};
use prost::Message;
use uuid::Uuid;

use crate::state::AppState;

pub(crate) use columns::{Column, Span, load as load_columns};
pub(crate) use rows::read as read_rows;

/// How often silent jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long a job that could not be settled is left alone: doubled with each failure, up to the longest.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(600);

/// Why a job could not be settled or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinaliseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("job {job}: {what}: {reason}")]
    Damaged {
        job: i64,
        what: &'static str,
        reason: String,
    },
    #[error("the work on a job was given up: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl FinaliseError {
    pub(crate) fn damaged(job: i64, what: &'static str, reason: impl ToString) -> Self {
        Self::Damaged {
            job,
            what,
            reason: reason.to_string(),
        }
    }
}

/// Everything that is there of a job at one moment, with what tells how far it is.
pub(crate) struct Loaded {
    pub(crate) key: JobKey,
    pub(crate) recording: Recording,
    pub(crate) state: JobState,
    uuid: Uuid,
    fresh: Vec<(Uuid, u64)>,
}

impl Loaded {
    /// The figures of the job as it stands. Work for a thread that may block.
    pub(crate) fn digest(&self) -> Digest {
        self.digest_as(self.key.revision)
    }

    fn digest_as(&self, revision: u32) -> Digest {
        let context = Context {
            uuid: self.uuid,
            state: self.state,
            revision,
        };
        digest(&self.recording, &context)
    }

    /// The samples of the job as it stands, with the curve of its digest.
    pub(crate) fn columns(&self, digest: &Digest, span: Span) -> Vec<Column> {
        columns::of_recording(
            &self.recording,
            &digest.tree,
            &process_numbers(&self.recording),
            span,
        )
    }
}

/// What is shown of a job that is not settled.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) digest: Digest,
    /// Every series over the whole job, as fine as charts are drawn.
    pub(crate) columns: Vec<Column>,
}

impl Live {
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let digest = loaded.digest();
        let columns = loaded.columns(&digest, Span::default());
        Self { digest, columns }
    }
}

/// A job that could not be settled, as it was then: it is tried again when more arrives, or after a rest.
struct Failure {
    arrivals: i64,
    rest: Duration,
    since: Instant,
}

/// Settles jobs as they become ready, until the server stops.
pub(crate) async fn settle_for_ever(state: AppState) {
    let mut failures: HashMap<Uuid, Failure> = HashMap::new();
    loop {
        match state.store.unsettled(state.silent_since()).await {
            Ok(jobs) => {
                failures.retain(|uuid, _| jobs.iter().any(|(job, _)| job == uuid));
                for (uuid, arrivals) in jobs {
                    settle_or_rest(&state, uuid, arrivals, &mut failures).await;
                }
            }
            Err(error) => tracing::error!(%error, "cannot look for jobs to finalise"),
        }
        let _ = tokio::time::timeout(LOOK, state.settle.notified()).await;
        // Batches of live jobs come all the time; there is no hurry to look again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn settle_or_rest(
    state: &AppState,
    uuid: Uuid,
    arrivals: i64,
    failures: &mut HashMap<Uuid, Failure>,
) {
    let known = failures.get(&uuid);
    if known.is_some_and(|known| known.arrivals == arrivals && known.since.elapsed() < known.rest) {
        return;
    }
    match settle(state, uuid).await {
        Ok(()) => {
            failures.remove(&uuid);
        }
        Err(error) => {
            let rest = known.map_or(FIRST_REST, |known| (known.rest * 2).min(LONGEST_REST));
            tracing::error!(%uuid, %error, again_in_s = rest.as_secs(), "cannot finalise");
            let since = Instant::now();
            failures.insert(
                uuid,
                Failure {
                    arrivals,
                    rest,
                    since,
                },
            );
        }
    }
}

async fn settle(state: &AppState, uuid: Uuid) -> Result<(), FinaliseError> {
    let mut snapshot = state.store.snapshot().await?;
    let Some(key) = snapshot.job(uuid).await? else {
        return Ok(());
    };
    if state_of(state, &mut snapshot, &key).await? == JobState::Running {
        return Ok(());
    }
    let stored = read(state, &mut snapshot, uuid, key).await?;
    drop(snapshot);
    let (revision, job_state) = (stored.key.revision + 1, stored.state);
    let finalised = state.digesting.run(stored.weight(), move || {
        let loaded = stored.load()?;
        let digest = loaded.digest_as(revision);
        rows::finalised(&loaded, digest)
    });
    let finalised = finalised.await??;
    if state.store.put_finalised(finalised).await? == Put::Conflict {
        // Another server on this database was faster; what it did not see is still unsettled.
        tracing::info!(%uuid, revision, "finalised elsewhere");
        return Ok(());
    }
    state.forget(uuid);
    state.counters.finalised.fetch_add(1, Relaxed);
    tracing::info!(%uuid, revision, state = ?job_state, "finalised");
    Ok(())
}

/// Where a job is in its life, by what is there and how long it has been silent.
pub(crate) async fn state_of(
    state: &AppState,
    snapshot: &mut Snapshot,
    key: &JobKey,
) -> Result<JobState, FinaliseError> {
    // One that was given up would run again, had it been heard of since.
    let given_up = matches!(key.state.as_str(), "lost" | "incomplete");
    let silent = given_up || key.heard_unix_us <= state.silent_since();
    let Some(end) = &key.end_body else {
        return Ok(if silent {
            JobState::Lost
        } else {
            JobState::Running
        });
    };
    let end = End::decode(end.as_slice())
        .map_err(|error| FinaliseError::damaged(key.id, "end", error))?;
    let counts = snapshot.batch_counts(key.id).await?;
    let missing = arrival::missing(&end, |stream| {
        let found = counts.iter().find(|(counted, _)| *counted == stream);
        found.map_or(0, |(_, count)| *count)
    });
    Ok(match (missing == 0, silent) {
        (true, _) => JobState::Finished,
        (false, true) => JobState::Incomplete,
        (false, false) => JobState::Running,
    })
}

/// Reads everything that is there of a job.
pub(crate) async fn read(
    state: &AppState,
    snapshot: &mut Snapshot,
    uuid: Uuid,
    key: JobKey,
) -> Result<Stored, FinaliseError> {
    let id = key.id;
    Ok(Stored {
        state: state_of(state, snapshot, &key).await?,
        residue: snapshot.detail(id, DetailKind::Residue).await?,
        series: snapshot.series(id).await?,
        pages: snapshot.value_pages(id).await?,
        batches: snapshot.batch_bodies(id).await?,
        uuid,
        key,
    })
}

/// What there is of a job at one moment, as it lies in the store.
pub(crate) struct Stored {
    key: JobKey,
    uuid: Uuid,
    state: JobState,
    residue: Option<Detail>,
    series: Vec<SeriesRow>,
    pages: Vec<StoredPage>,
    batches: Vec<StoredBatch>,
}

impl Stored {
    /// About what it takes to work on it, bytes.
    pub(crate) fn weight(&self) -> u64 {
        self.key.weight.cast_unsigned()
    }

    /// Puts all of it into a recording. Work for a thread that may block.
    pub(crate) fn load(self) -> Result<Loaded, FinaliseError> {
        let id = self.key.id;
        let job = Job::decode(self.key.begin_body.as_slice())
            .map_err(|error| FinaliseError::damaged(id, "begin", error))?;
        let end = self.key.end_body.as_deref().map(End::decode).transpose();
        let end = end.map_err(|error| FinaliseError::damaged(id, "end", error))?;
        let mut recording = match self.residue {
            Some(residue) => {
                let residue = Batch::decode(residue.unpack()?.as_slice())
                    .map_err(|error| FinaliseError::damaged(id, "residue", error))?;
                let groups = columns::restore(id, self.series, &self.pages)?;
                Recording::restore(job, end, &groups, &residue)
            }
            None => {
                let mut recording = Recording::new(job);
                if let Some(end) = end {
                    recording.set_end(end);
                }
                recording
            }
        };
        let mut fresh = Vec::new();
        for stored in self.batches {
            let batch: Batch = codec::decode(&stored.body)
                .map_err(|problem| FinaliseError::damaged(id, "batch", problem))?;
            recording.add(stored.stream, stored.seq, &batch);
            fresh.push((stored.stream, stored.seq));
        }
        Ok(Loaded {
            key: self.key,
            recording,
            state: self.state,
            uuid: self.uuid,
            fresh,
        })
    }
}
