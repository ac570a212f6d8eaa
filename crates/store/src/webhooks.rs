//! Addresses that are told of jobs, and the jobs that they are to be told of.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{
    Put, Store, StoreError,
    deliveries::{self, Message, Outcome},
    projects,
};

pub(crate) const INSERT: &str = "INSERT INTO webhook
    (project_id, url, on_death, on_finding, format, allow_private, secret, created_unix_us, dropped)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)";
pub(crate) const LIST: &str = "SELECT w.id, p.slug AS project, w.url, w.on_death, w.on_finding, w.format, w.allow_private, w.secret,
    w.created_unix_us, w.dropped,
    (SELECT COUNT(*) FROM delivery d WHERE d.webhook_id = w.id AND d.next_unix_us IS NOT NULL) AS waiting
    FROM webhook w JOIN project p ON p.id = w.project_id ORDER BY w.id";
pub(crate) const DELETE_DELIVERIES: &str = "DELETE FROM delivery WHERE webhook_id = $1";
pub(crate) const DELETE: &str = "DELETE FROM webhook WHERE id = $1";
// By its secret, which no other has.
pub(crate) const ADDED: &str = "SELECT id FROM webhook WHERE secret = $1";
/// Only jobs that ended a short time ago, were recorded here and not imported, and were heard of since somebody wanted to be told. One that ran files of another again is news of that other.
pub(crate) const INSERT_NEWS: &str = "INSERT INTO news (job_uuid, revision) SELECT j.uuid, $2 FROM job j
    WHERE j.id = $1 AND j.imported = 0 AND j.started_unix_us + j.duration_us >= $3 AND EXISTS
    (SELECT 1 FROM webhook w WHERE w.project_id = j.project_id AND w.created_unix_us <= j.heard_unix_us)
    ON CONFLICT (job_uuid) DO UPDATE SET revision = excluded.revision";
pub(crate) const NEWS: &str = "SELECT job_uuid, revision FROM news";
pub(crate) const DELETE_NEWS: &str = "DELETE FROM news WHERE job_uuid = $1 AND revision = $2";

/// An address that is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Slug of the project whose jobs it is told of.
    pub project: String,
    /// Where to post.
    pub url: String,
    /// Whether it is told of deaths.
    pub on_death: bool,
    /// Whether it is told of findings.
    pub on_finding: bool,
    /// In which form, as people write it.
    pub format: String,
    /// Whether it may be an address of a private network.
    pub allow_private: bool,
    /// What posts are signed with.
    pub secret: Vec<u8>,
    /// When it was added, µs since 1970.
    pub created_unix_us: i64,
}

/// An address that is kept.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct WebhookRow {
    /// Number in the database.
    pub id: i64,
    /// Slug of the project.
    pub project: String,
    /// Where to post.
    pub url: String,
    /// Whether it is told of deaths.
    pub on_death: bool,
    /// Whether it is told of findings.
    pub on_finding: bool,
    /// In which form, as people write it.
    pub format: String,
    /// Whether it may be an address of a private network.
    pub allow_private: bool,
    /// What posts are signed with.
    pub secret: Vec<u8>,
    /// When it was added, µs since 1970.
    pub created_unix_us: i64,
    /// Messages that found its queue full.
    pub dropped: i64,
    /// Messages that wait.
    pub waiting: i64,
}

impl std::fmt::Debug for WebhookRow {
    /// Neither secret nor address: that of a chat holds a secret too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRow")
            .field("id", &self.id)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

/// A job of which webhooks are not told yet, as it was finalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct News {
    /// The job.
    pub job_uuid: Uuid,
    /// How often it was finalised.
    pub revision: u32,
}

/// What changes about webhooks.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Add(NewWebhook),
    Remove(i64),
    Tell(News, Vec<Message>),
    /// A message that is being tried already.
    Begin(Message, i64),
    Claim {
        delivery: i64,
        tries: u32,
        now_unix_us: i64,
        until_unix_us: i64,
    },
    Done(i64, u32, Outcome),
    Forget(i64),
}

pub(crate) async fn change(
    connection: &mut SqliteConnection,
    change: &Change,
) -> Result<Put, StoreError> {
    let is_changed = match change {
        Change::Add(webhook) => add(connection, webhook).await?,
        Change::Remove(id) => {
            sqlx::query(DELETE_DELIVERIES)
                .bind(id)
                .execute(&mut *connection)
                .await?;
            let removed = sqlx::query(DELETE).bind(id).execute(connection).await?;
            removed.rows_affected() > 0
        }
        Change::Tell(news, messages) => tell(connection, news, messages).await?,
        Change::Begin(message, until) => deliveries::begin(connection, message, *until).await?,
        Change::Claim {
            delivery,
            tries,
            now_unix_us,
            until_unix_us,
        } => {
            let at = [*now_unix_us, *until_unix_us];
            deliveries::claim(connection, *delivery, *tries, at).await?
        }
        Change::Done(delivery, tries, outcome) => {
            deliveries::done(connection, *delivery, *tries, outcome).await?
        }
        Change::Forget(until) => {
            let is_more = deliveries::forget(connection, *until).await?;
            return Ok(if is_more { Put::New } else { Put::Same });
        }
    };
    Ok(if is_changed { Put::New } else { Put::Unknown })
}

async fn add(connection: &mut SqliteConnection, webhook: &NewWebhook) -> Result<bool, StoreError> {
    let project = projects::ensure(connection, &webhook.project).await?;
    sqlx::query(INSERT)
        .bind(project)
        .bind(&webhook.url)
        .bind(webhook.on_death)
        .bind(webhook.on_finding)
        .bind(&webhook.format)
        .bind(webhook.allow_private)
        .bind(&webhook.secret)
        .bind(webhook.created_unix_us)
        .execute(connection)
        .await?;
    Ok(true)
}

/// False where the job was told of already, or finalised again: nothing is added then.
async fn tell(
    connection: &mut SqliteConnection,
    news: &News,
    messages: &[Message],
) -> Result<bool, StoreError> {
    let taken = sqlx::query(DELETE_NEWS)
        .bind(news.job_uuid)
        .bind(news.revision)
        .execute(&mut *connection)
        .await?;
    if taken.rows_affected() == 0 {
        return Ok(false);
    }
    for message in messages {
        deliveries::add(connection, message).await?;
    }
    Ok(true)
}

impl Store {
    /// Keeps a webhook; its number.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn add_webhook(&self, webhook: NewWebhook) -> Result<i64, StoreError> {
        let secret = webhook.secret.clone();
        self.writer.webhook(Change::Add(webhook)).await?;
        let added = sqlx::query_scalar(ADDED).bind(secret);
        let id: Option<i64> = added.fetch_optional(&self.readers).await?;
        id.ok_or_else(|| {
            StoreError::inconsistent(0, "webhook", "it was added and is not there any more")
        })
    }

    /// Removes a webhook with all that waits for it; false when there is none.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn remove_webhook(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.writer.webhook(Change::Remove(id)).await? == Put::New)
    }

    /// Every webhook, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhooks(&self) -> Result<Vec<WebhookRow>, StoreError> {
        Ok(sqlx::query_as(LIST).fetch_all(&self.readers).await?)
    }

    /// Jobs of which webhooks are not told yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn news(&self) -> Result<Vec<News>, StoreError> {
        Ok(sqlx::query_as(NEWS).fetch_all(&self.readers).await?)
    }

    /// Lets messages about a job wait, and forgets that it is to be told of; false, and nothing written, where somebody else did so or the job was
    /// finalised again.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn tell(&self, news: News, messages: Vec<Message>) -> Result<bool, StoreError> {
        let change = Change::Tell(news, messages);
        Ok(self.writer.webhook(change).await? == Put::New)
    }
}
