//! The one that writes. What waits is committed together: each request has a savepoint of its own within one immediate
//! transaction, and is answered only after the commit is on disk.

use highwater_wire::{codec::MAX_JOB_WEIGHT, v1};
use prost::Message;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    Detail, FileFact, NewBatch, SeriesRow, Store, StoreError, StoredPage, batches, details, facts,
    jobs, series, tokens,
    whole::{self, Whole},
};

/// Most requests in one transaction.
const MOST_IN_GROUP: usize = 256;
/// Most requests that may wait; more wait at their senders.
const MOST_WAITING: usize = 1024;

pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(crate) const COMMIT: &str = "COMMIT";
pub(crate) const ROLLBACK: &str = "ROLLBACK";
pub(crate) const SAVEPOINT: &str = "SAVEPOINT request";
pub(crate) const RELEASE: &str = "RELEASE SAVEPOINT request";
pub(crate) const BACK: &str = "ROLLBACK TO SAVEPOINT request";

/// What became of something that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    New,
    /// The same was there already.
    Same,
    /// Something else was there: nothing was changed.
    Conflict,
    /// What it belongs to, or should change, is not known.
    Unknown,
    /// The job holds as much as a job may: nothing was changed.
    Full,
}

/// Everything that finalising a job writes.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "columns of the job, named as in `highwater_wire::report::JobReport`"
)]
pub struct Finalised {
    pub job: i64,
    pub project: i64,
    /// `arrivals` of the job when its data was read: what arrived later leaves it unsettled.
    pub arrivals: i64,
    pub state: String,
    pub revision: u32,
    pub duration_us: i64,
    pub peak_bytes: i64,
    pub peak_kind: String,
    pub headroom_bytes: Option<i64>,
    pub verdict: Option<String>,
    pub confidence: Option<String>,
    pub tests: i64,
    pub failed: i64,
    pub series: Vec<SeriesRow>,
    pub pages: Vec<StoredPage>,
    pub details: Vec<Detail>,
    pub facts: Vec<FileFact>,
    /// Batches that are now in the pages.
    pub settled: Vec<(Uuid, u64)>,
}

enum Request {
    Job(Uuid, Box<v1::Job>, i64),
    Whole(Uuid, Box<Whole>, i64),
    Batch(Uuid, NewBatch, i64),
    End(Uuid, Box<v1::End>, i64),
    Finalised(Box<Finalised>),
    Reopen(Uuid),
    Access(tokens::Change),
    /// Nothing: answered once everything before it is on disk.
    Flush,
}

type Reply = oneshot::Sender<Result<Put, StoreError>>;

/// The way to the writer.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    requests: mpsc::Sender<(Request, Reply)>,
    closed: std::sync::Arc<tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

impl Writer {
    pub(crate) fn start(connection: SqliteConnection) -> Self {
        let (requests, waiting) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(write_all(connection, waiting));
        Self {
            requests,
            closed: std::sync::Arc::new(tokio::sync::Mutex::new(Some(task))),
        }
    }

    async fn ask(&self, request: Request) -> Result<Put, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send((request, reply))
            .await
            .map_err(|_| StoreError::Closing)?;
        answer.await.map_err(|_| StoreError::Closing)?
    }

    /// Changes who may do what.
    pub(crate) async fn change(&self, change: tokens::Change) -> Result<Put, StoreError> {
        self.ask(Request::Access(change)).await
    }

    /// Keeps a recording at once.
    pub(crate) async fn whole(
        &self,
        uuid: Uuid,
        whole: Whole,
        now: i64,
    ) -> Result<Put, StoreError> {
        self.ask(Request::Whole(uuid, Box::new(whole), now)).await
    }

    /// Everything asked before this is written when it returns.
    pub(crate) async fn close(&self) {
        let task = self.closed.lock().await.take();
        // This store's clones may live on and keep the way to the writer open, so it is told to end.
        if let Some(task) = task {
            let (reply, answer) = oneshot::channel();
            if self.requests.send((Request::Flush, reply)).await.is_ok() {
                let _ = answer.await;
            }
            task.abort();
        }
    }
}

async fn write_all(
    mut connection: SqliteConnection,
    mut waiting: mpsc::Receiver<(Request, Reply)>,
) {
    let mut group = Vec::with_capacity(MOST_IN_GROUP);
    while waiting.recv_many(&mut group, MOST_IN_GROUP).await > 0 {
        let (requests, replies): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        match write_group(&mut connection, &requests).await {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // Whoever asked may have gone; what was asked is done all the same.
                    let _ = reply.send(outcome);
                }
            }
            Err(error) => {
                tracing::error!(%error, requests = replies.len(), "commit failed");
                // After a failed commit the transaction may still be open.
                let _ = sqlx::query(ROLLBACK).execute(&mut connection).await;
                let error = std::sync::Arc::new(error);
                for reply in replies {
                    let _ = reply.send(Err(again(&error)));
                }
            }
        }
    }
}

/// The same failure for each request of a group.
fn again(error: &StoreError) -> StoreError {
    if error.is_passing() {
        StoreError::Database(sqlx::Error::Io(std::io::Error::other(error.to_string())))
    } else {
        StoreError::Database(sqlx::Error::Protocol(error.to_string()))
    }
}

async fn write_group(
    connection: &mut SqliteConnection,
    requests: &[Request],
) -> Result<Vec<Result<Put, StoreError>>, StoreError> {
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    let mut outcomes = Vec::with_capacity(requests.len());
    for request in requests {
        sqlx::query(SAVEPOINT).execute(&mut *connection).await?;
        let outcome = write_one(connection, request).await;
        // A recording that is refused in its middle leaves nothing; where one request is one change, there is nothing to take back.
        if !matches!(outcome, Ok(Put::New | Put::Same)) {
            sqlx::query(BACK).execute(&mut *connection).await?;
        }
        sqlx::query(RELEASE).execute(&mut *connection).await?;
        outcomes.push(outcome);
    }
    sqlx::query(COMMIT).execute(&mut *connection).await?;
    Ok(outcomes)
}

async fn write_one(
    connection: &mut SqliteConnection,
    request: &Request,
) -> Result<Put, StoreError> {
    match request {
        Request::Job(uuid, job, now) => {
            jobs::begin(connection, *uuid, job, &job.encode_to_vec(), *now).await
        }
        Request::Whole(uuid, whole, now) => whole::write(connection, *uuid, whole, *now).await,
        Request::Batch(uuid, batch, now) => match known(connection, *uuid).await? {
            Some((job, _)) => write_batch(connection, job, batch, *now).await,
            None => Ok(Put::Unknown),
        },
        Request::End(uuid, end, now) => match known(connection, *uuid).await? {
            Some((job, _)) => write_end(connection, job, end, *now).await,
            None => Ok(Put::Unknown),
        },
        Request::Finalised(finalised) => write_finalised(connection, finalised).await,
        Request::Reopen(uuid) => {
            let reopened = sqlx::query(jobs::REOPEN).bind(uuid).execute(connection);
            let known = reopened.await?.rows_affected() > 0;
            Ok(if known { Put::Same } else { Put::Unknown })
        }
        Request::Access(change) => tokens::change(connection, change).await,
        Request::Flush => Ok(Put::Same),
    }
}

pub(crate) async fn known(
    connection: &mut SqliteConnection,
    uuid: Uuid,
) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
    Ok(sqlx::query_as(jobs::BEGIN_BODY)
        .bind(uuid)
        .fetch_optional(connection)
        .await?)
}

pub(crate) async fn write_batch(
    connection: &mut SqliteConnection,
    job: i64,
    batch: &NewBatch,
    now: i64,
) -> Result<Put, StoreError> {
    let weight: i64 = sqlx::query_scalar(jobs::WEIGHT)
        .bind(job)
        .fetch_one(&mut *connection)
        .await?;
    let has_room = weight.cast_unsigned().saturating_add(batch.weight) <= MAX_JOB_WEIGHT;
    let put = batches::keep(connection, job, batch, has_room).await?;
    if put == Put::New {
        heard(connection, job, now, batch.weight).await?;
    }
    Ok(put)
}

/// Something new arrived for a job.
async fn heard(
    connection: &mut SqliteConnection,
    job: i64,
    now: i64,
    weight: u64,
) -> Result<(), StoreError> {
    sqlx::query(jobs::HEARD)
        .bind(job)
        .bind(now)
        .bind(weight.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// An end of a higher revision replaces one of a lower; of the same revision it must be the same.
pub(crate) async fn write_end(
    connection: &mut SqliteConnection,
    job: i64,
    end: &v1::End,
    now: i64,
) -> Result<Put, StoreError> {
    let stored: Option<Vec<u8>> = sqlx::query_scalar(jobs::END_BODY)
        .bind(job)
        .fetch_one(&mut *connection)
        .await?;
    if let Some(stored) = stored {
        let known = v1::End::decode(stored.as_slice())
            .map_err(|error| StoreError::inconsistent(job, "end", error))?;
        if known == *end || known.revision > end.revision {
            return Ok(Put::Same);
        }
        if known.revision == end.revision {
            return Ok(Put::Conflict);
        }
    }
    sqlx::query(jobs::SET_END)
        .bind(job)
        .bind(end.encode_to_vec())
        .execute(&mut *connection)
        .await?;
    heard(connection, job, now, 0).await?;
    Ok(Put::New)
}

async fn write_finalised(
    connection: &mut SqliteConnection,
    done: &Finalised,
) -> Result<Put, StoreError> {
    let updated = sqlx::query(jobs::SETTLE)
        .bind(done.job)
        .bind(&done.state)
        .bind(done.revision)
        .bind(done.duration_us)
        .bind(done.peak_bytes)
        .bind(&done.peak_kind)
        .bind(done.headroom_bytes)
        .bind(&done.verdict)
        .bind(&done.confidence)
        .bind(done.tests)
        .bind(done.failed)
        .bind(done.arrivals)
        .execute(&mut *connection)
        .await?;
    if updated.rows_affected() == 0 {
        return Ok(Put::Conflict);
    }
    series::replace(connection, done.job, &done.series, &done.pages).await?;
    details::replace(connection, done.job, &done.details).await?;
    facts::replace(connection, done.project, done.job, &done.facts).await?;
    batches::drop_bodies(connection, done.job, &done.settled).await?;
    Ok(Put::New)
}

impl Store {
    /// Begins a job, or finds it begun.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_job(
        &self,
        uuid: Uuid,
        job: v1::Job,
        now_unix_us: i64,
    ) -> Result<Put, StoreError> {
        self.writer
            .ask(Request::Job(uuid, Box::new(job), now_unix_us))
            .await
    }

    /// Keeps a batch, unless the batches of its job would then weigh more than [`MAX_JOB_WEIGHT`].
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_batch(
        &self,
        uuid: Uuid,
        batch: NewBatch,
        now_unix_us: i64,
    ) -> Result<Put, StoreError> {
        self.writer
            .ask(Request::Batch(uuid, batch, now_unix_us))
            .await
    }

    /// Keeps how a job ended.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_end(
        &self,
        uuid: Uuid,
        end: v1::End,
        now_unix_us: i64,
    ) -> Result<Put, StoreError> {
        self.writer
            .ask(Request::End(uuid, Box::new(end), now_unix_us))
            .await
    }

    /// Replaces everything that finalising makes, and drops the bodies that are now in the pages. [`Put::Conflict`], and nothing
    /// written, when somebody else finalised the job since its data was read.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_finalised(&self, finalised: Finalised) -> Result<Put, StoreError> {
        self.writer
            .ask(Request::Finalised(Box::new(finalised)))
            .await
    }

    /// Marks a job to be finalised again, for what is kept of it cannot be read.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn reopen(&self, uuid: Uuid) -> Result<Put, StoreError> {
        self.writer.ask(Request::Reopen(uuid)).await
    }
}
