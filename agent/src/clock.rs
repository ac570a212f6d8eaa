//! The two clocks of a job: CLOCK_MONOTONIC for every `t_us`, the wall clock for display only.

use rustix::time::{ClockId, clock_gettime};

/// Turns instants of CLOCK_MONOTONIC into `t_us`: microseconds since the job's start.
#[derive(Debug, Clone, Copy)]
pub struct JobClock {
    started_monotonic_us: i64,
}

impl JobClock {
    /// The clock of a job that started at an instant of CLOCK_MONOTONIC.
    #[must_use]
    pub fn new(started_monotonic_us: u64) -> Self {
        Self {
            started_monotonic_us: started_monotonic_us.cast_signed(),
        }
    }

    /// Now, µs since the job's start.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        monotonic_us() - self.started_monotonic_us
    }

    /// An instant of CLOCK_MONOTONIC, in µs since the job's start.
    #[must_use]
    pub fn at(&self, monotonic_us: i64) -> i64 {
        monotonic_us.saturating_sub(self.started_monotonic_us)
    }

    /// A start in clock ticks since boot (field 22 of `stat`), in µs since the job's start. Boot time goes on while the
    /// machine is suspended, CLOCK_MONOTONIC does not.
    #[must_use]
    pub fn at_ticks(&self, start_ticks: u64) -> i64 {
        let suspended_us = since_boot_us() - monotonic_us();
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let since_boot_us = (start_ticks / per_second) * 1_000_000
            + (start_ticks % per_second) * 1_000_000 / per_second;
        self.at(since_boot_us.cast_signed() - suspended_us)
    }
}

/// What the machine's clock of the day shows, µs since 1970.
#[must_use]
pub fn unix_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// CLOCK_MONOTONIC, µs.
#[must_use]
pub fn monotonic_us() -> i64 {
    read_us(ClockId::Monotonic)
}

/// Time since boot, µs, suspension included.
#[cfg(target_os = "linux")]
fn since_boot_us() -> i64 {
    read_us(ClockId::Boottime)
}

/// Elsewhere the monotonic clock itself goes on while the machine is suspended, or nobody tells.
#[cfg(not(target_os = "linux"))]
fn since_boot_us() -> i64 {
    monotonic_us()
}

/// CPU time of the calling thread, µs: what a reading cost, whoever else had the core meanwhile.
#[must_use]
pub fn thread_cpu_us() -> i64 {
    read_us(ClockId::ThreadCPUTime)
}

/// User and system CPU time of this process, µs.
#[must_use]
pub fn process_cpu_us() -> i64 {
    read_us(ClockId::ProcessCPUTime)
}

fn read_us(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}

/// Names the boot that CLOCK_MONOTONIC counts from; empty where the system does not tell.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}
