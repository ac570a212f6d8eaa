//! What the plugin wrote after its agent had died: the events files stand in the spool, and pytest went on writing them.
//!
//! The files are read again from their begin by a recorder of their own, into a stream of its own; of its batches only the marks stay
//! that no batch before holds.

use std::{
    collections::HashSet,
    error::Error,
    path::Path,
    sync::{Arc, mpsc::sync_channel},
};

use highwater_wire::v1::{Batch, Job};
use uuid::Uuid;

use crate::{
    clock::JobClock,
    marks::{JobStart, Tailer, Told, writer_lives},
    procfs::{ProcError, Procfs},
    recorder::{BatchSink, Message, Recorder, RecorderProps, Sighted, is_on_the_plugin},
    sampler::Spares,
    spool::{self, Less, MarkIdentity, Removed, Spool, SpoolError, Unwritten},
    tree::ProcessKey,
};

/// Puts what is left in the events files of a dead agent's job into its spool; whoever calls holds the lock. Answers what found no room
/// there: it can still be sent.
///
/// # Errors
/// [`SpoolError::Busy`] while a pytest still writes; else when the spool cannot be read.
pub fn rescue(folder: &Path) -> Result<Unwritten, SpoolError> {
    let events = folder.join("events");
    if !events.is_dir() {
        return Ok(Unwritten::default());
    }
    let recorded = spool::read(folder)?;
    let untold = |error: ProcError| SpoolError::Io {
        path: events.clone(),
        source: std::io::Error::other(error),
    };
    if somebody_writes(&events, &recorded.job).map_err(untold)? {
        return Err(SpoolError::Busy(folder.to_path_buf()));
    }
    let known = recorded.mark_identities();
    let spool = Spool::another_stream(folder).ok();
    let stream = spool.as_ref().map_or_else(Uuid::new_v4, Spool::stream);
    let (sender, messages) = sync_channel(1);
    // The only message there will be: there is room for it.
    drop(sender.send(Message::Finish { missed_ticks: 0 }));
    let recorder = Recorder::new(RecorderProps {
        clock: JobClock::new(recorded.job.started_monotonic_us),
        tailer: Tailer::new(&events, start_of(&recorded.job)),
        sink: OnlyNew {
            spool,
            stream,
            known,
            unwritten: Unwritten::default(),
        },
        sights: Sighted::default(),
        messages,
        lost: Arc::default(),
        spares: Spares::default(),
    });
    let rescued = recorder.run();
    match rescued.warnings.first() {
        None => Ok(rescued.sink.unwritten),
        Some(warning) => Err(SpoolError::Broken {
            path: folder.to_path_buf(),
            reason: warning.clone(),
        }),
    }
}

fn start_of(job: &Job) -> JobStart {
    JobStart {
        boot_id: job.boot_id.clone(),
        monotonic_us: job.started_monotonic_us.cast_signed(),
        unix_us: job.started_unix_us,
    }
}

/// Whether a process that wrote events still lives. Of a file that cannot be read nothing is known, nor will it be: whose it is does not count.
fn somebody_writes(events: &Path, job: &Job) -> Result<bool, ProcError> {
    let mut tailer = Tailer::new(events, start_of(job));
    let (mut told, mut writers) = (Vec::new(), HashSet::new());
    loop {
        let is_more = tailer.drain(&mut told);
        for news in told.drain(..) {
            if let Told::Header(header) = news {
                writers.insert(ProcessKey {
                    pid: header.pid,
                    start_ticks: header.start_ticks,
                });
            }
        }
        if !is_more {
            return writer_lives(&Procfs::system(), &writers);
        }
    }
}

/// A spool that takes of each batch what is not known yet; what it has no room for is held in memory.
struct OnlyNew {
    spool: Option<Spool>,
    stream: Uuid,
    known: HashSet<MarkIdentity>,
    unwritten: Unwritten,
}

impl BatchSink for OnlyNew {
    fn take_less(&mut self) -> Less {
        self.spool
            .as_mut()
            .map(Spool::take_less)
            .unwrap_or_default()
    }

    fn take_removed(&mut self) -> Option<Removed> {
        self.spool.as_mut().and_then(Spool::take_removed)
    }

    fn be_quick(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.be_quick();
        }
    }

    fn append(&mut self, seq: u64, batch: &Batch) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut rest = batch.clone();
        rest.marks
            .retain(|mark| !self.known.contains(&MarkIdentity::of(batch, mark)));
        // The recorder's remarks are on its own reading, not on the job; and it reads long after what it reads was written.
        rest.notices.retain(is_on_the_plugin);
        let times = rest.marks.iter().map(|mark| mark.t_us);
        rest.from_us = times.clone().min().unwrap_or(0);
        rest.to_us = times.max().unwrap_or(0);
        for process in &mut rest.processes {
            process.seen_us = rest.to_us;
        }
        let written = self
            .spool
            .as_mut()
            .is_some_and(|spool| spool.append(seq, &rest).is_ok());
        if !written {
            let record = spool::record_of(seq, &rest)?;
            self.unwritten.batches.push((self.stream, record));
        }
        Ok(())
    }
}
