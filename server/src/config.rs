//! Settings of the server: flag, `HIGHWATER_*` variable, `highwater.toml` in the working folder, default; the first that says
//! something counts. A variable that is empty says nothing.

use std::{
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use highwater_wire::ids::ProjectSlug;
use serde::Deserialize;

use crate::retention;
pub use crate::{
    access::oidc::OidcConfig,
    retention::{Limits, Retention},
};

/// What the server runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Address of the database.
    pub database: String,
    /// A job that is silent for so long is closed.
    pub silence: Duration,
    /// A client may take so long to send the head of a request, and so long for its body.
    pub patience: Duration,
    /// Room for bodies of requests that are under way, bytes.
    pub intake_bytes: u64,
    /// Where browsers find the server, without a slash at its end.
    pub public_url: Option<String>,
    /// Whether a proxy stands before it and says who asks.
    pub behind_proxy: bool,
    /// Which identity tokens of a CI are taken.
    pub oidc: Option<OidcConfig>,
    /// How long what is kept.
    pub retention: Retention,
}

impl Config {
    /// Whether others than this machine reach the server, directly or through a proxy before it.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        let is_elsewhere = |url: &String| {
            let url = url.parse::<axum::http::Uri>().ok();
            url.is_none_or(|url| !is_loopback(url.host().unwrap_or("")))
        };
        !self.listen.ip().is_loopback()
            || self.behind_proxy
            || self.public_url.as_ref().is_some_and(is_elsewhere)
    }
}

/// Whether a host of an address is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database: "sqlite://highwater.db".to_owned(),
            silence: Duration::from_secs(120),
            patience: PATIENCE,
            intake_bytes: 256 << 20,
            public_url: None,
            behind_proxy: false,
            oidc: None,
            retention: Retention::default(),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read or understood.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that is none.
    #[error("{setting}: {reason}")]
    Value {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// What the command line says; what it leaves open is looked for elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) database: Option<String>,
    pub(crate) silence: Option<u64>,
    pub(crate) public_url: Option<String>,
    pub(crate) behind_proxy: Option<bool>,
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<String>,
    database: Option<String>,
    silence: Option<u64>,
    public_url: Option<String>,
    behind_proxy: Option<bool>,
    oidc: Option<OidcConfig>,
    #[serde(default)]
    retention: retention::File,
}

/// What a variable of the environment says; an empty one says nothing.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    let text = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!text.trim().is_empty()).then_some(text)
}

/// A setting by its flag, else by its variable.
fn said<T: FromStr<Err: Display>>(
    flag: Option<T>,
    setting: &'static str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<T>, ConfigError> {
    let text = match flag {
        Some(_) => return Ok(flag),
        None => variable(setting),
    };
    text.map(|text| {
        text.parse().map_err(|error| ConfigError::Value {
            setting,
            reason: format!("{text:?}: {error}"),
        })
    })
    .transpose()
}

/// The settings that what is given, the environment and the settings file add up to.
///
/// # Errors
/// When a setting cannot be.
pub(crate) fn resolve(
    given: Given,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let config = said(given.config, "HIGHWATER_CONFIG", &variable)?;
    let listen = said(given.listen, "HIGHWATER_LISTEN", &variable)?;
    let database = said(given.database, "HIGHWATER_DATABASE", &variable)?;
    let silence = said(given.silence, "HIGHWATER_SILENCE", &variable)?;
    let public_url = said(given.public_url, "HIGHWATER_PUBLIC_URL", &variable)?;
    let behind_proxy = said(given.behind_proxy, "HIGHWATER_BEHIND_PROXY", &variable)?;
    let file = match &config {
        Some(path) => read_file(path)?,
        None if Path::new("highwater.toml").exists() => read_file(Path::new("highwater.toml"))?,
        None => File::default(),
    };
    let from_file = file
        .listen
        .map(|listen| {
            listen.parse().map_err(|_| {
                let reason = format!("{listen:?} is no address and port such as 127.0.0.1:8080");
                wrong("listen", reason)
            })
        })
        .transpose()?;
    let default = Config::default();
    let silence = silence.or(file.silence).map(Duration::from_secs);
    let silence = silence.unwrap_or(default.silence);
    if silence.is_zero() {
        let reason = "0 would close every job at once; give a number of seconds";
        return Err(wrong("silence", reason));
    }
    if let Some(Err(reason)) = file.oidc.as_ref().map(OidcConfig::check) {
        return Err(wrong("oidc", reason));
    }
    let retention = file.retention.read();
    let public_url = public_url
        .or(file.public_url)
        .map(checked_url)
        .transpose()?;
    Ok(Config {
        listen: listen.or(from_file).unwrap_or(default.listen),
        database: database.or(file.database).unwrap_or(default.database),
        silence,
        public_url,
        behind_proxy: behind_proxy.or(file.behind_proxy).unwrap_or(false),
        oidc: file.oidc,
        retention: retention.map_err(|reason| wrong("retention", reason))?,
        ..default
    })
}

pub(crate) fn wrong(setting: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        setting,
        reason: reason.into(),
    }
}

/// A slug that the command line names.
pub(crate) fn slug(text: String) -> Result<ProjectSlug, ConfigError> {
    ProjectSlug::new(text).map_err(|error| wrong("project", error.to_string()))
}

fn checked_url(url: String) -> Result<String, ConfigError> {
    let parsed = url.parse::<axum::http::Uri>().ok();
    let is_good = parsed.is_some_and(|parsed| {
        matches!(parsed.scheme_str(), Some("http" | "https"))
            && parsed.path_and_query().is_none_or(|rest| rest == "/")
    });
    if is_good {
        Ok(url.trim_end_matches('/').to_owned())
    } else {
        let reason = format!("{url:?} is no address of a site such as https://highwater.example");
        Err(wrong("public_url", reason))
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let unreadable = |reason: String| ConfigError::File {
        path: path.to_path_buf(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    toml::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_with(file: &str, given: Given) -> Result<Config, String> {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, file).unwrap();
        let given = Given {
            config: Some(path),
            ..given
        };
        resolve(given, |_| None).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_variable_says_nothing_and_a_wrong_one_is_named() {
        let config = resolve(Given::default(), |name| {
            (name == "HIGHWATER_SILENCE").then(|| "7".to_owned())
        });
        assert_eq!(config.unwrap().silence, Duration::from_secs(7));
        let error = resolve(Given::default(), |name| {
            (name == "HIGHWATER_SILENCE").then(|| "soon".to_owned())
        });
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("HIGHWATER_SILENCE") && error.contains("soon"),
            "{error}"
        );
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let given = Given {
            listen: Some(([127, 0, 0, 1], 1).into()),
            ..Given::default()
        };
        let config = resolve_with("silence = 7\nlisten = '127.0.0.1:9'\n", given).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.silence, Duration::from_secs(7));
        assert_eq!(config.database, "sqlite://highwater.db");
    }

    #[test]
    fn what_cannot_be_is_named_with_its_place() {
        let table = [
            ("lsiten = 'x'", "settings.toml", "lsiten"),
            ("silence = 0", "silence", "every job"),
            ("listen = 'here'", "listen", "here"),
            ("public_url = 'highwater.example'", "public_url", "https://"),
            (
                "public_url = 'https://a.example/path'",
                "public_url",
                "/path",
            ),
            (
                "[oidc]\naudience = 'x'\nrepositories = []",
                "oidc",
                "repositories",
            ),
            ("[oidc]\naudience = 'x'", "settings.toml", "repositories"),
            (
                "[retention]\npages = '30m'",
                "settings.toml",
                "less than a day",
            ),
            (
                "[retention]\npages = '2y'\nfacts = '1y'",
                "retention",
                "longer than facts",
            ),
        ];
        for (file, place, reason) in table {
            let error = resolve_with(file, Given::default()).unwrap_err();
            assert!(
                error.contains(place) && error.contains(reason),
                "{file}: {error}"
            );
        }
    }
}
