//! How long an agent in the background lives: until it is told to end, its runner is gone, or it is old.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::state::Process;
use crate::{
    pidfd,
    procfs::Procfs,
    signals::{Happened, Signals},
};

/// How often a runner is looked for where the kernel does not tell of its end.
const LOOK: Duration = Duration::from_secs(1);

/// Why the life is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// A signal told it to end.
    Told {
        /// Which.
        signal: i32,
        /// Who sent it, where that is known.
        sender_pid: Option<u32>,
    },
    /// The runner's process is gone.
    RunnerGone,
    /// It has reached its age.
    Old,
}

/// Waits for the end.
#[derive(Debug)]
pub struct Life {
    over: Receiver<Over>,
    until: Instant,
    hurry: Arc<AtomicBool>,
    /// Set at the end: from then on a signal asks to hurry.
    is_over: Arc<AtomicBool>,
}

impl Life {
    /// Begins to watch. The signals are taken over from here on.
    ///
    /// # Errors
    /// When the system refuses a handler or a thread.
    pub fn begin(runner: Option<Process>, max_age: Duration) -> io::Result<Self> {
        let (sender, over) = channel();
        let hurry = Arc::new(AtomicBool::new(false));
        let signals = Signals::take_over_in_background()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (telling, hurried, over_already) =
            (sender.clone(), Arc::clone(&hurry), Arc::clone(&is_over));
        spawn("highwater-signal", move || {
            hear(signals, &telling, &hurried, &over_already);
        })?;
        if let Some(runner) = runner {
            spawn("highwater-runner", move || {
                await_end_of(runner);
                // Nobody listens any more only when the end has come for another reason.
                let _ = sender.send(Over::RunnerGone);
            })?;
        }
        Ok(Self {
            over,
            until: Instant::now() + max_age,
            hurry,
            is_over,
        })
    }

    /// Waits until it is over.
    #[must_use]
    pub fn wait(&self) -> Over {
        let left = self.until.saturating_duration_since(Instant::now());
        let over = match self.over.recv_timeout(left) {
            Ok(over) => over,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Over::Old,
        };
        self.is_over.store(true, Ordering::Relaxed);
        over
    }

    /// Raised by a signal that came after the end: what is left to do should be done soon.
    #[must_use]
    pub fn hurry(&self) -> &AtomicBool {
        &self.hurry
    }
}

fn hear(mut signals: Signals, over: &Sender<Over>, hurry: &AtomicBool, is_over: &AtomicBool) {
    loop {
        for happened in signals.wait() {
            let Happened::Signal {
                number, sender_pid, ..
            } = happened
            else {
                continue;
            };
            if !Signals::ends_background(number) {
                continue;
            }
            if is_over.swap(true, Ordering::Relaxed) {
                hurry.store(true, Ordering::Relaxed);
            }
            let told = Over::Told {
                signal: number,
                sender_pid,
            };
            if over.send(told).is_err() {
                return;
            }
        }
    }
}

/// Returns once a process is gone.
fn await_end_of(process: Process) {
    let procfs = Procfs::system();
    match pidfd::open(process.pid) {
        // The number may have been given to another between the look at it and its opening.
        Ok(watched) if process.lives(&procfs) => {
            let mut fds = [PollFd::new(&watched, PollFlags::IN)];
            loop {
                match poll(&mut fds, None::<&Timespec>) {
                    Ok(0) | Err(rustix::io::Errno::INTR) => {}
                    Ok(_) => return,
                    Err(_) => break,
                }
            }
        }
        Ok(_) => return,
        Err(_) => {}
    }
    while process.lives(&procfs) {
        thread::sleep(LOOK);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.stack_size(128 << 10).spawn(work).map(drop)
}
