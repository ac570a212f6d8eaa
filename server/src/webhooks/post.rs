//! One post.

use std::time::Duration;

use highwater_store::Delivery;
use tokio::sync::oneshot;
use ureq::{Agent, http::HeaderMap, unversioned::transport::DefaultConnector};

use super::{Destination, Secret};

/// How long an address may take, from the look-up of its name to the head of its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
const USER_AGENT: &str = concat!("highwater-server/", env!("CARGO_PKG_VERSION"));

/// What came of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answered, with this status; perhaps it said when to come again.
    Status(u16, Option<Duration>),
    /// It did not, or was not asked; why.
    None(String),
}

/// Makes a post, signed as of a second since 1970, on a thread of its own: it may take its time, and whoever stops the server does not wait for it.
pub(crate) async fn post(delivery: &Delivery, unix_s: i64) -> Answer {
    let destination = match Destination::parse(&delivery.url, delivery.allow_private) {
        Ok(destination) => destination,
        Err(reason) => return Answer::None(format!("its address {reason}")),
    };
    let signature =
        Secret::of(delivery.secret.clone()).sign(delivery.message, unix_s, &delivery.body);
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", delivery.message.to_string()),
        ("webhook-timestamp", unix_s.to_string()),
        ("webhook-signature", signature),
    ];
    let body = delivery.body.clone();
    let (tell, told) = oneshot::channel();
    let posting = std::thread::Builder::new().name("webhook".to_owned());
    let posting = posting.spawn(move || {
        // Whoever asked may have gone.
        let _ = tell.send(send(&destination, headers, &body));
    });
    match posting {
        Ok(_) => told
            .await
            .unwrap_or_else(|_| Answer::None("the thread that posts it ended".to_owned())),
        Err(error) => Answer::None(format!("no thread could be started: {error}")),
    }
}

fn send(destination: &Destination, headers: [(&str, String); 4], body: &[u8]) -> Answer {
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        // A proxy would look up the name itself, and connect to what it likes.
        .proxy(None)
        .user_agent(USER_AGENT)
        .build();
    let agent = Agent::with_parts(config, DefaultConnector::default(), destination.resolver());
    let mut request = agent.post(destination.uri());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    match request.send(body) {
        Ok(answer) => Answer::Status(answer.status().as_u16(), retry_after(answer.headers())),
        Err(ureq::Error::Other(refused)) => Answer::None(refused.to_string()),
        Err(error) => Answer::None(error.to_string()),
    }
}

/// Seconds of `Retry-After`; a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}
