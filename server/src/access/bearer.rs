//! What a request brings to say who sends it.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use highwater_store::FoundToken;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Grant, secret::Secret};
use crate::{error::AppError, state::AppState};

/// The cookie of a browser that signed in.
pub(crate) const COOKIE: &str = "highwater";
/// The same where browsers may send it over TLS only: with this prefix no other host can have set it.
pub(crate) const SECURE_COOKIE: &str = "__Host-highwater";
/// A use of a token is noted once in so long, µs.
const NOTED_EACH_US: i64 = 60_000_000;

/// What whoever sent this may do; nothing where nothing was brought.
pub(super) async fn grants(
    headers: &HeaderMap,
    from: IpAddr,
    state: &AppState,
) -> Result<Vec<Grant>, AppError> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let refused = |why: &str| state.guard.failures.refuse(from, why);
        let text = value
            .to_str()
            .ok()
            .and_then(|text| {
                let (scheme, token) = text.trim().split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            })
            .ok_or_else(|| refused("the Authorization header is no `Bearer TOKEN`"))?;
        let grant = match &state.guard.oidc {
            Some(issuer) if text.contains('.') => match issuer.grant(text).await {
                Ok(grant) => grant,
                Err(error) if error.is_ours() => return Err(AppError::issuer_away(&error)),
                Err(error) => return Err(refused(&error.to_string())),
            },
            _ => grant_of(text, from, state).await?,
        };
        return Ok(vec![grant]);
    }
    let Some(digest) = sign_in_digest(headers) else {
        return Ok(Vec::new());
    };
    let now = state.now_unix_us();
    let rows = state.store.signed_in(digest, now).await?;
    let counting = rows.into_iter().filter(|row| row.counts_at(now));
    Ok(counting.filter_map(Grant::of_token).collect())
}

async fn grant_of(text: &str, from: IpAddr, state: &AppState) -> Result<Grant, AppError> {
    let found = token_of(text, from, state).await?;
    let now = state.now_unix_us();
    let used = found.row.used_unix_us.unwrap_or(0);
    if now.saturating_sub(used) > NOTED_EACH_US {
        state.store.token_used(found.row.id, now).await?;
    }
    let scope = found.row.scope.clone();
    Grant::of_token(found.row).ok_or_else(|| {
        AppError::internal(&format!("the scope {scope:?} of a token is not known here"))
    })
}

/// The token that a text is, if it counts now.
pub(crate) async fn token_of(
    text: &str,
    from: IpAddr,
    state: &AppState,
) -> Result<FoundToken, AppError> {
    let refused = |why: &str| state.guard.failures.refuse(from, why);
    let secret = Secret::parse(text)
        .ok_or_else(|| refused("this is no token of this server: they begin with hw_"))?;
    let found = state.store.token(secret.lookup()).await?;
    // Compared also where no row was found, so that both take as long.
    let digest = found.as_ref().map_or(&[0; 32][..], |found| &found.digest);
    let is_it = bool::from(digest.ct_eq(&secret.digest()));
    let found = found
        .filter(|_| is_it)
        .ok_or_else(|| refused("this token is not known here"))?;
    if found.row.revoked_unix_us.is_some() {
        return Err(refused("this token was revoked"));
    }
    if !found.row.counts_at(state.now_unix_us()) {
        return Err(refused("this token has expired"));
    }
    Ok(found)
}

/// What is kept of the cookie that a browser brings; `None` where it brings none.
pub(crate) fn sign_in_digest(headers: &HeaderMap) -> Option<[u8; 32]> {
    cookie_of(headers).map(|cookie| Sha256::digest(cookie.as_bytes()).into())
}

/// The cookie that a browser brings.
pub(crate) fn cookie_of(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| [COOKIE, SECURE_COOKIE].contains(name));
    ours.next().map(|(_, value)| value.to_owned())
}
