//! A job as a trace of Perfetto.
//!
//! The job is a track with the counters of its tree, its cgroups, the machine and the budget; each process is one with its own counters, and,
//! where it ran tests, a lane of slices: test files, tests in them, phases in these. A slice that has no end never ended.
//! Times are nanoseconds since 1970 by the clock of the machine that was recorded.

mod lanes;
mod schema;
mod trace;

use std::{collections::HashMap, io::Write};

use highwater_store::DetailKind;
use highwater_wire::report::{LimitKind, ProcessRow, Role};

use super::{Done, samples};
use crate::reading::Settled;
use trace::{Trace, Track};

pub(super) fn write(job: &Settled, out: impl Write) -> Done {
    let report = job.report();
    let mut trace = Trace::begin(out, &report.started_at)?;
    let root = trace.track(&format!("{} {}", report.project, report.name), None)?;
    let mut tracks: HashMap<u32, Track> = HashMap::new();
    for process in job.rows::<ProcessRow>(DetailKind::Processes)? {
        let track = trace.process(&process, &name_of(&process))?;
        tracks.insert(process.id, track);
    }
    for (row, of) in samples::headings(job)? {
        let own = of.process.and_then(|process| tracks.get(&process).copied());
        let name = match &of.cgroup {
            Some(path) => format!("{} {path}", of.metric),
            None => of.metric.to_owned(),
        };
        let counter = trace.counter(&name, of.unit, own.unwrap_or(root))?;
        job.samples(&row, |samples| {
            for (t_us, value) in samples {
                trace.count(counter, t_us, value)?;
            }
            Done::Ok(())
        })?;
    }
    for limit in &report.limits {
        // The limits of cgroups and of the machine are series.
        if limit.kind == LimitKind::Budget {
            let counter = trace.counter("budget", "bytes", root)?;
            for t_us in [0, report.duration_us] {
                trace.count(counter, t_us, limit.limit_bytes.cast_signed())?;
            }
        }
    }
    lanes::write(job, &tracks, &mut trace)?;
    Ok(trace.end()?)
}

/// What a process is called: its worker, its role in pytest, or the program it runs.
fn name_of(process: &ProcessRow) -> String {
    match (&process.worker, process.role) {
        (Some(worker), _) => worker.clone(),
        (None, Role::Pytest | Role::Controller | Role::Worker) => process.role.as_str().to_owned(),
        (None, Role::Child | Role::Other) => {
            let program = process.command.split_whitespace().next().unwrap_or("");
            let name = program.rsplit('/').next().unwrap_or("");
            format!("{} {name}", process.role.as_str())
        }
    }
}
