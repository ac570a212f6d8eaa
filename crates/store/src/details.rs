//! Rows within one job, one compressed blob a kind.

use sqlx::SqliteConnection;

use crate::{
    Snapshot, StoreError,
    rows::{self, Statement},
};

pub(crate) const GET: &str = "SELECT content FROM detail WHERE job_id = $1 AND kind = $2";
pub(crate) const DELETE: &str = "DELETE FROM detail WHERE job_id = $1";
const INSERT: Statement = Statement {
    before: "INSERT INTO detail (job_id, kind, content) ",
    after: "",
};

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
    /// The test files that its sessions were to run.
    Collected,
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
            Self::Collected => "collected",
            Self::Residue => "residue",
        }
    }
}

/// A detail as it is stored. Packing and unpacking a large one is work for a thread that may block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    job: i64,
    kind: Kind,
    /// Under zstd.
    packed: Vec<u8>,
}

impl Detail {
    /// Packs the content of a detail of a job.
    ///
    /// # Errors
    /// When zstd fails, which only a lack of memory can cause.
    pub fn pack(job: i64, kind: Kind, content: &[u8]) -> Result<Self, StoreError> {
        let packed = zstd::bulk::compress(content, 6)
            .map_err(|error| StoreError::inconsistent(job, kind.as_str(), error))?;
        Ok(Self { job, kind, packed })
    }

    /// The content.
    ///
    /// # Errors
    /// When it cannot be decompressed.
    pub fn unpack(&self) -> Result<Vec<u8>, StoreError> {
        zstd::stream::decode_all(self.packed.as_slice())
            .map_err(|error| StoreError::inconsistent(self.job, self.kind.as_str(), error))
    }
}

impl Snapshot {
    /// A detail of a job; `None` when the job is not finalised.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn detail(&mut self, job: i64, kind: Kind) -> Result<Option<Detail>, StoreError> {
        let packed: Option<Vec<u8>> = sqlx::query_scalar(GET)
            .bind(job)
            .bind(kind.as_str())
            .fetch_optional(self.connection())
            .await?;
        Ok(packed.map(|packed| Detail { job, kind, packed }))
    }
}

pub(crate) async fn replace(
    connection: &mut SqliteConnection,
    job: i64,
    details: &[Detail],
) -> Result<(), StoreError> {
    sqlx::query(DELETE)
        .bind(job)
        .execute(&mut *connection)
        .await?;
    rows::write(connection, INSERT, details, |mut row, detail| {
        row.push_bind(job)
            .push_bind(detail.kind.as_str())
            .push_bind(&detail.packed[..]);
    })
    .await
}
