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
    let Some(digest) = sign_in_digest(headers, state.guard.has_secure_cookies) else {
        return Ok(Vec::new());
    };
    let now = state.wall_unix_us();
    let rows = state.store.signed_in(digest, now).await?;
    let counting: Vec<_> = rows.into_iter().filter(|row| row.counts_at(now)).collect();
    for row in &counting {
        state.note_use(row.id);
    }
    Ok(counting.into_iter().filter_map(Grant::of_token).collect())
}

async fn grant_of(text: &str, from: IpAddr, state: &AppState) -> Result<Grant, AppError> {
    let found = token_of(text, from, state).await?;
    state.note_use(found.row.id);
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
    if !found.row.counts_at(state.wall_unix_us()) {
        return Err(refused("this token has expired"));
    }
    Ok(found)
}

/// What is kept of the cookie that a browser brings; `None` where it brings none.
pub(crate) fn sign_in_digest(headers: &HeaderMap, is_secure: bool) -> Option<[u8; 32]> {
    cookie_of(headers, is_secure).map(|cookie| Sha256::digest(cookie.as_bytes()).into())
}

/// The cookie that a browser brings.
fn cookie_of(headers: &HeaderMap, is_secure: bool) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    // Under the other name somebody else can have planted it: a neighbour under the same domain, or whoever stands in a network without TLS.
    let own = if is_secure { SECURE_COOKIE } else { COOKIE };
    let mut ours = pairs.filter(|(name, _)| *name == own);
    ours.next().map(|(_, value)| value.to_owned())
}
