//! Whether what was acknowledged is there.

use std::{fs, path::Path};

use highwater_store::Store;
use uuid::Uuid;

use crate::{Failure, ledger::Acknowledged};

/// Notes what was acknowledged, a line a job.
pub(crate) fn note(path: &Path, jobs: &[Acknowledged]) -> Result<(), Failure> {
    let line = |job: &Acknowledged| {
        format!(
            "{} {} {} {}\n",
            job.uuid, job.stream, job.batches, job.is_ended
        )
    };
    Ok(fs::write(path, jobs.iter().map(line).collect::<String>())?)
}

/// Compares a database with such notes.
pub(crate) async fn verify(database: &str, notes: &Path) -> Result<(), Failure> {
    let store = Store::open(database).await?;
    let (mut jobs, mut batches, mut lost, mut unsettled) = (0, 0, 0, 0);
    for line in fs::read_to_string(notes)?.lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().ok_or("a short line");
        let (uuid, stream) = (Uuid::parse_str(word()?)?, Uuid::parse_str(word()?)?);
        let (acknowledged, is_ended) = (word()?.parse::<u64>()?, word()? == "true");
        jobs += 1;
        let mut snapshot = store.snapshot().await?;
        let Some(key) = snapshot.job(uuid).await? else {
            lost += acknowledged + 1;
            continue;
        };
        let counts = snapshot.batch_counts(key.id).await?;
        let found = counts.iter().find(|(found, _)| *found == stream);
        let found = found.map_or(0, |(_, count)| *count);
        batches += found;
        // One more may have been on its way when the time was over.
        lost += acknowledged.saturating_sub(found);
        lost += u64::from(is_ended && key.end_body.is_none());
        unsettled += u64::from(is_ended && (key.unsettled || key.revision == 0));
    }
    store.close().await;
    println!(
        "{jobs} jobs, {batches} batches in the database; acknowledged and not there: {lost}; ended and not finalised: {unsettled}"
    );
    match lost {
        0 => Ok(()),
        _ => Err(format!("{lost} acknowledged requests are lost").into()),
    }
}
