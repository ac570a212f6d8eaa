//! The thread that looks at the rest of the machine: where there are many processes that takes longer than a tick, and the grid must not wait.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::{Seen, Tellable, Teller};
use crate::{
    budget::Budget,
    clock::{JobClock, thread_cpu_us},
    procfs::Procfs,
    tree::Member,
    witness::{Bystanders, Scan},
};

/// Share of one core that looking may take.
const SHARE: f64 = 0.000_5;
/// How often it is looked, µs.
const EVERY_US: i64 = 10_000_000;
/// And while little memory is available, µs.
const EVERY_IF_SHORT_US: i64 = 2_000_000;
/// The first look, µs after the sampler began: what runs beside the job is then known also of a short one.
const FIRST_US: i64 = 500_000;
/// Stack of the thread; only what is touched counts.
const STACK_BYTES: usize = 256 << 10;

/// The rest of the machine at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestReading {
    /// When, µs since the job's start.
    pub t_us: i64,
    /// Who was there.
    pub scan: Scan,
}

/// Asks the thread for looks.
#[derive(Debug)]
pub(super) struct Rest {
    requests: SyncSender<()>,
    thread: JoinHandle<()>,
    /// Who is no bystander; filled anew for each look.
    members: Arc<Mutex<Vec<u32>>>,
    asked_us: Option<i64>,
    began_us: Option<i64>,
}

impl Rest {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn start<T: From<Seen> + Tellable + Send + 'static>(
        procfs: Procfs,
        clock: JobClock,
        teller: Teller<T>,
    ) -> io::Result<Self> {
        let (requests, waiting) = sync_channel(1);
        let members = Arc::<Mutex<Vec<u32>>>::default();
        let shared = Arc::clone(&members);
        let page_bytes = rustix::param::page_size() as u64;
        let bystanders = Bystanders::new(procfs, std::process::id(), page_bytes);
        let thread = thread::Builder::new()
            .name("highwater-rest".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || serve(bystanders, clock, &teller, (&waiting, &shared)))?;
        Ok(Self {
            requests,
            thread,
            members,
            asked_us: None,
            began_us: None,
        })
    }

    /// Asks for a look if one is due; one that the thread has not come to yet is not waited for.
    pub(super) fn ask_if_due(
        &mut self,
        now_us: i64,
        is_short: bool,
        has_ended: bool,
        members: &[Member],
    ) {
        let began_us = *self.began_us.get_or_insert(now_us);
        let due_us = match self.asked_us {
            None => began_us + FIRST_US,
            Some(_) if is_short && has_ended => now_us,
            Some(asked) if is_short => asked + EVERY_IF_SHORT_US,
            Some(asked) => asked + EVERY_US,
        };
        if now_us >= due_us {
            self.asked_us = Some(now_us);
            self.ask(members);
        }
    }

    fn ask(&self, members: &[Member]) {
        // While the thread still takes down the last list, it looks with that one.
        if let Ok(mut list) = self.members.try_lock() {
            list.clear();
            list.extend(members.iter().map(|member| member.key.pid));
        }
        let _ = self.requests.try_send(());
    }

    /// Waits until what was asked for is told, and ends the thread. A job that was over before the first look was due has it now.
    pub(super) fn end(self, members: &[Member]) {
        if self.asked_us.is_none() {
            self.ask(members);
        }
        drop(self.requests);
        // A panic there is on stderr by now; there is nothing left that it could tell.
        let _ = self.thread.join();
    }
}

fn serve<T: From<Seen> + Tellable>(
    mut bystanders: Bystanders,
    clock: JobClock,
    teller: &Teller<T>,
    (waiting, list): (&Receiver<()>, &Mutex<Vec<u32>>),
) {
    // Saved for the moment that matters: several looks while the machine runs short.
    let mut budget = Budget::saving(SHARE, 3 * EVERY_US);
    let mut members = HashSet::new();
    for () in waiting {
        members.clear();
        members.extend(
            list.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .copied(),
        );
        let t_us = clock.now_us();
        if !budget.allows(t_us) {
            continue;
        }
        let began = thread_cpu_us();
        let result = bystanders.scan(&members);
        budget.spend(t_us, thread_cpu_us() - began);
        let seen = match result {
            Ok(scan) => Seen::Rest(RestReading { t_us, scan }),
            Err(error) => Seen::Failed {
                t_us,
                code: "rest_failed",
                message: error.to_string(),
            },
        };
        teller.tell(seen.into());
    }
}
