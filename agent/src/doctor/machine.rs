//! The memory of the machine and of the cgroup.

use highwater_analysis::figures::mebibytes;

use super::Check;
use crate::{
    cgroup::{Cgroups, Version},
    procfs::{MachineReading, Procfs},
};

/// A size as people read it.
pub(super) fn size(bytes: u64) -> String {
    mebibytes(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Which version of cgroups holds the memory controller, and the tightest limit on the way to the root.
pub(super) fn cgroup(procfs: &Procfs, pid: u32) -> Check {
    const NAME: &str = "cgroup";
    let mend = "headroom is measured against the machine, a kill by the limit of a cgroup is not certain; enable the memory controller, or mount /sys/fs/cgroup into the container";
    let cgroups = match Cgroups::of(procfs, pid) {
        Ok(cgroups) => cgroups,
        Err(error) => return Check::limited(NAME, error.to_string(), mend),
    };
    if cgroups.version() == Version::None || cgroups.levels().is_empty() {
        return Check::limited(NAME, "no memory controller is visible", mend);
    }
    let mut limits = Vec::new();
    let mut usage_bytes = None;
    let mut has_counter = true;
    for (at, level) in cgroups.levels().iter().enumerate() {
        match level.read(&mut Vec::new()) {
            Ok(reading) => {
                limits.extend(reading.limit_bytes.map(|limit| (limit, level.name())));
                if at == 0 {
                    usage_bytes = reading.usage_bytes;
                    has_counter = reading.oom_kills.is_some();
                }
            }
            Err(error) => return Check::limited(NAME, error.to_string(), mend),
        }
    }
    let limit = match limits.iter().min() {
        Some((limit, name)) => format!("limit {} at {name}", size(*limit)),
        None => "no limit".to_owned(),
    };
    let used = usage_bytes.map_or_else(String::new, |used| format!(", {} used", size(used)));
    let seen = format!("version {}, {limit}{used}", cgroups.version().number());
    match has_counter {
        true => Check::works(NAME, seen),
        false => Check::limited(
            NAME,
            format!("{seen}, no oom_kill counter"),
            "that a death was for want of memory is not certain; use a kernel from 4.13 on",
        ),
    }
}

fn reading(procfs: &Procfs) -> Result<MachineReading, String> {
    procfs
        .open_machine()
        .and_then(|files| files.read(&mut Vec::new()))
        .map_err(|error| error.to_string())
}

/// Whether the machine tells its memory. Nothing is recorded without it.
pub(super) fn memory(procfs: &Procfs) -> Check {
    const NAME: &str = "memory";
    let mend = "mount /proc (a container needs its own)";
    match reading(procfs) {
        Err(why) => Check::missing(NAME, why, mend),
        Ok(reading) => match (reading.total_bytes, reading.available_bytes) {
            (Some(total), Some(available)) => {
                let swap = match reading.swap_total_bytes {
                    Some(swap @ 1..) => format!("{} swap", size(swap)),
                    _ => "no swap".to_owned(),
                };
                let (total, available) = (size(total), size(available));
                Check::works(NAME, format!("{available} of {total} available, {swap}"))
            }
            _ => Check::limited(
                NAME,
                "meminfo says no MemTotal or no MemAvailable",
                "the headroom of the machine is not known; use a kernel from 3.14 on",
            ),
        },
    }
}

/// Whether the kernel tells how long tasks wait for memory.
pub(super) fn pressure(procfs: &Procfs) -> Check {
    const NAME: &str = "pressure";
    let percent = |hundredths: u64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
    match reading(procfs).map(|reading| (reading.psi_some, reading.psi_full)) {
        Ok((Some(some), Some(full))) => {
            let (some, full) = (percent(some), percent(full));
            Check::works(NAME, format!("some {some} %, full {full} % of 10 s"))
        }
        _ => Check::limited(
            NAME,
            "the kernel tells no pressure of memory",
            "waiting for memory is not recorded; boot with psi=1 on a kernel from 4.20 on",
        ),
    }
}

/// Whether the machine counts whom it kills for want of memory.
pub(super) fn oom_kills(procfs: &Procfs) -> Check {
    const NAME: &str = "oom_kill";
    match reading(procfs).map(|reading| reading.oom_kills) {
        Ok(Some(kills)) => Check::works(NAME, format!("{kills} since boot")),
        _ => Check::limited(
            NAME,
            "vmstat has no oom_kill counter",
            "that the machine killed for want of memory is not seen; use a kernel from 4.13 on",
        ),
    }
}
