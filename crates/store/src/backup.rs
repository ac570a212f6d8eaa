//! A copy of the database at one moment, made while others read and write.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use crate::{StoreError, space};

pub(crate) const COPY: &str = "VACUUM INTO $1";
/// For a database that never gives space back: its copy does.
pub(crate) const COPY_SHRINKS: &str = "PRAGMA auto_vacuum = INCREMENTAL";
pub(crate) const CHECK: &str = "PRAGMA integrity_check";
pub(crate) const COUNTS: &str = "SELECT (SELECT COUNT(*) FROM project), (SELECT COUNT(*) FROM job), (SELECT COUNT(*) FROM batch)";

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Projects.
    pub projects: i64,
    /// Jobs, those included that were under way.
    pub jobs: i64,
    /// Batches that had been acknowledged, also those that are in pages since.
    pub batches: i64,
    /// Length of the file.
    pub bytes: u64,
}

/// Copies the database at `url`, as it is, into a new file. It is written under another name beside it, checked, brought to disk, and only then called
/// `file`: whatever bears that name is whole. The schema is left as it is, so that a newer version of the server can copy what an older one serves.
///
/// # Errors
/// When the file is there already, the database cannot be read, the copy cannot be written or does not pass the check; nothing is left behind then.
pub async fn back_up(url: &str, file: &Path) -> Result<Backup, StoreError> {
    let at = |source| StoreError::file(file, source);
    if fs::symlink_metadata(file).is_ok() {
        return Err(at(taken()));
    }
    let part = part_of(file).ok_or_else(|| at(io::ErrorKind::InvalidFilename.into()))?;
    let made = async {
        copy(url, &part).await?;
        let backup = check(&part).await?;
        File::open(&part)
            .and_then(|copy| copy.sync_all())
            .map_err(at)?;
        name(&part, file).map_err(at)?;
        Ok(backup)
    };
    let made = made.await;
    // Where it succeeded, this is a second name of the file.
    let _ = fs::remove_file(&part);
    if made.is_ok() {
        sync_folder(file).map_err(at)?;
    }
    made
}

async fn copy(url: &str, part: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::Address {
        url: url.to_owned(),
    })?;
    let mut connection = options
        .read_only(true)
        .create_if_missing(false)
        .disable_statement_logging()
        .connect()
        .await?;
    if !space::shrinks(&mut connection).await? {
        sqlx::query(COPY_SHRINKS).execute(&mut connection).await?;
    }
    let written = sqlx::query(COPY)
        .bind(part.to_string_lossy())
        .execute(&mut connection)
        .await;
    close(connection).await;
    written?;
    Ok(())
}

/// Reads the whole copy.
async fn check(part: &Path) -> Result<Backup, StoreError> {
    let mut connection = SqliteConnectOptions::new()
        .filename(part)
        .read_only(true)
        .disable_statement_logging()
        .connect()
        .await?;
    let read = read(&mut connection).await;
    close(connection).await;
    let (problems, (projects, jobs, batches)) = read?;
    if problems.iter().any(|problem| problem != "ok") {
        return Err(StoreError::Damaged(problems.join("; ")));
    }
    Ok(Backup {
        projects,
        jobs,
        batches,
        bytes: fs::metadata(part)
            .map_err(|source| StoreError::file(part, source))?
            .len(),
    })
}

type Counts = (i64, i64, i64);

async fn read(connection: &mut SqliteConnection) -> Result<(Vec<String>, Counts), StoreError> {
    let problems = sqlx::query_scalar(CHECK)
        .fetch_all(&mut *connection)
        .await?;
    let counts = sqlx::query_as(COUNTS).fetch_one(connection).await?;
    Ok((problems, counts))
}

/// What was read of it counts all the same when closing fails.
async fn close(connection: SqliteConnection) {
    use sqlx::Connection;
    let _ = connection.close().await;
}

fn taken() -> io::Error {
    let what = "is there already, and is not overwritten";
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}

/// A name beside the file that nobody has. SQLite takes names in UTF-8 only.
fn part_of(file: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(file.file_name()?);
    name.push(format!(".{}.part", Uuid::new_v4()));
    let part = file.with_file_name(name);
    part.to_str().is_some().then_some(part)
}

/// Gives the copy its name, unless somebody else took it meanwhile.
fn name(part: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(part, file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links: who takes the name between this look and the renaming loses it.
            if file.try_exists()? {
                return Err(taken());
            }
            fs::rename(part, file)
        }
        linked => linked.map_err(|_| taken()),
    }
}

/// A name is on disk once its folder is.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
