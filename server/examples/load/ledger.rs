//! What was acknowledged, as it is acknowledged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use highwater_wire::{VERSION, codec, receipt::Receipt, v1};
use uuid::Uuid;

use crate::{Failure, trace::Trace};

/// What of a job was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) uuid: Uuid,
    pub(crate) stream: Uuid,
    /// The body that begins it.
    pub(crate) begin: Bytes,
    pub(crate) is_begun: bool,
    pub(crate) batches: u32,
    pub(crate) is_ended: bool,
    /// So many of its batches were looked for already.
    pub(crate) seen: u32,
}

/// One request, and what the server says once it has it.
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) receipt: Receipt,
}

impl Acknowledged {
    /// A job of the trace, of which nothing is sent yet.
    pub(crate) fn new(trace: &Trace, project: String) -> Result<Self, Failure> {
        let mut begin = trace.job.clone();
        begin.project = project;
        begin.started_unix_us = jiff::Timestamp::now().as_microsecond();
        Ok(Self {
            uuid: Uuid::now_v7(),
            stream: Uuid::new_v4(),
            begin: codec::encode(&begin)?.into(),
            is_begun: false,
            batches: 0,
            is_ended: false,
            seen: 0,
        })
    }

    pub(crate) fn path(&self) -> String {
        format!("/api/v1/jobs/{}", self.uuid)
    }

    pub(crate) fn beginning(&self) -> Sent {
        Sent {
            path: self.path(),
            body: self.begin.clone(),
            receipt: Receipt::of_job(self.uuid),
        }
    }

    pub(crate) fn batch(&self, trace: &Trace, n: u32) -> Sent {
        Sent {
            path: format!("{}/streams/{}/batches/{n}", self.path(), self.stream),
            body: trace.batches[n as usize].clone(),
            receipt: Receipt::of_batch(self.uuid, self.stream, n.into()),
        }
    }

    /// The end after so many batches.
    pub(crate) fn end(&self, batches: u32) -> Result<Sent, Failure> {
        let end = v1::End {
            version: VERSION,
            ended_us: i64::from(batches) * 1_000_000,
            exit_code: Some(0),
            streams: vec![v1::StreamCount {
                stream: self.stream.to_string(),
                batches: batches.into(),
            }],
            ..v1::End::default()
        };
        Ok(Sent {
            path: format!("{}/end", self.path()),
            body: codec::encode(&end)?.into(),
            receipt: Receipt::of_end(self.uuid),
        })
    }

    /// Everything of it that was acknowledged, in its order, but for the first batches of which that was seen before.
    pub(crate) fn all(&self, trace: &Trace) -> Result<Vec<Sent>, Failure> {
        let mut all = Vec::new();
        if self.is_begun {
            all.push(self.beginning());
        }
        all.extend((self.seen..self.batches).map(|n| self.batch(trace, n)));
        if self.is_ended {
            all.push(self.end(self.batches)?);
        }
        Ok(all)
    }
}

/// All jobs that are played.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    jobs: Mutex<Vec<Acknowledged>>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Vec<Acknowledged>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a job; its place is answered.
    pub(crate) fn enter(&self, job: Acknowledged) -> usize {
        let mut jobs = self.lock();
        jobs.push(job);
        jobs.len() - 1
    }

    /// Something of a job was acknowledged.
    pub(crate) fn note(&self, place: usize, what: impl FnOnce(&mut Acknowledged)) {
        if let Some(job) = self.lock().get_mut(place) {
            what(job);
        }
    }

    /// As it stands.
    pub(crate) fn jobs(&self) -> Vec<Acknowledged> {
        self.lock().clone()
    }

    /// How many jobs have ended.
    pub(crate) fn ended(&self) -> usize {
        self.lock().iter().filter(|job| job.is_ended).count()
    }
}
