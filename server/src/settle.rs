//! Settles jobs as they become ready: pure work on a recording, then one transaction.
//!
//! A job is settled when its end is there and every batch that the end announced, or when it has been silent for long. What comes
//! later reopens it: pages and residue give the recording back, the late batch joins it, and it is settled again.

use std::time::{Duration, Instant};

use highwater_store::{Finalised, Put, StoreError};
use highwater_wire::report::JobState;
use uuid::Uuid;

use crate::{
    finalise::{self, FinaliseError},
    rests::Rests,
    state::AppState,
    webhooks::TOLD_WITHIN,
};

/// How often silent jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// How long what has just ended is waited for, where somebody asks what a project's jobs come to.
const SOON: Duration = Duration::from_secs(15);

/// Waits until the jobs of a project that have just ended are settled: who asks right after a job was sent shall find it. What fails, or still lacks a part, is
/// waited for no longer than [`SOON`] after it was last heard of.
pub(crate) async fn those_that_just_ended(
    state: &AppState,
    project: i64,
) -> Result<(), StoreError> {
    let mut arrived = state.arrived.subscribe();
    let soon_us = i64::try_from(SOON.as_micros()).unwrap_or(i64::MAX);
    loop {
        let since = state.now_unix_us().saturating_sub(soon_us);
        let is_settled = !state.store.has_just_ended(project, since).await?;
        if is_settled || state.store.trouble().is_some() {
            return Ok(());
        }
        // Other jobs arrive all the time, and one look each is enough.
        let _ = tokio::time::timeout(LOOK, arrived.changed()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Settles jobs as they become ready, until the server stops.
pub(crate) async fn settle_for_ever(state: AppState) {
    // Of jobs that could not be settled: how often something of them had arrived.
    let mut failures: Rests<i64> = Rests::new();
    loop {
        match state.store.unsettled(state.silent_since()).await {
            // What was worked out now would be thrown away.
            Ok(_) if state.store.trouble().is_some() => {}
            Ok(jobs) => {
                failures.keep(|uuid| jobs.iter().any(|(job, _)| job == uuid));
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

async fn settle_or_rest(state: &AppState, uuid: Uuid, arrivals: i64, failures: &mut Rests<i64>) {
    if failures.is_resting(uuid, &arrivals, Instant::now()) {
        return;
    }
    match settle(state, uuid).await {
        Ok(()) => failures.done(uuid),
        // No fault of this job: it is tried again as soon as something can be written.
        Err(FinaliseError::Store(StoreError::Unwritten { .. })) => {}
        Err(error) => {
            state.metrics.failed.inc();
            let rest = failures.failed(uuid, arrivals, Instant::now());
            tracing::error!(%uuid, %error, again_in_s = rest.lasts.as_secs(), "cannot finalise");
        }
    }
}

async fn settle(state: &AppState, uuid: Uuid) -> Result<(), FinaliseError> {
    let told_within_us = i64::try_from(TOLD_WITHIN.as_micros()).unwrap_or(i64::MAX);
    let news_since = state.now_unix_us().saturating_sub(told_within_us);
    settle_since(state, uuid, state.silent_since(), Some(news_since)).await
}

/// Settles a job from which nothing more is expected, though it may have no end. Nobody is told of it.
pub(crate) async fn settle_as_it_is(state: &AppState, uuid: Uuid) -> Result<(), FinaliseError> {
    settle_since(state, uuid, i64::MAX, None).await
}

async fn settle_since(
    state: &AppState,
    uuid: Uuid,
    silent_since: i64,
    news_since_unix_us: Option<i64>,
) -> Result<(), FinaliseError> {
    let mut snapshot = state.store.snapshot().await?;
    let Some(key) = snapshot.job(uuid).await? else {
        return Ok(());
    };
    if finalise::state_of(silent_since, &mut snapshot, &key).await? == JobState::Running {
        return Ok(());
    }
    let stored = finalise::read(silent_since, &mut snapshot, uuid, key).await?;
    drop(snapshot);
    let (revision, job_state) = (stored.key.revision + 1, stored.state);
    let finalised = state.digesting.run(stored.weight(), move || {
        let loaded = stored.load()?;
        let digest = loaded.digest_as(revision);
        finalise::finalised(&loaded, digest)
    });
    let finalised = Finalised {
        news_since_unix_us,
        ..finalised.await??
    };
    if state.store.put_finalised(finalised).await? == Put::Conflict {
        // Another server on this database was faster; what it did not see is still unsettled.
        tracing::info!(%uuid, revision, "finalised elsewhere");
        return Ok(());
    }
    state.news.notify_one();
    state.forget(uuid);
    state
        .arrived
        .send_modify(|count| *count = count.wrapping_add(1));
    state.metrics.finalised.inc();
    tracing::info!(%uuid, revision, state = ?job_state, "finalised");
    Ok(())
}
