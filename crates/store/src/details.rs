//! Rows within one job, one compressed blob a kind.

use sqlx::SqliteConnection;

use crate::{Snapshot, StoreError};

pub(crate) const GET: &str = "SELECT content FROM detail WHERE job_id = $1 AND kind = $2";
pub(crate) const DELETE: &str = "DELETE FROM detail WHERE job_id = $1";
pub(crate) const INSERT: &str = "INSERT INTO detail (job_id, kind, content) VALUES ($1, $2, $3)";

/// What a detail blob holds: JSON of the API's rows, or bytes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The job's report.
    Report,
    /// Its processes.
    Processes,
    /// Its test files.
    Files,
    /// Executions of its tests.
    Tests,
    /// Its fixtures.
    Fixtures,
    /// Its visits.
    Visits,
    /// The recording without samples, in protobuf.
    Residue,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Processes => "processes",
            Self::Files => "files",
            Self::Tests => "tests",
            Self::Fixtures => "fixtures",
            Self::Visits => "visits",
            Self::Residue => "residue",
        }
    }
}

impl Snapshot {
    /// The content of a detail, decompressed; `None` when the job is not finalised.
    ///
    /// # Errors
    /// When the database fails or the blob cannot be decompressed.
    pub async fn detail(&mut self, job: i64, kind: Kind) -> Result<Option<Vec<u8>>, StoreError> {
        let content: Option<Vec<u8>> = sqlx::query_scalar(GET)
            .bind(job)
            .bind(kind.as_str())
            .fetch_optional(self.connection())
            .await?;
        content
            .map(|content| zstd::stream::decode_all(content.as_slice()))
            .transpose()
            .map_err(|error| StoreError::inconsistent(job, kind.as_str(), error))
    }
}

pub(crate) async fn replace(
    connection: &mut SqliteConnection,
    job: i64,
    details: &[(Kind, Vec<u8>)],
) -> Result<(), StoreError> {
    sqlx::query(DELETE)
        .bind(job)
        .execute(&mut *connection)
        .await?;
    for (kind, content) in details {
        let packed = zstd::bulk::compress(content, 6)
            .map_err(|error| StoreError::inconsistent(job, kind.as_str(), error))?;
        sqlx::query(INSERT)
            .bind(job)
            .bind(kind.as_str())
            .bind(packed)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
