//! The recording beside a running command: its threads, and how they come to an end.

use std::{
    ffi::OsString,
    io,
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel, sync_channel},
    },
    thread::{self, Thread},
    time::Duration,
};

use super::{
    RecordingProps, RunOutcome,
    child::parts_of,
    watch::{Watch, WatchProps},
};
use crate::{
    backend::Backend,
    clock::JobClock,
    marks::{JobStart, Tailer},
    portable::Processes,
    procfs::ProcError,
    recorder::{BatchSink, Ending, Message, Recorded, Recorder, RecorderProps},
    sampler::Teller,
};

/// Messages that may wait for the recorder: about a minute while nothing goes wrong.
const QUEUE: usize = 512;
/// How long the end of a run waits for the recorder, whose disk may hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// Stack of each thread; only what is touched counts.
const STACK_BYTES: usize = 512 << 10;

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    #[error("{0}")]
    Proc(#[from] ProcError),
    #[error("sysinfo: {0}")]
    Sysinfo(String),
    #[error("the system gives no thread: {0}")]
    Thread(#[source] io::Error),
    #[error("the system does not let orphans be adopted: {0}")]
    Subreaper(#[source] io::Error),
}

/// A recording beside the command.
#[derive(Debug)]
pub(super) struct Running<S> {
    clock: JobClock,
    teller: Teller<Message>,
    stop: Arc<AtomicBool>,
    sampler: Thread,
    recorded: Receiver<Recorded<S>>,
}

impl<S: BatchSink + Send + 'static> Running<S> {
    /// Begins to record a command that was just started.
    pub(super) fn start(
        props: RecordingProps<S>,
        command_pid: u32,
        command: &[OsString],
    ) -> Result<Self, SetupError> {
        let clock = JobClock::new(props.job.started_monotonic_us);
        let (sender, messages) = sync_channel(QUEUE);
        let teller = Teller::new(sender.clone());
        let watch = Watch::begin(WatchProps {
            backend: props.backend,
            clock,
            interval_us: props.job.interval_us,
            command_pid,
            command,
            teller: teller.clone(),
        })?;
        let start = JobStart {
            boot_id: props.job.boot_id,
            monotonic_us: props.job.started_monotonic_us.cast_signed(),
            unix_us: props.job.started_unix_us,
        };
        let mut recorder = Recorder::new(RecorderProps {
            clock,
            tailer: Tailer::new(props.events, start),
            sink: props.sink,
            messages,
            lost: teller.lost(),
        });
        if props.backend == Backend::Sysinfo {
            recorder.is_told_by(Processes::new().map_err(SetupError::Sysinfo)?);
        }
        let (done, recorded) = channel();
        spawn("highwater-record", move || {
            // Nobody listens any more only when the agent has given up waiting.
            drop(done.send(recorder.run()));
        })?;

        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sampler = spawn("highwater-sample", move || {
            let missed_ticks = watch.run(&stopped);
            // Waits for room in the queue: without this the recorder would not end.
            drop(sender.send(Message::Finish { missed_ticks }));
        })?;
        Ok(Self {
            clock,
            teller,
            stop,
            sampler,
            recorded,
        })
    }
}

impl<S> Running<S> {
    /// Tells the recorder how a child ended.
    pub(super) fn reaped(&self, pid: u32, status: ExitStatus) {
        let (exit_code, signal) = parts_of(status);
        let ending = Ending { exit_code, signal };
        let t_us = self.clock.now_us();
        self.teller.tell(Message::Reaped { pid, t_us, ending });
    }

    /// Ends the recording after the command.
    pub(super) fn finish(self, outcome: &mut RunOutcome<S>) {
        self.stop.store(true, Ordering::Release);
        self.sampler.unpark();
        match self.recorded.recv_timeout(PATIENCE) {
            Ok(recorded) => {
                outcome.sink = Some(recorded.sink);
                outcome.batches = recorded.batches;
                outcome.warnings.extend(recorded.warnings);
            }
            Err(_) => outcome.warnings.push(format!(
                "the recording did not come to its end within {} s (a disk that hangs?); what was written until then is in the spool",
                PATIENCE.as_secs()
            )),
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Thread, SetupError> {
    let handle = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work);
    Ok(handle.map_err(SetupError::Thread)?.thread().clone())
}
