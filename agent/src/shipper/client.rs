//! One request and what its answer means.

use std::time::Duration;

use ureq::{Agent, http::StatusCode};
use uuid::Uuid;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// How the job began.
    Job,
    /// A batch of a stream.
    Batch(Uuid, u64),
    /// How it ended.
    End,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is on the server's disk.
    Acknowledged,
    /// Try again, after this pause where the server named one.
    Again(Option<Duration>, String),
    /// The server does not know the job.
    Unknown(String),
    /// This item will never be taken.
    Refused(String),
    /// Nothing will be taken from this agent.
    Forbidden(String),
}

/// A server and a job there.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    server: String,
    token: Option<String>,
    uuid: Uuid,
}

impl Client {
    /// Speaks of a job to a server, as `http://host:port`.
    #[must_use]
    pub fn new(server: &str, token: Option<String>, uuid: Uuid) -> Self {
        let config = Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(3)))
            .timeout_global(Some(Duration::from_secs(20)))
            .http_status_as_error(false)
            .user_agent(concat!("highwater/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.into(),
            server: server.trim_end_matches('/').to_owned(),
            token,
            uuid,
        }
    }

    /// Address of the job's page.
    #[must_use]
    pub fn page(&self) -> String {
        format!("{}/jobs/{}", self.server, self.uuid)
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Sends one item, protobuf under zstd.
    #[must_use]
    pub fn put(&self, item: Item, payload: &[u8]) -> Answer {
        let Self { server, uuid, .. } = self;
        let url = match item {
            Item::Job => format!("{server}/api/v1/jobs/{uuid}"),
            Item::Batch(stream, seq) => {
                format!("{server}/api/v1/jobs/{uuid}/streams/{stream}/batches/{seq}")
            }
            Item::End => format!("{server}/api/v1/jobs/{uuid}/end"),
        };
        let mut request = self
            .agent
            .put(&url)
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "zstd");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        match request.send(payload) {
            Err(error) => Answer::Again(None, error.to_string()),
            Ok(mut response) => {
                let status = response.status();
                let wait = response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .map(|seconds: u64| Duration::from_secs(seconds.min(60)));
                let body = response
                    .body_mut()
                    .with_config()
                    .limit(64 << 10)
                    .read_to_string();
                meaning(item, status, wait, &body.unwrap_or_default())
            }
        }
    }
}

fn meaning(item: Item, status: StatusCode, wait: Option<Duration>, body: &str) -> Answer {
    let said = format!(
        "{status}{}",
        message_of(body).map_or_else(String::new, |message| format!(": {message}"))
    );
    match status.as_u16() {
        200..=299 => Answer::Acknowledged,
        408 | 425 | 429 | 500..=599 => Answer::Again(wait, said),
        401 | 403 => Answer::Forbidden(said),
        404 if item != Item::Job => Answer::Unknown(said),
        _ => Answer::Refused(said),
    }
}

/// Message and hint of the server's error envelope.
fn message_of(body: &str) -> Option<String> {
    let envelope: serde_json::Value = serde_json::from_str(body).ok()?;
    let error = envelope.get("error")?;
    let message = error.get("message")?.as_str()?;
    let hint = error
        .get("hint")
        .and_then(serde_json::Value::as_str)
        .filter(|hint| !hint.is_empty());
    Some(hint.map_or_else(|| message.to_owned(), |hint| format!("{message} ({hint})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_taken_as_it_means() {
        let batch = Item::Batch(Uuid::nil(), 0);
        let of = |item, status: u16| meaning(item, StatusCode::from_u16(status).unwrap(), None, "");
        assert_eq!(of(batch, 204), Answer::Acknowledged);
        assert!(matches!(of(batch, 503), Answer::Again(None, _)));
        assert!(matches!(of(batch, 429), Answer::Again(..)));
        assert!(matches!(of(batch, 404), Answer::Unknown(_)));
        assert!(matches!(of(Item::Job, 404), Answer::Refused(_)));
        assert!(matches!(of(batch, 409), Answer::Refused(_)));
        assert!(matches!(of(batch, 413), Answer::Refused(_)));
        assert!(matches!(of(batch, 403), Answer::Forbidden(_)));
    }

    #[test]
    fn the_servers_own_words_are_passed_on() {
        let body = r#"{"error":{"code":"x","message":"too large","hint":"send less"}}"#;
        let answer = meaning(Item::End, StatusCode::BAD_REQUEST, None, body);
        assert_eq!(
            answer,
            Answer::Refused("400 Bad Request: too large (send less)".to_owned())
        );
    }
}
