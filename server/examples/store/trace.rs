//! What is sent: the batches of a real recording as the agent wrote them, and the samples in them.

use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use highwater_wire::{
    codec,
    spool::{Kind, Record, Records, segment_of},
    v1::{Batch, Job, Series},
};

use crate::Failure;

pub(crate) struct Trace {
    pub(crate) job: Job,
    /// Bodies of the requests, in order.
    pub(crate) batches: Vec<Bytes>,
    /// The same, decoded.
    pub(crate) decoded: Vec<Batch>,
    /// Values of all series.
    pub(crate) samples: u64,
    pub(crate) series: usize,
}

/// What a series is of: name of its metric, process, cgroup.
pub(crate) type Key = (&'static str, Option<(u32, u64)>, String);

impl Trace {
    /// Reads a job's folder; all that an agent sends, or the samples alone with the processes they are of.
    pub(crate) fn read(folder: &Path, samples_alone: bool) -> Result<Self, Failure> {
        let job = records(&folder.join("job"))?;
        let job = codec::decode(&job.first().ok_or("an empty file")?.payload)?;
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if segment_of(&entry.file_name().to_string_lossy()).is_some() {
                let batches = records(&entry.path())?.into_iter();
                let batches = batches.filter(|record| record.kind == Kind::Batch);
                found.extend(batches.map(|record| (record.seq, record.payload)));
            }
        }
        let mut batches: Vec<Bytes> = found.into_values().map(Bytes::from).collect();
        let decoded = batches.iter().map(|body| codec::decode(body));
        let mut decoded = decoded.collect::<Result<Vec<Batch>, _>>()?;
        if samples_alone {
            for (batch, body) in decoded.iter_mut().zip(&mut batches) {
                batch.sessions.clear();
                batch.marks.clear();
                batch.notices.clear();
                batch.events.clear();
                *body = codec::encode(batch)?.into();
            }
        }
        let mut all = BTreeMap::new();
        for batch in &decoded {
            for (key, points) in samples(batch) {
                *all.entry(key).or_insert(0) += points.len() as u64;
            }
        }
        Ok(Self {
            job,
            batches,
            decoded,
            samples: all.values().sum(),
            series: all.len(),
        })
    }
}

fn records(path: &Path) -> Result<Vec<Record>, Failure> {
    let mut records = Records::of(fs::File::open(path)?)?.ok_or("a foreign segment")?;
    let mut all = Vec::new();
    while let Some(record) = records.next_record()? {
        all.push(record);
    }
    Ok(all)
}

/// Time (µs since the job's start) and value of what a batch has of each series.
pub(crate) fn samples(batch: &Batch) -> BTreeMap<Key, Vec<(i64, i64)>> {
    let mut all: BTreeMap<Key, Vec<(i64, i64)>> = BTreeMap::new();
    for samples in &batch.samples {
        let ticks = sums(&samples.t_us_delta);
        for series in &samples.series {
            let values = sums(&series.value_delta);
            let times = ticks.iter().skip(series.first as usize).copied();
            let points = all.entry(key(batch, series)).or_default();
            points.extend(times.zip(values));
        }
    }
    all
}

fn key(batch: &Batch, series: &Series) -> Key {
    let process = series.process.and_then(|at| {
        let process = batch.processes.get(at as usize)?;
        Some((process.pid, process.start_ticks))
    });
    (
        series.metric().as_str_name(),
        process,
        series.cgroup.clone(),
    )
}

fn sums(deltas: &[i64]) -> Vec<i64> {
    let next = |sum: &mut i64, delta: &i64| {
        *sum += delta;
        Some(*sum)
    };
    deltas.iter().scan(0, next).collect()
}
