//! The end of a recording whose agent is gone.

use std::path::Path;

use highwater_wire::{VERSION, codec, v1};

use crate::{
    clock, rescue,
    spool::{self, SpoolError, Unwritten},
};

/// Completes the spool of an agent that died; whoever calls holds its lock. `say` adds to its end what is known of it. Answers what the disk has no room for: it is sent all the same, since sending is what makes room.
pub(super) fn complete(
    folder: &Path,
    say: impl FnOnce(&mut v1::End),
) -> Result<Unwritten, SpoolError> {
    let mut unwritten = rescue::rescue(folder)?;
    let mut end = end_of_lost(folder, &unwritten)?;
    say(&mut end);
    // An end in the spool would be taken for the whole of it, so it is written only where all before it was.
    if !unwritten.batches.is_empty() || spool::write_end(folder, &end).is_err() {
        unwritten.end = Some(codec::encode(&end).map_err(|source| SpoolError::Io {
            path: folder.to_path_buf(),
            source,
        })?);
    }
    Ok(unwritten)
}

/// The end of a recording whose agent died: when it is known to have lived last, and what it left.
fn end_of_lost(folder: &Path, unwritten: &Unwritten) -> Result<v1::End, SpoolError> {
    let recorded = spool::read(folder)?;
    let mut end = v1::End {
        version: VERSION,
        agent_lost: true,
        other_boot: recorded.job.boot_id != clock::boot_id(),
        ..v1::End::default()
    };
    for (_, _, batch) in &recorded.batches {
        end.ended_us = end.ended_us.max(batch.to_us);
    }
    let mut counts = recorded.batches_of_streams();
    for (stream, record) in &unwritten.batches {
        let batches = counts.entry(*stream).or_default();
        *batches = record.seq.saturating_add(1).max(*batches);
        let batch: v1::Batch =
            codec::decode(&record.payload).map_err(|problem| SpoolError::Broken {
                path: folder.to_path_buf(),
                reason: problem.to_string(),
            })?;
        end.ended_us = end.ended_us.max(batch.to_us);
    }
    end.streams = spool::stream_counts(counts);
    Ok(end)
}
