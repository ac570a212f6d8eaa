//! Jobs that are old already, for retention to remove while the server is killed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use highwater_store::{NewBatch, Put, Store, Whole};
use highwater_wire::{
    codec,
    v1::{Batch, End, Job},
};
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Failure, client::Client, ledger::Acknowledged, trace::Trace};

const JOBS_OF_A_PROJECT: u32 = 4;
const AGE_US: i64 = 40 * 86_400 * 1_000_000;

pub(crate) struct Old {
    pub(crate) settings: PathBuf,
    projects: Vec<Vec<Acknowledged>>,
    /// So many projects may go by now.
    going: usize,
}

fn slug(project: usize) -> String {
    format!("load/old{project}")
}

impl Old {
    /// Puts them into a database that no server has opened yet: a project for every fifth round.
    pub(crate) async fn plant(
        folder: &Path,
        database: &str,
        trace: &Trace,
        rounds: u32,
    ) -> Result<Self, Failure> {
        let store = Store::open(database).await?;
        let long_ago = jiff::Timestamp::now().as_microsecond() - AGE_US;
        let batches = batches(trace)?;
        let mut projects = Vec::new();
        for project in 0..rounds.div_ceil(5) {
            let mut jobs = Vec::new();
            for _ in 0..JOBS_OF_A_PROJECT {
                let mut job = Acknowledged::new(trace, slug(project as usize))?;
                put(&store, &mut job, &batches, long_ago).await?;
                jobs.push(job);
            }
            projects.push(jobs);
        }
        store.close().await;
        let old = Self {
            settings: folder.join("highwater.toml"),
            projects,
            going: 0,
        };
        old.write_settings()?;
        Ok(old)
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Acknowledged> {
        self.projects.iter().flatten()
    }

    /// From the next start on, the samples of one more project may go.
    pub(crate) fn let_more_go(&mut self) -> Result<(), Failure> {
        self.going = (self.going + 1).min(self.projects.len());
        self.write_settings()
    }

    pub(crate) fn gone(&self) -> usize {
        self.projects[..self.going].iter().map(Vec::len).sum()
    }

    fn write_settings(&self) -> Result<(), Failure> {
        let going = (0..self.going).map(|project| {
            format!(
                "[retention.projects.{:?}]\npages = \"30d\"\n",
                slug(project)
            )
        });
        Ok(fs::write(&self.settings, going.collect::<String>())?)
    }

    /// What may go is gone, all of it, and of what may not go nothing is.
    pub(crate) async fn check(
        &self,
        client: &mut Client,
        database: &str,
    ) -> Result<Vec<String>, Failure> {
        let mut wrong = Vec::new();
        let store = Store::open(database).await?;
        let left = store.to_be_swept().await?;
        store.close().await;
        if left > 0 {
            wrong.push(format!("retention has left {left} jobs half removed"));
        }
        for (number, jobs) in self.projects.iter().enumerate() {
            for job in jobs {
                let path = format!("{}/series?points=100", job.path());
                let status = client.get(&path).await?.status.as_u16();
                let expected = if number < self.going { 410 } else { 200 };
                if status != expected {
                    wrong.push(format!("{path}: {status}, expected {expected}"));
                }
            }
        }
        Ok(wrong)
    }
}

/// The batches of the trace, as the server keeps them.
fn batches(trace: &Trace) -> Result<Vec<NewBatch>, Failure> {
    let mut batches = Vec::new();
    for (seq, body) in (0..).zip(&trace.batches) {
        let batch: Batch = codec::decode(body)?;
        batches.push(NewBatch {
            stream: Uuid::nil(),
            seq,
            digest: Sha256::digest(batch.encode_to_vec()).into(),
            body: body.to_vec(),
            weight: codec::weight(&batch),
        });
    }
    Ok(batches)
}

async fn put(
    store: &Store,
    job: &mut Acknowledged,
    batches: &[NewBatch],
    heard_unix_us: i64,
) -> Result<(), Failure> {
    job.batches = u32::try_from(batches.len())?;
    let of_its_stream = batches.iter().map(|batch| NewBatch {
        stream: job.stream,
        ..batch.clone()
    });
    let whole = Whole {
        job: codec::decode::<Job>(&job.begin)?,
        batches: of_its_stream.collect(),
        end: Some(codec::decode::<End>(&job.end(job.batches)?.body)?),
    };
    match store.put_whole(job.uuid, whole, heard_unix_us).await? {
        Put::New => Ok(()),
        other => Err(format!("an old job cannot be put: {other:?}").into()),
    }
}
