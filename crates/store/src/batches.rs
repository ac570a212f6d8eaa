//! Streams and batches: what arrived.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{Snapshot, StoreError};

pub(crate) const INSERT_STREAM: &str = "INSERT INTO stream (job_id, stream_no, uuid)
    SELECT $1, COALESCE(MAX(stream_no) + 1, 0), $2 FROM stream WHERE job_id = $1 RETURNING stream_no";
pub(crate) const COUNTS: &str = "SELECT s.uuid, COUNT(b.seq) AS batches
    FROM stream s LEFT JOIN batch b ON b.job_id = s.job_id AND b.stream_no = s.stream_no
    WHERE s.job_id = $1 GROUP BY s.uuid";
pub(crate) const BODIES: &str = "SELECT s.uuid, b.seq, b.content
    FROM body b JOIN stream s ON s.job_id = b.job_id AND s.stream_no = b.stream_no
    WHERE b.job_id = $1 ORDER BY b.stream_no, b.seq";
pub(crate) const DROP_BODIES: &str = "DELETE FROM body WHERE job_id = $1 AND seq BETWEEN $3 AND $4
    AND stream_no = (SELECT stream_no FROM stream WHERE job_id = $1 AND uuid = $2)";

/// A batch that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Its stream.
    pub stream: Uuid,
    /// Its number there.
    pub seq: u64,
    /// Digest of its content.
    pub digest: [u8; 32],
    /// Protobuf under zstd.
    pub body: Vec<u8>,
    /// About what it takes in memory when its job is finalised, bytes.
    pub weight: u64,
}

/// A batch whose body is still kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// Its stream.
    pub stream: Uuid,
    /// Its number there.
    pub seq: u64,
    /// Protobuf under zstd.
    pub body: Vec<u8>,
}

impl Snapshot {
    /// How many batches of each stream are there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn batch_counts(&mut self, job: i64) -> Result<Vec<(Uuid, u64)>, StoreError> {
        let rows: Vec<(Uuid, i64)> = sqlx::query_as(COUNTS)
            .bind(job)
            .fetch_all(self.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(stream, count)| (stream, count.cast_unsigned()))
            .collect())
    }

    /// The batches that are not yet in the pages.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn batch_bodies(&mut self, job: i64) -> Result<Vec<StoredBatch>, StoreError> {
        let rows: Vec<(Uuid, i64, Vec<u8>)> = sqlx::query_as(BODIES)
            .bind(job)
            .fetch_all(self.connection())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(stream, seq, body)| StoredBatch {
                stream,
                seq: seq.cast_unsigned(),
                body,
            })
            .collect())
    }
}

/// Drops the bodies of batches; those that follow each other go together.
pub(crate) async fn drop_bodies(
    connection: &mut SqliteConnection,
    job: i64,
    batches: &[(Uuid, u64)],
) -> Result<(), StoreError> {
    let mut batches = batches.to_vec();
    batches.sort_unstable();
    for run in batches.chunk_by(|(stream, seq), (next_stream, next)| {
        stream == next_stream && seq.checked_add(1) == Some(*next)
    }) {
        if let [(stream, first), ..] = run {
            let last = first.saturating_add(run.len() as u64 - 1);
            sqlx::query(DROP_BODIES)
                .bind(job)
                .bind(stream)
                .bind(first.cast_signed())
                .bind(last.cast_signed())
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}
