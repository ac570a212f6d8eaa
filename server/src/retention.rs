//! Removes what has had its time, in the background, a little at a time.

mod settings;

use std::time::{Duration, Instant};

use highwater_store::{Expiry, RetentionKind, Store, StoreError};

pub(crate) use settings::File;
pub use settings::{Limits, Retention};

/// How often a server looks whether something has had its time.
const LOOK: Duration = Duration::from_secs(60);
/// How long others may write between two transactions, at least; else as long as the last of them took.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Something of a project has had its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) slug: String,
    pub(crate) expiry: Expiry,
}

/// Removes what has had its time, until the server stops.
pub(crate) async fn keep_for_ever(
    store: Store,
    retention: Retention,
    now_unix_us: impl Fn() -> i64,
) {
    loop {
        if let Err(error) = look(&store, &retention, now_unix_us()).await {
            tracing::error!(%error, "retention did not come to its end; it goes on with the next look");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(store: &Store, retention: &Retention, now_unix_us: i64) -> Result<(), StoreError> {
    let mut has_expired = false;
    for Due { slug, expiry } in due(store, retention, now_unix_us).await? {
        let jobs = store.expired_jobs(&expiry).await?;
        if jobs > 0 {
            has_expired = true;
            expire(store, expiry, now_unix_us).await?;
            tracing::info!(
                project = slug,
                kind = expiry.kind.as_str(),
                jobs,
                "had their time"
            );
        }
    }
    // Also what an earlier run of the server left undone.
    if has_expired || store.to_be_swept().await? > 0 {
        sweep(store).await?;
    }
    Ok(())
}

/// What the settings say of each project, that which goes whole first.
///
/// # Errors
/// When the database fails.
pub(crate) async fn due(
    store: &Store,
    retention: &Retention,
    now_unix_us: i64,
) -> Result<Vec<Due>, StoreError> {
    if retention.keeps_everything() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for (project, slug) in store.project_slugs().await? {
        let limits = retention.of(&slug);
        for kind in RetentionKind::ALL.into_iter().rev() {
            let Some(limit) = limits.of(kind) else {
                continue;
            };
            let limit_us = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
            let expiry = Expiry {
                project,
                kind,
                heard_unix_us: now_unix_us.saturating_sub(limit_us),
            };
            let slug = slug.clone();
            all.push(Due { slug, expiry });
        }
    }
    Ok(all)
}

/// Says of all jobs whose time it is what is to go.
///
/// # Errors
/// When the database fails.
pub(crate) async fn expire(
    store: &Store,
    expiry: Expiry,
    now_unix_us: i64,
) -> Result<(), StoreError> {
    paced(store, Step::Expire(expiry, now_unix_us)).await
}

/// Deletes what is to go, and gives the space back to the file system.
///
/// # Errors
/// When the database fails.
pub(crate) async fn sweep(store: &Store) -> Result<(), StoreError> {
    paced(store, Step::Sweep).await?;
    paced(store, Step::GiveBack).await?;
    store.checkpoint().await
}

/// A bounded piece of work.
#[derive(Debug, Clone, Copy)]
enum Step {
    Expire(Expiry, i64),
    Sweep,
    GiveBack,
}

/// Does a step again and again until nothing is left of it. Half of the time belongs to others who write, in other processes too: they wait for
/// the database by looking now and then whether it is free.
async fn paced(store: &Store, step: Step) -> Result<(), StoreError> {
    loop {
        let began = Instant::now();
        let is_more = match step {
            Step::Expire(expiry, now_unix_us) => store.expire(expiry, now_unix_us).await?,
            Step::Sweep => store.sweep().await?,
            Step::GiveBack => store.give_back().await?,
        };
        if !is_more {
            return Ok(());
        }
        tokio::time::sleep(began.elapsed().max(LEAST_PAUSE)).await;
    }
}
