//! What the kernel says of processes, and what it lets be written.

use std::{fs, hint::black_box, io};

use super::{Check, machine::size};
use crate::{
    clock::thread_cpu_us,
    memlock::{self, Right},
    procfs::{ProcError, Procfs},
};

/// What is held and given back before the mark is reset, bytes: far more than the kernel's counters are off by.
const HELD_BYTES: usize = 32 << 20;
/// How often `statm` is read for its cost.
const STATM_READS: u16 = 500;
/// How often `smaps_rollup` is read for its cost.
const ROLLUP_READS: u16 = 20;
/// A rollup that takes longer is read seldom, µs.
const DEAR_ROLLUP_US: f64 = 5_000.0;

const NO_PROC: &str = "mount /proc (a container needs its own)";

/// Whether writing 5 to `clear_refs` brings the high-water mark down, which makes peaks exact.
pub(super) fn clear_refs(procfs: &Procfs, pid: u32) -> Check {
    const NAME: &str = "clear_refs";
    let mend = "peaks are sampled, spikes between two samples are not seen; use a kernel with CONFIG_PROC_PAGE_MONITOR and a /proc that may be written";
    drop(black_box(vec![1_u8; HELD_BYTES]));
    let mark = || high_water(procfs, pid);
    let reset = || fs::write(procfs.path_of(pid, "clear_refs"), "5").map_err(|e| e.to_string());
    let marks = mark().and_then(|before| {
        reset()?;
        Ok((before, mark()?))
    });
    match marks {
        Ok((before, after)) => match has_fallen(before, after) {
            true => Check::works(
                NAME,
                format!(
                    "VmHWM fell from {} to {}: exact peaks",
                    size(before),
                    size(after)
                ),
            ),
            false => Check::limited(
                NAME,
                format!("VmHWM stayed at {} after a reset", size(after)),
                mend,
            ),
        },
        Err(why) => Check::limited(NAME, why, mend),
    }
}

fn high_water(procfs: &Procfs, pid: u32) -> Result<u64, String> {
    match procfs.status(pid, &mut Vec::new()) {
        Ok(Some(status)) if status.high_water_bytes > 0 => Ok(status.high_water_bytes),
        Ok(_) => Err("status says no VmHWM".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a mark in bytes fell by most of what was held and given back before its reset.
pub(super) fn has_fallen(before: u64, after: u64) -> bool {
    before.saturating_sub(after) >= HELD_BYTES as u64 / 2
}

/// Whether the memory of a process can be read on each tick, and what that costs. Nothing is recorded without it.
pub(super) fn statm(procfs: &Procfs, pid: u32) -> Check {
    const NAME: &str = "statm";
    let file = match procfs.open_statm(pid, rustix::param::page_size() as u64) {
        Ok(Some(file)) => file,
        Ok(None) => return Check::missing(NAME, "is not there", NO_PROC),
        Err(error) => return Check::missing(NAME, error.to_string(), NO_PROC),
    };
    match cost_us(STATM_READS, || file.read()) {
        Ok(cost) => Check::works(NAME, format!("{cost:.1} µs a read")),
        Err(why) => Check::missing(NAME, why, NO_PROC),
    }
}

/// Whether the share of a process in shared pages can be read, and what that costs.
pub(super) fn smaps_rollup(procfs: &Procfs, pid: u32) -> Check {
    const NAME: &str = "smaps_rollup";
    let mut buffer = Vec::new();
    match cost_us(ROLLUP_READS, || procfs.rollup(pid, &mut buffer)) {
        Ok(cost) if cost <= DEAR_ROLLUP_US => Check::works(NAME, format!("{cost:.0} µs a read")),
        Ok(cost) => Check::limited(
            NAME,
            format!("{cost:.0} µs a read"),
            "shared memory is read seldom; nothing is to be done",
        ),
        Err(why) => Check::limited(
            NAME,
            why,
            "memory that processes share is counted once for each; use a kernel from 4.14 on",
        ),
    }
}

/// CPU time of one reading, µs, as the mean of some.
fn cost_us<T>(
    times: u16,
    mut read: impl FnMut() -> Result<Option<T>, ProcError>,
) -> Result<f64, String> {
    let began = thread_cpu_us();
    for _ in 0..times {
        match read() {
            Ok(Some(_)) => {}
            Ok(None) => return Err("is not there".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok((thread_cpu_us() - began) as f64 / f64::from(times))
}

/// Whether the kernel lists the children of a thread.
pub(super) fn children(procfs: &Procfs, pid: u32) -> Check {
    const NAME: &str = "children";
    let mend = "new processes are found by other means, short-lived ones perhaps not; use a kernel with CONFIG_PROC_CHILDREN";
    if !procfs.has_children_files(pid) {
        return Check::limited(NAME, "the kernel lists no children of a thread", mend);
    }
    match procfs.children(pid, &mut Vec::new(), &mut Vec::new()) {
        Ok(()) => Check::works(NAME, "the kernel lists the children of each thread"),
        Err(error) => Check::limited(NAME, error.to_string(), mend),
    }
}

/// Whether `oom_score_adj` may be written: the own value is written again, which changes nothing. Raising needs no more than that.
pub(super) fn oom_score_adj(procfs: &Procfs, pid: u32) -> Check {
    const NAME: &str = "oom_score_adj";
    let path = procfs.path_of(pid, "oom_score_adj");
    let rewrite = || -> io::Result<String> {
        let value = fs::read_to_string(&path)?.trim().to_owned();
        fs::write(&path, &value)?;
        Ok(value)
    };
    match rewrite() {
        Ok(value) => Check::works(NAME, format!("is {value} and may be raised")),
        Err(error) => Check::limited(
            NAME,
            format!("cannot be written: {error}"),
            "whom the kernel kills first cannot be chosen; let /proc be written",
        ),
    }
}

/// Whether the agent's memory is locked while it records. It need not be: where it is not, it may be slow when the machine swaps.
pub(super) fn memory_lock(procfs: &Procfs) -> Check {
    const NAME: &str = "memory_lock";
    let seen = match memlock::right(procfs) {
        Right::Capability => "the agent's memory is locked: it has CAP_IPC_LOCK".to_owned(),
        Right::Unlimited => "the agent's memory is locked: RLIMIT_MEMLOCK is unlimited".to_owned(),
        Right::None(bytes) => format!(
            "the agent's memory is not locked: that needs CAP_IPC_LOCK or `ulimit -l unlimited`, and the limit is {}",
            size(bytes)
        ),
    };
    Check::works(NAME, seen)
}

/// What Yama lets be read of other processes: the agent reads which test runs in a pytest without the plugin.
pub(super) fn ptrace_scope(procfs: &Procfs) -> Check {
    const NAME: &str = "ptrace_scope";
    let mend = "tests of a pytest without the plugin are not named; let the plugin load, or set kernel.yama.ptrace_scope to 1";
    match fs::read_to_string(procfs.path("sys/kernel/yama/ptrace_scope")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::works(NAME, "no Yama here: memory of the own user may be read")
        }
        Err(error) => {
            let seen = format!("cannot be read: {error}");
            Check::not_checked(NAME, seen, "see what `environ` says")
        }
        Ok(text) => match text.trim() {
            "0" => Check::works(NAME, "0, memory of the own user may be read"),
            "1" => Check::limited(
                NAME,
                "1, memory of what the agent itself starts may be read",
                "beside `highwater start` tests of a pytest without the plugin are not named, but for those of xdist's workers with setproctitle; let the plugin load, run pytest below `highwater run`, or set kernel.yama.ptrace_scope to 0",
            ),
            "2" => Check::limited(NAME, "2, administrators may read memory", mend),
            other => Check::limited(NAME, format!("{other}, nobody may read memory"), mend),
        },
    }
}
