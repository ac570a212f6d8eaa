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

use super::{RecordingProps, RunOutcome, child::parts_of};
use crate::{
    cgroup::Cgroups,
    clock::JobClock,
    marks::{JobStart, Tailer},
    memlock,
    pace::Pace,
    procfs::{ProcError, Procfs},
    recorder::{BatchSink, Ending, Message, Recorded, Recorder, RecorderProps},
    sampler::{Sampler, SamplerProps, Seconds, Spares, Teller},
    tree::{Discovery, Tree},
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
        let procfs = Procfs::system();
        let own_pid = std::process::id();
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| SetupError::Subreaper(error.into()))?;
        memlock::lock(&procfs);
        let clock = JobClock::new(props.job.started_monotonic_us);
        let mut tree = Tree::new(procfs.clone(), own_pid, rustix::param::page_size() as u64);
        let words: Vec<_> = command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let discovery = Discovery::begin(&tree, command_pid, clock.now_us());
        tree.adopt(command_pid, words, clock.now_us())?;
        let seconds = Seconds::new(procfs.open_machine()?, Cgroups::of(&procfs, own_pid)?);

        let (sender, messages) = sync_channel(QUEUE);
        let teller = Teller::new(sender.clone());
        let start = JobStart {
            boot_id: props.job.boot_id,
            monotonic_us: props.job.started_monotonic_us.cast_signed(),
            unix_us: props.job.started_unix_us,
        };
        let (pace, spares) = (Pace::default(), Spares::default());
        let recorder = Recorder::new(RecorderProps {
            clock,
            tailer: Tailer::new(props.events, start),
            sink: props.sink,
            messages,
            lost: teller.lost(),
            spares: spares.clone(),
        });
        let (done, recorded) = channel();
        spawn("highwater-record", move || {
            // Nobody listens any more only when the agent has given up waiting.
            drop(done.send(recorder.run()));
        })?;

        let sampler = Sampler::new(SamplerProps {
            procfs,
            clock,
            interval_us: props.job.interval_us,
            tree,
            discovery,
            seconds,
            teller: teller.clone(),
            budget_bytes: props.job.budget_bytes,
            pace,
            spares,
        })
        .map_err(SetupError::Thread)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sampler = spawn("highwater-sample", move || {
            let missed_ticks = sampler.run(&stopped);
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
        let recorded = self.recorded.recv_timeout(PATIENCE);
        // The summary may take much memory, and nothing hangs on it.
        memlock::unlock();
        match recorded {
            Ok(recorded) => {
                outcome.sink = Some(recorded.sink);
                outcome.batches = recorded.batches;
                outcome.unwritten = recorded.unwritten;
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
