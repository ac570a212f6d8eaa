//! Identity tokens of a CI: a job proves which repository it runs for, and no secret has to be kept there.
//!
//! A token counts when its issuer signed it with a key that the issuer publishes, it is meant for our audience, it is valid now, and the
//! repository that it names is one of those in the settings. Anybody's workflow gets tokens for any audience, so without that list anybody
//! could write here. It allows to ingest, for the project of that name.

mod rs256;

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{Jwk, JwkSet},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::{Grant, Scope};

/// How long the issuer's keys are kept.
const KEPT: Duration = Duration::from_secs(3600);
/// Keys are not asked for more often, whatever keys tokens name.
const REST: Duration = Duration::from_secs(30);
/// How long the issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// More is not read of an answer, bytes.
const MOST_BYTES: u64 = 1 << 20;
/// How far clocks may be apart, s.
const LEEWAY_S: u64 = 60;

/// Which identity tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Who signs them, as their `iss` says.
    #[serde(default = "github")]
    pub issuer: String,
    /// Whom they are meant for, as their `aud` says.
    pub audience: String,
    /// The claim that names the repository.
    #[serde(default = "repository")]
    pub claim: String,
    /// Of which repositories: `owner/repo`, or `owner/*` for all of an owner.
    pub repositories: Vec<String>,
}

fn github() -> String {
    "https://token.actions.githubusercontent.com".to_owned()
}

fn repository() -> String {
    "repository".to_owned()
}

impl OidcConfig {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !is_safe(&self.issuer) {
            return Err(format!("issuer {:?} is no https:// address", self.issuer));
        }
        if self.audience.trim().is_empty() {
            return Err("audience is empty; name what the CI asks its tokens for, such as this server's address".to_owned());
        }
        if self.repositories.is_empty() {
            return Err(
                "repositories is empty; name those that may write, such as \"owner/*\"".to_owned(),
            );
        }
        let is_pattern = |text: &String| {
            text.rsplit_once('/').is_some_and(|(owner, repo)| {
                !owner.is_empty()
                    && !owner.contains('*')
                    && !repo.is_empty()
                    && (repo == "*" || !repo.contains('*'))
            })
        };
        match self.repositories.iter().find(|text| !is_pattern(text)) {
            Some(text) => Err(format!(
                "repositories: {text:?} is neither owner/repo nor owner/*"
            )),
            None => Ok(()),
        }
    }

    fn has(&self, repository: &str) -> bool {
        self.repositories
            .iter()
            .any(|known| match known.strip_suffix('*') {
                Some(start) => repository.starts_with(start),
                None => repository == known,
            })
    }
}

/// Whether what is fetched there cannot have been changed on its way: over TLS, or from this machine.
fn is_safe(url: &str) -> bool {
    let Ok(url) = url.parse::<axum::http::Uri>() else {
        return false;
    };
    let host = url.host().unwrap_or("").trim_matches(['[', ']']);
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        _ => false,
    }
}

/// Why an identity token does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    #[error("this identity token cannot be taken: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error("this identity token is signed with a key that its issuer does not publish")]
    Key,
    #[error("this identity token has no claim {0:?}")]
    Claim(String),
    #[error("this identity token is for the repository {0}, which may not write here")]
    Repository(String),
    #[error("cannot fetch the keys of {url}: {reason}")]
    Fetch { url: String, reason: String },
}

impl OidcError {
    /// True where it says nothing about the token.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Fetch { .. })
    }
}

/// An issuer and the keys it publishes.
#[derive(Debug)]
pub(crate) struct Issuer {
    config: OidcConfig,
    agent: ureq::Agent,
    keys: Mutex<Keys>,
    /// Held by whoever asks the issuer: one at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Keys {
    /// What was fetched last, and when.
    set: Option<(JwkSet, Instant)>,
    /// When it was last tried to fetch them, and why that failed.
    tried: Option<Instant>,
    failure: Option<String>,
}

fn find(set: &JwkSet, id: Option<&str>) -> Option<Jwk> {
    match id {
        Some(id) => set.find(id).cloned(),
        None => set.keys.first().filter(|_| set.keys.len() == 1).cloned(),
    }
}

#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    pub(crate) fn new(config: OidcConfig) -> Self {
        rs256::install();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .build();
        Self {
            config,
            agent: agent.into(),
            keys: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// One whose keys are at hand, so that it asks nobody for any for as long as this process is likely to live.
    pub(crate) fn with_keys(config: OidcConfig, keys: JwkSet) -> Self {
        let now = Instant::now() + 10_000 * KEPT;
        let issuer = Self::new(config);
        let known = Keys {
            set: Some((keys, now)),
            tried: Some(now),
            failure: None,
        };
        Self {
            keys: Mutex::new(known),
            ..issuer
        }
    }

    /// What an identity token grants.
    pub(crate) async fn grant(&self, token: &str) -> Result<Grant, OidcError> {
        let header = decode_header(token)?;
        let key = self.key(header.kid.as_deref()).await?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = decode::<Value>(token, &DecodingKey::from_jwk(&key)?, &validation)?.claims;
        self.granted(&claims)
    }

    /// What the claims of a good token grant.
    pub(crate) fn granted(&self, claims: &Value) -> Result<Grant, OidcError> {
        let repository = claims[&self.config.claim]
            .as_str()
            .ok_or_else(|| OidcError::Claim(self.config.claim.clone()))?;
        if !self.config.has(repository) {
            return Err(OidcError::Repository(repository.to_owned()));
        }
        Ok(Grant {
            project: Some(repository.to_owned()),
            scope: Scope::Ingest,
            by: claims["sub"].as_str().unwrap_or(repository).to_owned(),
            name: repository.to_owned(),
        })
    }

    /// Asks the issuer; how many keys it has.
    pub(crate) async fn reach(&self) -> Result<usize, OidcError> {
        Ok(self.fetch().await?.keys.len())
    }

    /// The key that a token names. Keys change, so one that is not known is asked for anew; who asks for one that is known waits for nobody.
    async fn key(&self, id: Option<&str>) -> Result<Jwk, OidcError> {
        if let Some(answer) = self.known(id) {
            return answer;
        }
        let _alone = self.asking.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(answer) = self.known(id) {
            return answer;
        }
        let fetched = self.fetch().await;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.tried = Some(Instant::now());
        keys.failure = None;
        match fetched {
            Ok(set) => {
                let found = find(&set, id);
                keys.set = Some((set, Instant::now()));
                found.ok_or(OidcError::Key)
            }
            Err(error) => {
                keys.failure = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// What can be said of a key without asking: it is there, or it was asked for just now. `None` where it must be asked for.
    fn known(&self, id: Option<&str>) -> Option<Result<Jwk, OidcError>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = keys
            .set
            .as_ref()
            .filter(|(_, since)| since.elapsed() < KEPT);
        if let Some(key) = fresh.and_then(|(set, _)| find(set, id)) {
            return Some(Ok(key));
        }
        let has_tried = keys.tried.is_some_and(|tried| tried.elapsed() < REST);
        // While the issuer cannot be reached, nothing is known against the token.
        has_tried.then(|| match &keys.failure {
            Some(reason) => Err(OidcError::Fetch {
                url: self.config.issuer.clone(),
                reason: reason.clone(),
            }),
            None => Err(OidcError::Key),
        })
    }

    async fn fetch(&self) -> Result<JwkSet, OidcError> {
        let (agent, issuer) = (self.agent.clone(), self.config.issuer.clone());
        let fetching = spawn_blocking(move || fetch_keys(&agent, &issuer));
        fetching.await.unwrap_or_else(|error| {
            Err(OidcError::Fetch {
                url: self.config.issuer.clone(),
                reason: error.to_string(),
            })
        })
    }
}

fn fetch_keys(agent: &ureq::Agent, issuer: &str) -> Result<JwkSet, OidcError> {
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let discovery: Discovery = fetch_json(agent, &url)?;
    let wrong = |reason: String| OidcError::Fetch {
        url: url.clone(),
        reason,
    };
    if discovery.issuer != issuer {
        return Err(wrong(format!("it speaks for {:?}", discovery.issuer)));
    }
    if !is_safe(&discovery.jwks_uri) {
        return Err(wrong(format!(
            "its keys are at {:?}, which is no https:// address",
            discovery.jwks_uri
        )));
    }
    fetch_json(agent, &discovery.jwks_uri)
}

fn fetch_json<T: serde::de::DeserializeOwned>(
    agent: &ureq::Agent,
    url: &str,
) -> Result<T, OidcError> {
    let read = || -> Result<T, ureq::Error> {
        let mut answer = agent.get(url).call()?;
        answer
            .body_mut()
            .with_config()
            .limit(MOST_BYTES)
            .read_json()
    };
    read().map_err(|error| OidcError::Fetch {
        url: url.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(repositories: &[&str]) -> OidcConfig {
        OidcConfig {
            issuer: github(),
            audience: "https://highwater.example".to_owned(),
            claim: repository(),
            repositories: repositories.iter().map(|&text| text.to_owned()).collect(),
        }
    }

    #[test]
    fn only_named_repositories_count() {
        let config = config(&["acme/*", "other/one"]);
        config.check().unwrap();
        let table = [
            ("acme/web", true),
            ("other/one", true),
            ("other/one-more", false),
            ("acme-evil/web", false),
            ("evil/acme", false),
        ];
        for (repository, expected) in table {
            assert_eq!(config.has(repository), expected, "{repository}");
        }
    }

    #[test]
    fn settings_that_would_let_anybody_in_are_refused() {
        for repositories in [
            &[][..],
            &["*"],
            &["*/*"],
            &["/x"],
            &["acme"],
            &["acme/web*"],
            &["acme/*-x"],
        ] {
            assert!(config(repositories).check().is_err(), "{repositories:?}");
        }
        let table = [
            ("http://issuer.example", false),
            ("ftp://127.0.0.1", false),
            ("https://", false),
            ("http://127.0.0.1:5", true),
            ("http://[::1]:5", true),
            ("https://issuer.example/path", true),
        ];
        for (issuer, expected) in table {
            let mut config = config(&["acme/*"]);
            config.issuer = issuer.to_owned();
            assert_eq!(config.check().is_ok(), expected, "{issuer}");
        }
    }
}
