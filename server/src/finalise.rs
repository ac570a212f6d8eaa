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
use highwater_store::{DetailKind, JobKey, Put, Snapshot, StoreError};
use highwater_wire::{
    codec,
    report::JobState,
    v1::{Batch, End, Job},
};
use prost::Message;
use uuid::Uuid;

use crate::state::{AppState, now_unix_us};

pub(crate) use columns::{Column, load as load_columns};

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
    pub(crate) fn columns(&self, digest: &Digest) -> Vec<Column> {
        columns::of_recording(
            &self.recording,
            &digest.tree,
            &process_numbers(&self.recording),
        )
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
        match state.store.unsettled(silent_since(&state)).await {
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
    let loaded = load(state, &mut snapshot, uuid, key).await?;
    drop(snapshot);
    let (revision, job_state) = (loaded.key.revision + 1, loaded.state);
    let finalised = tokio::task::spawn_blocking(move || {
        let digest = loaded.digest_as(revision);
        rows::finalised(&loaded, digest)
    })
    .await??;
    if state.store.put_finalised(finalised).await? == Put::Conflict {
        // Another server on this database was faster; what it did not see is still unsettled.
        tracing::info!(%uuid, revision, "finalised elsewhere");
        return Ok(());
    }
    state.counters.finalised.fetch_add(1, Relaxed);
    tracing::info!(%uuid, revision, state = ?job_state, "finalised");
    Ok(())
}

/// Jobs last heard of by this time are silent, µs since 1970.
fn silent_since(state: &AppState) -> i64 {
    let silence = i64::try_from(state.silence.as_micros()).unwrap_or(i64::MAX);
    now_unix_us().saturating_sub(silence)
}

/// Where a job is in its life, by what is there and how long it has been silent.
async fn state_of(
    state: &AppState,
    snapshot: &mut Snapshot,
    key: &JobKey,
) -> Result<JobState, FinaliseError> {
    let silent = key.heard_unix_us <= silent_since(state);
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

/// Puts everything that is there of a job into a recording.
pub(crate) async fn load(
    state: &AppState,
    snapshot: &mut Snapshot,
    uuid: Uuid,
    key: JobKey,
) -> Result<Loaded, FinaliseError> {
    let id = key.id;
    let job = Job::decode(key.begin_body.as_slice())
        .map_err(|error| FinaliseError::damaged(id, "begin", error))?;
    let end = key
        .end_body
        .as_deref()
        .map(End::decode)
        .transpose()
        .map_err(|error| FinaliseError::damaged(id, "end", error))?;
    let mut recording = match snapshot.detail(id, DetailKind::Residue).await? {
        Some(residue) => {
            let residue = Batch::decode(residue.as_slice())
                .map_err(|error| FinaliseError::damaged(id, "residue", error))?;
            let groups = columns::restore(snapshot, id).await?;
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
    let job_state = state_of(state, snapshot, &key).await?;
    let mut fresh = Vec::new();
    for stored in snapshot.batch_bodies(id).await? {
        let batch: Batch = codec::decode(&stored.body)
            .map_err(|problem| FinaliseError::damaged(id, "batch", problem))?;
        recording.add(stored.stream, stored.seq, &batch);
        fresh.push((stored.stream, stored.seq));
    }
    Ok(Loaded {
        key,
        recording,
        state: job_state,
        uuid,
        fresh,
    })
}
