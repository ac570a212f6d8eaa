//! What sysinfo sees, where it is what records.

use std::time::Instant;

use super::{Check, machine::size};
use crate::portable::Processes;

const REPORT: &str = "nothing can be recorded here; tell which system this is";

/// Whether this very process is seen with its memory, and what a look at all costs; and whether the machine tells its memory.
pub(super) fn all(pid: u32) -> Vec<Check> {
    let mut processes = match Processes::new() {
        Ok(processes) => processes,
        Err(why) => return vec![Check::missing("processes", why, REPORT)],
    };
    vec![seen(&mut processes, pid), memory(&mut processes)]
}

fn seen(processes: &mut Processes, pid: u32) -> Check {
    const NAME: &str = "processes";
    // The first look fills the table; those of a recording only bring it up to date.
    processes.look_at_all();
    let began = Instant::now();
    processes.look_at_all();
    let took_us = began.elapsed().as_micros();
    match processes.seen(pid) {
        Some(own) if own.resident_bytes > 0 => Check::works(
            NAME,
            format!(
                "through sysinfo, {} in {took_us} µs; RSS alone, on a coarse grid",
                processes.all().count()
            ),
        ),
        _ => Check::missing(NAME, "sysinfo does not see this process", REPORT),
    }
}

fn memory(processes: &mut Processes) -> Check {
    const NAME: &str = "memory";
    let machine = processes.machine();
    match (machine.total_bytes, machine.available_bytes) {
        (Some(total), Some(available)) => Check::works(
            NAME,
            format!("{} of {} available", size(available), size(total)),
        ),
        _ => Check::limited(
            NAME,
            "sysinfo does not tell the machine's memory",
            "the headroom of the machine is not known; nothing is to be done",
        ),
    }
}
