//! The chart of a job's memory, from the columns of its series.

use highwater_analysis::digest::Visit;
use highwater_report::{Chart, Curve, Of};
use highwater_wire::report::{JobReport, ProcessRow};

use crate::finalise::Column;

/// What can be drawn of the series.
pub(crate) fn of(columns: &[Column]) -> Vec<Curve<'_>> {
    let curve = |column: &'_ Column| -> Option<Of> {
        match (column.metric, column.process) {
            ("tree", _) => Some(Of::Tree),
            ("rss", Some(process)) => Some(Of::Process(process)),
            _ => None,
        }
    };
    let curves = columns.iter().filter_map(|column| {
        Some(Curve {
            of: curve(column)?,
            t_us: column.t_us.as_slice().into(),
            min: column.min.as_slice().into(),
            max: column.max.as_slice().into(),
        })
    });
    curves.collect()
}

/// `gone` says why the samples are no longer there, and nothing where they are; `whole`: also what came before pytest.
pub(crate) fn chart(
    job: &JobReport,
    processes: &[ProcessRow],
    visits: &[Visit],
    columns: &[Column],
    gone: &str,
    whole: bool,
) -> Chart {
    let drawn = highwater_report::chart(job, processes, visits, &of(columns), gone, whole);
    drawn.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot draw the timeline");
        Chart::default()
    })
}
