//! The thread that sends while the recording goes on.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Client,
    client::seconds,
    deadline::{Deadline, Over},
    sending::Sending,
    source::Source,
};
use crate::spool::{Handoff, Unwritten};

/// A server that never answered while the recording went on gets this share of the patience at its end: the command's caller waits.
const NEVER_ANSWERED: u32 = 20;
/// The same for an upload, which has nothing else to do.
const UPLOAD_NEVER_ANSWERED: u32 = 10;
/// What is left to a caller who is told to hurry.
const IN_A_HURRY: Duration = Duration::from_secs(1);
/// How long after its deadline the thread may take to notice.
const LEAVING: Duration = Duration::from_secs(1);

/// What became of a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Everything, the end included, is on the server's disk.
    pub complete: bool,
    /// Batches acknowledged.
    pub batches: u64,
    /// Batches that the end announces.
    pub announced: u64,
    /// Those of them that could not be read from the spool, and so were not sent.
    pub missing: u64,
    /// What the server refused, and why.
    pub refused: Vec<String>,
    /// Why it is not complete.
    pub problem: Option<String>,
    /// Nothing was taken or refused as long as was tried.
    pub nothing_taken: bool,
}

impl Outcome {
    /// Why it is not complete, in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.refused.as_slice() {
            [] => self.problem.clone().unwrap_or_default(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first}; {} more were refused", rest.len()),
        }
    }
}

/// A sender in the background.
#[derive(Debug)]
pub struct Shipper {
    thread: JoinHandle<Outcome>,
    over: Sender<Over>,
    reached: Arc<AtomicBool>,
    handoff: Handoff,
}

impl Shipper {
    /// Begins to send what a spool holds and will hold; `handoff` is of its writer.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(client: Client, folder: &Path, handoff: Handoff) -> std::io::Result<Self> {
        let (over, asked) = channel();
        let source = Source::new(folder, Unwritten::default());
        let sending = Sending::new(client, source, asked, handoff.clone());
        let reached = sending.reached();
        let thread = thread::Builder::new()
            .name("shipper".to_owned())
            .stack_size(512 << 10)
            .spawn(move || sending.run())?;
        Ok(Self {
            thread,
            over,
            reached,
            handoff,
        })
    }

    /// The recording is over: sends what is left, but no longer than `patience` (a server that never answered gets a twentieth of it),
    /// and no longer than a second once `hurry` is raised. `unwritten` is what the spool has no room for.
    #[must_use]
    pub fn finish(self, unwritten: Unwritten, patience: Duration, hurry: &AtomicBool) -> Outcome {
        let stopped = Outcome {
            problem: Some("the sending stopped by itself".to_owned()),
            ..Outcome::default()
        };
        let deadline = Deadline::fixed(patience, NEVER_ANSWERED);
        // A thread that is gone has its outcome ready.
        let _ = self.over.send(Over {
            deadline,
            unwritten: Some(unwritten),
        });
        self.handoff.bell.ring();
        let mut in_a_hurry = None;
        while !self.thread.is_finished() {
            if in_a_hurry.is_none() && hurry.load(Ordering::Relaxed) {
                let deadline = Deadline::fixed(IN_A_HURRY, 1);
                in_a_hurry = Some(deadline.until(true));
                let _ = self.over.send(Over {
                    deadline,
                    unwritten: None,
                });
                self.handoff.bell.ring();
            }
            let reached = self.reached.load(Ordering::Relaxed);
            let until = in_a_hurry.unwrap_or_else(|| deadline.until(reached));
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

/// Sends a spool that is no longer written, and what found no room in it. Gives up on a server that took nothing for as long as `patience`,
/// not on a slow one.
#[must_use]
pub fn send_whole(
    client: Client,
    folder: &Path,
    unwritten: Unwritten,
    patience: Duration,
) -> Outcome {
    let (over, asked) = channel();
    let deadline = Deadline::renewed(patience, UPLOAD_NEVER_ANSWERED);
    // The receiver is there.
    let _ = over.send(Over {
        deadline,
        unwritten: None,
    });
    let source = Source::new(folder, unwritten);
    let mut outcome = Sending::new(client, source, asked, Handoff::default()).run();
    if outcome.nothing_taken {
        let tried = seconds(patience / UPLOAD_NEVER_ANSWERED);
        let why = outcome.problem.unwrap_or_default();
        outcome.problem = Some(format!("given up after {tried}: {why}"));
    }
    outcome
}

/// Removes a spool that is acknowledged.
///
/// # Errors
/// When the folder cannot be removed.
pub fn discard(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        // The suite may have cleared it away.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
