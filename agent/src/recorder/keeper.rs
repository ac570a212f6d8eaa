//! Gives each batch its number and sees that it is kept.

use std::{collections::VecDeque, error::Error};

use highwater_wire::v1::Batch;
use prost::Message as _;

use super::{Recorded, notices::Notices, reuse::Reuse};
use crate::spool::Spool;

/// Batches that could not be kept are held in memory up to so many bytes.
const MAX_WAITING_BYTES: usize = 2 << 20;

/// Where batches go: the spool of a job.
pub trait BatchSink {
    /// Keeps a batch. A batch that failed is tried again under the same number.
    ///
    /// # Errors
    /// When it could not be kept, for instance because the disk is full.
    fn append(&mut self, seq: u64, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl BatchSink for Spool {
    fn append(&mut self, seq: u64, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(Self::append(self, seq, batch)?)
    }
}

/// Numbers batches without holes, whatever fails.
#[derive(Debug)]
pub struct Keeper<S> {
    sink: S,
    next_seq: u64,
    covered_us: i64,
    waiting: VecDeque<Batch>,
    waiting_bytes: usize,
    lost: u64,
    failure: Option<String>,
}

impl<S: BatchSink> Keeper<S> {
    pub(super) fn new(sink: S) -> Self {
        Self {
            sink,
            next_seq: 0,
            covered_us: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            lost: 0,
            failure: None,
        }
    }

    #[cfg(test)]
    pub(super) fn sink(&self) -> &S {
        &self.sink
    }

    /// Up to when batches were made, µs since the job's start.
    pub(super) fn covered_us(&self) -> i64 {
        self.covered_us
    }

    /// Keeps a batch, and those that wait. False when one had to be thrown away.
    pub(super) fn keep(&mut self, batch: Batch, notices: &mut Notices, reuse: &mut Reuse) -> bool {
        self.covered_us = batch.to_us;
        self.waiting_bytes += batch.encoded_len();
        self.waiting.push_back(batch);
        while let Some(batch) = self.waiting.front() {
            if let Err(error) = self.sink.append(self.next_seq, batch) {
                let message = format!("failed to keep a batch: {error}");
                self.failure.get_or_insert_with(|| message.clone());
                notices.report(self.covered_us, "spool_failed", message, 1);
                break;
            }
            self.next_seq += 1;
            self.waiting_bytes -= batch.encoded_len();
            if let Some(batch) = self.waiting.pop_front() {
                reuse.put_back(batch);
            }
        }
        let mut all_kept = true;
        while self.waiting_bytes > MAX_WAITING_BYTES {
            let Some(batch) = self.waiting.pop_front() else {
                break;
            };
            self.waiting_bytes -= batch.encoded_len();
            self.lost += 1;
            all_kept = false;
            let message =
                "a second of the recording was thrown away, since it could not be kept".to_owned();
            notices.report(self.covered_us, "batches_lost", message, 1);
        }
        all_kept
    }

    pub(super) fn finish(mut self) -> Recorded<S> {
        self.lost += self.waiting.len() as u64;
        let mut warnings = Vec::new();
        if let Some(failure) = self.failure.filter(|_| self.lost > 0) {
            warnings.push(format!(
                "{} s of the recording are lost: {failure}",
                self.lost
            ));
        }
        Recorded {
            sink: self.sink,
            batches: self.next_seq + self.lost,
            warnings,
        }
    }
}
