//! Figures that somebody knows of.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{Put, Snapshot, Store, StoreError};

pub(crate) const INSERT: &str = "INSERT INTO acknowledgement
    (uuid, project_id, name, variant, shard, figure, path, bytes, job, reason, by_whom, created_unix_us, until_unix_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
/// What is acknowledged anew counts from then on, and what was said of the same before no longer.
pub(crate) const REPLACE: &str = "UPDATE acknowledgement SET withdrawn_unix_us = $7
    WHERE project_id = $1 AND name = $2 AND COALESCE(variant, '') = COALESCE($3, '') AND figure = $4
    AND COALESCE(path, '') = COALESCE($5, '') AND COALESCE(shard, '') = COALESCE($6, '')
    AND withdrawn_unix_us IS NULL AND until_unix_us > $7";
pub(crate) const WITHDRAW: &str = "UPDATE acknowledgement SET withdrawn_unix_us = $3
    WHERE uuid = $1 AND project_id = $2 AND withdrawn_unix_us IS NULL";
pub(crate) const FIND: &str = "SELECT id, uuid, name, variant, shard, figure, path, bytes, job, reason, by_whom, created_unix_us, until_unix_us,
    withdrawn_unix_us FROM acknowledgement WHERE uuid = $1 AND project_id = $2";
pub(crate) const LIST: &str = "SELECT id, uuid, name, variant, shard, figure, path, bytes, job, reason, by_whom, created_unix_us, until_unix_us,
    withdrawn_unix_us FROM acknowledgement
    WHERE project_id = $1 AND (created_unix_us < $2 OR (created_unix_us = $2 AND id < $3))
    ORDER BY created_unix_us DESC, id DESC LIMIT $4";
// The newest first, so that of two of one figure the later word counts.
pub(crate) const COUNTING: &str = "SELECT id, uuid, name, variant, shard, figure, path, bytes, job, reason, by_whom, created_unix_us, until_unix_us,
    withdrawn_unix_us FROM acknowledgement INDEXED BY acknowledgement_by_name
    WHERE project_id = $1 AND name = $2 AND until_unix_us > $3 AND withdrawn_unix_us IS NULL
    ORDER BY id DESC LIMIT $4";
pub(crate) const COUNT: &str = "SELECT COUNT(*) FROM acknowledgement
    WHERE project_id = $1 AND name = $2 AND until_unix_us > $3 AND withdrawn_unix_us IS NULL";

/// So many count at once for the jobs of a name: a check reads them all.
pub const MOST_ACKNOWLEDGED: u32 = 1_000;

/// A figure that is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the same words as `highwater_wire::report::Acknowledgement`"
)]
pub struct NewAcknowledged {
    pub uuid: Uuid,
    /// Number of the project.
    pub project: i64,
    pub name: String,
    /// The matrix leg, as JSON; `None` for every one.
    pub variant: Option<String>,
    /// `i/n` for a figure of a job that is a shard.
    pub shard: Option<String>,
    pub figure: String,
    pub path: Option<String>,
    pub bytes: i64,
    pub job: Uuid,
    pub reason: String,
    pub by: String,
    pub created_unix_us: i64,
    pub until_unix_us: i64,
}

/// A figure that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(
    missing_docs,
    reason = "the same words as `highwater_wire::report::Acknowledgement`"
)]
pub struct AcknowledgedRow {
    /// Number in the database.
    pub id: i64,
    pub uuid: Uuid,
    pub name: String,
    /// The matrix leg, as JSON; `None` for every one.
    pub variant: Option<String>,
    /// `i/n` for a figure of a job that is a shard.
    pub shard: Option<String>,
    pub figure: String,
    pub path: Option<String>,
    pub bytes: i64,
    pub job: Uuid,
    pub reason: String,
    #[sqlx(rename = "by_whom")]
    pub by: String,
    pub created_unix_us: i64,
    pub until_unix_us: i64,
    pub withdrawn_unix_us: Option<i64>,
}

/// What changes about what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Create(NewAcknowledged),
    Withdraw {
        uuid: Uuid,
        project: i64,
        now_unix_us: i64,
    },
}

pub(crate) async fn change(
    connection: &mut SqliteConnection,
    change: &Change,
) -> Result<Put, StoreError> {
    match change {
        Change::Create(new) => create(connection, new).await,
        Change::Withdraw {
            uuid,
            project,
            now_unix_us,
        } => {
            let withdrawn = sqlx::query(WITHDRAW)
                .bind(uuid)
                .bind(project)
                .bind(now_unix_us)
                .execute(connection)
                .await?;
            Ok(match withdrawn.rows_affected() {
                0 => Put::Unknown,
                _ => Put::New,
            })
        }
    }
}

async fn create(
    connection: &mut SqliteConnection,
    new: &NewAcknowledged,
) -> Result<Put, StoreError> {
    sqlx::query(REPLACE)
        .bind(new.project)
        .bind(&new.name)
        .bind(&new.variant)
        .bind(&new.figure)
        .bind(&new.path)
        .bind(&new.shard)
        .bind(new.created_unix_us)
        .execute(&mut *connection)
        .await?;
    let count: i64 = sqlx::query_scalar(COUNT)
        .bind(new.project)
        .bind(&new.name)
        .bind(new.created_unix_us)
        .fetch_one(&mut *connection)
        .await?;
    if count >= i64::from(MOST_ACKNOWLEDGED) {
        return Ok(Put::Full);
    }
    sqlx::query(INSERT)
        .bind(new.uuid)
        .bind(new.project)
        .bind(&new.name)
        .bind(&new.variant)
        .bind(&new.shard)
        .bind(&new.figure)
        .bind(&new.path)
        .bind(new.bytes)
        .bind(new.job)
        .bind(&new.reason)
        .bind(&new.by)
        .bind(new.created_unix_us)
        .bind(new.until_unix_us)
        .execute(connection)
        .await?;
    Ok(Put::New)
}

impl Store {
    /// Keeps an acknowledgement, in the place of one of the same figure. False where [`MOST_ACKNOWLEDGED`] count for the jobs of that name already.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn acknowledge(&self, new: NewAcknowledged) -> Result<bool, StoreError> {
        let put = self.writer.know(Change::Create(new)).await?;
        Ok(put == Put::New)
    }

    /// Withdraws an acknowledgement of a project; false where there is none that was not withdrawn before.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn withdraw_acknowledgement(
        &self,
        project: i64,
        uuid: Uuid,
        now_unix_us: i64,
    ) -> Result<bool, StoreError> {
        let change = Change::Withdraw {
            uuid,
            project,
            now_unix_us,
        };
        Ok(self.writer.know(change).await? == Put::New)
    }

    /// An acknowledgement of a project; `None` where there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acknowledgement(
        &self,
        project: i64,
        uuid: Uuid,
    ) -> Result<Option<AcknowledgedRow>, StoreError> {
        Ok(sqlx::query_as(FIND)
            .bind(uuid)
            .bind(project)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Acknowledgements of a project, the newest first, from after one (when it was made, and its number) on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acknowledgements(
        &self,
        project: i64,
        before: Option<[i64; 2]>,
        limit: u32,
    ) -> Result<Vec<AcknowledgedRow>, StoreError> {
        let [created, id] = before.unwrap_or([i64::MAX, i64::MAX]);
        Ok(sqlx::query_as(LIST)
            .bind(project)
            .bind(created)
            .bind(id)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }
}

impl Snapshot {
    /// The acknowledgements that count at a moment, µs since 1970, for the jobs of a name; the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acknowledged(
        &mut self,
        project: i64,
        name: &str,
        now_unix_us: i64,
    ) -> Result<Vec<AcknowledgedRow>, StoreError> {
        Ok(sqlx::query_as(COUNTING)
            .bind(project)
            .bind(name)
            .bind(now_unix_us)
            .bind(MOST_ACKNOWLEDGED)
            .fetch_all(self.connection())
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::*;

    fn known(path: &str, created_unix_us: i64) -> NewAcknowledged {
        NewAcknowledged {
            uuid: Uuid::now_v7(),
            project: 1,
            name: "unit".to_owned(),
            variant: None,
            shard: None,
            figure: "retained".to_owned(),
            path: Some(path.to_owned()),
            bytes: 7,
            job: Uuid::nil(),
            reason: "known".to_owned(),
            by: "anyone".to_owned(),
            created_unix_us,
            until_unix_us: 100,
        }
    }

    async fn counting(store: &Store, name: &str, now: i64) -> Vec<Uuid> {
        let mut snapshot = store.snapshot().await.unwrap();
        let rows = snapshot.acknowledged(1, name, now).await.unwrap();
        rows.iter().map(|row| row.uuid).collect()
    }

    #[tokio::test]
    async fn each_counts_until_its_end_its_withdrawal_or_another_of_the_same_figure() {
        let (_folder, store) = store().await;
        store
            .put_job(Uuid::now_v7(), job("unit"), at(1))
            .await
            .unwrap();
        let (first, other) = (known("a.py", 5), known("b.py", 6));
        for new in [&first, &other] {
            assert!(store.acknowledge(new.clone()).await.unwrap());
        }
        assert_eq!(counting(&store, "unit", 99).await, [other.uuid, first.uuid]);
        assert!(counting(&store, "unit", 100).await.is_empty(), "it ended");
        assert!(counting(&store, "e2e", 99).await.is_empty());
        let again = known("a.py", 8);
        assert!(store.acknowledge(again.clone()).await.unwrap());
        assert_eq!(counting(&store, "unit", 99).await, [again.uuid, other.uuid]);
        assert!(
            !store
                .withdraw_acknowledgement(2, other.uuid, 9)
                .await
                .unwrap()
        );
        for taken in [true, false] {
            let withdrawn = store.withdraw_acknowledgement(1, other.uuid, 9).await;
            assert_eq!(withdrawn.unwrap(), taken);
        }
        assert_eq!(counting(&store, "unit", 99).await, [again.uuid]);
        let all = store.acknowledgements(1, None, 9).await.unwrap();
        let withdrawn: Vec<(Uuid, Option<i64>)> = all
            .iter()
            .map(|row| (row.uuid, row.withdrawn_unix_us))
            .collect();
        assert_eq!(
            withdrawn,
            [
                (again.uuid, None),
                (other.uuid, Some(9)),
                (first.uuid, Some(8))
            ]
        );
        let place = Some([all[0].created_unix_us, all[0].id]);
        let rest = store.acknowledgements(1, place, 1).await.unwrap();
        assert_eq!(rest[0].uuid, other.uuid);
        assert!(
            store
                .acknowledgement(2, first.uuid)
                .await
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn they_are_read_in_the_order_of_an_index() {
        let (_folder, store) = store().await;
        for (statement, index) in [
            (LIST, "acknowledgement_by_project"),
            (COUNTING, "acknowledgement_by_name"),
            (COUNT, "acknowledgement_by_name"),
        ] {
            let steps = plan_of(&store, statement).await;
            assert!(steps.iter().any(|step| step.contains(index)), "{steps:?}");
        }
    }
}
