//! The timeline of a job: what its chart draws, its legend, and the same in words.

use std::collections::BTreeSet;

use highwater_analysis::{digest::Visit, figures::peak_above_curve};
use highwater_charts::{
    Band, Block, Lane, Limit, Line, Timeline, bytes_label, time_label, timeline,
};
use highwater_wire::report::{JobReport, LimitKind, ProcessRow, Role};

use crate::finalise::Column;

const MOST_PROCESSES: usize = 4;
const MOST_LANES: usize = 16;

pub(crate) struct Chart {
    pub(crate) svg: String,
    pub(crate) words: String,
    /// Class and label of each line.
    pub(crate) legend: Vec<(String, String)>,
}

/// `gone` says why the samples are no longer there, and nothing where they are.
pub(crate) fn chart(
    job: &JobReport,
    processes: &[ProcessRow],
    visits: &[Visit],
    columns: &[Column],
    gone: &str,
) -> Chart {
    if !gone.is_empty() && visits.is_empty() {
        return Chart {
            svg: String::new(),
            words: gone.to_owned(),
            legend: Vec::new(),
        };
    }
    let lines = lines(processes, columns);
    let data = Timeline {
        span_us: job.duration_us,
        tree: columns
            .iter()
            .find(|column| column.metric == "tree")
            .map(bands)
            .unwrap_or_default(),
        processes: lines,
        limits: job.limits.iter().map(limit).collect(),
        peak: (job.peak_bytes > 0).then_some((job.peak_at_us, job.peak_bytes.cast_signed())),
        lanes: lanes(visits, processes, job.duration_us),
    };
    let mut legend = Vec::new();
    legend.extend(
        gone.is_empty()
            .then(|| ("tree".to_owned(), "all processes".to_owned())),
    );
    legend.extend(
        data.processes
            .iter()
            .zip(1..)
            .map(|(line, at)| (format!("process-{at}"), line.label.clone())),
    );
    let svg = timeline(&data).unwrap_or_else(|error| {
        tracing::error!(%error, "cannot draw the timeline");
        String::new()
    });
    Chart {
        svg,
        words: words(job, &data, visits, gone),
        legend,
    }
}

fn bands(column: &Column) -> Vec<Band> {
    (0..column.t_us.len())
        .map(|at| Band {
            t_us: column.t_us[at],
            min: column.min[at],
            max: column.max[at],
        })
        .collect()
}

/// The processes that pytest runs in, else those with the highest memory.
fn lines(processes: &[ProcessRow], columns: &[Column]) -> Vec<Line> {
    let mut ranked: Vec<&ProcessRow> = processes.iter().collect();
    ranked.sort_by_key(|process| {
        (
            process.role == Role::Child,
            std::cmp::Reverse(process.peak_bytes),
        )
    });
    ranked
        .into_iter()
        .filter_map(|process| {
            let column = columns
                .iter()
                .find(|column| column.metric == "rss" && column.process == Some(process.id))?;
            Some(Line {
                label: format!("{} RSS", name_of(process)),
                points: column
                    .t_us
                    .iter()
                    .copied()
                    .zip(column.max.iter().copied())
                    .collect(),
            })
        })
        .take(MOST_PROCESSES)
        .collect()
}

pub(crate) fn name_of(process: &ProcessRow) -> String {
    match &process.worker {
        Some(worker) => worker.clone(),
        None => format!("{} {}", process.role.as_str(), process.pid),
    }
}

fn limit(limit: &highwater_wire::report::LimitUse) -> Limit {
    let label = match limit.kind {
        LimitKind::Cgroup => "cgroup",
        LimitKind::Machine => "machine",
        LimitKind::Budget => "budget",
    };
    Limit {
        label: label.to_owned(),
        bytes: limit.limit_bytes.cast_signed(),
    }
}

fn lanes(visits: &[Visit], processes: &[ProcessRow], span_us: i64) -> Vec<Lane> {
    let mut lanes: Vec<(u32, Lane)> = Vec::new();
    for visit in visits {
        let process = processes.iter().find(|process| process.id == visit.process);
        let block = Block {
            from_us: visit.began_us,
            // What never ended went on until its process was gone.
            to_us: visit
                .ended_us
                .or_else(|| process?.ended_us)
                .unwrap_or(span_us),
            label: visit.path.clone(),
            failed: visit.failed > 0,
        };
        let known = lanes
            .iter()
            .position(|(process, _)| *process == visit.process);
        match known {
            Some(at) => lanes[at].1.blocks.push(block),
            None if lanes.len() < MOST_LANES => {
                let label = process
                    .map_or_else(|| "pytest".to_owned(), |process| lane_name(process, visits));
                lanes.push((
                    visit.process,
                    Lane {
                        label,
                        blocks: vec![block],
                    },
                ));
            }
            None => {}
        }
    }
    let mut lanes: Vec<Lane> = lanes.into_iter().map(|(_, lane)| lane).collect();
    // gw2 before gw10, and in the order of the legend.
    lanes.sort_by(|a, b| (a.label.len(), &a.label).cmp(&(b.label.len(), &b.label)));
    lanes
}

/// A lane has little room: a worker's name, a session's number where each had a process of its own, else the number of a process; the last two
/// only where several ran tests.
fn lane_name(process: &ProcessRow, visits: &[Visit]) -> String {
    let sessions: BTreeSet<u32> = visits.iter().map(|visit| visit.session).collect();
    let several = sessions.len() > 1;
    match (&process.worker, process.session) {
        (Some(worker), Some(session)) if several => format!("{session}: {worker}"),
        (Some(worker), _) => worker.clone(),
        (None, _) if visits.iter().all(|visit| visit.process == process.id) => "pytest".to_owned(),
        (None, Some(session)) if is_alone(process, session, visits) => format!("session {session}"),
        (None, _) => format!("pid {}", process.pid),
    }
}

/// Whether a process ran a session alone, and no other.
fn is_alone(process: &ProcessRow, session: u32, visits: &[Visit]) -> bool {
    visits
        .iter()
        .all(|visit| (visit.process == process.id) == (visit.session == session))
}

/// What the chart shows, in words.
fn words(job: &JobReport, data: &Timeline, visits: &[Visit], gone: &str) -> String {
    if data.tree.is_empty() && gone.is_empty() {
        return "No sample has arrived: there is no curve to show.".to_owned();
    }
    let first = data.tree.first().map_or(0, |band| band.max);
    let last = data.tree.last().map_or(0, |band| band.max);
    let workers: BTreeSet<u32> = visits.iter().map(|visit| visit.process).collect();
    let drawn = if data.lanes.len() < workers.len() {
        format!(", of which the first {} are drawn", data.lanes.len())
    } else {
        String::new()
    };
    let below = if visits.is_empty() {
        String::new()
    } else {
        format!(
            " Below, {} of test files on {}{drawn}.",
            super::format::count(visits.len(), "visit"),
            super::format::count(workers.len(), "worker"),
        )
    };
    if !gone.is_empty() {
        return format!("{gone}{below}");
    }
    let peak = bytes_label(job.peak_bytes.cast_signed());
    let highest = data.tree.iter().map(|band| band.max).max().unwrap_or(0);
    let apart = peak_above_curve(job.peak_bytes, highest)
        .map_or_else(String::new, |apart| format!(" {apart}"));
    format!(
        "Memory of all processes over {}: from {} at the start to {} at the end, highest with {peak} ({}) after {}.{apart}{below}",
        time_label(job.duration_us),
        bytes_label(first),
        bytes_label(last),
        job.peak_kind.as_str(),
        time_label(job.peak_at_us),
    )
}
