//! A job's folder in a spool of our own agent, as `highwater upload` sends it.
//!
//! Where the agent died before it could say how the job ended, the job is kept without an end: what had been seen decides, as for any job that
//! fell silent. `highwater upload` knows more then, since it also reads what pytest's plugin went on to write; it may still come afterwards.

use std::{
    fs::{self, File, TryLockError},
    io::BufReader,
    path::{Path, PathBuf},
};

use highwater_store::Whole;
use highwater_wire::{
    codec::{self, Checked},
    spool::{Records, segment_of},
    v1::{Batch, Job},
};
use uuid::Uuid;

use super::{ImportError, Imported, Named};
use crate::ingest;

/// The folders of jobs at a path: the path itself, or those in it.
pub(super) fn jobs(path: &Path) -> Result<Vec<PathBuf>, ImportError> {
    if is_job(path) {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut jobs = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| ImportError::of(path, error))? {
        let inner = entry.map_err(|error| ImportError::of(path, error))?.path();
        if uuid_of(&inner).is_some() && is_job(&inner) {
            jobs.push(inner);
        }
    }
    if jobs.is_empty() {
        return Err(ImportError::of(
            path,
            "holds no recording: neither is it the folder of a job, nor are there any in it",
        ));
    }
    jobs.sort();
    Ok(jobs)
}

fn is_job(folder: &Path) -> bool {
    is_file(&folder.join("job"))
}

/// No pipe and no link: a spool holds neither, and a test could have put one there.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.is_file())
}

fn uuid_of(folder: &Path) -> Option<Uuid> {
    Uuid::parse_str(folder.file_name()?.to_str()?).ok()
}

/// Reads a job.
pub(super) fn read(folder: &Path, named: &Named) -> Result<Imported, ImportError> {
    let folder = &fs::canonicalize(folder).map_err(|error| ImportError::of(folder, error))?;
    let nameless = || ImportError::of(folder, "the name of a job's folder is its uuid");
    let uuid = uuid_of(folder).ok_or_else(nameless)?;
    let _lock = lock(folder)?;
    let missing = || {
        ImportError::of(
            &folder.join("job"),
            "the record of the job is missing or torn",
        )
    };
    let job: Job = read_one(&folder.join("job"))?.ok_or_else(missing)?;
    check_names(folder, &job, named)?;
    let end_path = folder.join("end");
    let end = match end_path.symlink_metadata() {
        Ok(_) => read_one(&end_path)?,
        Err(_) => None,
    };
    let (mut batches, mut broken) = (Vec::new(), 0);
    for (path, stream) in segments(folder)? {
        let mut records = records(&path)?;
        while let Some(record) = records
            .next_record()
            .map_err(|error| ImportError::of(&path, error))?
        {
            match codec::decode::<Batch>(&record.payload) {
                Ok(batch) => {
                    let batch = ingest::new_batch(stream, record.seq, &batch);
                    batches.push(batch.map_err(|error| ImportError::of(&path, error))?);
                }
                Err(_) => broken += 1,
            }
        }
        broken += records.skipped();
    }
    let mut lacks = Vec::new();
    if broken > 0 {
        lacks.push(format!("{broken} broken records were passed over"));
    }
    if end.is_none() {
        lacks.push(
            "its agent did not say how it ended; `highwater upload` may know more".to_owned(),
        );
    }
    Ok(Imported {
        uuid,
        whole: Whole { job, batches, end },
        lacks: lacks.join(", "),
    })
}

/// Keeps agents away while the folder is read; where one records there, it is left alone. A copy of a spool may have no lock.
fn lock(folder: &Path) -> Result<Option<File>, ImportError> {
    let path = folder.join("lock");
    if !is_file(&path) {
        return Ok(None);
    }
    let file = File::open(&path).map_err(|error| ImportError::of(&path, error))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(ImportError::of(
            folder,
            "a running agent records there; it is left alone",
        )),
        Err(TryLockError::Error(error)) => Err(ImportError::of(&path, error)),
    }
}

/// A spool says itself what it is of.
fn check_names(folder: &Path, job: &Job, named: &Named) -> Result<(), ImportError> {
    let other = named.project.as_ref();
    let other = other.filter(|project| project.as_str() != job.project);
    if other.is_some() {
        let reason = format!("was recorded for {}; leave --project out", job.project);
        return Err(ImportError::of(folder, reason));
    }
    if named.job.as_ref().is_some_and(|name| *name != job.name) {
        let reason = format!("is of the job {:?}; leave --job out", job.name);
        return Err(ImportError::of(folder, reason));
    }
    Ok(())
}

/// The files of batches with their streams, those of a stream in order.
fn segments(folder: &Path) -> Result<Vec<(PathBuf, Uuid)>, ImportError> {
    let failed = |error| ImportError::of(folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some((stream, place)) = name.and_then(segment_of)
            && is_file(&path)
        {
            found.push((stream, place, path));
        }
    }
    found.sort();
    Ok(found
        .into_iter()
        .map(|(stream, _, path)| (path, stream))
        .collect())
}

fn records(path: &Path) -> Result<Records<BufReader<File>>, ImportError> {
    if !is_file(path) {
        return Err(ImportError::of(path, "is no regular file"));
    }
    let file = File::open(path).map_err(|error| ImportError::of(path, error))?;
    let records =
        Records::of(BufReader::new(file)).map_err(|error| ImportError::of(path, error))?;
    let foreign = "is no spool file of version 1; read it with the agent that wrote it";
    records.ok_or_else(|| ImportError::of(path, foreign))
}

fn read_one<M: Checked>(path: &Path) -> Result<Option<M>, ImportError> {
    let record = records(path)?.next_record();
    let Some(record) = record.map_err(|error| ImportError::of(path, error))? else {
        return Ok(None);
    };
    codec::decode(&record.payload)
        .map(Some)
        .map_err(|problem| ImportError::of(path, problem))
}
