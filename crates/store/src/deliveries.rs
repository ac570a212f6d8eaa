//! Messages for webhooks: a queue that outlives the server, and what became of each.
//!
//! A message waits until it is claimed for one try. A claim runs out by itself, so that a server that is killed in the middle leaves nothing behind that
//! is never tried again; the same message may then arrive twice, with the same identity.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{Put, Store, StoreError, webhooks::Change};

/// Most messages that wait for one webhook; what comes on top is dropped, and counted.
pub const MOST_WAITING: i64 = 1_000;
/// Most rows that are forgotten in one transaction.
const MOST_FORGOTTEN: i64 = 500;

pub(crate) const IS_TOLD: &str =
    "SELECT EXISTS (SELECT 1 FROM delivery WHERE webhook_id = $1 AND job_uuid = $2 AND kind = $3
    AND (told = $4 OR revision = $5))";
pub(crate) const WAS_TOLD: &str =
    "SELECT EXISTS (SELECT 1 FROM delivery WHERE webhook_id = $1 AND job_uuid = $2 AND kind = $3)";
pub(crate) const WAITING_FOR: &str =
    "SELECT COUNT(*) FROM delivery WHERE webhook_id = $1 AND next_unix_us IS NOT NULL";
pub(crate) const DROP: &str = "UPDATE webhook SET dropped = dropped + 1 WHERE id = $1";
pub(crate) const INSERT: &str = "INSERT INTO delivery
    (webhook_id, message, kind, job_uuid, revision, told, body, state, tries, next_unix_us, created_unix_us, tried_unix_us, problem)
    SELECT w.id, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, $10, $11, '' FROM webhook w WHERE w.id = $1";
pub(crate) const DUE: &str =
    "SELECT MIN(id) AS id, webhook_id FROM delivery WHERE next_unix_us <= $1 GROUP BY webhook_id";
pub(crate) const GET: &str = "SELECT d.id, d.message, d.kind, d.tries, d.body, w.id AS webhook_id, w.url, w.secret, w.allow_private
    FROM delivery d JOIN webhook w ON w.id = d.webhook_id WHERE d.id = $1 AND d.next_unix_us IS NOT NULL";
pub(crate) const GET_MESSAGE: &str = "SELECT d.id, d.message, d.kind, d.tries, d.body, w.id AS webhook_id, w.url, w.secret, w.allow_private
    FROM delivery d JOIN webhook w ON w.id = d.webhook_id WHERE d.webhook_id = $1 AND d.message = $2";
pub(crate) const CLAIM: &str =
    "UPDATE delivery SET tries = tries + 1, next_unix_us = $3, tried_unix_us = $4
    WHERE id = $1 AND tries = $2 AND next_unix_us <= $4";
pub(crate) const DONE: &str = "UPDATE delivery SET state = $3, next_unix_us = $4, status = $5, problem = $6,
    body = CASE WHEN $4 IS NULL THEN $7 ELSE body END WHERE id = $1 AND tries = $2 AND next_unix_us IS NOT NULL";
pub(crate) const FORGET: &str = "DELETE FROM delivery WHERE id IN
    (SELECT id FROM delivery WHERE next_unix_us IS NULL AND created_unix_us <= $1 ORDER BY created_unix_us LIMIT $2)";
pub(crate) const LOG: &str = "SELECT id, webhook_id, message, kind, job_uuid, revision, state, tries, next_unix_us, created_unix_us, tried_unix_us,
    status, problem FROM delivery WHERE webhook_id = $1 OR $1 IS NULL ORDER BY id DESC LIMIT $2";
pub(crate) const COUNTS: &str = "SELECT (SELECT COUNT(*) FROM delivery WHERE next_unix_us IS NOT NULL), (SELECT COALESCE(SUM(dropped), 0) FROM webhook)";

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whom, by number.
    pub webhook: i64,
    /// Its identity, the same at each try.
    pub id: Uuid,
    /// What it tells of, as people write it.
    pub kind: String,
    /// Of which job, as it was finalised; `None` for a test.
    pub job: Option<(Uuid, u32)>,
    /// What it tells in short: of a job the same is told once.
    pub told: String,
    /// It takes back what was told of the job as this kind, and is for nobody who was not told of it.
    pub takes_back: Option<String>,
    /// What is sent.
    pub body: Vec<u8>,
    /// When it was made, µs since 1970.
    pub created_unix_us: i64,
}

/// A message that is to be sent.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    /// Number in the database.
    pub id: i64,
    /// Identity of the message.
    pub message: Uuid,
    /// What it tells of.
    pub kind: String,
    /// How often it was tried.
    pub tries: u32,
    /// What is sent.
    pub body: Vec<u8>,
    /// To whom.
    pub webhook_id: i64,
    /// Where to.
    pub url: String,
    /// What it is signed with.
    pub secret: Vec<u8>,
    /// Whether that may be an address of a private network.
    pub allow_private: bool,
}

impl std::fmt::Debug for Delivery {
    /// Neither secret nor address: that of a chat holds a secret too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("message", &self.message)
            .field("webhook_id", &self.webhook_id)
            .finish_non_exhaustive()
    }
}

/// A message in the log of them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DeliveryRow {
    /// Number in the database.
    pub id: i64,
    /// To whom.
    pub webhook_id: i64,
    /// Identity of the message.
    pub message: Uuid,
    /// What it tells of.
    pub kind: String,
    /// Of which job; none of a test.
    pub job_uuid: Option<Uuid>,
    /// As it was finalised.
    pub revision: u32,
    /// `waiting`, `delivered` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, µs since 1970.
    pub next_unix_us: Option<i64>,
    /// When it was made, µs since 1970.
    pub created_unix_us: i64,
    /// When it was tried last, µs since 1970.
    pub tried_unix_us: Option<i64>,
    /// What the address answered last.
    pub status: Option<u16>,
    /// What was wrong with that; empty where nothing was.
    pub problem: String,
}

/// What became of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `waiting`, `delivered` or `failed`.
    pub state: &'static str,
    /// When it is tried next, µs since 1970; `None` where it is done with.
    pub next_unix_us: Option<i64>,
    /// What the address answered.
    pub status: Option<u16>,
    /// What was wrong with that; empty where nothing was.
    pub problem: String,
}

/// Lets a message wait, unless the same was told of its job, there is nothing that it could take back, or too many wait already.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    message: &Message,
) -> Result<(), StoreError> {
    if let Some((job, revision)) = message.job {
        let is_told: bool = sqlx::query_scalar(IS_TOLD)
            .bind(message.webhook)
            .bind(job)
            .bind(&message.kind)
            .bind(&message.told)
            .bind(revision)
            .fetch_one(&mut *connection)
            .await?;
        if is_told {
            return Ok(());
        }
        if let Some(kind) = &message.takes_back {
            let was_told: bool = sqlx::query_scalar(WAS_TOLD)
                .bind(message.webhook)
                .bind(job)
                .bind(kind)
                .fetch_one(&mut *connection)
                .await?;
            if !was_told {
                return Ok(());
            }
        }
    }
    let waiting: i64 = sqlx::query_scalar(WAITING_FOR)
        .bind(message.webhook)
        .fetch_one(&mut *connection)
        .await?;
    if waiting >= MOST_WAITING {
        tracing::warn!(
            webhook = message.webhook,
            waiting,
            "a message is dropped, since its webhook has too many that wait"
        );
        sqlx::query(DROP)
            .bind(message.webhook)
            .execute(connection)
            .await?;
        return Ok(());
    }
    insert(connection, message, 0, message.created_unix_us, None).await?;
    Ok(())
}

/// Keeps a message of which the first try has begun, to be over by `until`; false where its webhook is gone.
pub(crate) async fn begin(
    connection: &mut SqliteConnection,
    message: &Message,
    until: i64,
) -> Result<bool, StoreError> {
    let at = Some(message.created_unix_us);
    Ok(insert(connection, message, 1, until, at).await? > 0)
}

async fn insert(
    connection: &mut SqliteConnection,
    message: &Message,
    tries: u32,
    next_unix_us: i64,
    tried_unix_us: Option<i64>,
) -> Result<u64, StoreError> {
    let inserted = sqlx::query(INSERT)
        .bind(message.webhook)
        .bind(message.id)
        .bind(&message.kind)
        .bind(message.job.map(|(job, _)| job))
        .bind(message.job.map_or(0, |(_, revision)| revision))
        .bind(&message.told)
        .bind(&message.body)
        .bind(tries)
        .bind(next_unix_us)
        .bind(message.created_unix_us)
        .bind(tried_unix_us)
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected())
}

/// False where somebody else has it.
pub(crate) async fn claim(
    connection: &mut SqliteConnection,
    delivery: i64,
    tries: u32,
    [now, until]: [i64; 2],
) -> Result<bool, StoreError> {
    let claimed = sqlx::query(CLAIM)
        .bind(delivery)
        .bind(tries)
        .bind(until)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(claimed.rows_affected() > 0)
}

/// False where it was tried again meanwhile, or is gone with its webhook.
pub(crate) async fn done(
    connection: &mut SqliteConnection,
    delivery: i64,
    tries: u32,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let done = sqlx::query(DONE)
        .bind(delivery)
        .bind(tries)
        .bind(outcome.state)
        .bind(outcome.next_unix_us)
        .bind(outcome.status)
        .bind(&outcome.problem)
        .bind(&[][..])
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// True where more may be left to forget.
pub(crate) async fn forget(
    connection: &mut SqliteConnection,
    until: i64,
) -> Result<bool, StoreError> {
    let gone = sqlx::query(FORGET)
        .bind(until)
        .bind(MOST_FORGOTTEN)
        .execute(connection)
        .await?;
    Ok(gone.rows_affected() >= MOST_FORGOTTEN.cast_unsigned())
}

impl Store {
    /// Of each webhook the oldest message that is to be tried by now: its number, and that of the webhook.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due(&self, now_unix_us: i64) -> Result<Vec<(i64, i64)>, StoreError> {
        Ok(sqlx::query_as(DUE)
            .bind(now_unix_us)
            .fetch_all(&self.readers)
            .await?)
    }

    /// Takes a message that is due for one try, which is to be over by `until_unix_us`. `None` where somebody else has it, or it is done with.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn claim(
        &self,
        delivery: i64,
        now_unix_us: i64,
        until_unix_us: i64,
    ) -> Result<Option<Delivery>, StoreError> {
        let found: Option<Delivery> = sqlx::query_as(GET)
            .bind(delivery)
            .fetch_optional(&self.readers)
            .await?;
        let Some(found) = found else { return Ok(None) };
        let change = Change::Claim {
            delivery,
            tries: found.tries,
            now_unix_us,
            until_unix_us,
        };
        let is_ours = self.writer.webhook(change).await? == Put::New;
        Ok(is_ours.then(|| Delivery {
            tries: found.tries + 1,
            ..found
        }))
    }

    /// Keeps a message whose one try begins now and is to be over by `until_unix_us`; `None` where its webhook is gone.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn begin_delivery(
        &self,
        message: Message,
        until_unix_us: i64,
    ) -> Result<Option<Delivery>, StoreError> {
        let (webhook, id) = (message.webhook, message.id);
        let change = Change::Begin(message, until_unix_us);
        if self.writer.webhook(change).await? != Put::New {
            return Ok(None);
        }
        Ok(sqlx::query_as(GET_MESSAGE)
            .bind(webhook)
            .bind(id)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Keeps what became of a try; false where nobody waits for that any more.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn delivery_tried(
        &self,
        delivery: &Delivery,
        outcome: Outcome,
    ) -> Result<bool, StoreError> {
        let change = Change::Done(delivery.id, delivery.tries, outcome);
        Ok(self.writer.webhook(change).await? == Put::New)
    }

    /// Forgets some of the messages that are done with and were made by a time; true when more may be left.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn forget_deliveries(&self, until_unix_us: i64) -> Result<bool, StoreError> {
        Ok(self.writer.webhook(Change::Forget(until_unix_us)).await? == Put::New)
    }

    /// The newest messages, of one webhook or of all, so many at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deliveries(
        &self,
        webhook: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        Ok(sqlx::query_as(LOG)
            .bind(webhook)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }

    /// How many messages wait, and how many were dropped.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_counts(&self) -> Result<(i64, i64), StoreError> {
        Ok(sqlx::query_as(COUNTS).fetch_one(&self.readers).await?)
    }
}

#[cfg(test)]
mod tests;
