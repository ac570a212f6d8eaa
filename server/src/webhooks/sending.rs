//! Sends what waits: one message of a webhook after the other, several webhooks at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use highwater_store::StoreError;
use tokio::task::{self, JoinSet};

use super::{post, tries, tries::CLAIMED_FOR_US};
use crate::state::AppState;

/// How often is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);
/// Posts that are made at once, each on a thread of its own.
const MOST_AT_ONCE: usize = 16;
/// How long what is done with is kept for whoever asks what was sent, µs.
const KEPT_US: i64 = 30 * 86_400 * 1_000_000;
/// How often is looked for what had its time.
const FORGETS: Duration = Duration::from_secs(3_600);

/// Sends what waits, until the server stops.
pub(crate) async fn send_for_ever(state: AppState) {
    let mut posts = JoinSet::new();
    let mut busy: HashMap<task::Id, i64> = HashMap::new();
    let mut forgot: Option<Instant> = None;
    // The webhook that was posted to last.
    let mut last = 0;
    loop {
        if state.store.trouble().is_none() {
            match state.store.due(state.now_unix_us()).await {
                Ok(mut due) => {
                    // Each has its turn, also where more of them are slow than may be at once.
                    due.sort_by_key(|(_, webhook)| (*webhook <= last, *webhook));
                    for (delivery, webhook) in due {
                        let is_busy = busy.values().any(|it| *it == webhook);
                        if !is_busy && posts.len() < MOST_AT_ONCE {
                            let post = posts.spawn(send(state.clone(), delivery));
                            busy.insert(post.id(), webhook);
                            last = webhook;
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "cannot look for what webhooks are to be told");
                }
            }
            if forgot.is_none_or(|at| at.elapsed() >= FORGETS) {
                match state
                    .store
                    .forget_deliveries(state.now_unix_us() - KEPT_US)
                    .await
                {
                    // Where there is more it goes with the next look.
                    Ok(true) => {}
                    Ok(false) => forgot = Some(Instant::now()),
                    Err(error) => tracing::error!(%error, "cannot forget what webhooks were told"),
                }
            }
        }
        tokio::select! {
            Some(done) = posts.join_next_with_id() => {
                let id = match done {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!(%error, "a post was given up");
                        error.id()
                    }
                };
                busy.remove(&id);
            }
            () = state.sending.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn send(state: AppState, delivery: i64) {
    // What could not be noted is tried again once the claim has run out.
    if let Err(error) = try_once(&state, delivery).await {
        tracing::error!(delivery, %error, "cannot note what became of a post");
    }
}

async fn try_once(state: &AppState, delivery: i64) -> Result<(), StoreError> {
    let now = state.now_unix_us();
    let claimed = state
        .store
        .claim(delivery, now, now.saturating_add(CLAIMED_FOR_US));
    let Some(delivery) = claimed.await? else {
        return Ok(());
    };
    let answer = post(&delivery, state.wall_unix_us() / 1_000_000).await;
    let outcome = tries::outcome(delivery.tries, answer, state.now_unix_us());
    let (webhook, message, tries) = (delivery.webhook_id, delivery.message, delivery.tries);
    let (status, problem) = (outcome.status, &outcome.problem);
    match (outcome.state, outcome.next_unix_us) {
        ("delivered", _) => {
            state.metrics.webhook_tried("delivered");
            tracing::info!(webhook, %message, tries, status, "a webhook was told");
        }
        (_, Some(_)) => {
            state.metrics.webhook_tried("failed");
            tracing::warn!(webhook, %message, tries, status, problem, "a webhook could not be told, and is tried again");
        }
        (_, None) => {
            state.metrics.webhook_tried("given_up");
            tracing::error!(webhook, %message, tries, status, problem, "a webhook could not be told, and that is given up");
        }
    }
    state.store.delivery_tried(&delivery, outcome).await?;
    Ok(())
}
