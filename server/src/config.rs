//! Settings of the server: flag, `HIGHWATER_*` variable, `highwater.toml` in the working folder, default; the first that says
//! something counts. A variable that is empty says nothing.

use std::{
    ffi::OsString,
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::Parser;
use serde::Deserialize;

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
    /// An address that others can reach.
    #[error(
        "{0} can be reached from other machines, and access is not yet guarded by tokens; listen on 127.0.0.1 or [::1], \
         and put a proxy that signs users in before it"
    )]
    Open(SocketAddr),
    /// A value that is none.
    #[error("{setting}: {reason}")]
    Value {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Keeps recordings of pytest memory, draws them and answers questions about them.
#[derive(Debug, Parser)]
#[command(name = "highwater-server", version)]
struct Args {
    /// `serve` may be said, and is what happens without.
    #[arg(value_parser = ["serve"], hide_possible_values = true)]
    _command: Option<String>,
    /// Address and port [HIGHWATER_LISTEN; default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The database [HIGHWATER_DATABASE; default: sqlite://highwater.db].
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Seconds of silence after which a job is closed [HIGHWATER_SILENCE; default: 120].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    silence: Option<u64>,
    /// Settings file [HIGHWATER_CONFIG; default: highwater.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<String>,
    database: Option<String>,
    silence: Option<u64>,
}

/// Reads the settings. `--help` and wrong flags end the process, as clap does.
///
/// # Errors
/// When a setting cannot be.
pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Config, ConfigError> {
    resolve(Args::parse_from(args), variable)
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

fn resolve(args: Args, variable: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let config = said(args.config, "HIGHWATER_CONFIG", &variable)?;
    let listen = said(args.listen, "HIGHWATER_LISTEN", &variable)?;
    let database = said(args.database, "HIGHWATER_DATABASE", &variable)?;
    let silence = said(args.silence, "HIGHWATER_SILENCE", &variable)?;
    let file = match &config {
        Some(path) => read_file(path)?,
        None if Path::new("highwater.toml").exists() => read_file(Path::new("highwater.toml"))?,
        None => File::default(),
    };
    let from_file = file
        .listen
        .map(|listen| {
            listen.parse().map_err(|_| ConfigError::Value {
                setting: "listen",
                reason: format!("{listen:?} is no address and port such as 127.0.0.1:8080"),
            })
        })
        .transpose()?;
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let listen: SocketAddr = listen.or(from_file).unwrap_or(default);
    if !listen.ip().is_loopback() {
        return Err(ConfigError::Open(listen));
    }
    let silence = silence.or(file.silence).unwrap_or(120);
    if silence == 0 {
        return Err(ConfigError::Value {
            setting: "silence",
            reason: "0 would close every job at once; give a number of seconds".to_owned(),
        });
    }
    Ok(Config {
        listen,
        database: database
            .or(file.database)
            .unwrap_or_else(|| "sqlite://highwater.db".to_owned()),
        silence: Duration::from_secs(silence),
        patience: PATIENCE,
    })
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let wrong = |reason: String| ConfigError::File {
        path: path.to_path_buf(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(args: &[&str]) -> Result<Config, ConfigError> {
        let words = std::iter::once("highwater-server").chain(args.iter().copied());
        resolve(Args::try_parse_from(words).unwrap(), |_| None)
    }

    #[test]
    fn an_empty_variable_says_nothing_and_a_wrong_one_is_named() {
        let args = || Args::try_parse_from(["highwater-server"]).unwrap();
        let config = resolve(args(), |name| {
            (name == "HIGHWATER_SILENCE").then(|| "7".to_owned())
        });
        assert_eq!(config.unwrap().silence, Duration::from_secs(7));
        let error = resolve(args(), |name| {
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
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "silence = 7\nlisten = '127.0.0.1:9'\n").unwrap();
        let path = path.display().to_string();
        let config = with(&["serve", "--config", &path, "--listen", "127.0.0.1:1"]).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.silence, Duration::from_secs(7));
        assert_eq!(config.database, "sqlite://highwater.db");
    }

    #[test]
    fn it_refuses_to_be_reached_from_elsewhere_and_says_what_to_do() {
        let error = with(&["--listen", "0.0.0.0:8080"]).unwrap_err().to_string();
        assert!(
            error.contains("0.0.0.0:8080") && error.contains("listen on 127.0.0.1"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "lsiten = 'x'\n").unwrap();
        let error = with(&["--config", &path.display().to_string()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("settings.toml") && error.contains("lsiten"),
            "{error}"
        );
    }
}
