//! A database as it lies there, looked at without changing anything: for whoever runs a server.

use std::{fs, path::PathBuf, str::FromStr};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{StoreError, backup, db::MIGRATIONS, jobs, space, tokens};

pub(crate) const QUICK_CHECK: &str = "PRAGMA quick_check(20)";
pub(crate) const FOREIGN_KEYS: &str = "SELECT \"table\" || ': a row refers to one of ' || parent || ' that is not there' FROM pragma_foreign_key_check LIMIT 20";
pub(crate) const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success = 1";

/// What was seen of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Where its file is.
    pub path: PathBuf,
    /// What is in it; `None` where there is no file yet.
    pub inside: Option<Inside>,
}

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Length of the file.
    pub bytes: u64,
    /// Length of its write-ahead log.
    pub log_bytes: u64,
    /// Whether the file gets shorter when something is removed.
    pub shrinks: bool,
    /// What SQLite finds wrong with it; empty where it is sound.
    pub problems: Vec<String>,
    /// Changes of the schema that the next start makes.
    pub changes_to_come: usize,
    /// Whether a newer version of the server changed the schema: this one cannot serve it.
    pub is_newer: bool,
    /// Jobs, and of them not finalised.
    pub jobs: (i64, i64),
    /// Whether a token was ever made.
    pub has_tokens: bool,
}

/// Looks at the database at `url`.
///
/// # Errors
/// When the address is none, or the file cannot be read as a database.
pub async fn look(url: &str) -> Result<Look, StoreError> {
    let address = || StoreError::Address {
        url: url.to_owned(),
    };
    let options = SqliteConnectOptions::from_str(url).map_err(|_| address())?;
    let path = options.get_filename().to_path_buf();
    let Ok(file) = fs::metadata(&path) else {
        return Ok(Look { path, inside: None });
    };
    let mut connection = options
        .read_only(true)
        .create_if_missing(false)
        .disable_statement_logging()
        .connect()
        .await?;
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let seen = inside(&mut connection).await;
    // What was read counts all the same when closing fails.
    let _ = connection.close().await;
    let inside = Inside {
        bytes: file.len(),
        log_bytes: fs::metadata(log).map_or(0, |log| log.len()),
        ..seen?
    };
    Ok(Look {
        path,
        inside: Some(inside),
    })
}

/// What SQLite finds wrong with the database at `url` when it reads all of it, indexes and references included; empty where it is sound.
///
/// # Errors
/// When the address is none, or the file is not there or cannot be read as a database.
pub async fn problems(url: &str) -> Result<Vec<String>, StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::Address {
        url: url.to_owned(),
    })?;
    let options = options.read_only(true).create_if_missing(false);
    let mut connection = options.disable_statement_logging().connect().await?;
    let mut found = Vec::new();
    for statement in [backup::CHECK, FOREIGN_KEYS] {
        let rows: Vec<String> = sqlx::query_scalar(statement)
            .fetch_all(&mut connection)
            .await?;
        found.extend(rows.into_iter().filter(|problem| problem != "ok"));
    }
    let _ = connection.close().await;
    Ok(found)
}

async fn inside(connection: &mut SqliteConnection) -> Result<Inside, StoreError> {
    let found: Vec<String> = sqlx::query_scalar(QUICK_CHECK)
        .fetch_all(&mut *connection)
        .await?;
    // A file that no server has opened yet has no such table.
    let applied: Vec<i64> = sqlx::query_scalar(APPLIED)
        .fetch_all(&mut *connection)
        .await
        .unwrap_or_default();
    let known: Vec<i64> = MIGRATIONS.iter().map(|change| change.version).collect();
    let missing = |change: &&i64| !applied.contains(change);
    let changes_to_come = known.iter().filter(missing).count();
    let (jobs, has_tokens) = match changes_to_come {
        0 => (
            sqlx::query_as(jobs::COUNTS)
                .fetch_one(&mut *connection)
                .await?,
            sqlx::query_scalar(tokens::ANY)
                .fetch_one(&mut *connection)
                .await?,
        ),
        _ => ((0, 0), false),
    };
    Ok(Inside {
        bytes: 0,
        log_bytes: 0,
        shrinks: space::shrinks(connection).await?,
        problems: found
            .into_iter()
            .filter(|problem| problem != "ok")
            .collect(),
        changes_to_come,
        is_newer: applied.iter().any(|version| !known.contains(version)),
        jobs,
        has_tokens,
    })
}
