//! The thread that hears of ends: it holds on to processes of the job, and at the end of each, or when the
//! kernel's log tells of one, has the counters read at once and learns how it ended.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd, OwnedFd},
    os::unix::process::ExitStatusExt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, Timespec, epoll, eventfd},
    io::Errno,
};

use super::{Counters, Seen, Tellable, Teller};
use crate::{clock::JobClock, procfs::Procfs, tree::ProcessKey, witness::Held};

/// So many processes are held on to at most; each takes a descriptor.
const MOST_HELD: usize = 256;
/// So many ends are taken at once.
const EVENTS: usize = 32;
/// Stack of the thread; only what is touched counts.
const STACK_BYTES: usize = 256 << 10;
/// What the kernel's log is known by.
const LOG: u64 = u64::MAX - 1;
/// What the bell that ends the thread is known by; no descriptor has this number.
const BELL: u64 = u64::MAX;

/// Holds on to processes; the thread ends when this is dropped, after it has told of every end until then.
#[derive(Debug)]
pub(super) struct Exits {
    shared: Arc<Shared>,
    procfs: Procfs,
    bell: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    held: Mutex<HashMap<u64, Held>>,
    /// Set where the kernel lets no process be held on to.
    is_off: AtomicBool,
}

impl Exits {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread or no descriptors.
    pub(super) fn start<T: From<Seen> + Tellable + Send + 'static>(
        procfs: Procfs,
        clock: JobClock,
        teller: Teller<T>,
        counters: Arc<Counters<T>>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            held: Mutex::default(),
            is_off: AtomicBool::new(false),
        });
        let bell = eventfd(0, EventfdFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(BELL);
        epoll::add(&shared.epoll, &bell, data, epoll::EventFlags::IN)?;
        let log = counters.log_readable();
        if let Some(log) = &log {
            let data = epoll::EventData::new_u64(LOG);
            epoll::add(&shared.epoll, log, data, epoll::EventFlags::IN)?;
        }
        let listener = Listener {
            log,
            shared: Arc::clone(&shared),
            procfs: procfs.clone(),
            clock,
            teller,
            counters,
        };
        let thread = thread::Builder::new()
            .name("highwater-exits".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || listener.listen())?;
        Ok(Self {
            shared,
            procfs,
            bell,
            thread: Some(thread),
        })
    }

    /// Holds on to a process, unless that is not possible or there are too many; whether it is held.
    pub(super) fn hold(&self, key: ProcessKey) -> bool {
        if self.shared.is_off.load(Ordering::Relaxed) || self.shared.held().len() >= MOST_HELD {
            return false;
        }
        let held = match Held::of(&self.procfs, key) {
            Ok(held) => held,
            Err(error) => {
                // Not: that it is gone or another has its number, or that there are no more descriptors just now.
                let is_refused = matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::NODEV)
                );
                self.shared.is_off.fetch_or(is_refused, Ordering::Relaxed);
                return false;
            }
        };
        let slot = u64::from(held.fd().as_raw_fd().unsigned_abs());
        let data = epoll::EventData::new_u64(slot);
        // Whoever hears of its end looks for it after this lock.
        let mut all = self.shared.held();
        match epoll::add(&self.shared.epoll, held.fd(), data, epoll::EventFlags::IN) {
            Ok(()) => {
                all.insert(slot, held);
                true
            }
            Err(_) => false,
        }
    }
}

impl Drop for Exits {
    fn drop(&mut self) {
        let is_rung = rustix::io::write(&self.bell, &1_u64.to_ne_bytes()).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| is_rung) {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Listener<T> {
    shared: Arc<Shared>,
    log: Option<OwnedFd>,
    procfs: Procfs,
    clock: JobClock,
    teller: Teller<T>,
    counters: Arc<Counters<T>>,
}

impl<T: From<Seen> + Tellable> Listener<T> {
    fn listen(&self) {
        let mut events = Vec::with_capacity(EVENTS);
        let mut is_ending = false;
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        loop {
            let wait = is_ending.then_some(&at_once);
            match epoll::wait(&self.shared.epoll, spare_capacity(&mut events), wait) {
                Err(Errno::INTR) => continue,
                Err(_) => return,
                Ok(0) if is_ending => return,
                Ok(_) => {}
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    BELL if is_ending => return,
                    BELL => is_ending = true,
                    LOG if self.counters.read_because_of_log() => {}
                    LOG => self.leave_log(),
                    slot => self.hear(slot, event.flags),
                }
            }
        }
    }

    fn leave_log(&self) {
        if let Some(log) = &self.log {
            // It can only fail where it was left before.
            let _was_there = epoll::delete(&self.shared.epoll, log).is_ok();
        }
    }

    fn hear(&self, slot: u64, flags: epoll::EventFlags) {
        let Some(held) = self.shared.held().remove(&slot) else {
            return;
        };
        // Nobody can take away how it ended; its cgroup may be gone in a moment.
        let has_read = self.counters.read_at_end();
        let Some(status) = held.exit_status(&self.procfs) else {
            // Another user's: the kernel tells when it was reaped, if at all.
            if !flags.contains(epoll::EventFlags::HUP) && held.may_be_told_later() {
                self.wait_for_reaping(slot, held);
            }
            return;
        };
        if !has_read && status.signal().is_some() {
            self.counters.read(self.clock.now_us(), None, |_| {});
        }
        let exit = Seen::Exit {
            key: held.key,
            t_us: self.clock.now_us(),
            exit_code: status.code(),
            signal: status.signal(),
        };
        self.teller.tell(exit.into());
    }

    fn wait_for_reaping(&self, slot: u64, held: Held) {
        let mut all = self.shared.held();
        let data = epoll::EventData::new_u64(slot);
        // Being hung up is told also to whoever asks for nothing.
        let none = epoll::EventFlags::empty();
        if epoll::modify(&self.shared.epoll, held.fd(), data, none).is_ok() {
            all.insert(slot, held);
        }
    }
}
