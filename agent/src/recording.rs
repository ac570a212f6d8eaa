//! A recording that goes on: its threads, and how they come to an end.

mod watch;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel, sync_channel},
    },
    thread::{self, Thread},
    time::Duration,
};

use highwater_wire::v1;

use crate::{
    clock::JobClock,
    forecaster::{Forecaster, Forewarn},
    guard::Roster,
    marks::{JobStart, Tailer},
    memlock,
    portable::Processes,
    procfs::{ProcError, Procfs},
    recorder::{BatchSink, Ending, Message, Recorded, Recorder, RecorderProps, Sighted},
    sampler::{MOST_BULK, Seen, Spares, Teller, Unwatched, Writers},
};

use watch::{Watch, WatchProps};

pub use watch::Watched;

/// Messages that may wait for the recorder: as many that come rarely as come all the time.
const QUEUE: usize = 2 * MOST_BULK;
/// How long the end of a recording waits for the recorder, whose disk may hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// Stack of each thread; only what is touched counts.
const STACK_BYTES: usize = 512 << 10;

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The kernel's files cannot be read.
    #[error("{0}")]
    Proc(#[from] ProcError),
    /// sysinfo does not know this system.
    #[error("sysinfo: {0}")]
    Sysinfo(String),
    /// No thread can be started.
    #[error("the system gives no thread: {0}")]
    Thread(#[source] io::Error),
    /// Orphans of the command would leave the tree.
    #[error("the system does not let orphans be adopted: {0}")]
    Subreaper(#[source] io::Error),
}

/// What a recording is made of.
#[derive(Debug)]
pub struct RunningProps<S> {
    /// How the job began: its start on both clocks, its boot and its interval are used.
    pub job: v1::Job,
    /// Where batches go.
    pub sink: S,
    /// Folder of the plugin's files; must be there.
    pub events: PathBuf,
    /// Root of the repository, which the paths of sampled tests are relative to.
    pub repo_root: Option<PathBuf>,
    /// Whether pytest is given the plugin: then its lack is worth a word.
    pub wants_plugin: bool,
    /// What is watched.
    pub watched: Watched,
    /// Whether it is said that a limit will be crossed, and how loud.
    pub forewarns: Option<Forewarn>,
}

/// A recording that goes on.
#[derive(Debug)]
pub struct Running<S> {
    clock: JobClock,
    teller: Teller<Message>,
    stop: Arc<AtomicBool>,
    sampler: Thread,
    recorded: Receiver<Recorded<S>>,
}

impl<S: BatchSink + Send + 'static> Running<S> {
    /// Begins to record.
    ///
    /// # Errors
    /// When the kernel's files cannot be read, or the system gives no thread.
    pub fn start(props: RunningProps<S>) -> Result<Self, SetupError> {
        memlock::lock(&Procfs::system());
        let clock = JobClock::new(props.job.started_monotonic_us);
        let (sender, messages) = sync_channel(QUEUE);
        let teller = Teller::new(sender.clone());
        let (unwatched, spares) = (Unwatched::default(), Spares::default());
        let writers = Writers::default();
        let budget_bytes = props.job.budget_bytes;
        let forecaster = props
            .forewarns
            .and_then(|forewarn| Forecaster::begin(forewarn, budget_bytes));
        let roster = props.watched.is_guarded().then(Roster::default);
        let sysinfo = match &props.watched {
            Watched::Linux { .. } => None,
            Watched::Sysinfo { .. } => Some(Processes::new().map_err(SetupError::Sysinfo)?),
        };
        let watch = Watch::begin(
            props.watched,
            WatchProps {
                clock,
                interval_us: props.job.interval_us,
                budget_bytes: props.job.budget_bytes,
                events: props.events.clone(),
                unwatched: unwatched.clone(),
                writers: writers.clone(),
                roster: roster.clone(),
                spares: spares.clone(),
                teller: teller.clone(),
            },
        )?;
        let start = JobStart {
            boot_id: props.job.boot_id,
            monotonic_us: props.job.started_monotonic_us.cast_signed(),
            unix_us: props.job.started_unix_us,
        };
        let mut recorder = Recorder::new(RecorderProps {
            clock,
            tailer: Tailer::new(props.events, start),
            sights: Sighted::new(unwatched, props.repo_root, props.wants_plugin),
            sink: props.sink,
            messages,
            lost: teller.lost(),
            spares,
        })
        .clearing(teller.backlog())
        .naming(writers)
        .keeping(roster)
        .forecasting(forecaster);
        if let Some(processes) = sysinfo {
            recorder.is_told_by(processes);
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
    pub fn reaped(&self, pid: u32, ending: Ending) {
        let t_us = self.clock.now_us();
        self.teller.tell(Message::Reaped { pid, t_us, ending });
    }

    /// Tells the recorder of something that happened now.
    pub fn happened(&self, what: v1::event::What) {
        let event = v1::Event {
            t_us: self.clock.now_us(),
            what: Some(what),
        };
        self.teller.tell(Message::Seen(Seen::Event(event)));
    }

    /// Ends the recording and waits for what is left of it.
    ///
    /// # Errors
    /// When it does not come to its end, with what to tell the user.
    pub fn finish(self) -> Result<Recorded<S>, String> {
        self.stop.store(true, Ordering::Release);
        self.sampler.unpark();
        let recorded = self.recorded.recv_timeout(PATIENCE);
        // The summary may take much memory, and nothing hangs on it.
        memlock::unlock();
        recorded.map_err(|_| {
            format!(
                "the recording did not come to its end within {} s (a disk that hangs?); what was written until then is in the spool",
                PATIENCE.as_secs()
            )
        })
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Thread, SetupError> {
    let handle = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work);
    Ok(handle.map_err(SetupError::Thread)?.thread().clone())
}
