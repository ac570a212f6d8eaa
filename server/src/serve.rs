//! Runs the server on a listener until it is asked to stop.

mod background;
mod connections;

use std::{future::Future, net::SocketAddr, time::Duration};

use background::Background;

use highwater_store::{Store, StoreError, Trouble};
use tokio::net::TcpListener;

use crate::{config::Config, router, state::AppState};

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
    /// The database cannot be opened for want of room.
    #[error(
        "{database}: cannot be opened, since its disk is full; make room on it (`df` tells which it is) and start again. What was acknowledged is in the \
         database and its log (`-wal`): remove neither"
    )]
    DiskFull {
        /// Its address.
        database: String,
    },
    /// Others can reach it, and nobody would be asked who they are.
    #[error(
        "{0} can be reached from other machines, itself or through a proxy, and there is no token yet that they could be asked for; make one first with \
         `highwater-server token create --project owner/repo --scope read` (and one of the scope ingest for CI), or listen on 127.0.0.1"
    )]
    NoTokens(SocketAddr),
    /// Work beside the requests ended, which it never does by itself.
    #[error(
        "{what} ended: {why}. The server stops, since it would go on without that unnoticed; what was acknowledged is in the database, so start it again, \
         and report what it said"
    )]
    Background {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// Opens the database and brings it up to date.
///
/// # Errors
/// When it cannot be opened.
pub async fn open(database: &str) -> Result<Store, ServeError> {
    Store::open(database).await.map_err(of(database))
}

fn of(database: &str) -> impl FnOnce(StoreError) -> ServeError {
    let database = database.to_owned();
    move |source| match source {
        StoreError::Unwritten {
            trouble: Trouble::DiskFull,
            ..
        } => ServeError::DiskFull { database },
        source => ServeError::Store { database, source },
    }
}

/// Refuses what would let everybody in: an address that other machines reach, without a token to ask them for.
///
/// # Errors
/// When it is so, or the database cannot be read.
pub async fn check(config: &Config, store: &Store) -> Result<(), ServeError> {
    if config.is_reached() && !store.has_tokens().await.map_err(of(&config.database))? {
        return Err(ServeError::NoTokens(config.listen));
    }
    Ok(())
}

/// Serves until `shutdown` returns; then answers what is under way, writes what waits, and closes.
///
/// # Errors
/// When work beside the requests ended before; it closes in the same way then.
pub async fn serve(
    config: &Config,
    store: Store,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    // Where nothing can be written the log says it from the beginning, and `/readyz` too; what is there can be read all the same.
    let _ = store.try_to_write().await;
    let state = AppState::new(store.clone(), config);
    let background = Background::start(&state, store.clone(), config.retention.clone());
    let ended = serve_beside(background, config, state, listener, shutdown).await;
    store.close().await;
    ended
}

async fn serve_beside(
    mut background: Background,
    config: &Config,
    state: AppState,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let stop = state.stop.clone();
    let stopped = stop.subscribe();
    let router = router::router(state);
    let serving = connections::serve(listener, router, config.patience, stopped);
    let mut ended = Ok(());
    let stopping = async {
        tokio::select! {
            () = shutdown => tracing::info!("stopping"),
            error = background.ended() => {
                tracing::error!(%error, "stopping");
                ended = Err(error);
            }
        }
        stop.send_replace(true);
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        () = serving => {}
        () = stopping => tracing::warn!("some requests were cut off"),
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_ends_with_an_error_where_work_beside_the_requests_ends() {
        for is_panic in [true, false] {
            let folder = tempfile::TempDir::new().unwrap();
            let database = format!("sqlite://{}", folder.path().join("test.db").display());
            let store = open(&database).await.unwrap();
            let config = Config::default();
            let state = AppState::new(store, &config);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut background = Background::default();
            background.add("what goes on", std::future::pending());
            background.add("what ends", async move { assert!(!is_panic, "made up") });
            let never = std::future::pending();
            let ended = serve_beside(background, &config, state, listener, never).await;
            let said = ended.unwrap_err().to_string();
            assert!(said.starts_with("what ends ended: "), "{said}");
            assert_eq!(said.contains("made up"), is_panic, "{said}");
        }
    }
}
