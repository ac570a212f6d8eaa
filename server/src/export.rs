//! A settled job as a file for other programs.
//!
//! Rooms: `table` says what a table is and `tables` which there are; `csv` and `parquet` write one; `json` and `perfetto` write the whole job;
//! `body` is the way to an HTTP client.
//!
//! Bound: an export holds rows of the job (of one kind at a time, of two for Perfetto; for its marks the recording without samples), one window of 65 536 samples with its ticks, and what a writer
//! gathers: for Parquet a group of 65 536 rows or 8 MiB of text, else 64 KiB. How long the job is does not matter. The server writes so many at once
//! as together weigh no more than one job may, and four at most; a client that takes nothing for as long as a body may take to come is left.

mod body;
mod csv;
mod json;
mod marks;
mod parquet;
mod perfetto;
mod samples;
mod table;
mod tables;

use std::io::Write;

use highwater_store::DetailKind;
use highwater_wire::report::FileRow;
use serde::Deserialize;
use uuid::Uuid;

pub(crate) use body::body;

use crate::reading::{PieceError, Settled};
use table::Tabular;
use tables::OnWorker;

/// How a job is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One document with everything.
    Json,
    /// One table.
    Csv,
    /// One table.
    Parquet,
    /// A trace for https://ui.perfetto.dev.
    Perfetto,
}

/// Which table of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Every sample.
    Series,
    /// Executions of tests.
    Tests,
    /// Test files.
    Files,
    /// Test files, on each worker that ran or imported them.
    Workers,
    /// Visits: who ran which test file when.
    Visits,
    /// Test files that the sessions were to run, in the order in which they were to begin.
    Collected,
    /// Fixtures.
    Fixtures,
    /// What processes read of themselves at each boundary.
    Marks,
    /// Processes.
    Processes,
    /// Sessions of pytest.
    Sessions,
    /// Limits.
    Limits,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Tests => "tests",
            Self::Files => "files",
            Self::Workers => "workers",
            Self::Visits => "visits",
            Self::Collected => "collected",
            Self::Fixtures => "fixtures",
            Self::Marks => "marks",
            Self::Processes => "processes",
            Self::Sessions => "sessions",
            Self::Limits => "limits",
        }
    }
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything as one document.
    Json,
    /// Everything as a trace.
    Perfetto,
    /// One table as CSV.
    Csv(What),
    /// One table as Parquet.
    Parquet(What),
}

impl Form {
    /// The form that a format and a table name; the samples where no table is named.
    ///
    /// # Errors
    /// When a table is named for a format that holds everything.
    pub fn new(format: Format, what: Option<What>) -> Result<Self, &'static str> {
        let table = what.unwrap_or(What::Series);
        match (format, what) {
            (Format::Csv, _) => Ok(Self::Csv(table)),
            (Format::Parquet, _) => Ok(Self::Parquet(table)),
            (Format::Json, None) => Ok(Self::Json),
            (Format::Perfetto, None) => Ok(Self::Perfetto),
            (Format::Json | Format::Perfetto, Some(_)) => {
                Err("json and perfetto hold the whole job; a table is named for csv and parquet")
            }
        }
    }

    /// Whether a terminal could not show it.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Perfetto | Self::Parquet(_))
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Perfetto => "application/octet-stream",
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
            Self::Parquet(_) => "application/vnd.apache.parquet",
        }
    }

    pub(crate) fn file_name(self, job: Uuid) -> String {
        match self {
            Self::Json => format!("{job}.json"),
            Self::Perfetto => format!("{job}.perfetto-trace"),
            Self::Csv(what) => format!("{job}-{}.csv", what.as_str()),
            Self::Parquet(what) => format!("{job}-{}.parquet", what.as_str()),
        }
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Piece(#[from] PieceError),
    #[error("cannot write it: {0}")]
    Io(#[from] std::io::Error),
    #[error("cannot write it as CSV: {0}")]
    Csv(#[from] ::csv::Error),
    #[error("cannot write it as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write it as Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

type Done = Result<(), ExportError>;

/// Writes a job. Work for a thread that may block.
pub(crate) fn write<W: Write + Send>(job: &Settled, form: Form, out: W) -> Done {
    match form {
        Form::Json => json::write(job, out),
        Form::Perfetto => perfetto::write(job, out),
        Form::Csv(what) => table::<csv::Csv, W>(job, what, out),
        Form::Parquet(what) => table::<parquet::Parquet, W>(job, what, out),
    }
}

fn table<T: Tabular, W: Write + Send>(job: &Settled, what: What, out: W) -> Done {
    let of = job.report();
    match what {
        What::Series => T::write(of, tables::SERIES, out, |take| samples::rows(job, take)),
        What::Tests => T::write(of, tables::TESTS, out, |take| {
            take(&job.rows(DetailKind::Tests)?)
        }),
        What::Files => T::write(of, tables::FILES, out, |take| {
            take(&job.rows(DetailKind::Files)?)
        }),
        What::Workers => T::write(of, tables::WORKERS, out, |take| {
            let files: Vec<FileRow> = job.rows(DetailKind::Files)?;
            take(&files.into_iter().flat_map(OnWorker::of).collect::<Vec<_>>())
        }),
        What::Visits => T::write(of, tables::VISITS, out, |take| {
            take(&job.rows(DetailKind::Visits)?)
        }),
        What::Collected => T::write(of, tables::COLLECTED, out, |take| {
            take(&job.rows(DetailKind::Collected)?)
        }),
        What::Fixtures => T::write(of, tables::FIXTURES, out, |take| {
            take(&job.rows(DetailKind::Fixtures)?)
        }),
        What::Marks => T::write(of, tables::MARKS, out, |take| marks::rows(job, take)),
        What::Processes => T::write(of, tables::PROCESSES, out, |take| {
            take(&job.rows(DetailKind::Processes)?)
        }),
        What::Sessions => T::write(of, tables::SESSIONS, out, |take| take(&of.sessions)),
        What::Limits => T::write(of, tables::LIMITS, out, |take| take(&of.limits)),
    }
}
