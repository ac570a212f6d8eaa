//! The end of a recording whose agent is gone.

use std::path::Path;

use highwater_wire::{VERSION, codec, v1};

use crate::{
    background::state::Stop,
    clock, rescue,
    spool::{self, SpoolError, Unwritten},
    terminal,
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

/// How a recording whose agent died, and to which a pytest still writes, would end by what is in its spool now.
pub(super) fn so_far(folder: &Path, say: impl FnOnce(&mut v1::End)) -> Result<v1::End, SpoolError> {
    let mut end = end_of_lost(folder, &Unwritten::default())?;
    say(&mut end);
    Ok(end)
}

/// Adds what `highwater stop` found and was told.
pub(super) fn say(end: &mut v1::End, word: &Stop) {
    end.set_ended_by(v1::EndedBy::Stop);
    end.exit_code = word.exit_code;
    end.ci_status.clone_from(&word.ci_status);
}

/// Adds what a `highwater stop` that could not complete the recording left, if there was one.
pub(super) fn say_left(end: &mut v1::End, folder: &Path) {
    match Stop::read(folder) {
        Ok(Some(word)) if word.agent_lost => say(end, &word),
        // Whoever told an agent that lived to end does not know what became of both.
        Ok(_) => {}
        Err(error) => terminal::tell(error),
    }
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
