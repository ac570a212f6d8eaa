//! Plans that somebody asked to keep.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{Put, Store, StoreError};

pub(crate) const INSERT: &str =
    "INSERT INTO kept_plan (uuid, project_id, job, content, created_unix_us, used_unix_us)
    VALUES ($1, $2, $3, $4, $5, $5)";
/// Clocks of several servers differ: what was used later was.
pub(crate) const USED: &str =
    "UPDATE kept_plan SET used_unix_us = $2 WHERE uuid = $1 AND used_unix_us < $2";
pub(crate) const KNOWN: &str = "SELECT project_id FROM kept_plan WHERE uuid = $1";
pub(crate) const COUNT: &str = "SELECT COUNT(*) FROM kept_plan WHERE project_id = $1";
pub(crate) const MAKE_ROOM: &str = "DELETE FROM kept_plan WHERE id IN
    (SELECT id FROM kept_plan WHERE project_id = $1 ORDER BY used_unix_us, id LIMIT $2)";
pub(crate) const FIND: &str = "SELECT k.uuid, p.slug AS project, p.public, k.job, k.content, k.created_unix_us, k.used_unix_us
    FROM kept_plan k JOIN project p ON p.id = k.project_id WHERE k.uuid = $1";
pub(crate) const OF_JOB: &str =
    "SELECT uuid, created_unix_us FROM kept_plan WHERE job = $1 ORDER BY id DESC LIMIT $2";

/// So many are kept of a project.
pub const MOST_KEPT_PLANS: u32 = 200;

/// The document of a plan as it is stored. Packing and unpacking a large one is work for a thread that may block.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct PlanContent(Vec<u8>);

impl PlanContent {
    /// Packs a document.
    ///
    /// # Errors
    /// When zstd fails, which only a lack of memory can cause.
    pub fn pack(document: &[u8]) -> Result<Self, StoreError> {
        let packed = zstd::bulk::compress(document, 6).map_err(unreadable)?;
        Ok(Self(packed))
    }

    /// The document.
    ///
    /// # Errors
    /// When it cannot be decompressed.
    pub fn unpack(&self) -> Result<Vec<u8>, StoreError> {
        zstd::stream::decode_all(self.0.as_slice()).map_err(unreadable)
    }
}

fn unreadable(error: std::io::Error) -> StoreError {
    StoreError::inconsistent(0, "plan", error)
}

/// A plan that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlan {
    /// Its id.
    pub uuid: Uuid,
    /// Number of the project.
    pub project: i64,
    /// The job whose recording it rests on.
    pub job: Uuid,
    /// Its document.
    pub content: PlanContent,
    /// Now, µs since 1970.
    pub now_unix_us: i64,
}

/// A plan that is kept.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeptPlan {
    /// Its id.
    pub uuid: Uuid,
    /// Slug of its project.
    pub project: String,
    /// Whether everybody may read that.
    pub public: bool,
    /// The job whose recording it rests on; it may be gone.
    pub job: Uuid,
    /// Its document.
    pub content: PlanContent,
    /// When it was kept, µs since 1970.
    pub created_unix_us: i64,
    /// When it was last kept or fetched, as far as that was noted, µs since 1970.
    pub used_unix_us: i64,
}

/// A plan of a job in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct PlanRow {
    /// Its id.
    pub uuid: Uuid,
    /// When it was kept, µs since 1970.
    pub created_unix_us: i64,
}

/// What changes about plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Keep(NewPlan),
    Used(Uuid, i64),
}

pub(crate) async fn change(
    connection: &mut SqliteConnection,
    change: &Change,
) -> Result<Put, StoreError> {
    match change {
        Change::Keep(new) => keep(connection, new).await,
        Change::Used(uuid, now_unix_us) => used(connection, *uuid, *now_unix_us).await,
    }
}

async fn keep(connection: &mut SqliteConnection, new: &NewPlan) -> Result<Put, StoreError> {
    let known: Option<i64> = sqlx::query_scalar(KNOWN)
        .bind(new.uuid)
        .fetch_optional(&mut *connection)
        .await?;
    match known {
        Some(project) if project == new.project => {
            return used(connection, new.uuid, new.now_unix_us).await;
        }
        // The id is a digest of the job too, which has one project.
        Some(_) => return Ok(Put::Conflict),
        None => {}
    }
    let count: i64 = sqlx::query_scalar(COUNT)
        .bind(new.project)
        .fetch_one(&mut *connection)
        .await?;
    let too_many = count.saturating_add(1) - i64::from(MOST_KEPT_PLANS);
    if too_many > 0 {
        sqlx::query(MAKE_ROOM)
            .bind(new.project)
            .bind(too_many)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(INSERT)
        .bind(new.uuid)
        .bind(new.project)
        .bind(new.job)
        .bind(&new.content)
        .bind(new.now_unix_us)
        .execute(connection)
        .await?;
    Ok(Put::New)
}

async fn used(
    connection: &mut SqliteConnection,
    uuid: Uuid,
    now_unix_us: i64,
) -> Result<Put, StoreError> {
    sqlx::query(USED)
        .bind(uuid)
        .bind(now_unix_us)
        .execute(connection)
        .await?;
    Ok(Put::Same)
}

impl Store {
    /// Keeps a plan; [`Put::Same`] where it is kept already, as it was then. Where [`MOST_KEPT_PLANS`] of the project are, the one that was not used for
    /// longest makes room. [`Put::Conflict`], and nothing written, where another project has one of that id.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn keep_plan(&self, new: NewPlan) -> Result<Put, StoreError> {
        self.writer.plan(Change::Keep(new)).await
    }

    /// Notes that a plan was fetched.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn plan_used(&self, uuid: Uuid, now_unix_us: i64) -> Result<(), StoreError> {
        let change = Change::Used(uuid, now_unix_us);
        self.writer.plan(change).await.map(drop)
    }

    /// A plan that is kept; `None` where there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept_plan(&self, uuid: Uuid) -> Result<Option<KeptPlan>, StoreError> {
        Ok(sqlx::query_as(FIND)
            .bind(uuid)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// The plans of a job that are kept, the one that was kept last first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plans_of_job(&self, job: Uuid, limit: u32) -> Result<Vec<PlanRow>, StoreError> {
        Ok(sqlx::query_as(OF_JOB)
            .bind(job)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::*;

    fn plan(uuid: u128, project: i64, now_unix_us: i64) -> NewPlan {
        NewPlan {
            uuid: Uuid::from_u128(uuid),
            project,
            job: Uuid::from_u128(u128::MAX),
            content: PlanContent::pack(format!("plan {uuid} of {now_unix_us}").as_bytes()).unwrap(),
            now_unix_us,
        }
    }

    async fn with_projects() -> (tempfile::TempDir, Store) {
        let (folder, store) = store().await;
        for project in ["owner/repo", "other/repo"] {
            let mut job = job("unit");
            job.project = project.to_owned();
            store.put_job(Uuid::now_v7(), job, at(1)).await.unwrap();
        }
        (folder, store)
    }

    async fn find(store: &Store, uuid: u128) -> Option<KeptPlan> {
        store.kept_plan(Uuid::from_u128(uuid)).await.unwrap()
    }

    #[tokio::test]
    async fn a_plan_is_kept_as_it_was_first_and_in_one_project() {
        let (_folder, store) = with_projects().await;
        assert_eq!(store.keep_plan(plan(1, 1, 5)).await.unwrap(), Put::New);
        assert_eq!(store.keep_plan(plan(1, 1, 9)).await.unwrap(), Put::Same);
        assert_eq!(store.keep_plan(plan(1, 2, 9)).await.unwrap(), Put::Conflict);
        let kept = find(&store, 1).await.unwrap();
        assert_eq!(
            (
                kept.project.as_str(),
                kept.created_unix_us,
                kept.used_unix_us
            ),
            ("owner/repo", 5, 9)
        );
        assert_eq!(kept.content.unpack().unwrap(), b"plan 1 of 5");
        assert!(find(&store, 2).await.is_none());
        store.keep_plan(plan(2, 1, 6)).await.unwrap();
        let of_job = store.plans_of_job(kept.job, 9).await.unwrap();
        let of_job: Vec<u128> = of_job.iter().map(|row| row.uuid.as_u128()).collect();
        assert_eq!(of_job, [2, 1]);
        assert_eq!(store.plans_of_job(kept.job, 1).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_was_not_used_for_longest_makes_room_in_its_project() {
        let (_folder, store) = with_projects().await;
        let most = i64::from(MOST_KEPT_PLANS);
        store.keep_plan(plan(9_999, 2, 0)).await.unwrap();
        for n in 1..=most {
            let new = plan(n.cast_unsigned().into(), 1, n);
            assert_eq!(store.keep_plan(new).await.unwrap(), Put::New);
        }
        // The first was fetched since, and a clock that goes wrong takes that not back.
        for now in [most + 1, 0] {
            store.plan_used(Uuid::from_u128(1), now).await.unwrap();
        }
        store.keep_plan(plan(5_000, 1, most + 2)).await.unwrap();
        assert!(find(&store, 2).await.is_none());
        for stays in [1, 3, 5_000, 9_999] {
            assert!(find(&store, stays).await.is_some(), "{stays}");
        }
    }

    #[test]
    fn how_many_are_kept_is_as_the_documentation_says() {
        let said = [
            include_str!("../../../migrations/README.md")
                .contains(&format!("of more than {MOST_KEPT_PLANS} of a project")),
            include_str!("../../../docs/planning.md")
                .contains(&format!("A project keeps {MOST_KEPT_PLANS}.")),
        ];
        assert_eq!(said, [true, true]);
    }

    #[tokio::test]
    async fn they_are_read_by_an_index() {
        let (_folder, store) = store().await;
        for (statement, index) in [
            (COUNT, "kept_plan_by_use"),
            (MAKE_ROOM, "kept_plan_by_use"),
            (OF_JOB, "kept_plan_by_job"),
            (FIND, "sqlite_autoindex_kept_plan_1"),
        ] {
            let steps = plan_of(&store, statement).await;
            assert!(steps.iter().any(|step| step.contains(index)), "{steps:?}");
        }
    }
}
