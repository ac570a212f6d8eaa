//! A recording that is there as a whole, kept at once.

use highwater_wire::v1;
use prost::Message;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::{
    Moment, NewBatch, Put, Store, StoreError, jobs, rows,
    writer::{
        known,
        together::{self, Sent},
        write_end,
    },
};

/// A recording.
#[derive(Debug, Clone)]
pub struct Whole {
    /// How the job began.
    pub job: v1::Job,
    /// Its batches.
    pub batches: Vec<NewBatch>,
    /// How it ended; none when nobody said.
    pub end: Option<v1::End>,
}

impl Store {
    /// Keeps a recording in one transaction. [`Put::Same`] when all of it was there; [`Put::Conflict`] or [`Put::Full`], and nothing written, when
    /// the job or its end contradicts what is stored, or would hold more than a job may. Batches that are stored with other content stay as
    /// they are: a full disk may have thinned what the server has whole.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_whole(
        &self,
        uuid: Uuid,
        whole: Whole,
        now_unix_us: i64,
    ) -> Result<Put, StoreError> {
        self.writer.whole(uuid, whole, now_unix_us).await
    }
}

pub(crate) async fn write(
    connection: &mut SqliteConnection,
    uuid: Uuid,
    whole: &Whole,
    now: i64,
) -> Result<Put, StoreError> {
    let at = Moment {
        started_unix_us: whole.job.started_unix_us,
        heard_unix_us: now,
        clock_skew_us: None,
    };
    let body = whole.job.encode_to_vec();
    let mut all = jobs::begin(connection, uuid, &whole.job, &body, at).await?;
    if all == Put::Conflict {
        return Ok(all);
    }
    let Some(job) = known(connection, uuid).await? else {
        return Ok(Put::Unknown);
    };
    if all == Put::New {
        sqlx::query(jobs::IMPORTED)
            .bind(job)
            .execute(&mut *connection)
            .await?;
    }
    for some in whole.batches.chunks(rows::MOST) {
        let sent = some.iter().map(|batch| Sent::new(uuid, batch, now));
        let sent: Vec<Sent<'_>> = sent.collect();
        for put in together::write(connection, &sent).await? {
            match put {
                refused @ (Put::Full | Put::Removed) => return Ok(refused),
                Put::New => all = Put::New,
                Put::Same | Put::Conflict | Put::Unknown => {}
            }
        }
    }
    match &whole.end {
        Some(end) => match write_end(connection, job, end, now).await? {
            Put::Same => Ok(all),
            put => Ok(put),
        },
        None => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use highwater_wire::codec::MAX_JOB_WEIGHT;
    use tempfile::TempDir;

    use super::*;

    fn whole(name: &str, weights: &[u64]) -> Whole {
        let stream = Uuid::from_u128(7);
        Whole {
            job: v1::Job {
                project: "owner/repo".to_owned(),
                name: name.to_owned(),
                run: Some(v1::Run::default()),
                ..v1::Job::default()
            },
            batches: (0..)
                .zip(weights)
                .map(|(seq, weight)| NewBatch {
                    stream,
                    seq,
                    digest: [1; 32],
                    body: vec![1],
                    weight: *weight,
                })
                .collect(),
            end: Some(v1::End::default()),
        }
    }

    #[tokio::test]
    async fn a_recording_is_kept_whole_or_not_at_all() {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        let store = Store::open(&url).await.unwrap();
        let uuid = Uuid::from_u128(1);
        let full = store.put_whole(uuid, whole("a", &[1, MAX_JOB_WEIGHT]), 0);
        assert_eq!(full.await.unwrap(), Put::Full);
        assert_eq!(
            store.snapshot().await.unwrap().job(uuid).await.unwrap(),
            None
        );
        assert_eq!(store.job_counts().await.unwrap(), (0, 0));
        for put in [Put::New, Put::Same] {
            let same = store.put_whole(uuid, whole("a", &[1, 1]), 0);
            assert_eq!(same.await.unwrap(), put);
        }
        let other = store.put_whole(uuid, whole("b", &[1, 1, 1]), 0);
        assert_eq!(other.await.unwrap(), Put::Conflict);
        // One more batch is new, another end of the same revision a contradiction, which takes the batch back.
        let mut contradicting = whole("a", &[1, 1, 1]);
        contradicting.end = Some(v1::End {
            ended_us: 9,
            ..v1::End::default()
        });
        let put = store.put_whole(uuid, contradicting, 0);
        assert_eq!(put.await.unwrap(), Put::Conflict);
        let mut snapshot = store.snapshot().await.unwrap();
        let job = snapshot.job(uuid).await.unwrap().unwrap();
        let counts = snapshot.batch_counts(job.id).await.unwrap();
        assert_eq!(counts, [(Uuid::from_u128(7), 2)]);
    }
}
