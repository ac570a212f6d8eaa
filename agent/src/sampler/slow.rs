//! The thread that reads PSS and swap: a round over a big tree takes longer than a tick, and the grid must not wait.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use super::{Seen, Spares, Tellable, Teller};
use crate::{
    clock::{JobClock, thread_cpu_us},
    procfs::{ProcError, Procfs},
    tree::{Member, ProcessKey},
};

/// What a round reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// PSS of each process, and with it, at no further cost, swap.
    Pss {
        /// Whether swap is of interest.
        swap: bool,
    },
    /// Swap alone, which does not stall the process.
    Swap,
}

/// One value of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowValue {
    /// Whose.
    pub key: ProcessKey,
    /// When it was read, µs since the job's start.
    pub t_us: i64,
    /// PSS in bytes, where it was read.
    pub pss_bytes: Option<u64>,
    /// Swap in bytes, where it was read.
    pub swap_bytes: Option<u64>,
}

/// The values of a round, in the order they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlowReading {
    /// One a process.
    pub values: Vec<SlowValue>,
}

/// What rounds cost, shared with the thread that reads them.
#[derive(Debug, Default)]
pub struct Cost {
    pub(super) busy: AtomicBool,
    /// CPU time of the round that has just finished, µs; negative when there is none.
    finished_us: AtomicI64,
    /// What the last round of PSS found to be shared, until it is taken.
    shared: Mutex<Option<Shared>>,
}

/// RSS minus PSS of each process, bytes.
pub type Shared = Vec<(ProcessKey, u64)>;

impl Cost {
    /// Whether a round is running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// The cost of a round that finished since the last call, µs of CPU time.
    pub fn take_finished(&self) -> Option<i64> {
        Some(self.finished_us.swap(0, Ordering::AcqRel)).filter(|cost| *cost > 0)
    }

    /// What the last round of PSS found to be shared, unless it was taken already.
    pub fn take_shared(&self) -> Option<Shared> {
        let shared = self.shared.lock();
        shared.unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn finish(&self, cost_us: i64) {
        self.finished_us.store(cost_us.max(1), Ordering::Release);
        self.busy.store(false, Ordering::Release);
    }
}

type Request = (Round, Vec<ProcessKey>);

/// Asks the thread for rounds; the thread ends when this is dropped.
#[derive(Debug)]
pub struct SlowReader {
    requests: SyncSender<Request>,
    cost: Arc<Cost>,
    spares: Spares,
}

impl SlowReader {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start<T: From<Seen> + Tellable + Send + 'static>(
        procfs: Procfs,
        clock: JobClock,
        teller: Teller<T>,
        spares: Spares,
    ) -> io::Result<Self> {
        let (requests, waiting) = sync_channel::<Request>(1);
        let cost = Arc::new(Cost::default());
        let shared = Arc::clone(&cost);
        let own_spares = spares.clone();
        thread::Builder::new()
            .name("highwater-pss".to_owned())
            .stack_size(128 << 10)
            .spawn(move || serve(&procfs, clock, &teller, &waiting, &shared, &own_spares))?;
        Ok(Self {
            requests,
            cost,
            spares,
        })
    }

    /// What rounds cost.
    #[must_use]
    pub fn cost(&self) -> &Cost {
        &self.cost
    }

    /// Asks for a round over all members.
    pub fn ask(&self, round: Round, members: &mut [Member]) {
        let mut keys = self.spares.keys.take();
        keys.clear();
        keys.extend(members.iter().map(|member| member.key));
        self.cost.busy.store(true, Ordering::Release);
        if self.requests.try_send((round, keys)).is_err() {
            self.cost.finish(1);
            return;
        }
        if matches!(round, Round::Pss { .. }) {
            for member in members {
                member.has_pss = true;
            }
        }
    }
}

fn serve<T: From<Seen> + Tellable>(
    procfs: &Procfs,
    clock: JobClock,
    teller: &Teller<T>,
    waiting: &Receiver<Request>,
    cost: &Cost,
    spares: &Spares,
) {
    let mut buffer = Vec::new();
    for (round, keys) in waiting {
        let began = thread_cpu_us();
        let mut values = spares.values.take();
        values.clear();
        let mut shared = Vec::with_capacity(keys.len());
        let mut failure = None;
        for key in keys.iter().copied() {
            let t_us = clock.now_us();
            match read(procfs, round, key, t_us, &mut buffer) {
                Ok(Some((value, shared_bytes))) => {
                    values.push(value);
                    shared.push((key, shared_bytes));
                }
                Ok(None) => {}
                // A process of another user keeps its PSS to itself.
                Err(error) if error.is_forbidden() => {}
                Err(error) => failure = Some(error),
            }
        }
        spares.keys.give(keys);
        if matches!(round, Round::Pss { .. }) {
            let last = cost.shared.lock();
            *last.unwrap_or_else(PoisonError::into_inner) = Some(shared);
        }
        cost.finish(thread_cpu_us() - began);
        if !values.is_empty() {
            teller.tell(Seen::Slow(SlowReading { values }).into());
        }
        if let Some(error) = failure {
            let (t_us, message) = (clock.now_us(), error.to_string());
            let code = "pss_failed";
            teller.tell(
                Seen::Failed {
                    t_us,
                    code,
                    message,
                }
                .into(),
            );
        }
    }
}

/// The value, and how much of its RSS a process shares with others.
fn read(
    procfs: &Procfs,
    round: Round,
    key: ProcessKey,
    t_us: i64,
    buffer: &mut Vec<u8>,
) -> Result<Option<(SlowValue, u64)>, ProcError> {
    let value = |pss_bytes, swap_bytes| SlowValue {
        key,
        t_us,
        pss_bytes,
        swap_bytes,
    };
    Ok(match round {
        Round::Pss { swap } => procfs.rollup(key.pid, buffer)?.map(|rollup| {
            let swap_bytes = swap.then_some(rollup.swap_bytes);
            let shared_bytes = rollup.rss_bytes.saturating_sub(rollup.pss_bytes);
            (value(Some(rollup.pss_bytes), swap_bytes), shared_bytes)
        }),
        Round::Swap => procfs
            .status(key.pid, buffer)?
            .map(|status| (value(None, Some(status.swap_bytes)), 0)),
    })
}
