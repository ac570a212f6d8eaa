//! Settles jobs as they become ready: pure work on a recording, then one transaction.
//!
//! A job is settled when its end is there and every batch that the end announced, or when it has been silent for long. What comes
//! later reopens it: pages and residue give the recording back, the late batch joins it, and it is settled again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use highwater_store::{Finalised, Put, StoreError};
use highwater_wire::report::JobState;
use uuid::Uuid;

use crate::{
    finalise::{self, FinaliseError},
    state::AppState,
    webhooks::TOLD_WITHIN,
};

/// How often silent jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long a job that could not be settled is left alone: doubled with each failure, up to the longest.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(600);

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
            // What was worked out now would be thrown away.
            Ok(_) if state.store.trouble().is_some() => {}
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
        // No fault of this job: it is tried again as soon as something can be written.
        Err(FinaliseError::Store(StoreError::Unwritten { .. })) => {}
        Err(error) => {
            state.metrics.failed.inc();
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
