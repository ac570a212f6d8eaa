//! Cgroups, machine and the kernel's log: read each second by the sampler, and at once by whoever hears that a process has ended, since its cgroup, and
//! with it the counter of kills, may be removed in the next moment.

use std::{
    os::fd::OwnedFd,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use highwater_wire::v1;

use super::{GridBlock, SecondReading, Seconds, Seen, Spares, Tellable, Teller};
use crate::{
    budget::Budget,
    cgroup::Home,
    clock::{JobClock, thread_cpu_us},
    procfs::{MachineReading, Procfs},
    witness::KernelLog,
};

/// So many kills of the kernel's log are told; of a machine that kills more, these are enough.
const MOST_KILLS: usize = 256;
/// Share of one core that readings after ends may take, as long as nobody was killed; and that new lines of the log may.
const SHARE: f64 = 0.001;
/// What was not used of it in so many µs may be used at once.
const SAVED_US: i64 = 20_000_000;
/// Of the machine's memory; less available is little.
const LITTLE: f64 = 0.1;

/// What is shared by those who read.
#[derive(Debug)]
pub(super) struct Counters<T> {
    clock: JobClock,
    teller: Teller<T>,
    spares: Spares,
    inner: Mutex<Inner>,
    /// A process ended since the rest of the machine was looked at.
    has_ended: AtomicBool,
    /// Little of the machine's memory was available at the last reading; asked on each tick, which waits for no reading.
    is_short: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    seconds: Seconds,
    log: Option<KernelLog>,
    kills: usize,
    at_ends: Budget,
    log_wakes: Budget,
}

impl<T: From<Seen> + Tellable> Counters<T> {
    pub(super) fn new(
        seconds: Seconds,
        procfs: &Procfs,
        clock: JobClock,
        teller: Teller<T>,
        spares: Spares,
    ) -> Self {
        let inner = Inner {
            seconds,
            log: KernelLog::open(procfs).ok(),
            kills: 0,
            at_ends: Budget::saving(SHARE, SAVED_US),
            log_wakes: Budget::saving(SHARE, SAVED_US),
        };
        Self {
            clock,
            teller,
            spares,
            inner: Mutex::new(inner),
            has_ended: AtomicBool::new(false),
            is_short: AtomicBool::new(false),
        }
    }

    /// Reads all, shows it to whoever asks, and tells it, with the block of the grid that ends here if one does.
    pub(super) fn read(
        &self,
        now_us: i64,
        block: Option<GridBlock>,
        show: impl FnOnce(&SecondReading),
    ) -> MachineReading {
        self.read_held(self.hold(), now_us, block, show)
    }

    /// The same because a process has ended, unless that would cost too much; whether it was read. It is done before anybody asks how the process
    /// ended.
    pub(super) fn read_at_end(&self) -> bool {
        self.has_ended.store(true, Ordering::Relaxed);
        let inner = self.hold();
        let now_us = self.clock.now_us();
        let is_affordable = inner.at_ends.allows(now_us);
        if is_affordable {
            let began = thread_cpu_us();
            self.read_held(inner, now_us, None, |_| {});
            self.hold().at_ends.spend(now_us, thread_cpu_us() - began);
        }
        is_affordable
    }

    /// The log has something new: where it tells of a kill, all is read, before the killed is gone and its cgroup with it. Whether that may be done
    /// again: a log that is written to all the time is read each second and no oftener.
    pub(super) fn read_because_of_log(&self) -> bool {
        let mut inner = self.hold();
        let now_us = self.clock.now_us();
        let began = thread_cpu_us();
        let kills = inner.kills;
        self.read_log(&mut inner, now_us);
        if inner.kills > kills {
            self.read_held(inner, now_us, None, |_| {});
            return true;
        }
        inner.log_wakes.spend(now_us, thread_cpu_us() - began);
        inner.log_wakes.allows(now_us)
    }

    /// What is readable when the log has something new.
    pub(super) fn log_readable(&self) -> Option<OwnedFd> {
        self.hold().log.as_ref()?.readable().ok()
    }

    fn read_held(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        now_us: i64,
        block: Option<GridBlock>,
        show: impl FnOnce(&SecondReading),
    ) -> MachineReading {
        let mut reading = self.spares.seconds.take();
        let result = inner.seconds.read(now_us, &mut reading);
        show(&reading);
        let (t_us, machine) = (reading.t_us, reading.machine);
        self.is_short.store(is_short(&machine), Ordering::Relaxed);
        // Told while nobody else reads: the recorder gets the readings in their order.
        let seen = match block {
            Some(block) => Seen::WholeSecond(block, reading),
            None => Seen::Second(reading),
        };
        self.teller.tell(seen.into());
        if let Err(error) = result {
            self.failed(t_us, "second_failed", error.to_string());
        }
        self.read_log(&mut inner, t_us);
        machine
    }

    fn read_log(&self, inner: &mut Inner, t_us: i64) {
        let killed = match inner.log.as_mut().map(KernelLog::read) {
            None => return,
            Some(Ok(killed)) => killed,
            Some(Err(error)) => {
                inner.log = None;
                self.failed(t_us, "kernel_log_failed", error.to_string());
                return;
            }
        };
        for oom in killed.into_iter().take(MOST_KILLS - inner.kills) {
            inner.kills += 1;
            let what = Some(v1::event::What::KernelOom(oom));
            self.teller
                .tell(Seen::Event(v1::Event { t_us, what }).into());
        }
    }

    /// Watches the cgroup of a process, from the text of its `/proc/PID/cgroup`.
    pub(super) fn watch(&self, text: &[u8], matters: bool) -> Option<Home> {
        self.hold().seconds.watch(text, matters)
    }

    /// Whether little of the machine's memory was available at the last reading.
    pub(super) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Whether a process has ended since the last call.
    pub(super) fn take_end(&self) -> bool {
        self.has_ended.swap(false, Ordering::Relaxed)
    }

    fn hold(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, t_us: i64, code: &'static str, message: String) {
        let failed = Seen::Failed {
            t_us,
            code,
            message,
        };
        self.teller.tell(failed.into());
    }
}

fn is_short(machine: &MachineReading) -> bool {
    match (machine.available_bytes, machine.total_bytes) {
        (Some(available), Some(total)) => (available as f64) < total as f64 * LITTLE,
        _ => false,
    }
}
