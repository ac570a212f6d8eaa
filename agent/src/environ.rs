//! Which test a pytest runs that has no plugin: `PYTEST_CURRENT_TEST` of its living environment.
//!
//! pytest sets the variable by `putenv`, which `/proc/PID/environ` (the environment at exec) does not show. So libc's `environ` is followed
//! in `/proc/PID/mem`: the symbol's address (from the dynamic symbols of the executable or of libc), the pointer there, the array it points to,
//! the string. Two variables are looked for, this one and `PYTEST_XDIST_WORKER`; of any other no more than its first 20 bytes are seen.
//!
//! The target is neither stopped nor traced, so each read may meet it in the middle of a change. What is found counts once a second read finds the same,
//! and arrays and strings are read up to a bound. Addresses are worked out once a program; after that a look that finds the variable where it was
//! costs three reads; one that finds another value confirms it with three more. All of it is sampled: what ran between two looks is not seen.
//!
//! A value that was there at exec is the test of whoever started the process, and does not count. Where the memory may not be read, the title
//! that xdist gives its workers by `setproctitle` is the next best word.

mod attach;
mod attached;
mod error;
mod maps;
mod memory;
mod scan;
mod symbols;
mod title;
mod value;

pub use error::Reason;
pub use title::is_title;
pub use value::Phase;

use attached::{Attached, Miss};
use title::Title;
use value::{Current, Worker};

use crate::procfs::Procfs;

/// After so many looks a process that could not be read is tried again; each time in vain doubles it.
const FIRST_PAUSE_LOOKS: u32 = 4;

/// The pause is doubled up to this.
const LONGEST_PAUSE_LOOKS: u32 = 1024;

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look<'a> {
    /// A test runs.
    Running {
        /// Its node id, as pytest writes it; bytes that are no UTF-8 are replaced.
        nodeid: &'a str,
        /// The phase it is in; `None` where the variable names none of pytest's three.
        phase: Option<Phase>,
    },
    /// The variable is not set: no test runs, or it is no pytest.
    Idle,
    /// It cannot be told, and why.
    Unknown(&'a Reason),
}

/// Looks at one process again and again.
#[derive(Debug)]
pub struct Reader {
    procfs: Procfs,
    pid: u32,
    /// When the process that was looked at first began: its number may be given to another.
    start_ticks: Option<u64>,
    hold: Hold,
    current: Current,
    worker: Worker,
    /// Whether the last look found its answer in the title.
    by_title: bool,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Hold {
    Attached(Box<Attached>),
    Failed(Failure),
}

/// A process that could not be read.
#[derive(Debug)]
struct Failure {
    reason: Reason,
    /// Looks until it is tried again.
    left_looks: u32,
    pause_looks: u32,
}

impl Reader {
    /// A reader of a process, at which it does not look yet.
    #[must_use]
    pub fn new(procfs: Procfs, pid: u32) -> Self {
        Self {
            procfs,
            pid,
            start_ticks: None,
            hold: Hold::Failed(Failure {
                reason: Reason::Gone,
                left_looks: 0,
                pause_looks: FIRST_PAUSE_LOOKS,
            }),
            current: Current::default(),
            worker: Worker::default(),
            by_title: false,
            buffer: Vec::new(),
        }
    }

    /// The xdist worker that the process is (`gw0`), as far as the looks until now have shown one.
    #[must_use]
    pub fn worker(&self) -> Option<&str> {
        self.worker.name()
    }

    /// Whether the last look found its answer in the title of an xdist worker, because the memory could not be read: the title names neither
    /// a phase nor the worker.
    #[must_use]
    pub fn is_by_title(&self) -> bool {
        self.by_title
    }

    /// Looks once.
    pub fn look(&mut self) -> Look<'_> {
        let told = match self.look_if_attached() {
            // It ended, or runs another program, for which everything has to be worked out anew.
            None | Some(Err(Miss::Gone)) => {
                self.attach();
                self.look_if_attached()
            }
            told => told,
        };
        let told = match (told, &self.hold) {
            (None, Hold::Failed(failure)) if failure.reason != Reason::Gone => self.title().map(Ok),
            (told, _) => told,
        };
        self.by_title = matches!(&self.hold, Hold::Failed(_)) && told.is_some();
        match (told, &self.hold) {
            (Some(Ok(true)), _) => Look::Running {
                nodeid: self.current.nodeid(),
                phase: self.current.phase(),
            },
            (Some(Ok(false)), _) => Look::Idle,
            (Some(Err(Miss::Moved)), _) => Look::Unknown(&Reason::Changing),
            (Some(Err(Miss::TooLarge)), _) => Look::Unknown(&Reason::TooLarge),
            (None, Hold::Failed(failure)) => Look::Unknown(&failure.reason),
            (Some(Err(Miss::Gone)) | None, _) => Look::Unknown(&Reason::Gone),
        }
    }

    /// Whether the title says that a test runs; `None` where there is no such title.
    fn title(&mut self) -> Option<bool> {
        match title::read(&self.procfs, self.pid, &mut self.buffer)? {
            Title::Running(nodeid) => {
                if !self.current.is(nodeid) {
                    self.current.set(nodeid);
                }
                Some(true)
            }
            Title::Idle => Some(false),
        }
    }

    fn look_if_attached(&mut self) -> Option<Result<bool, Miss>> {
        match &mut self.hold {
            Hold::Attached(attached) => Some(attached.look(&mut self.current, &mut self.worker)),
            Hold::Failed(_) => None,
        }
    }

    /// Finds `environ`, unless that has just failed.
    fn attach(&mut self) {
        let pause_looks = match &mut self.hold {
            Hold::Failed(failure) if failure.left_looks > 0 => {
                failure.left_looks -= 1;
                return;
            }
            Hold::Failed(failure) => failure.pause_looks,
            Hold::Attached(_) => FIRST_PAUSE_LOOKS,
        };
        self.worker = Worker::default();
        let found = attach::attach(&self.procfs, self.pid).and_then(|found| {
            if *self.start_ticks.get_or_insert(found.start_ticks) == found.start_ticks {
                Ok(found.attached)
            } else {
                Err(Reason::Gone)
            }
        });
        self.hold = match found {
            Ok(attached) => Hold::Attached(Box::new(attached)),
            Err(reason) => Hold::Failed(Failure {
                reason,
                left_looks: pause_looks,
                pause_looks: (pause_looks * 2).min(LONGEST_PAUSE_LOOKS),
            }),
        };
    }
}

#[cfg(test)]
mod tests;
