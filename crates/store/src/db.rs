//! Opens the database: WAL, one writer, many readers.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use crate::{
    StoreError, Trouble,
    trouble::{Health, folder_of, why},
    writer::Writer,
};

pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");

const READERS: u32 = 8;
/// Pages that the writer keeps in memory, in KiB as SQLite takes it: 64 MiB.
const WRITERS_CACHE: &str = "-65536";
/// Pages of the log, of 4 KiB each, after which it is copied into the file: under load the same page is written again and again, and copied once.
const CHECKPOINT_PAGES: &str = "8192";

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) readers: SqlitePool,
    pub(crate) writer: Writer,
}

/// Whether there is a file at `sqlite://PATH`.
///
/// # Errors
/// When the address is none.
pub fn is_there(url: &str) -> Result<bool, StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::Address {
        url: url.to_owned(),
    })?;
    Ok(options.get_filename().exists())
}

impl Store {
    /// Opens `sqlite://PATH`, makes it where it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// When the address is none, or the file cannot be opened or migrated; [`StoreError::Unwritten`] where that is for want of room.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = || StoreError::Address {
            url: url.to_owned(),
        };
        if !url.starts_with("sqlite:") {
            return Err(address());
        }
        let options = SqliteConnectOptions::from_str(url).map_err(|_| address())?;
        let path = options.get_filename().to_path_buf();
        Self::open_with(options)
            .await
            .map_err(|error| match why(&error, &folder_of(&path)) {
                Trouble::DiskFull => StoreError::unwritten(Trouble::DiskFull, &error),
                Trouble::Failing => error,
            })
    }

    async fn open_with(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged batch must outlive a loss of power: the log is synced at each commit.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(256)
            .disable_statement_logging();
        // Only at its beginning can a database be told to give space back.
        let is_new = std::fs::metadata(options.get_filename()).map_or(true, |file| file.len() == 0);
        let health = Health::of(options.get_filename());
        let own = options.clone();
        let own = if is_new {
            own.auto_vacuum(SqliteAutoVacuum::Incremental)
        } else {
            own
        };
        // The one that writes has most pages at hand, and its log may grow before it is copied into the file.
        let own = own
            .pragma("cache_size", WRITERS_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        let mut connection = own.connect().await?;
        MIGRATIONS.run_direct(None, &mut connection, false).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            // A connection to a file does not go away, and to ask it costs each reader a way to its thread and back.
            .test_before_acquire(false)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await?;
        Ok(Self {
            readers,
            writer: Writer::start(connection, health),
        })
    }

    /// Waits until what was asked to be written is, and closes the files.
    pub async fn close(&self) {
        // Those that only read cannot move the log into the file: the one that writes goes last.
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query(PING).execute(&self.readers).await?;
        Ok(())
    }
}

pub(crate) const PING: &str = "SELECT 1";
