//! What is played: the batches of a real recording, one after the other and again, each at its own second.

use std::{fs, path::Path};

use bytes::Bytes;
use highwater_wire::{
    codec,
    spool::{Kind, Records, segment_of},
    v1::{Batch, Job},
};

use crate::Failure;

const SECOND_US: i64 = 1_000_000;

/// The requests of a job, as bytes.
pub(crate) struct Trace {
    pub(crate) job: Job,
    pub(crate) batches: Vec<Bytes>,
    pub(crate) median_bytes: usize,
    pub(crate) median_values: usize,
}

impl Trace {
    /// Reads a job's folder and makes so many batches of it.
    pub(crate) fn read(folder: &Path, lasts: u32) -> Result<Self, Failure> {
        let job = first(&folder.join("job"))?;
        let mut recorded = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if segment_of(&name.to_string_lossy()).is_none() {
                continue;
            }
            let mut records =
                Records::of(fs::File::open(entry.path())?)?.ok_or("a foreign segment")?;
            while let Some(record) = records.next_record()? {
                if record.kind == Kind::Batch {
                    recorded.push((record.seq, codec::decode::<Batch>(&record.payload)?));
                }
            }
        }
        recorded.sort_by_key(|(seq, _)| *seq);
        // The last batches of a recording are shorter than a second.
        let whole = |batch: &Batch| batch.to_us - batch.from_us > SECOND_US / 2;
        let recorded: Vec<Batch> = recorded
            .into_iter()
            .map(|(_, batch)| batch)
            .filter(whole)
            .collect();
        if recorded.is_empty() {
            return Err("the recording has no batch of a second".into());
        }
        let at = |n: usize| {
            let mut batch = recorded[n % recorded.len()].clone();
            let from_us = batch.from_us;
            shift(&mut batch, n as i64 * SECOND_US - from_us);
            batch
        };
        let played: Vec<Batch> = (0..lasts as usize).map(at).collect();
        let mut values: Vec<usize> = played.iter().map(values_of).collect();
        let batches = played.iter().map(|batch| Ok(codec::encode(batch)?.into()));
        let batches = batches.collect::<Result<Vec<Bytes>, Failure>>()?;
        let mut sizes: Vec<usize> = batches.iter().map(Bytes::len).collect();
        sizes.sort_unstable();
        values.sort_unstable();
        Ok(Self {
            job,
            median_bytes: sizes[sizes.len() / 2],
            median_values: values[values.len() / 2],
            batches,
        })
    }
}

fn first(path: &Path) -> Result<Job, Failure> {
    let mut records = Records::of(fs::File::open(path)?)?.ok_or("a foreign file")?;
    let record = records.next_record()?.ok_or("an empty file")?;
    Ok(codec::decode(&record.payload)?)
}

fn values_of(batch: &Batch) -> usize {
    let series = batch.samples.iter().flat_map(|samples| &samples.series);
    series.map(|series| series.value_delta.len()).sum()
}

/// Moves everything that a batch tells of in time.
fn shift(batch: &mut Batch, by_us: i64) {
    batch.from_us += by_us;
    batch.to_us += by_us;
    for samples in &mut batch.samples {
        if let Some(first) = samples.t_us_delta.first_mut() {
            *first += by_us;
        }
    }
    for mark in &mut batch.marks {
        mark.t_us += by_us;
    }
    for notice in &mut batch.notices {
        notice.t_us += by_us;
    }
    batch.events.clear();
    for process in &mut batch.processes {
        process.seen_us += by_us;
        // It runs on for as long as it is played.
        process.ended_us = None;
    }
}
