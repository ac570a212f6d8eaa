//! Accepts connections and serves them: bounded in number and in the time a client may take to say what it wants, so that clients which
//! say nothing take neither every descriptor nor one for ever.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Router, http::Request};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

use crate::access::Peer;

/// Connections at once, where the system gives descriptors for as many; more wait in the queue of the listener. An agent keeps one for as long
/// as its job lasts.
const MOST: u32 = 16_384;
/// Descriptors that everything else takes: the database's files and the standard streams.
const BESIDES: u64 = 128;
/// Descriptors that are asked for, as far as this process may have them.
const WANTED: u64 = MOST as u64 + BESIDES;
/// How long nothing is accepted after accepting failed, as it does without free descriptors.
const REST: Duration = Duration::from_millis(100);

/// Serves until `stop` turns true, then until every request that is under way is answered.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let most = most_connections();
    let places = Arc::new(Semaphore::new(most as usize));
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = told(&mut stop) => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop) = (router.clone(), stop.clone());
                tokio::spawn(async move {
                    let _place = place;
                    serve_one(stream, Peer(peer), router, patience, stop).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    // Each connection gives its place back when it ends.
    let _ = places.acquire_many(most).await;
}

/// How many connections there are descriptors for; a process may raise its limit as far as the system allows it to.
fn most_connections() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED, |most| most.min(WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "cannot raise the number of descriptors");
        }
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(WANTED);
    let most = now.saturating_sub(BESIDES).clamp(16, u64::from(MOST));
    u32::try_from(most).unwrap_or(MOST)
}

async fn serve_one(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    patience: Duration,
    mut stop: watch::Receiver<bool>,
) {
    // An answer that is made piece by piece would wait with its last piece for a reader that takes its time to say it has the others.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small pieces may wait on a connection");
    }
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Returns once the server is to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
