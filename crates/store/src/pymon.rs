//! The databases of pytest-monitor, `.pymon`: read, never written.
//!
//! They come from elsewhere, so nothing in them is believed: only tables count, no views and no generated columns; what is stored is asked for its
//! type before it is taken; texts and rows have bounds. The schema is that of pytest-monitor 1.x.

use std::{ffi::OsString, fs, path::Path};

use highwater_wire::codec::MAX_TEXT_BYTES;
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

/// Most rows of a table.
const MOST_ROWS: usize = 1_000_000;
/// What a row of any of these tables takes at the least, bytes: a damaged file may lead through the same page again and again.
const LEAST_ROW_BYTES: u64 = 8;

pub(crate) const TABLES: &str =
    "SELECT COUNT(*) FROM sqlite_master WHERE name = $1 AND type = 'table'
    AND sql NOT LIKE 'CREATE VIRTUAL%'";
pub(crate) const GENERATED: &str = "SELECT COUNT(*) FROM pragma_table_xinfo($1) WHERE hidden <> 0";
/// A column of that name hides the number that rows are read in the order of.
pub(crate) const HIDES_ROWID: &str =
    "SELECT COUNT(*) FROM pragma_table_xinfo($1) WHERE lower(name) = 'rowid'";
/// Texts are cut one character behind what is allowed, and what is no number is null: the reader sees both without taking more.
pub(crate) const SESSIONS: &str = "SELECT rowid, substr(SESSION_H, 1, 16001), substr(RUN_DATE, 1, 16001), substr(SCM_ID, 1, 16001),
    substr(RUN_DESCRIPTION, 1, 16001) FROM TEST_SESSIONS WHERE rowid > $1 ORDER BY rowid LIMIT 500";
pub(crate) const CONTEXTS: &str = "SELECT rowid, substr(ENV_H, 1, 16001), substr(MACHINE_TYPE, 1, 16001), substr(SYSTEM_INFO, 1, 16001),
    substr(PYTHON_INFO, 1, 16001), CASE typeof(CPU_COUNT) WHEN 'integer' THEN CPU_COUNT ELSE 0 END,
    CASE typeof(RAM_TOTAL_MB) WHEN 'integer' THEN RAM_TOTAL_MB ELSE 0 END
    FROM EXECUTION_CONTEXTS WHERE rowid > $1 ORDER BY rowid LIMIT 500";
pub(crate) const METRICS: &str = "SELECT rowid, substr(SESSION_H, 1, 16001), substr(ENV_H, 1, 16001), substr(ITEM_START_TIME, 1, 16001),
    substr(ITEM_VARIANT, 1, 16001), substr(ITEM_FS_LOC, 1, 16001), substr(KIND, 1, 16001),
    CASE WHEN typeof(TOTAL_TIME) IN ('real', 'integer') THEN CAST(TOTAL_TIME AS REAL) END,
    CASE WHEN typeof(MEM_USAGE) IN ('real', 'integer') THEN CAST(MEM_USAGE AS REAL) END
    FROM TEST_METRICS WHERE rowid > $1 ORDER BY rowid LIMIT 500";
/// One moment of the database: pytest may be writing it.
pub(crate) const BEGIN: &str = "BEGIN";

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PymonError {
    /// SQLite cannot read it.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
    /// A table is missing, or none of pytest-monitor's.
    #[error("table {table}: {reason}")]
    Table {
        /// Which.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A row that cannot be.
    #[error("table {table}, row {row}: {column} {reason}")]
    Field {
        /// Which table.
        table: &'static str,
        /// Its rowid.
        row: i64,
        /// Which column.
        column: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What such a database holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pymon {
    /// Runs of pytest.
    pub sessions: Vec<Session>,
    /// Machines.
    pub contexts: Vec<Context>,
    /// Tests, and other things that were measured.
    pub metrics: Vec<Metric>,
}

/// A run of pytest, or a worker's part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Row in `TEST_SESSIONS`.
    pub row: i64,
    /// Its identity.
    pub session: String,
    /// When it began: a time of day without a zone.
    pub run_date: String,
    /// Commit; empty when not known.
    pub scm: String,
    /// JSON of tags and of what the CI says.
    pub description: String,
}

/// A machine and its Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Its identity.
    pub context: String,
    /// `x86_64`, …
    pub machine: String,
    /// System and release, such as `Linux - 6.1.0`.
    pub system: String,
    /// `sys.version`.
    pub python: String,
    /// Processors; 0 when not known.
    pub cpus: i64,
    /// Memory in MiB; 0 when not known.
    pub memory_mib: i64,
}

/// Something that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Row in `TEST_METRICS`.
    pub row: i64,
    /// Its session.
    pub session: String,
    /// Its machine.
    pub context: String,
    /// When it began: a time of day without a zone.
    pub started: String,
    /// Name of the test with its parameters.
    pub name: String,
    /// Path of its file.
    pub path: String,
    /// `function`, `module` or `package`.
    pub kind: String,
    /// How long it took, s.
    pub total_s: f64,
    /// Highest RSS that was seen, above what the process had when its session began, MiB.
    pub memory_mib: f64,
}

/// Reads a database.
///
/// # Errors
/// When it is none of pytest-monitor's, or something in it cannot be: the first such thing is named.
pub async fn read(path: &Path) -> Result<Pymon, PymonError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging();
    let most_rows = most_rows(path).map_err(sqlx::Error::Io)?;
    let mut connection = options.connect().await?;
    let read = read_all(&mut connection, most_rows).await;
    connection.close().await?;
    read
}

/// How many rows a table may have, from the size of the database and of the log beside it.
fn most_rows(path: &Path) -> std::io::Result<usize> {
    let mut log = OsString::from(path);
    log.push("-wal");
    let log = match fs::metadata(log) {
        Ok(log) => log.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let bytes = fs::metadata(path)?.len().saturating_add(log);
    let rows = usize::try_from(bytes / LEAST_ROW_BYTES).unwrap_or(MOST_ROWS);
    Ok(rows.min(MOST_ROWS))
}

async fn read_all(
    connection: &mut SqliteConnection,
    most_rows: usize,
) -> Result<Pymon, PymonError> {
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    for table in ["TEST_SESSIONS", "EXECUTION_CONTEXTS", "TEST_METRICS"] {
        let wrong = |reason: &str| PymonError::Table {
            table,
            reason: reason.to_owned(),
        };
        let count = async |connection: &mut SqliteConnection, statement: &'static str| {
            let count = sqlx::query_scalar::<_, i64>(statement).bind(table);
            count.fetch_one(connection).await
        };
        if count(connection, TABLES).await? != 1 {
            return Err(wrong("is not there; this is no database of pytest-monitor"));
        }
        if count(connection, HIDES_ROWID).await? != 0 {
            return Err(wrong(
                "has a column called rowid, which pytest-monitor makes none of",
            ));
        }
        if count(connection, GENERATED).await? != 0 {
            return Err(wrong(
                "has generated columns, which pytest-monitor makes none of",
            ));
        }
    }
    Ok(Pymon {
        sessions: rows(connection, "TEST_SESSIONS", SESSIONS, most_rows, session).await?,
        contexts: rows(
            connection,
            "EXECUTION_CONTEXTS",
            CONTEXTS,
            most_rows,
            context,
        )
        .await?,
        metrics: rows(connection, "TEST_METRICS", METRICS, most_rows, metric).await?,
    })
}

/// Every row of a table, some at a time, so that a table that is too long is left in time.
async fn rows<T>(
    connection: &mut SqliteConnection,
    table: &'static str,
    statement: &'static str,
    most_rows: usize,
    read: fn(&Fields<'_>) -> Result<T, PymonError>,
) -> Result<Vec<T>, PymonError> {
    let wrong = |reason: String| PymonError::Table { table, reason };
    let (mut all, mut last) = (Vec::new(), i64::MIN);
    loop {
        let page = sqlx::query(statement)
            .bind(last)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| wrong(error.to_string()))?;
        if page.is_empty() {
            return Ok(all);
        }
        for row in &page {
            last = row.try_get(0)?;
            let number = last;
            all.push(read(&Fields { table, number, row })?);
        }
        if all.len() > MOST_ROWS {
            return Err(wrong(format!("has more than {MOST_ROWS} rows")));
        }
        if all.len() > most_rows {
            return Err(wrong("has more rows than its file has room for".to_owned()));
        }
    }
}

/// A row being read.
struct Fields<'a> {
    table: &'static str,
    number: i64,
    row: &'a SqliteRow,
}

impl Fields<'_> {
    fn wrong(&self, column: &'static str, reason: &'static str) -> PymonError {
        PymonError::Field {
            table: self.table,
            row: self.number,
            column,
            reason,
        }
    }

    /// A text; empty where there is none.
    fn text(&self, at: usize, column: &'static str) -> Result<String, PymonError> {
        let text: Option<String> = self
            .row
            .try_get(at)
            .map_err(|_| self.wrong(column, "is no text"))?;
        match text {
            Some(text) if text.len() > MAX_TEXT_BYTES => {
                Err(self.wrong(column, "is longer than any name is"))
            }
            text => Ok(text.unwrap_or_default()),
        }
    }

    fn some_text(&self, at: usize, column: &'static str) -> Result<String, PymonError> {
        match self.text(at, column)? {
            text if text.is_empty() => Err(self.wrong(column, "is empty")),
            text => Ok(text),
        }
    }

    fn number(&self, at: usize, column: &'static str) -> Result<f64, PymonError> {
        let number: Option<f64> = self.row.try_get(at)?;
        number
            .filter(|number| number.is_finite())
            .ok_or_else(|| self.wrong(column, "is no number"))
    }
}

fn session(fields: &Fields<'_>) -> Result<Session, PymonError> {
    Ok(Session {
        row: fields.number,
        session: fields.some_text(1, "SESSION_H")?,
        run_date: fields.some_text(2, "RUN_DATE")?,
        scm: fields.text(3, "SCM_ID")?,
        description: fields.text(4, "RUN_DESCRIPTION")?,
    })
}

fn context(fields: &Fields<'_>) -> Result<Context, PymonError> {
    Ok(Context {
        context: fields.some_text(1, "ENV_H")?,
        machine: fields.text(2, "MACHINE_TYPE")?,
        system: fields.text(3, "SYSTEM_INFO")?,
        python: fields.text(4, "PYTHON_INFO")?,
        cpus: fields.row.try_get(5)?,
        memory_mib: fields.row.try_get(6)?,
    })
}

fn metric(fields: &Fields<'_>) -> Result<Metric, PymonError> {
    Ok(Metric {
        row: fields.number,
        session: fields.some_text(1, "SESSION_H")?,
        context: fields.text(2, "ENV_H")?,
        started: fields.some_text(3, "ITEM_START_TIME")?,
        name: fields.text(4, "ITEM_VARIANT")?,
        path: fields.text(5, "ITEM_FS_LOC")?,
        kind: fields.some_text(6, "KIND")?,
        total_s: fields.number(7, "TOTAL_TIME")?,
        memory_mib: fields.number(8, "MEM_USAGE")?,
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// The tables as pytest-monitor makes them.
    const SCHEMA: &str = "
        CREATE TABLE TEST_SESSIONS (SESSION_H varchar(64) primary key not null unique, RUN_DATE varchar(64), SCM_ID varchar(128),
            RUN_DESCRIPTION json);
        CREATE TABLE TEST_METRICS (SESSION_H varchar(64), ENV_H varchar(64), ITEM_START_TIME varchar(64), ITEM_PATH varchar(4096),
            ITEM varchar(2048), ITEM_VARIANT varchar(2048), ITEM_FS_LOC varchar(2048), KIND varchar(64), COMPONENT varchar(512) NULL,
            TOTAL_TIME float, USER_TIME float, KERNEL_TIME float, CPU_USAGE float, MEM_USAGE float);
        CREATE TABLE EXECUTION_CONTEXTS (ENV_H varchar(64) primary key not null unique, CPU_COUNT integer, CPU_FREQUENCY_MHZ integer,
            CPU_TYPE varchar(64), CPU_VENDOR varchar(256), RAM_TOTAL_MB integer, MACHINE_NODE varchar(512), MACHINE_TYPE varchar(32),
            MACHINE_ARCH varchar(16), SYSTEM_INFO varchar(256), PYTHON_INFO varchar(512));
        INSERT INTO TEST_SESSIONS (SESSION_H, RUN_DATE) VALUES ('s', '2026-01-01T00:00:00');
        INSERT INTO EXECUTION_CONTEXTS (ENV_H, CPU_COUNT, RAM_TOTAL_MB) VALUES ('e', 'many', 24105);";

    #[tokio::test]
    async fn a_damaged_file_that_leads_through_its_pages_again_and_again_is_left_in_time() {
        let findings = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/findings/pymon");
        let found = Path::new(findings).join("timeout-6731f6cf1d5214705225b1196f48833a24a0aa24");
        let why = read(&found).await.unwrap_err().to_string();
        assert_eq!(
            why,
            "table TEST_SESSIONS: has more rows than its file has room for"
        );
    }

    #[tokio::test]
    async fn every_row_is_read_over_pages_and_whole_numbers_are_numbers() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("test.pymon");
        let options = SqliteConnectOptions::new().filename(&path);
        let mut writer = options.create_if_missing(true).connect().await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut writer).await.unwrap();
        for n in 0..1_001 {
            let insert = "INSERT INTO TEST_METRICS (SESSION_H, ITEM_START_TIME, ITEM_VARIANT, KIND, TOTAL_TIME, MEM_USAGE)
                VALUES ('s', '2026-01-01T00:00:01', $1, 'function', 1, 2.5)";
            let insert = sqlx::query(insert).bind(format!("test_{n}"));
            insert.execute(&mut writer).await.unwrap();
        }
        writer.close().await.unwrap();
        let pymon = read(&path).await.unwrap();
        let (sessions, contexts) = (&pymon.sessions, &pymon.contexts);
        assert_eq!((sessions.len(), sessions[0].scm.as_str()), (1, ""));
        assert_eq!((contexts[0].cpus, contexts[0].memory_mib), (0, 24105));
        assert_eq!(pymon.metrics.len(), 1_001);
        let last = &pymon.metrics[1_000];
        assert_eq!(
            (last.name.as_str(), last.total_s, last.memory_mib),
            ("test_1000", 1.0, 2.5)
        );
    }
}
