//! A recording made of what another recorder left.

use std::path::Path;

use highwater_store::{NewBatch, Whole};
use highwater_wire::{
    IMPORT, VERSION,
    codec::{Checked, MAX_JOB_WEIGHT},
    mask,
    v1::{Batch, End, Job, Notice, Run, StreamCount},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{ImportError, Imported};
use crate::ingest;

/// Identities of imported jobs are names below this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x0e4a_7e83_38d6_4b8f_9d0c_6c5d_52a1_7f3b);

/// Gathers what makes the identity of a job: each part with its length, so that no two texts of parts are alike.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity(Sha256);

impl Identity {
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn uuid(self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, &self.0.finalize())
    }
}

/// How a job of another recorder begins.
pub(super) fn job(project: &str, name: String, started_unix_us: i64, interval_us: u64) -> Job {
    Job {
        version: VERSION,
        project: project.to_owned(),
        name,
        attempt: 1,
        started_unix_us,
        interval_us,
        run: Some(Run {
            provider: IMPORT.to_owned(),
            ..Run::default()
        }),
        ..Job::default()
    }
}

pub(super) fn notice(code: &str, message: &str, count: u64) -> Notice {
    Notice {
        t_us: 0,
        code: code.to_owned(),
        message: message.to_owned(),
        count,
    }
}

/// Batches in the order they are made; each is checked as if an agent had sent it.
#[derive(Debug, Default)]
pub(super) struct Batches {
    made: Vec<NewBatch>,
    weight: u64,
    last_us: i64,
}

impl Batches {
    pub(super) fn add(&mut self, path: &Path, mut batch: Batch) -> Result<(), ImportError> {
        batch.version = VERSION;
        mask::batch(&mut batch);
        let wrong = |reason: &dyn std::fmt::Display| ImportError::of(path, reason);
        batch.check().map_err(|problem| wrong(&problem))?;
        let made = ingest::new_batch(Uuid::nil(), self.made.len() as u64, &batch);
        let made = made.map_err(|error| wrong(&error))?;
        self.weight += made.weight;
        if self.weight > MAX_JOB_WEIGHT {
            return Err(wrong(&"holds more than one job may; split it"));
        }
        self.last_us = self.last_us.max(batch.to_us);
        self.made.push(made);
        Ok(())
    }

    /// The whole, under the identity of its content. It ends with the last that is known, and how it ended is not said.
    pub(super) fn end(
        self,
        path: &Path,
        mut job: Job,
        identity: Identity,
    ) -> Result<Imported, ImportError> {
        let uuid = identity.uuid();
        let stream = Uuid::new_v5(&uuid, b"stream");
        if let Some(run) = &mut job.run
            && run.id.is_empty()
        {
            run.id = uuid.to_string();
        }
        mask::job(&mut job);
        job.check()
            .map_err(|problem| ImportError::of(path, problem))?;
        let batches: Vec<NewBatch> = self
            .made
            .into_iter()
            .map(|made| NewBatch { stream, ..made })
            .collect();
        let end = End {
            version: VERSION,
            ended_us: self.last_us.max(0),
            streams: vec![StreamCount {
                stream: stream.to_string(),
                batches: batches.len() as u64,
            }],
            ..End::default()
        };
        end.check()
            .map_err(|problem| ImportError::of(path, problem))?;
        let end = Some(end);
        Ok(Imported {
            uuid,
            whole: Whole { job, batches, end },
            lacks: String::new(),
        })
    }
}
