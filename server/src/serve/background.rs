//! What goes on beside the requests, for as long as the server runs: none of it may end unnoticed.

use std::{collections::HashMap, future::Future};

use highwater_store::Store;
use tokio::task::{Id, JoinSet};

use super::ServeError;
use crate::{retention, retention::Retention, settle, state::AppState, webhooks};

/// Work that has no end of its own; dropped, it is broken off.
#[derive(Debug, Default)]
pub(super) struct Background {
    tasks: JoinSet<()>,
    words: HashMap<Id, &'static str>,
}

impl Background {
    /// All that a server does beside its requests.
    pub(super) fn start(state: &AppState, store: Store, retention: Retention) -> Self {
        let mut all = Self::default();
        let clock = state.clone();
        all.add("finalising jobs", settle::settle_for_ever(state.clone()));
        all.add(
            "looking what webhooks are told",
            webhooks::tell_for_ever(state.clone()),
        );
        all.add(
            "sending to webhooks",
            webhooks::send_for_ever(state.clone()),
        );
        all.add(
            "retention",
            retention::keep_for_ever(store, retention, move || clock.wall_unix_us()),
        );
        all
    }

    pub(super) fn add(
        &mut self,
        what: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let id = self.tasks.spawn(work).id();
        self.words.insert(id, what);
    }

    /// Returns only where some of it ended, and says which.
    pub(super) async fn ended(&mut self) -> ServeError {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (id, why) = match ended {
            Ok((id, ())) => (id, "it came to an end".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        ServeError::Background {
            what: self.words.get(&id).copied().unwrap_or_default(),
            why,
        }
    }
}
