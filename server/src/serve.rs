//! Runs the server on a listener until it is asked to stop.

use std::{future::Future, time::Duration};

use highwater_store::{Store, StoreError};
use tokio::net::TcpListener;

use crate::{config::Config, finalise, router, state::AppState};

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
    /// The network failed.
    #[error("the listener failed: {0}")]
    Listener(#[from] std::io::Error),
}

/// Serves until `shutdown` returns; then answers what is under way, writes what waits, and closes.
///
/// # Errors
/// When the database cannot be opened or the listener fails.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let store = Store::open(&config.database)
        .await
        .map_err(|source| ServeError::Store {
            database: config.database.clone(),
            source,
        })?;
    let state = AppState::new(store.clone(), config.silence);
    let settling = tokio::spawn(finalise::settle_for_ever(state.clone()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router::router(state)).with_graceful_shutdown(async move {
        shutdown.await;
        tracing::info!("stopping");
        let _ = stop.send(());
    });
    let too_long = async {
        let _ = stopped.await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = serving => served?,
        () = too_long => tracing::warn!("some requests were cut off"),
    }
    settling.abort();
    store.close().await;
    Ok(())
}
