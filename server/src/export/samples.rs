//! The samples of a job in long form: one row a value.

use std::{collections::HashMap, rc::Rc};

use highwater_store::{DetailKind, SeriesRow};
use highwater_wire::report::ProcessRow;

use super::{Done, ExportError};
use crate::{finalise, reading::Settled};

/// What a series is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) id: i64,
    pub(super) metric: &'static str,
    pub(super) unit: &'static str,
    /// Number of the process in the job's rows.
    pub(super) process: Option<u32>,
    pub(super) pid: Option<i64>,
    pub(super) worker: Option<String>,
    pub(super) cgroup: Option<String>,
}

/// One value.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) of: Rc<Heading>,
    pub(super) t_us: i64,
    pub(super) value: i64,
}

/// What there are samples of.
pub(super) fn headings(job: &Settled) -> Result<Vec<(SeriesRow, Heading)>, ExportError> {
    let processes: Vec<ProcessRow> = job.rows(DetailKind::Processes)?;
    let workers: HashMap<u32, String> = processes
        .into_iter()
        .filter_map(|process| Some((process.id, process.worker?)))
        .collect();
    let headings = job.series()?.into_iter().map(|row| {
        let (metric, unit) = finalise::name_of(row.metric);
        let worker = row.process_no.and_then(|process| workers.get(&process));
        let heading = Heading {
            id: row.column_no,
            metric,
            unit,
            process: row.process_no,
            pid: row.pid,
            worker: worker.cloned(),
            cgroup: row.cgroup.clone(),
        };
        (row, heading)
    });
    Ok(headings.collect())
}

/// Hands on every sample, series by series, each in order of time.
pub(super) fn rows(job: &Settled, take: &mut dyn FnMut(&[Sample]) -> Done) -> Done {
    for (row, heading) in headings(job)? {
        let heading = Rc::new(heading);
        job.samples(&row, |samples| {
            let rows = samples.into_iter().map(|(t_us, value)| Sample {
                of: Rc::clone(&heading),
                t_us,
                value,
            });
            take(&rows.collect::<Vec<_>>())
        })?;
    }
    Ok(())
}
