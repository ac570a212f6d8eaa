//! Gives each batch its number and sees that it is kept.
//!
//! What the sink has no room for waits in memory and is tried again with each batch after it. What waits gives way by the rule of the spool:
//! the oldest fine-grained samples first; marks, processes and events only where memory itself would run away.

use std::{collections::VecDeque, error::Error};

use highwater_wire::{
    mask,
    report::{SAMPLES_THINNED, SPOOL_REMOVED},
    v1::Batch,
};
use prost::Message as _;

use super::{Recorded, notices::Notices, reuse::Reuse};
use crate::spool::{Detail, Less, Removed, Spool, SpoolError, thin};

/// What waits in memory keeps all its samples up to so many bytes.
const MAX_FULL_BYTES: usize = 2 << 20;
/// And is held at all up to so many.
const MAX_WAITING_BYTES: usize = 64 << 20;
const SECOND_US: i64 = 1_000_000;

/// Where batches go: the spool of a job.
pub trait BatchSink {
    /// Keeps a batch. A batch that failed is tried again under the same number.
    ///
    /// # Errors
    /// When it could not be kept, for instance because the disk is full.
    fn append(&mut self, seq: u64, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// What of the batches kept before gave way to later ones since the last call.
    fn take_less(&mut self) -> Less;

    /// What of them was removed by others since the last call.
    fn take_removed(&mut self) -> Option<Removed>;

    /// The tests have ended: nobody is left who removes what is here.
    fn be_quick(&mut self);
}

impl BatchSink for Spool {
    fn append(&mut self, seq: u64, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(Self::append(self, seq, batch)?)
    }

    fn take_less(&mut self) -> Less {
        Self::take_less(self)
    }

    fn take_removed(&mut self) -> Option<Removed> {
        Self::take_removed(self)
    }

    fn be_quick(&mut self) {
        Self::be_quick(self);
    }
}

/// A batch that is not kept yet.
#[derive(Debug)]
struct Waiting {
    batch: Batch,
    bytes: usize,
    is_thin: bool,
}

/// Numbers batches without holes, whatever fails.
#[derive(Debug)]
pub struct Keeper<S> {
    sink: S,
    next_seq: u64,
    covered_us: i64,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Batches thrown away, and the time they covered, µs.
    lost: u64,
    lost_us: i64,
    thinned_us: i64,
    /// Whole seconds of that which were told.
    told_thinned: u64,
    bared_us: i64,
    failure: Option<String>,
    /// What the first removal of the spool took, and how many there were.
    removed: Option<(String, u64)>,
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
            lost_us: 0,
            thinned_us: 0,
            told_thinned: 0,
            bared_us: 0,
            failure: None,
            removed: None,
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

    /// The tests have ended.
    pub(super) fn be_quick(&mut self) {
        self.sink.be_quick();
    }

    /// Keeps a batch, and those that wait. False when one had to be thrown away, or what was kept before may be gone.
    pub(super) fn keep(
        &mut self,
        mut batch: Batch,
        notices: &mut Notices,
        reuse: &mut Reuse,
    ) -> bool {
        mask::batch(&mut batch);
        self.covered_us = batch.to_us;
        let bytes = batch.encoded_len();
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting {
            batch,
            bytes,
            is_thin: false,
        });
        self.append_waiting(notices, reuse);
        self.thin_waiting();
        let all_kept = self.throw_away(notices);
        let less = self.sink.take_less();
        self.thinned_us += less.thinned_us;
        self.bared_us += less.bared_us;
        self.tell_thinned(notices);
        let removed = self.sink.take_removed();
        let is_removed = removed.is_some();
        if let Some(removed) = removed {
            self.tell_removed(&removed, notices);
        }
        all_kept && !is_removed
    }

    fn tell_removed(&mut self, removed: &Removed, notices: &mut Notices) {
        let marks = "marks are missing, since the plugin has no folder to write to";
        let batches = match removed.missing {
            0 if removed.lacks_events => None,
            0 => Some("nothing of it is missing".to_owned()),
            1 => Some("one batch that no server had is missing".to_owned()),
            missing => Some(format!("{missing} batches that no server had are missing")),
        };
        let marks = removed.lacks_events.then(|| marks.to_owned());
        let missing: Vec<_> = batches.into_iter().chain(marks.clone()).collect();
        let missing = missing.join("; ");
        let message = match &removed.goes_on {
            Ok(place) if removed.is_cut => format!(
                "the recording in {} was cut short by somebody while it went on; what a server has acknowledged is there; {missing}",
                place.display()
            ),
            Ok(place) if *place == removed.folder => {
                format!(
                    "{} was removed while the recording went on, and was made anew; {missing}",
                    place.display()
                )
            }
            Ok(place) => format!(
                "{} was removed while the recording went on, which goes on in {}; {missing}",
                removed.folder.display(),
                place.display()
            ),
            Err(why) => format!(
                "{} was removed while the recording went on, and cannot be made anew ({why}); what is recorded waits in memory{}",
                removed.folder.display(),
                marks.map_or_else(String::new, |marks| format!("; {marks}"))
            ),
        };
        let first = self.removed.get_or_insert_with(|| (message.clone(), 0));
        first.1 += 1;
        notices.report(self.covered_us, SPOOL_REMOVED, message, 1);
    }

    fn append_waiting(&mut self, notices: &mut Notices, reuse: &mut Reuse) {
        while let Some(first) = self.waiting.front() {
            if let Err(error) = self.sink.append(self.next_seq, &first.batch) {
                // Told once it is known what that took.
                if let Some(SpoolError::Removed(_)) = error.downcast_ref() {
                    break;
                }
                let message = format!("failed to keep a batch: {error}");
                self.failure.get_or_insert_with(|| message.clone());
                notices.report(self.covered_us, "spool_failed", message, 1);
                break;
            }
            self.next_seq += 1;
            self.waiting_bytes -= first.bytes;
            if let Some(first) = self.waiting.pop_front() {
                reuse.put_back(first.batch);
            }
        }
    }

    fn thin_waiting(&mut self) {
        let full = self.waiting.iter_mut().filter(|waiting| !waiting.is_thin);
        for waiting in full {
            if self.waiting_bytes <= MAX_FULL_BYTES {
                break;
            }
            waiting.is_thin = true;
            let thinned_us = thin(&mut waiting.batch, Detail::Thin);
            if thinned_us > 0 {
                self.thinned_us += thinned_us;
                let bytes = waiting.batch.encoded_len();
                self.waiting_bytes -= waiting.bytes - bytes;
                waiting.bytes = bytes;
            }
        }
    }

    fn throw_away(&mut self, notices: &mut Notices) -> bool {
        let mut all_kept = true;
        while self.waiting_bytes > MAX_WAITING_BYTES {
            let Some(first) = self.waiting.pop_front() else {
                break;
            };
            self.waiting_bytes -= first.bytes;
            self.lost += 1;
            self.lost_us += first.batch.to_us - first.batch.from_us;
            all_kept = false;
            let message =
                "a second of the recording was thrown away, since it could not be kept".to_owned();
            notices.report(self.covered_us, "batches_lost", message, 1);
        }
        all_kept
    }

    fn tell_thinned(&mut self, notices: &mut Notices) {
        let seconds = self.thinned_us.div_euclid(SECOND_US).unsigned_abs()
            + u64::from(self.thinned_us % SECOND_US > 0);
        if seconds > self.told_thinned {
            notices.report(
                self.covered_us,
                SAMPLES_THINNED,
                "the disk of the spool was full".to_owned(),
                seconds - self.told_thinned,
            );
            self.told_thinned = seconds;
        }
    }

    /// Tries a last time; what still waits is handed back with its numbers.
    pub(super) fn finish(mut self, reuse: &mut Reuse) -> Recorded<S> {
        self.append_waiting(&mut Notices::default(), reuse);
        let mut warnings = Vec::new();
        match self.removed {
            None => {}
            Some((first, 1)) => warnings.push(first),
            Some((first, times)) => warnings.push(format!("{first} ({times} times)")),
        }
        if let Some(failure) = self.failure.filter(|_| self.lost > 0) {
            warnings.push(format!(
                "{} s of the recording are lost: {failure}",
                self.lost_us.div_euclid(SECOND_US)
            ));
        }
        if self.bared_us > 0 {
            warnings.push(format!(
                "the disk is full: the samples of {} s, which the server has, were taken out of the spool; figures made here are without them",
                self.bared_us.div_euclid(SECOND_US)
            ));
        }
        let batches = self.next_seq + self.waiting.len() as u64 + self.lost;
        let unwritten = (self.next_seq..).zip(self.waiting.into_iter().map(|first| first.batch));
        Recorded {
            sink: self.sink,
            batches,
            unwritten: unwritten.collect(),
            warnings,
        }
    }
}
