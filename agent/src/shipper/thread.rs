//! The thread that sends while the recording goes on.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{Answer, Client, Item, pause};
use crate::spool::{self, Record, SegmentReader, SpoolError};

/// How often the spool is looked at for new batches.
const LOOK: Duration = Duration::from_millis(300);

/// A server that never answered while the recording went on gets this share of the patience at its end: the command's caller waits.
const NEVER_ANSWERED: u32 = 20;
/// The same for an upload, which has nothing else to do.
const UPLOAD_NEVER_ANSWERED: u32 = 5;
/// What is left to a caller who is told to hurry.
const IN_A_HURRY: Duration = Duration::from_secs(1);
/// How long after its deadline the thread may take to notice.
const LEAVING: Duration = Duration::from_secs(1);

/// Until when to try.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    /// With a server that answered at least once.
    answered: Instant,
    /// With one that never did.
    never_answered: Instant,
    /// Whether somebody waits who has better things to do than to wait for a slow server.
    somebody_waits: bool,
}

impl Deadline {
    fn after(patience: Duration, never_answered: u32) -> Self {
        let now = Instant::now();
        Self {
            answered: now + patience,
            never_answered: now + patience / never_answered,
            somebody_waits: true,
        }
    }
}

/// What became of a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Everything, the end included, is on the server's disk.
    pub complete: bool,
    /// Batches acknowledged.
    pub batches: u64,
    /// What the server refused, and why.
    pub refused: Vec<String>,
    /// Why it is not complete.
    pub problem: Option<String>,
}

/// A sender in the background.
#[derive(Debug)]
pub struct Shipper {
    thread: JoinHandle<Outcome>,
    deadline: Sender<Deadline>,
    reached: Arc<AtomicBool>,
}

impl Shipper {
    /// Begins to send what a spool holds and will hold.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(client: Client, folder: &Path) -> std::io::Result<Self> {
        let (deadline, asked) = channel();
        let sending = Sending::new(client, folder.to_path_buf(), asked);
        let reached = Arc::clone(&sending.reached);
        let thread = thread::Builder::new()
            .name("shipper".to_owned())
            .stack_size(512 << 10)
            .spawn(move || sending.run())?;
        Ok(Self {
            thread,
            deadline,
            reached,
        })
    }

    /// The recording is over: sends what is left, but no longer than `patience` (a server that never answered gets a twentieth of it),
    /// and no longer than a second once `hurry` is raised.
    #[must_use]
    pub fn finish(self, patience: Duration, hurry: &AtomicBool) -> Outcome {
        let stopped = Outcome {
            problem: Some("the sending stopped by itself".to_owned()),
            ..Outcome::default()
        };
        // A thread that is gone has its outcome ready.
        let deadline = Deadline::after(patience, NEVER_ANSWERED);
        let _ = self.deadline.send(deadline);
        let (answered, never_answered) = (deadline.answered, deadline.never_answered);
        let mut in_a_hurry = None;
        while !self.thread.is_finished() {
            if in_a_hurry.is_none() && hurry.load(Ordering::Relaxed) {
                let deadline = Deadline::after(IN_A_HURRY, 1);
                in_a_hurry = Some(deadline.answered);
                let _ = self.deadline.send(deadline);
            }
            let reached = self.reached.load(Ordering::Relaxed);
            let until = in_a_hurry.unwrap_or(if reached { answered } else { never_answered });
            if Instant::now() >= until + LEAVING {
                // A request hangs. What it carries is in the spool, so the thread may be left behind.
                return Outcome {
                    problem: Some("given up while the server was silent".to_owned()),
                    ..Outcome::default()
                };
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.thread.join().unwrap_or(stopped)
    }
}

/// Sends a spool that is no longer written; gives up on a server that does not take anything for want of `patience`, not on a slow one.
#[must_use]
pub fn send_whole(client: Client, folder: &Path, patience: Duration) -> Outcome {
    let (deadline, asked) = channel();
    let _ = deadline.send(Deadline {
        somebody_waits: false,
        ..Deadline::after(patience, UPLOAD_NEVER_ANSWERED)
    });
    Sending::new(client, folder.to_path_buf(), asked).run()
}

struct Sending {
    client: Client,
    folder: PathBuf,
    asked: Receiver<Deadline>,
    deadline: Option<Deadline>,
    outcome: Outcome,
    /// The server answered at least once.
    reached: Arc<AtomicBool>,
    failures: u32,
    open: Vec<(Uuid, SegmentReader)>,
}

/// Nothing more will be sent.
struct Stop;

/// What became of one item.
enum Delivered {
    /// Acknowledged, or refused for good.
    Settled,
    /// The server does not know the job, or not any more.
    JobUnknown,
}

impl Sending {
    fn new(client: Client, folder: PathBuf, asked: Receiver<Deadline>) -> Self {
        Self {
            client,
            folder,
            asked,
            deadline: None,
            outcome: Outcome::default(),
            reached: Arc::default(),
            failures: 0,
            open: Vec::new(),
        }
    }

    fn run(mut self) -> Outcome {
        let everything = self.send_everything();
        self.outcome.complete = everything.is_ok() && self.outcome.refused.is_empty();
        self.outcome
    }

    fn send_everything(&mut self) -> Result<(), Stop> {
        while let Delivered::JobUnknown = self.send_from_the_beginning()? {
            // What the server acknowledged before is not there any more, so all of it is sent again.
            self.open.clear();
            self.outcome.batches = 0;
            self.outcome.refused.clear();
            self.back_off(None)?;
        }
        Ok(())
    }

    fn send_from_the_beginning(&mut self) -> Result<Delivered, Stop> {
        let job = self.payload_of("job")?;
        if let Delivered::JobUnknown = self.deliver(Item::Job, &job)? {
            return Ok(Delivered::JobUnknown);
        }
        loop {
            // Asked before looking: what was written before the question is seen by the look after it.
            let over = self.deadline.is_some();
            while let Some((stream, record)) = self.next_batch()? {
                self.in_time()?;
                let item = Item::Batch(stream, record.seq);
                if let Delivered::JobUnknown = self.deliver(item, &record.payload)? {
                    return Ok(Delivered::JobUnknown);
                }
                self.outcome.batches += 1;
            }
            if over {
                break;
            }
            self.wait(LOOK);
        }
        let end = self.payload_of("end")?;
        let delivered = self.deliver(Item::End, &end)?;
        self.nothing_was_skipped()?;
        Ok(delivered)
    }

    /// A server that takes everything, but slowly, keeps nobody waiting beyond the patience either.
    fn in_time(&mut self) -> Result<(), Stop> {
        self.listen();
        let somebody_waits = self
            .deadline
            .is_some_and(|deadline| deadline.somebody_waits);
        if somebody_waits && self.give_up(Duration::ZERO) {
            self.outcome.problem = Some("the server is too slow".to_owned());
            return Err(Stop);
        }
        Ok(())
    }

    /// What could not be read from the spool is not on the server: the spool is the only place where it may still be found.
    fn nothing_was_skipped(&mut self) -> Result<(), Stop> {
        let skipped: u64 = self.open.iter().map(|(_, reader)| reader.skipped()).sum();
        if skipped == 0 {
            return Ok(());
        }
        self.outcome.problem = Some(format!("{skipped} damaged records in the spool"));
        Err(Stop)
    }

    fn next_batch(&mut self) -> Result<Option<(Uuid, Record)>, Stop> {
        let known: BTreeSet<Uuid> = self.open.iter().map(|(stream, _)| *stream).collect();
        let found = spool::segments(&self.folder).map_err(|error| self.fail(&error))?;
        for (stream, path) in found
            .into_iter()
            .filter(|(stream, _)| !known.contains(stream))
        {
            let reader = SegmentReader::open(&path).map_err(|error| self.fail(&error))?;
            self.open.push((stream, reader));
        }
        for at in 0..self.open.len() {
            let stream = self.open[at].0;
            match self.open[at].1.next_record() {
                Ok(Some(record)) => return Ok(Some((stream, record))),
                Ok(None) => {}
                Err(error) => return Err(self.fail(&error)),
            }
        }
        Ok(None)
    }

    fn payload_of(&mut self, name: &str) -> Result<Vec<u8>, Stop> {
        let path = self.folder.join(name);
        match SegmentReader::open(&path).and_then(|mut reader| reader.next_record()) {
            Ok(Some(record)) => Ok(record.payload),
            Ok(None) => {
                self.outcome.problem = Some(format!("{}: torn", path.display()));
                Err(Stop)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn fail(&mut self, error: &SpoolError) -> Stop {
        self.outcome.problem = Some(error.to_string());
        Stop
    }

    /// Sends one item until it is acknowledged or refused for good, or the server turns out not to know the job.
    fn deliver(&mut self, item: Item, payload: &[u8]) -> Result<Delivered, Stop> {
        loop {
            let answer = self.client.put(item, payload);
            match answer {
                Answer::Acknowledged => {
                    self.reached.store(true, Ordering::Relaxed);
                    self.outcome.problem = None;
                    // A server that takes the job and then does not know it would be asked without pause.
                    if item != Item::Job {
                        self.failures = 0;
                    }
                    return Ok(Delivered::Settled);
                }
                Answer::Refused(why) => {
                    self.reached.store(true, Ordering::Relaxed);
                    self.outcome.refused.push(format!("{item:?}: {why}"));
                    if item == Item::Job {
                        self.outcome.problem = Some(why);
                        return Err(Stop);
                    }
                    return Ok(Delivered::Settled);
                }
                Answer::Forbidden(why) => {
                    self.outcome.problem = Some(why);
                    return Err(Stop);
                }
                Answer::Unknown(why) => {
                    self.outcome.problem = Some(why);
                    return Ok(Delivered::JobUnknown);
                }
                Answer::Again(wait, why) => {
                    self.outcome.problem = Some(why);
                    self.back_off(wait)?;
                }
            }
        }
    }

    fn back_off(&mut self, wait: Option<Duration>) -> Result<(), Stop> {
        let chance = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        let wait = wait.unwrap_or_else(|| pause(self.failures, chance));
        self.failures += 1;
        if self.give_up(wait) {
            return Err(Stop);
        }
        self.wait(wait);
        if self.give_up(Duration::ZERO) {
            Err(Stop)
        } else {
            Ok(())
        }
    }

    fn give_up(&self, wait: Duration) -> bool {
        self.deadline.is_some_and(|deadline| {
            let until = if self.reached.load(Ordering::Relaxed) {
                deadline.answered
            } else {
                deadline.never_answered
            };
            let left = until.saturating_duration_since(Instant::now());
            left.is_zero() || (wait > left && self.failures > 2)
        })
    }

    /// Waits, but no longer than until the recording is over.
    fn wait(&mut self, time: Duration) {
        if self.deadline.is_some() {
            std::thread::sleep(time);
            return;
        }
        match self.asked.recv_timeout(time) {
            Ok(deadline) => self.hear(deadline),
            Err(RecvTimeoutError::Timeout) => {}
            // Whoever recorded is gone without a word: what is there is sent, and that is all.
            Err(RecvTimeoutError::Disconnected) => {
                self.deadline = Some(Deadline::after(Duration::ZERO, 1));
            }
        }
    }

    /// Hears a deadline that came while something was sent.
    fn listen(&mut self) {
        if let Ok(deadline) = self.asked.try_recv() {
            self.hear(deadline);
        }
    }

    fn hear(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
        self.failures = self.failures.min(1);
    }
}

/// Removes a spool that is acknowledged.
///
/// # Errors
/// When the folder cannot be removed.
pub fn discard(folder: &Path) -> std::io::Result<()> {
    fs::remove_dir_all(folder)
}
