//! The command line, as clap reads it; what it asks for is in [`Order`].

mod webhook;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

use crate::{
    access::Scope,
    commands::{Order, export, import, job, project, retention, token},
    config::{self, ConfigError, Given},
    durations,
    export::{Form, Format, What},
};

/// Keeps recordings of pytest memory, draws them and answers questions about them.
#[derive(Debug, Parser)]
#[command(
    name = "highwater-server",
    version,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Listen and answer; what happens where no command is named.
    Serve(Serve),
    /// Say what stands in the way of serving with these settings, and how to mend it. Changes nothing.
    Doctor {
        /// A server must answer now, as a health check asks.
        #[arg(long)]
        running: bool,
        #[command(flatten)]
        serve: Serve,
    },
    /// Make, list and take back the tokens that this server asks for.
    #[command(subcommand)]
    Token(Token),
    /// Say who may read a project.
    #[command(subcommand)]
    Project(Project),
    /// Add, list, try and remove addresses that are told when a job died or did worse than those before it.
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// Say which jobs are kept whatever their age.
    #[command(subcommand)]
    Job(Job),
    /// Remove at once what has had its time by [retention] of highwater.toml; a server does so by itself.
    Retention {
        /// Only say what would go, of each project and kind.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        places: Places,
    },
    /// Copy the database into a file that is not there yet, also while a server runs on it. To restore, start a server on the file.
    Backup {
        /// Where to.
        file: PathBuf,
        #[command(flatten)]
        places: Places,
    },
    /// Write a job for other programs.
    Export(Export),
    /// Keep recordings that come as files: spools of highwater, databases of pytest-monitor (.pymon), files of mprof (.dat).
    Import(Import),
}

#[derive(Debug, Args)]
struct Serve {
    /// Address and port [HIGHWATER_LISTEN; default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// Seconds of silence after which a job is closed [HIGHWATER_SILENCE; default: 120].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    silence: Option<u64>,
    /// Where browsers find this server, such as https://highwater.example: with https:// they send what signs them in over TLS only
    /// [HIGHWATER_PUBLIC_URL].
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// A proxy stands before this server: take a client's address from the last entry of X-Forwarded-For [HIGHWATER_BEHIND_PROXY=true].
    #[arg(long)]
    behind_proxy: bool,
    #[command(flatten)]
    places: Places,
}

/// Where things are; every command needs to know.
#[derive(Debug, Clone, Args)]
struct Places {
    /// The database [HIGHWATER_DATABASE; default: sqlite://highwater.db].
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Settings file [HIGHWATER_CONFIG; default: highwater.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Make a token and print it: it is shown this once, only a digest of it is kept.
    Create {
        #[command(flatten)]
        of: Of,
        /// What it allows: `ingest` to record, `read` to look, `admin` for both and for what changes how a project is kept.
        #[arg(long)]
        scope: Scope,
        /// How long it counts, such as 90d or 12h; for good where this is not given.
        #[arg(long, value_name = "DURATION", value_parser = durations::parse)]
        expires: Option<std::time::Duration>,
        /// What to call it in the list.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        #[command(flatten)]
        places: Places,
    },
    /// List all tokens: what each allows, when it was last used, whether it still counts.
    List {
        #[command(flatten)]
        places: Places,
    },
    /// Take a token back; it stops to count at once, also in browsers that signed in with it.
    Revoke {
        /// The token, or its name in the list.
        #[arg(value_name = "TOKEN")]
        token: String,
        #[command(flatten)]
        places: Places,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// Of this project, `owner/repo`.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Of every project, also of those to come.
    #[arg(long)]
    all_projects: bool,
}

#[derive(Debug, Args)]
struct Export {
    /// Which job.
    #[arg(value_name = "UUID")]
    job: Uuid,
    /// `json` for everything in one document, `csv` and `parquet` for one table, `perfetto` for a trace that https://ui.perfetto.dev opens.
    #[arg(long)]
    format: Format,
    /// Which table, for csv and parquet [default: series].
    #[arg(long)]
    what: Option<What>,
    /// Where to write it; to standard output where this is not given.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Args)]
struct Import {
    /// Files; of a spool the folder of a job, or the whole.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Of which project, `owner/repo`, the files of other recorders are; a spool says it itself.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// What to call the jobs of other recorders' files [default: pytest-monitor, mprof].
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Subcommand)]
enum Project {
    /// Let everybody who reaches this server read a project, without a token.
    Publish {
        /// `owner/repo`.
        project: String,
        #[command(flatten)]
        places: Places,
    },
    /// Let only those with a token read a project.
    Unpublish {
        /// `owner/repo`.
        project: String,
        #[command(flatten)]
        places: Places,
    },
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Pin a job: retention removes nothing of it.
    Pin {
        /// Its uuid, as in the address of its page.
        uuid: uuid::Uuid,
        #[command(flatten)]
        places: Places,
    },
    /// Let go of a pinned job.
    Unpin {
        /// Its uuid, as in the address of its page.
        uuid: uuid::Uuid,
        #[command(flatten)]
        places: Places,
    },
}

/// Reads the command line and the settings. `--help` and wrong flags end the process, as clap does.
///
/// # Errors
/// When a setting cannot be.
pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Order, ConfigError> {
    order(Cli::parse_from(args), config::variable)
}

fn order(cli: Cli, variable: impl Fn(&str) -> Option<String>) -> Result<Order, ConfigError> {
    let resolve = |given: Given| config::resolve(given, &variable);
    let database = |places: Places| Ok::<_, ConfigError>(resolve(places.into())?.database);
    Ok(match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(serve) => Order::Serve(Box::new(resolve(serve.into())?)),
        Command::Doctor { running, serve } => {
            Order::Doctor(Box::new(resolve(serve.into())?), running)
        }
        Command::Token(Token::Create {
            of,
            scope,
            expires,
            note,
            places,
        }) => Order::Token(
            database(places)?,
            token::Order::Create {
                project: of.project.map(config::slug).transpose()?,
                scope,
                expires,
                note,
            },
        ),
        Command::Token(Token::List { places }) => {
            Order::Token(database(places)?, token::Order::List)
        }
        Command::Token(Token::Revoke { token, places }) => {
            Order::Token(database(places)?, token::Order::Revoke(token))
        }
        Command::Project(Project::Publish { project, places }) => Order::Project(
            database(places)?,
            project::Order::Publish(config::slug(project)?, true),
        ),
        Command::Import(import) => Order::Import(
            database(import.places)?,
            import::Order {
                paths: import.paths,
                project: import.project.map(config::slug).transpose()?,
                job: import.job,
            },
        ),
        Command::Export(export) => Order::Export(
            database(export.places)?,
            export::Order {
                job: export.job,
                form: Form::new(export.format, export.what)
                    .map_err(|reason| config::wrong("--what", reason))?,
                output: export.output,
            },
        ),
        Command::Project(Project::Unpublish { project, places }) => Order::Project(
            database(places)?,
            project::Order::Publish(config::slug(project)?, false),
        ),
        Command::Job(Job::Pin { uuid, places }) => {
            Order::Job(database(places)?, job::Order::Pin(uuid, true))
        }
        Command::Job(Job::Unpin { uuid, places }) => {
            Order::Job(database(places)?, job::Order::Pin(uuid, false))
        }
        Command::Webhook(given) => webhook::order(given, database)?,
        Command::Retention { dry_run, places } => {
            let config = resolve(places.into())?;
            let retention = config.retention;
            Order::Retention(config.database, retention::Order { retention, dry_run })
        }
        Command::Backup { file, places } => Order::Backup(database(places)?, file),
    })
}

impl From<Serve> for Given {
    fn from(serve: Serve) -> Self {
        Self {
            listen: serve.listen,
            silence: serve.silence,
            public_url: serve.public_url,
            behind_proxy: serve.behind_proxy.then_some(true),
            ..serve.places.into()
        }
    }
}

impl From<Places> for Given {
    fn from(places: Places) -> Self {
        Self {
            database: places.database,
            config: places.config,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    fn ordered(args: &[&str]) -> Result<Order, String> {
        let words = std::iter::once("highwater-server").chain(args.iter().copied());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        order(cli, |_| None).map_err(|error| error.to_string())
    }

    fn served(args: &[&str]) -> Config {
        match ordered(args) {
            Ok(Order::Serve(config)) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn serve_may_be_said_and_is_what_happens_without() {
        let listen = ["--listen", "127.0.0.1:1", "--behind-proxy"];
        let named = [&["serve"][..], &listen].concat();
        assert_eq!(served(&named), served(&listen));
        assert_eq!(served(&listen).listen.port(), 1);
        assert!(served(&listen).behind_proxy && !served(&[]).behind_proxy);
    }

    #[test]
    fn a_token_is_of_one_project_or_of_all_and_that_is_said() {
        let create =
            |more: &[&str]| ordered(&[&["token", "create", "--scope", "read"], more].concat());
        assert!(matches!(
            create(&["--project", "a/b", "--expires", "90d"]),
            Ok(Order::Token(_, token::Order::Create { project: Some(project), expires: Some(expires), .. }))
                if project.as_str() == "a/b" && expires == Duration::from_secs(90 * 86_400)
        ));
        assert!(create(&["--all-projects"]).is_ok());
        let table = [
            (vec![], "--all-projects"),
            (vec!["--project", "a/b", "--all-projects"], "cannot be used"),
            (vec!["--project", "none"], "owner/repo"),
            (vec!["--all-projects", "--expires", "soon"], "soon"),
            (
                vec!["--all-projects", "--expires", "0d"],
                "no time that passes",
            ),
        ];
        for (args, expected) in table {
            let error = create(&args).unwrap_err();
            assert!(error.contains(expected), "{args:?}: {error}");
        }
    }
}
