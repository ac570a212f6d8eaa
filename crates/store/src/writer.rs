//! The one that writes. What waits is committed together: each request has a savepoint of its own within one immediate
//! transaction, and is answered only after the commit is on disk.

pub(crate) mod together;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use highwater_wire::v1;
use prost::Message;
use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    Finalised, Moment, NewBatch, Store, StoreError, acknowledgements, finalised, jobs, plans,
    retention, space, tokens,
    trouble::{self, Health, Trouble},
    webhooks,
    whole::{self, Whole},
};
use together::Sent;

/// Most requests in one transaction.
const MOST_IN_GROUP: usize = 512;
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
    /// Retention took what it would have to be added to: nothing was changed.
    Removed,
}

enum Request {
    Job(Uuid, Box<v1::Job>, Moment),
    Whole(Uuid, Box<Whole>, i64),
    Batch(Uuid, NewBatch, i64),
    End(Uuid, Box<v1::End>, i64),
    Finalised(Box<Finalised>),
    Reopen(Uuid),
    Access(tokens::Change),
    Know(acknowledgements::Change),
    Keep(retention::Change),
    Plan(Box<plans::Change>),
    Webhook(Box<webhooks::Change>),
    /// Changes nothing, and tells whether that can be written.
    Try,
    /// Moves what was committed into the file of the database, which may be shorter by it.
    Checkpoint,
    /// The last one: answered once everything before it is on disk.
    Close,
}

impl Request {
    fn is_batch(&self) -> bool {
        matches!(self, Self::Batch(..))
    }

    fn as_sent(&self) -> Option<Sent<'_>> {
        match self {
            Self::Batch(uuid, batch, now) => Some(Sent::new(*uuid, batch, *now)),
            _ => None,
        }
    }
}

type Reply = oneshot::Sender<Result<Put, StoreError>>;

/// What the writer did since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Transactions committed.
    pub commits: u64,
    /// Requests in them.
    pub written: u64,
    /// Transactions that could not be committed.
    pub failures: u64,
    /// Time that transactions took until they were on disk, µs.
    pub commit_us: u64,
    /// Requests that wait now.
    pub waiting: u64,
}

#[derive(Debug, Default)]
struct Counts {
    commits: AtomicU64,
    written: AtomicU64,
    failures: AtomicU64,
    commit_us: AtomicU64,
}

/// The way to the writer.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    counts: Arc<Counts>,
    health: Arc<Health>,
    requests: mpsc::Sender<(Request, Reply)>,
    closed: Arc<tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

impl Writer {
    pub(crate) fn start(connection: SqliteConnection, health: Health) -> Self {
        let (requests, waiting) = mpsc::channel(MOST_WAITING);
        let counts = Arc::<Counts>::default();
        let health = Arc::new(health);
        let writing = write_all(
            connection,
            waiting,
            Arc::clone(&counts),
            Arc::clone(&health),
        );
        let task = tokio::spawn(writing);
        Self {
            counts,
            health,
            requests,
            closed: Arc::new(tokio::sync::Mutex::new(Some(task))),
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

    /// Changes what is known of figures.
    pub(crate) async fn know(&self, change: acknowledgements::Change) -> Result<Put, StoreError> {
        self.ask(Request::Know(change)).await
    }

    /// Changes what is kept. [`Put::New`] when more of the same may be left to do.
    pub(crate) async fn keep(&self, change: retention::Change) -> Result<Put, StoreError> {
        self.ask(Request::Keep(change)).await
    }

    /// Changes which plans are kept.
    pub(crate) async fn plan(&self, change: plans::Change) -> Result<Put, StoreError> {
        self.ask(Request::Plan(Box::new(change))).await
    }

    /// Changes who is told of jobs, and what.
    pub(crate) async fn webhook(&self, change: webhooks::Change) -> Result<Put, StoreError> {
        self.ask(Request::Webhook(Box::new(change))).await
    }

    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let is_gone = self.requests.is_closed().then_some(Trouble::Failing);
        self.health.trouble().or(is_gone)
    }

    pub(crate) async fn try_to_write(&self) -> Result<(), StoreError> {
        self.ask(Request::Try).await.map(drop)
    }

    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.ask(Request::Checkpoint).await.map(drop)
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
            if self.requests.send((Request::Close, reply)).await.is_ok() {
                let _ = answer.await;
            }
            // A panic there is in the log.
            let _ = task.await;
        }
    }
}

async fn write_all(
    mut connection: SqliteConnection,
    mut waiting: mpsc::Receiver<(Request, Reply)>,
    counts: Arc<Counts>,
    health: Arc<Health>,
) {
    let mut group = Vec::with_capacity(MOST_IN_GROUP);
    loop {
        let next = waiting.recv_many(&mut group, MOST_IN_GROUP);
        // Nobody else may come and try: whoever was told that nothing can be written asks somewhere else.
        let next = match health.trouble() {
            None => Ok(next.await),
            Some(_) => timeout(trouble::TRIES, next).await,
        };
        match next {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => {
                match trouble::try_to_write(&mut connection).await {
                    Ok(()) => health.succeeded(),
                    Err(error) => {
                        health.failed(&error);
                        let _ = sqlx::query(ROLLBACK).execute(&mut connection).await;
                    }
                }
                continue;
            }
        }
        let (requests, replies): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let is_last = requests.iter().any(|it| matches!(it, Request::Close));
        let began = Instant::now();
        match write_group(&mut connection, &requests).await {
            Ok(outcomes) => {
                let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                health.succeeded();
                counts.commits.fetch_add(1, Relaxed);
                counts.written.fetch_add(outcomes.len() as u64, Relaxed);
                counts.commit_us.fetch_add(took_us, Relaxed);
                let answers = replies.into_iter().zip(outcomes).zip(&requests);
                let (waiting, done): (Vec<_>, Vec<_>) =
                    answers.partition(|(_, request)| matches!(request, Request::Checkpoint));
                for ((reply, outcome), _) in done {
                    // Whoever asked may have gone; what was asked is done all the same.
                    let _ = reply.send(outcome);
                }
                // After the commit, which stands whatever becomes of it. It does what it can without waiting for readers; what it leaves is
                // done with a later one.
                for ((reply, _), _) in waiting {
                    let copied = sqlx::query(space::CHECKPOINT).execute(&mut connection);
                    let _ = reply.send(copied.await.map(|_| Put::Same).map_err(StoreError::from));
                }
            }
            Err(error) => {
                counts.failures.fetch_add(1, Relaxed);
                let trouble = health.failed(&error);
                // After a failed commit the transaction may still be open.
                let _ = sqlx::query(ROLLBACK).execute(&mut connection).await;
                for reply in replies {
                    let _ = reply.send(Err(again(&error, trouble)));
                }
            }
        }
        if is_last {
            break;
        }
    }
    // Closed last of all, it moves what is in the log into the file.
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database was not closed in order");
    }
}

/// The same failure for each request of a group.
fn again(error: &StoreError, trouble: Trouble) -> StoreError {
    if error.is_passing() || trouble == Trouble::DiskFull {
        StoreError::unwritten(trouble, error)
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
    for run in requests.chunk_by(|one, next| one.is_batch() && next.is_batch()) {
        outcomes.extend(write_run(connection, run).await?);
    }
    sqlx::query(COMMIT).execute(&mut *connection).await?;
    Ok(outcomes)
}

/// Writes one request, or batches that follow each other.
async fn write_run(
    connection: &mut SqliteConnection,
    run: &[Request],
) -> Result<Vec<Result<Put, StoreError>>, StoreError> {
    if let [_, _, ..] = run {
        let sent: Vec<Sent<'_>> = run.iter().filter_map(Request::as_sent).collect();
        sqlx::query(SAVEPOINT).execute(&mut *connection).await?;
        match together::write(connection, &sent).await {
            Ok(outcomes) => {
                sqlx::query(RELEASE).execute(&mut *connection).await?;
                return Ok(outcomes.into_iter().map(Ok).collect());
            }
            Err(error) if error.is_passing() => return Err(error),
            // Whichever of them cannot be written: the others shall not fail with it, and each is tried for itself.
            Err(error) => {
                tracing::warn!(%error, batches = sent.len(), "batches cannot be written together");
                sqlx::query(BACK).execute(&mut *connection).await?;
                sqlx::query(RELEASE).execute(&mut *connection).await?;
            }
        }
    }
    let mut outcomes = Vec::with_capacity(run.len());
    for request in run {
        sqlx::query(SAVEPOINT).execute(&mut *connection).await?;
        let outcome = write_one(connection, request).await;
        // Where there is no room SQLite may take the whole transaction back by itself, and knows of no savepoint then. What failed so says why, and
        // concerns all of them.
        let outcome = match outcome {
            Err(error) if error.is_passing() => return Err(error),
            outcome => outcome,
        };
        // A recording that is refused in its middle leaves nothing; where one request is one change, there is nothing to take back.
        if !matches!(outcome, Ok(Put::New | Put::Same)) {
            sqlx::query(BACK).execute(&mut *connection).await?;
        }
        sqlx::query(RELEASE).execute(&mut *connection).await?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

async fn write_one(
    connection: &mut SqliteConnection,
    request: &Request,
) -> Result<Put, StoreError> {
    match request {
        Request::Job(uuid, job, at) => {
            jobs::begin(connection, *uuid, job, &job.encode_to_vec(), *at).await
        }
        Request::Whole(uuid, whole, now) => whole::write(connection, *uuid, whole, *now).await,
        Request::Batch(uuid, batch, now) => {
            let sent = [Sent::new(*uuid, batch, *now)];
            let outcome = together::write(connection, &sent).await?;
            Ok(outcome.first().copied().unwrap_or(Put::Unknown))
        }
        Request::End(uuid, end, now) => match known(connection, *uuid).await? {
            Some(job) => write_end(connection, job, end, *now).await,
            None => Ok(Put::Unknown),
        },
        Request::Finalised(finalised) => finalised::write(connection, finalised).await,
        Request::Reopen(uuid) => {
            let reopened = sqlx::query(jobs::REOPEN).bind(uuid).execute(connection);
            let known = reopened.await?.rows_affected() > 0;
            Ok(if known { Put::Same } else { Put::Unknown })
        }
        Request::Try => {
            sqlx::query(trouble::TRY).execute(connection).await?;
            Ok(Put::Same)
        }
        Request::Access(change) => tokens::change(connection, change).await,
        Request::Know(change) => acknowledgements::change(connection, change).await,
        Request::Keep(change) => retention::change(connection, change).await,
        Request::Plan(change) => plans::change(connection, change).await,
        Request::Webhook(change) => webhooks::change(connection, change).await,
        Request::Checkpoint | Request::Close => Ok(Put::Same),
    }
}

pub(crate) async fn known(
    connection: &mut SqliteConnection,
    uuid: Uuid,
) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar(jobs::ID)
        .bind(uuid)
        .fetch_optional(connection)
        .await?)
}

/// An end of a higher revision replaces one of a lower; of the same revision it must be the same.
pub(crate) async fn write_end(
    connection: &mut SqliteConnection,
    job: i64,
    end: &v1::End,
    now: i64,
) -> Result<Put, StoreError> {
    let (stored, is_removed): (Option<Vec<u8>>, bool) = sqlx::query_as(jobs::END_BODY)
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
    if is_removed {
        return Ok(Put::Removed);
    }
    sqlx::query(jobs::SET_END)
        .bind(job)
        .bind(end.encode_to_vec())
        .execute(&mut *connection)
        .await?;
    together::heard(connection, job, now).await?;
    Ok(Put::New)
}

impl Store {
    /// What the writer did so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let Writer {
            counts, requests, ..
        } = &self.writer;
        Figures {
            commits: counts.commits.load(Relaxed),
            written: counts.written.load(Relaxed),
            failures: counts.failures.load(Relaxed),
            commit_us: counts.commit_us.load(Relaxed),
            waiting: (MOST_WAITING - requests.capacity()) as u64,
        }
    }

    /// Begins a job, or finds it begun.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_job(&self, uuid: Uuid, job: v1::Job, at: Moment) -> Result<Put, StoreError> {
        self.writer.ask(Request::Job(uuid, Box::new(job), at)).await
    }

    /// Keeps a batch, unless the batches of its job would then weigh more than [`MAX_JOB_WEIGHT`], or retention took what it would be
    /// added to.
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

    /// Keeps how a job ended, unless retention took what that would be worked out from.
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

    /// Marks a job to be finalised again, for what is kept of it cannot be read; [`Put::Unknown`] where nothing can restore it.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn reopen(&self, uuid: Uuid) -> Result<Put, StoreError> {
        self.writer.ask(Request::Reopen(uuid)).await
    }
}

#[cfg(test)]
mod tests;
