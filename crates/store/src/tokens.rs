//! Tokens, and browsers that signed in with them.

use sqlx::SqliteConnection;

use crate::{Put, Store, StoreError, projects};

pub(crate) const INSERT: &str = "INSERT INTO token
    (lookup, digest, project_id, scope, note, created_unix_us, expires_unix_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
pub(crate) const LIST: &str = "SELECT t.id, t.lookup, p.slug AS project, t.scope, t.note, t.created_unix_us, t.expires_unix_us,
    t.used_unix_us, t.revoked_unix_us
    FROM token t LEFT JOIN project p ON p.id = t.project_id ORDER BY t.id";
pub(crate) const FIND: &str = "SELECT t.id, t.lookup, p.slug AS project, t.scope, t.note, t.created_unix_us, t.expires_unix_us,
    t.used_unix_us, t.revoked_unix_us, t.digest
    FROM token t LEFT JOIN project p ON p.id = t.project_id WHERE t.lookup = $1";
pub(crate) const SIGNED_IN: &str = "SELECT t.id, t.lookup, p.slug AS project, t.scope, t.note, t.created_unix_us, t.expires_unix_us,
    t.used_unix_us, t.revoked_unix_us
    FROM sign_in s JOIN token t ON t.id = s.token_id LEFT JOIN project p ON p.id = t.project_id
    WHERE s.digest = $1 AND s.expires_unix_us > $2 ORDER BY s.expires_unix_us DESC, t.id DESC LIMIT 8";
pub(crate) const ANY: &str = "SELECT EXISTS (SELECT 1 FROM token)";
pub(crate) const REVOKE: &str =
    "UPDATE token SET revoked_unix_us = COALESCE(revoked_unix_us, $2) WHERE lookup = $1";
pub(crate) const USED: &str =
    "UPDATE token SET used_unix_us = $2 WHERE id = $1 AND COALESCE(used_unix_us, 0) < $2";
pub(crate) const SIGN_IN: &str =
    "INSERT INTO sign_in (digest, token_id, expires_unix_us) VALUES ($1, $2, $3)
    ON CONFLICT (digest, token_id) DO UPDATE SET expires_unix_us = excluded.expires_unix_us";
pub(crate) const RENAME: &str = "UPDATE sign_in SET digest = $2 WHERE digest = $1";
pub(crate) const SIGN_OUT: &str = "DELETE FROM sign_in WHERE digest = $1";
pub(crate) const FORGET_EXPIRED: &str = "DELETE FROM sign_in WHERE expires_unix_us <= $1";

/// A token that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The part of it that finds its row.
    pub lookup: String,
    /// SHA-256 of the whole of it.
    pub digest: [u8; 32],
    /// Slug of the project it is for; `None` means all.
    pub project: Option<String>,
    /// What it allows, as people write it.
    pub scope: String,
    /// What people call it.
    pub note: String,
    /// When it was made, µs since 1970.
    pub created_unix_us: i64,
    /// When it stops to count, µs since 1970.
    pub expires_unix_us: Option<i64>,
}

/// A token that is kept; of the secret itself nothing is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TokenRow {
    /// Number in the database.
    pub id: i64,
    /// The part of it that finds its row.
    pub lookup: String,
    /// Slug of the project it is for; `None` means all.
    pub project: Option<String>,
    /// What it allows, as people write it.
    pub scope: String,
    /// What people call it.
    pub note: String,
    /// When it was made, µs since 1970.
    pub created_unix_us: i64,
    /// When it stops to count, µs since 1970.
    pub expires_unix_us: Option<i64>,
    /// When it was last used, to the minute, µs since 1970.
    pub used_unix_us: Option<i64>,
    /// When it was taken back, µs since 1970.
    pub revoked_unix_us: Option<i64>,
}

impl TokenRow {
    /// Whether it counts at a moment, µs since 1970.
    #[must_use]
    pub fn counts_at(&self, unix_us: i64) -> bool {
        self.revoked_unix_us.is_none()
            && self.expires_unix_us.is_none_or(|expires| unix_us < expires)
    }
}

/// A token as it is found, with what the secret is compared with.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FoundToken {
    /// What it is.
    #[sqlx(flatten)]
    pub row: TokenRow,
    /// SHA-256 of the whole of it.
    pub digest: Vec<u8>,
}

/// What changes about who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Create(NewToken),
    /// Takes a token back, by its lookup.
    Revoke(String, i64),
    Used(i64, i64),
    SignIn {
        brought: Option<[u8; 32]>,
        digest: [u8; 32],
        token: i64,
        expires_unix_us: i64,
        now_unix_us: i64,
    },
    SignOut([u8; 32]),
    Publish(String, bool),
}

pub(crate) async fn change(
    connection: &mut SqliteConnection,
    change: &Change,
) -> Result<Put, StoreError> {
    let changed = match change {
        Change::Create(token) => {
            let project = match &token.project {
                Some(slug) => Some(projects::ensure(connection, slug).await?),
                None => None,
            };
            sqlx::query(INSERT)
                .bind(&token.lookup)
                .bind(&token.digest[..])
                .bind(project)
                .bind(&token.scope)
                .bind(&token.note)
                .bind(token.created_unix_us)
                .bind(token.expires_unix_us)
                .execute(connection)
                .await?
        }
        Change::Revoke(lookup, now) => {
            sqlx::query(REVOKE)
                .bind(lookup)
                .bind(now)
                .execute(connection)
                .await?
        }
        Change::Used(token, now) => {
            sqlx::query(USED)
                .bind(token)
                .bind(now)
                .execute(connection)
                .await?
        }
        Change::SignIn {
            brought,
            digest,
            token,
            expires_unix_us,
            now_unix_us,
        } => {
            sqlx::query(FORGET_EXPIRED)
                .bind(now_unix_us)
                .execute(&mut *connection)
                .await?;
            if let Some(brought) = brought {
                sqlx::query(RENAME)
                    .bind(&brought[..])
                    .bind(&digest[..])
                    .execute(&mut *connection)
                    .await?;
            }
            sqlx::query(SIGN_IN)
                .bind(&digest[..])
                .bind(token)
                .bind(expires_unix_us)
                .execute(connection)
                .await?
        }
        Change::SignOut(digest) => {
            sqlx::query(SIGN_OUT)
                .bind(&digest[..])
                .execute(connection)
                .await?
        }
        Change::Publish(slug, public) => {
            let project = projects::ensure(connection, slug).await?;
            sqlx::query(projects::PUBLISH)
                .bind(project)
                .bind(public)
                .execute(connection)
                .await?
        }
    };
    let found = changed.rows_affected() > 0;
    Ok(if found { Put::New } else { Put::Unknown })
}

impl Store {
    /// Keeps a token.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn create_token(&self, token: NewToken) -> Result<(), StoreError> {
        self.writer.change(Change::Create(token)).await.map(|_| ())
    }

    /// Takes a token back, by its lookup; false when there is none.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn revoke_token(&self, lookup: &str, now_unix_us: i64) -> Result<bool, StoreError> {
        let change = Change::Revoke(lookup.to_owned(), now_unix_us);
        Ok(self.writer.change(change).await? == Put::New)
    }

    /// Notes when a token was used.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn token_used(&self, token: i64, now_unix_us: i64) -> Result<(), StoreError> {
        let change = Change::Used(token, now_unix_us);
        self.writer.change(change).await.map(|_| ())
    }

    /// Signs a browser in with a token, until a moment, µs since 1970. What it had signed in with before, under the cookie that it brought, goes on
    /// under the new one.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn sign_in(
        &self,
        brought: Option<[u8; 32]>,
        digest: [u8; 32],
        token: i64,
        expires_unix_us: i64,
        now_unix_us: i64,
    ) -> Result<(), StoreError> {
        let change = Change::SignIn {
            brought,
            digest,
            token,
            expires_unix_us,
            now_unix_us,
        };
        self.writer.change(change).await.map(|_| ())
    }

    /// Signs a browser out.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn sign_out(&self, digest: [u8; 32]) -> Result<(), StoreError> {
        self.writer
            .change(Change::SignOut(digest))
            .await
            .map(|_| ())
    }

    /// Lets everybody read a project, or no longer.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn publish(&self, slug: &str, public: bool) -> Result<(), StoreError> {
        let change = Change::Publish(slug.to_owned(), public);
        self.writer.change(change).await.map(|_| ())
    }

    /// Every token, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        Ok(sqlx::query_as(LIST).fetch_all(&self.readers).await?)
    }

    /// A token by its lookup; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token(&self, lookup: &str) -> Result<Option<FoundToken>, StoreError> {
        Ok(sqlx::query_as(FIND)
            .bind(lookup)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// The tokens that a browser signed in with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signed_in(
        &self,
        digest: [u8; 32],
        now_unix_us: i64,
    ) -> Result<Vec<TokenRow>, StoreError> {
        Ok(sqlx::query_as(SIGNED_IN)
            .bind(&digest[..])
            .bind(now_unix_us)
            .fetch_all(&self.readers)
            .await?)
    }

    /// Whether a token was ever made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_tokens(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(ANY).fetch_one(&self.readers).await?)
    }
}
