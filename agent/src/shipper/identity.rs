//! Identity tokens of GitHub Actions: a job proves for which repository it runs, and no secret has to be kept there.
//!
//! A job with `permissions: id-token: write` finds in its environment where to ask. Such a token counts for minutes, so it is asked for anew
//! before it ends, and when the server no longer takes it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use ureq::{
    Agent,
    http::{HeaderValue, Uri},
    tls::{RootCerts, TlsConfig},
};

use super::route;
use crate::{ci::Env, settings::Token};

/// Whom the token is for: what the server's settings name as `audience`.
const AUDIENCE: &str = "HIGHWATER_OIDC_AUDIENCE";
const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// How long a token is used. GitHub's count for five minutes and more.
const USED_FOR: Duration = Duration::from_secs(240);
/// A token that is refused though it is newer is refused for what it says.
const NEW_FOR: Duration = Duration::from_secs(30);
/// How long the CI may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, bytes.
const MOST_ANSWER_BYTES: u64 = 64 << 10;

/// Where identity tokens come from.
pub(super) struct Identity {
    url: String,
    /// On a way of its own: the CI is not where the server is.
    agent: Agent,
    request: HeaderValue,
    held: Mutex<Option<(HeaderValue, Instant)>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

#[derive(Deserialize)]
struct Answer {
    value: String,
}

impl Identity {
    /// Where this job may ask; `None` where none is asked for, why not where it cannot be.
    pub(super) fn of(env: &Env) -> Option<Result<Self, String>> {
        let text = |name| {
            env.get(name)
                .map(|value| value.trim())
                .filter(|value| !value.is_empty())
        };
        let audience = text(AUDIENCE)?;
        let (Some(url), Some(request)) = (text(REQUEST_URL), text(REQUEST_TOKEN)) else {
            return Some(Err(format!(
                "{AUDIENCE} is set, but this job cannot ask for identity tokens: give it `permissions: id-token: write`, or set HIGHWATER_TOKEN"
            )));
        };
        let join = if url.contains('?') { '&' } else { '?' };
        let audience: String = form_urlencoded::byte_serialize(audience.as_bytes()).collect();
        let request = Token::new(request).ok().and_then(|token| bearer(&token));
        let agent = match agent_for(REQUEST_URL, url, env) {
            Ok(agent) => agent,
            Err(why) => return Some(Err(why)),
        };
        Some(match request {
            Some(request) => Ok(Self {
                agent,
                url: format!("{url}{join}audience={audience}"),
                request,
                held: Mutex::new(None),
            }),
            None => Err(format!("{REQUEST_TOKEN} is no token")),
        })
    }

    /// The header that proves who this job is.
    pub(super) fn header(&self) -> Result<HeaderValue, String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((header, since)) = held.as_ref()
            && since.elapsed() < USED_FOR
        {
            return Ok(header.clone());
        }
        let header = self.ask()?;
        *held = Some((header.clone(), Instant::now()));
        Ok(header)
    }

    /// The server did not take it: the next one is asked for anew. False where it was new, for another would be refused as well.
    pub(super) fn forget(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
            .is_some_and(|(_, since)| since.elapsed() > NEW_FOR)
    }

    fn ask(&self) -> Result<HeaderValue, String> {
        let failed = |why: String| format!("no identity token came: {why}");
        let mut answer = self
            .agent
            .get(&self.url)
            .header("Authorization", &self.request)
            .call()
            .map_err(|error| failed(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(failed(format!("the CI answered {}", answer.status())));
        }
        let body = answer.body_mut().with_config().limit(MOST_ANSWER_BYTES);
        let answer: Answer = body
            .read_json()
            .map_err(|error| failed(error.to_string()))?;
        let token = Token::new(&answer.value)
            .ok()
            .and_then(|token| bearer(&token));
        token.ok_or_else(|| failed("what the CI sent is none".to_owned()))
    }
}

/// Asks GitHub itself, whose certificate every machine trusts whatever a server of one's own is vouched for by, or a GitHub of one's own.
/// `name` is the variable that the address stands in.
pub(crate) fn agent_for(name: &str, url: &str, env: &Env) -> Result<Agent, String> {
    let host = url
        .parse::<Uri>()
        .ok()
        .and_then(|url| url.host().map(str::to_owned));
    let host = host.ok_or_else(|| format!("{name} is no address"))?;
    let is_public = [".githubusercontent.com", ".github.com", ".ghe.com"]
        .iter()
        .any(|domain| host.ends_with(domain));
    let roots = match is_public {
        true => RootCerts::WebPki,
        false => route::roots(env)?,
    };
    let proxy = route::proxy_for(url, env)?.map(|named| named.proxy);
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(config.into())
}

/// The header that a token makes, kept out of debug output.
pub(crate) fn bearer(token: &Token) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
    header.set_sensitive(true);
    Some(header)
}
