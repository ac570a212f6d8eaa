//! What eats foreign bytes here, for whoever tries it with bytes that nobody meant: without a listener, and without asking anybody for keys.

use std::path::Path;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Request, header},
};
use highwater_store::{Store, Whole};
use highwater_wire::{codec::Checked, ids::ProjectSlug};
use http_body_util::BodyExt;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use jsonwebtoken::jwk::JwkSet;
use serde_json::Value;

use crate::{
    access::oidc::{Issuer, OidcConfig},
    config::Config,
    import::{Named, Source},
    ingest::Form,
    router,
    state::AppState,
};

/// A body as an agent puts it, decoded and checked; `None` where it is refused.
#[must_use]
pub fn body<M: Checked>(content_type: &str, encoding: &str, bytes: &[u8]) -> Option<M> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_ENCODING, encoding),
    ] {
        headers.insert(name, HeaderValue::from_str(value).ok()?);
    }
    let form = Form::of(&headers).ok()?;
    let decoded = form.decode(&bytes.to_vec().into()).ok()?;
    Some(decoded.message)
}

/// Reads the jobs of a file or folder, as `highwater-server import` does before it keeps them.
///
/// # Errors
/// Why they cannot be read.
pub async fn import(path: &Path, project: ProjectSlug) -> Result<Vec<Whole>, String> {
    let named = Named {
        project: Some(project),
        job: None,
    };
    let mut jobs = Vec::new();
    for source in Source::at(path).map_err(|error| error.to_string())? {
        let read = source.read(&named).await;
        let read = read.map_err(|error| error.to_string())?;
        jobs.extend(read.into_iter().map(|imported| imported.whole));
    }
    Ok(jobs)
}

/// Takes identity tokens of repositories of `acme`, signed with one of these keys.
#[derive(Debug)]
pub struct IdentityTokens(Issuer);

impl IdentityTokens {
    /// With the keys of an issuer as it publishes them; `None` where they are no keys.
    #[must_use]
    pub fn with_keys(issuer: &str, audience: &str, keys: &[u8]) -> Option<Self> {
        let keys: JwkSet = serde_json::from_slice(keys).ok()?;
        let config = OidcConfig {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            claim: "repository".to_owned(),
            repositories: vec!["acme/*".to_owned()],
        };
        Some(Self(Issuer::with_keys(config, keys)))
    }

    /// The project that a token may write to; `None` where it may not.
    pub async fn project_of(&self, token: &str) -> Option<String> {
        self.0.grant(token).await.ok()?.project
    }

    /// The project that claims name, once their token is found good.
    #[must_use]
    pub fn project_of_claims(&self, claims: &Value) -> Option<String> {
        self.0.granted(claims).ok()?.project
    }
}

/// Answers requests, without a connection.
#[derive(Debug, Clone)]
pub struct Answering(TowerToHyperService<Router>);

impl Answering {
    /// With what a store holds.
    #[must_use]
    pub fn from(store: Store) -> Self {
        let state = AppState::new(store, &Config::default());
        Self(TowerToHyperService::new(router::router(state)))
    }

    /// Status and body of the answer to a request without a body; `None` where the body breaks off.
    pub async fn get(&self, request: Request<()>) -> Option<(u16, Vec<u8>)> {
        let answer = self.0.call(request.map(|()| Body::empty())).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?;
        Some((status, body.to_bytes().to_vec()))
    }
}
