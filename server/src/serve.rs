//! Runs the server on a listener until it is asked to stop.

mod connections;

use std::{future::Future, time::Duration};

use highwater_store::{Store, StoreError};
use tokio::{net::TcpListener, sync::watch};

use crate::{config::Config, router, settle, state::AppState};

/// How long requests that are under way may take after the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database cannot be opened.
    #[error("{database}: {source}")]
    Store {
        /// Its address.
        database: String,
        /// Why.
        source: StoreError,
    },
}

/// Opens the database and brings it up to date.
///
/// # Errors
/// When it cannot be opened.
pub async fn open(config: &Config) -> Result<Store, ServeError> {
    Store::open(&config.database)
        .await
        .map_err(|source| ServeError::Store {
            database: config.database.clone(),
            source,
        })
}

/// Serves until `shutdown` returns; then answers what is under way, writes what waits, and closes.
pub async fn serve(
    config: &Config,
    store: Store,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let state = AppState::new(store.clone(), config);
    let settling = tokio::spawn(settle::settle_for_ever(state.clone()));
    let (stop, stopped) = watch::channel(false);
    let router = router::router(state);
    let serving = connections::serve(listener, router, config.patience, stopped);
    let stopping = async {
        shutdown.await;
        tracing::info!("stopping");
        let _ = stop.send(true);
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        () = serving => {}
        () = stopping => tracing::warn!("some requests were cut off"),
    }
    settling.abort();
    store.close().await;
}
