//! Signing a browser in with a token, and out.

use std::net::IpAddr;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use highwater_analysis::time::rfc3339;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Page, PageError, Query, Visitor, show};
use crate::{
    access::{self, Access, COOKIE, Grant, Peer, SECURE_COOKIE, Scope, secret},
    config::is_loopback,
    error::AppError,
    state::AppState,
};

/// How long a browser stays signed in, s; no longer than its token counts.
const LASTS_S: i64 = 30 * 86_400;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    /// Whether the server asks anybody at all.
    is_open: bool,
    /// What this browser may see.
    grants: Vec<String>,
    /// Where to go afterwards.
    to: String,
    problem: Option<String>,
}

impl SignInPage {
    fn of(access: &Access, to: &str) -> Self {
        let grants = match access {
            Access::Open => &[][..],
            Access::Guarded(grants) => grants,
        };
        let grant = |grant: &Grant| {
            let project = grant.project.as_deref().unwrap_or("every project");
            format!("{} of {project} (token {})", grant.scope, grant.by)
        };
        Self {
            is_open: *access == Access::Open,
            grants: grants.iter().map(grant).collect(),
            to: local(to).to_owned(),
            problem: None,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct SignInQuery {
    #[serde(default)]
    to: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct SignInForm {
    token: String,
    #[serde(default)]
    to: String,
}

pub(super) async fn form(Visitor(access): Visitor, Query(query): Query<SignInQuery>) -> Page {
    show(&SignInPage::of(&access, &query.to))
}

/// Takes a token and gives a cookie that stands for it.
pub(super) async fn sign_in(
    State(state): State<AppState>,
    Visitor(access): Visitor,
    peer: PeerAddress,
    headers: HeaderMap,
    SmallForm(form): SmallForm<SignInForm>,
) -> Result<Response, PageError> {
    let page = |problem: String| {
        show(&SignInPage {
            problem: Some(problem),
            ..SignInPage::of(&access, &form.to)
        })
    };
    let refused = |problem| Ok((StatusCode::FORBIDDEN, page(problem)?).into_response());
    if let Some(origin) = unsafe_origin(&headers).filter(|_| state.guard.has_secure_cookies) {
        let problem = format!(
            "A browser keeps a sign-in over TLS only, and this page came without: open this server by an https:// address, or have it started \
             with --public-url {origin} where the network between is trusted."
        );
        return refused(problem);
    }
    let found = match access::token_of(form.token.trim(), peer.0, &state).await {
        Ok(found) => found.row,
        Err(mut error) if error.status.is_client_error() => {
            // With 401 this page would lead to itself.
            if error.status == StatusCode::UNAUTHORIZED {
                error.status = StatusCode::FORBIDDEN;
            }
            return Ok(error.answer(page(super::as_sentence(&error.message))?));
        }
        Err(error) => return Err(error.into()),
    };
    let reads = matches!(found.scope.parse(), Ok(Scope::Read | Scope::Admin));
    if !reads {
        let problem = "This token is for recording only; sign in with one of the scope read.";
        return refused(problem.to_owned());
    }
    let now = state.wall_unix_us();
    let lasts = found.expires_unix_us.map_or(LASTS_S, |expires| {
        LASTS_S.min(expires.saturating_sub(now) / 1_000_000)
    });
    // One browser may hold several tokens: what it brought goes on under a new cookie, so that nobody who knew the old one sees more by this.
    let brought = access::sign_in_digest(&headers, state.guard.has_secure_cookies);
    let cookie = secret::random_cookie().map_err(|error| AppError::internal(&error))?;
    let digest = Sha256::digest(cookie.as_bytes()).into();
    let until = now.saturating_add(lasts * 1_000_000);
    let signed_in = state.store.sign_in(brought, digest, found.id, until, now);
    signed_in.await?;
    state.note_use(found.id);
    tracing::info!(target: "audit", token = found.lookup, address = %peer.0, until = rfc3339(until), "a browser signed in");
    let mut answer = Redirect::to(local(&form.to)).into_response();
    set_cookie(&mut answer, &state, &cookie, LASTS_S)?;
    Ok(answer)
}

/// Forgets what the browser signed in with.
pub(super) async fn sign_out(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    if let Some(digest) = access::sign_in_digest(&headers, state.guard.has_secure_cookies) {
        state.store.sign_out(digest).await?;
        tracing::info!(target: "audit", "a browser signed out");
    }
    let mut answer = Redirect::to("/sign-in").into_response();
    set_cookie(&mut answer, &state, "", 0)?;
    Ok(answer)
}

/// `Lax`, so that a link from elsewhere shows the page, while nothing that another site sends does anything here.
fn set_cookie(
    answer: &mut Response,
    state: &AppState,
    value: &str,
    lasts_s: i64,
) -> Result<(), AppError> {
    let (name, secure) = if state.guard.has_secure_cookies {
        (SECURE_COOKIE, "; Secure")
    } else {
        (COOKIE, "")
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lasts_s}{secure}");
    let value = HeaderValue::from_str(&text).map_err(|error| AppError::internal(&error))?;
    answer.headers_mut().append(header::SET_COOKIE, value);
    Ok(())
}

/// Where a form was filled in, if that was over a network without TLS.
fn unsafe_origin(headers: &HeaderMap) -> Option<&str> {
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    let host = origin.strip_prefix("http://")?;
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    // The last colon of an address without a port is part of it.
    let name = if port.ends_with(']') { host } else { name };
    (!is_loopback(name)).then_some(origin)
}

/// A path of this server; anything else that a link may have put there leads home.
fn local(to: &str) -> &str {
    let is_local = to.starts_with('/')
        && !to.starts_with("//")
        && !to.contains('\\')
        && to.bytes().all(|byte| byte.is_ascii_graphic())
        && to.parse::<Uri>().is_ok();
    if is_local { to } else { "/" }
}

/// Where a page that nobody may see leads: to sign in, and then back to it.
pub(super) fn lead_to_sign_in(uri: &Uri) -> Redirect {
    let from = uri.path_and_query().map_or("/", |path| path.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("to", local(from))
        .finish();
    Redirect::to(&format!("/sign-in?{query}"))
}

/// A form of a few bytes that comes in time: whoever sends it has shown nothing yet.
pub(super) struct SmallForm<T>(pub(super) T);

/// Most bytes of such a form.
const MOST_FORM_BYTES: usize = 4 << 10;

impl<T: serde::de::DeserializeOwned> axum::extract::FromRequest<AppState> for SmallForm<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, PageError> {
        let whole = axum::body::to_bytes(request.into_body(), MOST_FORM_BYTES);
        let whole = tokio::time::timeout(state.patience, whole).await;
        let whole = whole.map_err(|_| AppError::too_slow())?;
        let unreadable =
            |_| AppError::bad_request("this is no form of this page", "go back and send it again");
        let bytes = whole.map_err(|_| {
            AppError::bad_request("this form is too long", "go back and write less")
        })?;
        let text = std::str::from_utf8(&bytes).map_err(unreadable)?;
        let pairs: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect();
        let value = serde_json::Value::Object(
            pairs
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
        );
        let form = serde_json::from_value(value).map_err(|_| {
            AppError::bad_request("this is no form of this page", "go back and send it again")
        })?;
        Ok(Self(form))
    }
}

/// The address that failures count against.
pub(super) struct PeerAddress(IpAddr);

impl axum::extract::FromRequestParts<AppState> for PeerAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self(Peer::of(parts, state.guard.is_behind_proxy)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_crosses_a_network_needs_tls() {
        let table = [
            ("http://10.0.0.5:8080", true),
            ("http://build.example", true),
            ("http://127.0.0.1:8080", false),
            ("http://localhost:8080", false),
            ("http://[::1]:8080", false),
            ("http://[2001:db8::1]:8080", true),
            ("https://build.example", false),
        ];
        for (origin, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(unsafe_origin(&headers).is_some(), expected, "{origin}");
        }
    }

    #[test]
    fn one_is_led_only_to_pages_of_this_server() {
        let table = [
            ("/jobs/1?sort=peak", "/jobs/1?sort=peak"),
            ("", "/"),
            ("jobs", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("/a b", "/"),
        ];
        for (to, expected) in table {
            assert_eq!(local(to), expected, "{to:?}");
        }
    }
}
