//! Who asks, and what they may.
//!
//! A server of which no token was ever made, and which only its own machine can reach, asks nobody: [`Access::Open`]. From the first token on
//! it asks everybody, for good. A request brings a token as `Authorization: Bearer`, or the cookie of a browser that signed in with tokens, or
//! an identity token of a CI ([`oidc`]).
//!
//! What somebody may not see is answered as what is not there. Whoever brings nothing is asked to sign in, whether it is there or not.

mod bearer;
mod failures;
pub(crate) mod oidc;
mod peer;
pub(crate) mod secret;

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use highwater_store::{Store, StoreError, TokenRow, Visible};

pub(crate) use bearer::{COOKIE, SECURE_COOKIE, sign_in_digest, token_of};
pub(crate) use failures::Failures;
pub(crate) use peer::Peer;

use crate::{config::Config, error::AppError, state::AppState};

/// A server that has no tokens looks for the first one so often; to look at each request would cost as much as a part of the request itself.
/// Whoever makes the first token waits for as long before it is told.
pub(crate) const FIRST_TOKEN_WITHIN: Duration = Duration::from_millis(200);

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scope {
    /// Recording: jobs, batches and ends are taken.
    Ingest,
    /// Looking: pages and the API.
    Read,
    /// Both, and what changes how a project is kept.
    Admin,
}

impl Scope {
    fn covers(self, wanted: Self) -> bool {
        self == wanted || self == Self::Admin
    }

    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Ingest, Self::Read, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no scope: ingest, read or admin"))
    }
}

/// One thing that somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Slug of the project; `None` means all.
    pub(crate) project: Option<String>,
    pub(crate) scope: Scope,
    /// What gave it, for the log: the lookup of a token, or the subject of an identity token.
    pub(crate) by: String,
    /// What people call it: the note of a token, else what stands in `by`.
    pub(crate) name: String,
}

impl Grant {
    /// What a token grants; a scope of a later version grants nothing here.
    pub(crate) fn of_token(row: TokenRow) -> Option<Self> {
        Some(Self {
            scope: row.scope.parse().ok()?,
            project: row.project,
            name: match row.note.trim() {
                "" => row.lookup.clone(),
                note => note.to_owned(),
            },
            by: row.lookup,
        })
    }

    fn covers(&self, project: &str, wanted: Scope) -> bool {
        self.scope.covers(wanted) && self.project.as_deref().is_none_or(|own| own == project)
    }
}

/// What whoever sent a request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything: this server asks nobody.
    Open,
    /// What these allow. Empty for somebody who brought nothing.
    Guarded(Vec<Grant>),
}

impl Access {
    pub(crate) fn may_read(&self, project: &str, is_public: bool) -> bool {
        is_public || self.may(project, Scope::Read)
    }

    /// Whether it is allowed in a project.
    pub(crate) fn may(&self, project: &str, wanted: Scope) -> bool {
        match self {
            Self::Open => true,
            Self::Guarded(grants) => grants.iter().any(|grant| grant.covers(project, wanted)),
        }
    }

    /// Whether it is allowed in all projects, those to come included.
    pub(crate) fn may_everywhere(&self, wanted: Scope) -> bool {
        match self {
            Self::Open => true,
            Self::Guarded(grants) => grants
                .iter()
                .any(|grant| grant.project.is_none() && grant.scope.covers(wanted)),
        }
    }

    /// What to answer instead of something that may not be seen: what an unknown one is answered, or to sign in first.
    pub(crate) fn hidden(&self, unknown: AppError) -> AppError {
        if self.is_nobody() {
            AppError::unauthorised("this server asks for a token")
        } else {
            unknown
        }
    }

    /// The refusal of something that would change a project.
    pub(crate) fn refused(&self, project: &str, wanted: Scope) -> AppError {
        match self {
            Self::Guarded(grants) if !grants.is_empty() => {
                let held: Vec<String> = grants
                    .iter()
                    .map(|grant| {
                        let project = grant.project.as_deref().unwrap_or("every project");
                        format!("{} of {project}", grant.scope)
                    })
                    .collect();
                AppError::forbidden(format!(
                    "this token is for {}, not for {wanted} of {project}",
                    held.join(", ")
                ))
            }
            _ if wanted == Scope::Ingest => {
                AppError::unauthorised("this server takes recordings with a token only")
            }
            _ => AppError::unauthorised("this takes a token"),
        }
    }

    /// True for who brought nothing.
    pub(crate) fn is_nobody(&self) -> bool {
        matches!(self, Self::Guarded(grants) if grants.is_empty())
    }

    pub(crate) fn visible(&self) -> Visible {
        if self.may_everywhere(Scope::Read) {
            return Visible::All;
        }
        let Self::Guarded(grants) = self else {
            return Visible::All;
        };
        let slugs = grants
            .iter()
            .filter(|grant| grant.scope.covers(Scope::Read))
            .filter_map(|grant| grant.project.clone());
        Visible::Some(slugs.collect())
    }

    /// What the first grant that allows something in a project is called.
    pub(crate) fn name_for(&self, project: &str, wanted: Scope) -> String {
        match self {
            Self::Open => "anyone".to_owned(),
            Self::Guarded(grants) => {
                let grant = grants.iter().find(|grant| grant.covers(project, wanted));
                grant.map_or_else(|| "nobody".to_owned(), |grant| grant.name.clone())
            }
        }
    }

    /// Who it is, for the log.
    pub(crate) fn by(&self) -> String {
        match self {
            Self::Open => "anyone".to_owned(),
            Self::Guarded(grants) if grants.is_empty() => "nobody".to_owned(),
            Self::Guarded(grants) => {
                let by: Vec<&str> = grants.iter().map(|grant| grant.by.as_str()).collect();
                by.join(",")
            }
        }
    }
}

/// Whether this server asks for tokens, where that was found out before: once a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks(pub(crate) bool);

/// Who asks, where that was found out before the handler: a wrong token fails once a request.
#[derive(Debug, Clone)]
pub(crate) struct Resolved(pub(crate) Result<Access, AppError>);

impl FromRequestParts<AppState> for Access {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        if let Some(Resolved(access)) = parts.extensions.get() {
            return access.clone();
        }
        let asks = match parts.extensions.get() {
            Some(Asks(asks)) => *asks,
            None => state.guard.is_up(&state.store).await?,
        };
        if !asks {
            return Ok(Self::Open);
        }
        bearer::grants(
            &parts.headers,
            Peer::of(parts, state.guard.is_behind_proxy),
            state,
        )
        .await
        .map(Self::Guarded)
    }
}

/// What stands between requests and projects.
#[derive(Debug)]
pub(crate) struct Guard {
    is_up: AtomicBool,
    started: Instant,
    /// Until when it is known that there are no tokens, ms since `started`.
    asks_nobody_until_ms: AtomicU64,
    pub(crate) is_behind_proxy: bool,
    /// Whether browsers may send the cookie over TLS only.
    pub(crate) has_secure_cookies: bool,
    /// Where browsers reach this server, where that was said.
    pub(crate) public_url: Option<String>,
    pub(crate) failures: Failures,
    pub(crate) oidc: Option<oidc::Issuer>,
}

/// The name under which whoever asks reaches this server, where it can be one.
pub(crate) fn asked_host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_usual)).then_some(host)
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        let public_url = config.public_url.as_deref();
        Self {
            is_up: AtomicBool::new(config.is_reached()),
            started: Instant::now(),
            asks_nobody_until_ms: AtomicU64::new(0),
            is_behind_proxy: config.behind_proxy,
            has_secure_cookies: public_url.is_some_and(|url| url.starts_with("https://"))
                || public_url.is_none() && !config.listen.ip().is_loopback(),
            public_url: config.public_url.clone(),
            failures: Failures::default(),
            oidc: config.oidc.clone().map(oidc::Issuer::new),
        }
    }

    /// Where who asks reaches this server: its own address, else the name that it was asked by, where that can be one.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Option<String> {
        if let Some(url) = &self.public_url {
            return Some(url.trim_end_matches('/').to_owned());
        }
        Some(format!("http://{}", asked_host(headers)?))
    }

    /// Whether this server asks who comes. Once it does, it never stops; that there is a first token it knows within [`FIRST_TOKEN_WITHIN`].
    pub(crate) async fn is_up(&self, store: &Store) -> Result<bool, StoreError> {
        if self.is_up.load(Relaxed) {
            return Ok(true);
        }
        let since_start_ms = || u64::try_from(self.started.elapsed().as_millis()).unwrap_or(0);
        if since_start_ms() < self.asks_nobody_until_ms.load(Relaxed) {
            return Ok(false);
        }
        // The time from before the look counts: what comes after it may be missed.
        let within = u64::try_from(FIRST_TOKEN_WITHIN.as_millis()).unwrap_or(0);
        let until_ms = since_start_ms() + within;
        if store.has_tokens().await? {
            self.is_up.store(true, Relaxed);
            return Ok(true);
        }
        self.asks_nobody_until_ms.store(until_ms, Relaxed);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(project: Option<&str>, scope: Scope) -> Grant {
        Grant {
            project: project.map(str::to_owned),
            scope,
            by: "test".to_owned(),
            name: "test".to_owned(),
        }
    }

    #[test]
    fn a_grant_reaches_its_project_and_its_scope() {
        use Scope::{Admin, Ingest, Read};
        let table = [
            (grant(Some("a/b"), Read), "a/b", Read, true),
            (grant(Some("a/b"), Read), "a/b", Ingest, false),
            (grant(Some("a/b"), Read), "a/c", Read, false),
            (grant(Some("a/b"), Ingest), "a/b", Ingest, true),
            (grant(Some("a/b"), Ingest), "a/b", Read, false),
            (grant(Some("a/b"), Admin), "a/b", Read, true),
            (grant(Some("a/b"), Admin), "a/b", Ingest, true),
            (grant(Some("a/b"), Admin), "a/c", Admin, false),
            (grant(None, Read), "a/c", Read, true),
            (grant(None, Read), "a/c", Admin, false),
        ];
        for (grant, project, wanted, expected) in table {
            let said = format!("{grant:?} {project} {wanted}");
            let access = Access::Guarded(vec![grant]);
            assert_eq!(access.may(project, wanted), expected, "{said}");
        }
    }

    #[test]
    fn only_a_host_that_can_be_one_is_told() {
        let table = [
            ("127.0.0.1:9090", Some("127.0.0.1:9090")),
            ("[::1]:80", Some("[::1]:80")),
            ("build.example", Some("build.example")),
            ("", None),
            ("a';reboot;'", None),
            ("a$(reboot)", None),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, given.parse().unwrap());
            assert_eq!(asked_host(&headers), expected, "{given}");
        }
    }

    #[test]
    fn nobody_sees_only_what_is_public() {
        let nobody = Access::Guarded(Vec::new());
        assert!(nobody.may_read("a/b", true) && !nobody.may_read("a/b", false));
        assert_eq!(nobody.visible(), Visible::Some(Vec::new()));
        assert!(!nobody.may_everywhere(Scope::Read));
    }
}
