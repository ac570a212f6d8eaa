//! Settles jobs: from what arrived to pages, rows and facts. Pure work on a recording, then one transaction.
//!
//! A job is settled when its end is there and every batch that the end announced, or when it has been silent for long. What comes
//! later reopens it: pages and residue give the recording back, the late batch joins it, and it is settled again.

mod columns;
mod rows;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use highwater_analysis::{
    digest::{Context, Digest, digest, process_numbers},
    recording::Recording,
};
use highwater_store::{DetailKind, JobKey, StoreError};
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

/// Everything that is there of a job, with what tells how far it is.
pub(crate) struct Loaded {
    pub(crate) key: JobKey,
    pub(crate) recording: Recording,
    pub(crate) state: JobState,
    fresh: Vec<(Uuid, u64)>,
}

/// Settles jobs as they become ready, until the server stops.
pub(crate) async fn settle_for_ever(state: AppState) {
    loop {
        match state.store.unsettled().await {
            Ok(jobs) => {
                for uuid in jobs {
                    if let Err(error) = settle(&state, uuid).await {
                        tracing::error!(%uuid, %error, "cannot finalise");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "cannot look for jobs to finalise"),
        }
        let _ = tokio::time::timeout(LOOK, state.settle.notified()).await;
        // Batches of live jobs come all the time; there is no hurry to look again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn settle(state: &AppState, uuid: Uuid) -> Result<(), FinaliseError> {
    let Some(key) = state.store.job(uuid).await? else {
        return Ok(());
    };
    let job_state = state_of(state, &key).await?;
    if job_state == JobState::Running {
        return Ok(());
    }
    let loaded = load(state, key).await?;
    let (heard, revision) = (loaded.key.heard_unix_us, loaded.key.revision + 1);
    let finalised = tokio::task::spawn_blocking(move || {
        let context = Context {
            uuid,
            state: loaded.state,
            revision,
        };
        let digest = digest(&loaded.recording, &context);
        rows::finalised(&loaded, digest, heard)
    })
    .await??;
    state.store.put_finalised(finalised).await?;
    state.counters.finalised.fetch_add(1, Relaxed);
    tracing::info!(%uuid, revision, state = ?job_state, "finalised");
    Ok(())
}

/// Where a job is in its life, by what is there and how long it has been silent.
pub(crate) async fn state_of(state: &AppState, key: &JobKey) -> Result<JobState, FinaliseError> {
    let silent_us = now_unix_us().saturating_sub(key.heard_unix_us);
    let silent = silent_us >= i64::try_from(state.silence.as_micros()).unwrap_or(i64::MAX);
    let Some(end) = &key.end_body else {
        return Ok(if silent {
            JobState::Lost
        } else {
            JobState::Running
        });
    };
    let end = End::decode(end.as_slice())
        .map_err(|error| FinaliseError::damaged(key.id, "end", error))?;
    let counts = state.store.batch_counts(key.id).await?;
    let complete = end.streams.iter().all(|announced| {
        let found = counts.iter().find(|(stream, _)| {
            Uuid::parse_str(&announced.stream).is_ok_and(|uuid| uuid == *stream)
        });
        found.map_or(0, |(_, count)| *count) >= announced.batches
    });
    Ok(match (complete, silent) {
        (true, _) => JobState::Finished,
        (false, true) => JobState::Incomplete,
        (false, false) => JobState::Running,
    })
}

/// Puts everything that is there of a job into a recording.
pub(crate) async fn load(state: &AppState, key: JobKey) -> Result<Loaded, FinaliseError> {
    let id = key.id;
    let job = Job::decode(key.begin_body.as_slice())
        .map_err(|error| FinaliseError::damaged(id, "begin", error))?;
    let end = key
        .end_body
        .as_deref()
        .map(End::decode)
        .transpose()
        .map_err(|error| FinaliseError::damaged(id, "end", error))?;
    let mut recording = match state.store.detail(id, DetailKind::Residue).await? {
        Some(residue) => {
            let residue = Batch::decode(residue.as_slice())
                .map_err(|error| FinaliseError::damaged(id, "residue", error))?;
            let groups = columns::restore(&state.store, id).await?;
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
    let job_state = state_of(state, &key).await?;
    let mut fresh = Vec::new();
    for stored in state.store.batch_bodies(id).await? {
        let batch: Batch = codec::decode(&stored.body)
            .map_err(|problem| FinaliseError::damaged(id, "batch", problem))?;
        recording.add(stored.stream, stored.seq, &batch);
        fresh.push((stored.stream, stored.seq));
    }
    Ok(Loaded {
        key,
        recording,
        state: job_state,
        fresh,
    })
}

/// The figures of an unsettled job as it stands.
pub(crate) async fn digest_now(
    state: &AppState,
    key: JobKey,
    uuid: Uuid,
) -> Result<Digest, FinaliseError> {
    let loaded = load(state, key).await?;
    Ok(tokio::task::spawn_blocking(move || {
        let context = Context {
            uuid,
            state: loaded.state,
            revision: loaded.key.revision,
        };
        digest(&loaded.recording, &context)
    })
    .await?)
}

/// The columns of an unsettled job as it stands.
pub(crate) async fn columns_now(
    state: &AppState,
    key: JobKey,
    uuid: Uuid,
) -> Result<Vec<Column>, FinaliseError> {
    let loaded = load(state, key).await?;
    Ok(tokio::task::spawn_blocking(move || {
        let context = Context {
            uuid,
            state: loaded.state,
            revision: loaded.key.revision,
        };
        let tree = digest(&loaded.recording, &context).tree;
        columns::of_recording(
            &loaded.recording,
            &tree,
            &process_numbers(&loaded.recording),
        )
    })
    .await?)
}
