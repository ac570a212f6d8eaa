//! Batches that wait for the same commit, written with a handful of statements for all of them. Each statement goes to the thread of SQLite and
//! comes back; for one small batch that takes longer than what is done there.

use std::collections::{BTreeMap, HashMap};

use highwater_wire::codec::MAX_JOB_WEIGHT;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::{
    NewBatch, Put, StoreError, batches, jobs,
    rows::{self, Statement},
};

const SENT: &str = "WITH sent (n, uuid, stream, seq) AS (";
const KNOWN: &str = ") SELECT n, j.id AS job, j.weight, j.pages_removed_unix_us IS NOT NULL AS is_removed, s.stream_no, b.digest
    FROM sent LEFT JOIN job j ON j.uuid = sent.uuid
    LEFT JOIN stream s ON s.job_id = j.id AND s.uuid = sent.stream
    LEFT JOIN batch b ON b.job_id = j.id AND b.stream_no = s.stream_no AND b.seq = sent.seq
    ORDER BY n";
const INSERT: Statement = Statement {
    before: "INSERT INTO batch (job_id, stream_no, seq, digest) ",
    after: "",
};
const INSERT_BODY: Statement = Statement {
    before: "INSERT INTO body (job_id, stream_no, seq, content) ",
    after: "",
};

/// A batch and the job it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    uuid: Uuid,
    batch: &'a NewBatch,
    /// When it came, µs since 1970.
    at: i64,
}

impl<'a> Sent<'a> {
    pub(crate) fn new(uuid: Uuid, batch: &'a NewBatch, at: i64) -> Self {
        Self { uuid, batch, at }
    }
}

/// What the database knows of the place of a batch.
#[derive(Debug, sqlx::FromRow)]
struct Known {
    job: Option<i64>,
    weight: Option<i64>,
    is_removed: bool,
    stream_no: Option<i64>,
    digest: Option<Vec<u8>>,
}

/// A batch that is to be written, and where.
struct Fresh<'a> {
    job: i64,
    stream_no: i64,
    batch: &'a NewBatch,
}

/// What new batches are to their job.
struct Heard {
    at: i64,
    arrivals: i64,
    /// Of all its batches, with those that were there, and of the new ones alone, bytes.
    weight: u64,
    added: u64,
}

/// Writes what is new of some batches; answers what became of each, in their order. Of two that are for the same place the first counts.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    sent: &[Sent<'_>],
) -> Result<Vec<Put>, StoreError> {
    let known = known(connection, sent).await?;
    let mut outcomes = Vec::with_capacity(sent.len());
    let mut fresh: Vec<Fresh<'_>> = Vec::new();
    // In this transaction.
    let mut streams: HashMap<(i64, Uuid), i64> = HashMap::new();
    let mut places: HashMap<(i64, i64, u64), &[u8; 32]> = HashMap::new();
    let mut heard: BTreeMap<i64, Heard> = BTreeMap::new();
    for (Sent { batch, at, .. }, known) in sent.iter().zip(known) {
        let Some(job) = known.job else {
            outcomes.push(Put::Unknown);
            continue;
        };
        let stream_no = known.stream_no;
        let stream_no = stream_no.or_else(|| streams.get(&(job, batch.stream)).copied());
        let first = stream_no.and_then(|number| places.get(&(job, number, batch.seq)).copied());
        if let Some(there) = first.map(|digest| &digest[..]).or(known.digest.as_deref()) {
            let is_same = there == batch.digest;
            outcomes.push(if is_same { Put::Same } else { Put::Conflict });
            continue;
        }
        if known.is_removed {
            outcomes.push(Put::Removed);
            continue;
        }
        let now = heard.get(&job).map(|heard| heard.weight);
        let now = now.unwrap_or(known.weight.unwrap_or(0).cast_unsigned());
        let weight = now.saturating_add(batch.weight);
        if weight > MAX_JOB_WEIGHT {
            outcomes.push(Put::Full);
            continue;
        }
        let stream_no = match stream_no {
            Some(number) => number,
            None => begin_stream(connection, job, batch.stream).await?,
        };
        streams.insert((job, batch.stream), stream_no);
        places.insert((job, stream_no, batch.seq), &batch.digest);
        let all = heard.entry(job).or_insert(Heard {
            at: *at,
            arrivals: 0,
            weight: 0,
            added: 0,
        });
        all.at = *at;
        all.arrivals += 1;
        all.weight = weight;
        all.added = all.added.saturating_add(batch.weight);
        fresh.push(Fresh {
            job,
            stream_no,
            batch,
        });
        outcomes.push(Put::New);
    }
    if !fresh.is_empty() {
        insert(connection, &fresh).await?;
        tell(connection, &heard).await?;
    }
    Ok(outcomes)
}

/// Something other than a batch is new of a job.
pub(crate) async fn heard(
    connection: &mut SqliteConnection,
    job: i64,
    at: i64,
) -> Result<(), StoreError> {
    let one = Heard {
        at,
        arrivals: 1,
        weight: 0,
        added: 0,
    };
    tell(connection, &BTreeMap::from([(job, one)])).await
}

async fn known(
    connection: &mut SqliteConnection,
    sent: &[Sent<'_>],
) -> Result<Vec<Known>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(SENT);
    query.push_values((0_i64..).zip(sent), |mut row, (n, sent)| {
        row.push_bind(n)
            .push_bind(sent.uuid)
            .push_bind(sent.batch.stream)
            .push_bind(sent.batch.seq.cast_signed());
    });
    query.push(KNOWN);
    let query = query.build_query_as().persistent(false);
    Ok(query.fetch_all(connection).await?)
}

async fn begin_stream(
    connection: &mut SqliteConnection,
    job: i64,
    stream: Uuid,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(batches::INSERT_STREAM)
        .bind(job)
        .bind(stream)
        .fetch_one(connection)
        .await?)
}

async fn insert(connection: &mut SqliteConnection, fresh: &[Fresh<'_>]) -> Result<(), StoreError> {
    rows::write(connection, INSERT, fresh, |mut row, one| {
        row.push_bind(one.job)
            .push_bind(one.stream_no)
            .push_bind(one.batch.seq.cast_signed())
            .push_bind(&one.batch.digest[..]);
    })
    .await?;
    rows::write(connection, INSERT_BODY, fresh, |mut row, one| {
        row.push_bind(one.job)
            .push_bind(one.stream_no)
            .push_bind(one.batch.seq.cast_signed())
            .push_bind(&one.batch.body[..]);
    })
    .await
}

async fn tell(
    connection: &mut SqliteConnection,
    heard: &BTreeMap<i64, Heard>,
) -> Result<(), StoreError> {
    rows::write(connection, jobs::HEARD, heard, |mut row, (job, heard)| {
        row.push_bind(*job)
            .push_bind(heard.at)
            .push_bind(heard.arrivals)
            .push_bind(heard.added.cast_signed());
    })
    .await
}

#[cfg(test)]
mod tests;
