//! The timeline of a job: what its chart draws, its legend, and the same in words.

use std::{borrow::Cow, collections::BTreeSet};

use highwater_analysis::{
    digest::{TreePoint, Visit},
    figures::{count, duration, peak_above_curve},
};
use highwater_charts::{
    Band, Block, BlockKind, Lane, Limit, Line, Outlook, Timeline, bytes_label, time_label, timeline,
};
use highwater_wire::report::{JobReport, JobState, ProcessRow, Role, Span};

const MOST_PROCESSES: usize = 4;
const MOST_LANES: usize = 16;
/// What came before the first session is left out where it takes this part of the job at least, and holds nothing that comes near the peak.
const LEFT_OUT_FROM_PART: i64 = 5;

/// A curve that ends no longer than this before the job ends with it, µs.
const LEAST_GAP_US: i64 = 1_000_000;
/// How many points a curve of the job is drawn with: as fine as the chart is wide.
const POINTS: usize = 600;

/// Memory over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve<'a> {
    /// Whose it is.
    pub of: Of,
    /// From these times on, µs since the job's start.
    pub t_us: Cow<'a, [i64]>,
    /// Least from a time to the next, bytes.
    pub min: Cow<'a, [i64]>,
    /// Greatest, bytes.
    pub max: Cow<'a, [i64]>,
}

/// Whose memory a curve shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// All processes of the job.
    Tree,
    /// One process, by its number.
    Process(u32),
}

impl Curve<'static> {
    /// The job's curve from its points, in as many as a chart can show.
    #[must_use]
    pub fn of_tree(points: &[TreePoint]) -> Self {
        let chunks = points.chunks(points.len().div_ceil(POINTS).max(1));
        let bounds = chunks.filter_map(|chunk| {
            let bytes = chunk.iter().map(|point| point.bytes);
            Some((chunk.first()?.t_us, bytes.clone().min()?, bytes.max()?))
        });
        let (mut t_us, mut min, mut max) = (Vec::new(), Vec::new(), Vec::new());
        for (from_us, least, greatest) in bounds {
            t_us.push(from_us);
            min.push(least);
            max.push(greatest);
        }
        Self {
            of: Of::Tree,
            t_us: t_us.into(),
            min: min.into(),
            max: max.into(),
        }
    }
}

/// A chart of a job and what goes with it.
#[derive(Debug, Default)]
pub struct Chart {
    /// The drawing.
    pub svg: String,
    /// What it shows, in words.
    pub words: String,
    /// Class and label of each line.
    pub legend: Vec<(String, String)>,
    /// Whether it leaves out what came before pytest.
    pub is_cut: bool,
}

/// `gone` says why the samples are no longer there, and nothing where they are; `whole`: also what came before pytest.
///
/// # Errors
/// When the drawing fails, which drawing into memory does not do.
pub fn chart(
    job: &JobReport,
    processes: &[ProcessRow],
    visits: &[Visit],
    curves: &[Curve<'_>],
    gone: &str,
    whole: bool,
) -> Result<Chart, Box<dyn std::error::Error>> {
    if !gone.is_empty() && visits.is_empty() {
        return Ok(Chart {
            svg: String::new(),
            words: gone.to_owned(),
            legend: Vec::new(),
            is_cut: false,
        });
    }
    let lines = lines(processes, curves);
    let tree: Vec<Band> = curves
        .iter()
        .find(|curve| curve.of == Of::Tree)
        .map(bands)
        .unwrap_or_default();
    let data = Timeline {
        from_us: match whole {
            true => 0,
            false => first_drawn_us(job, &tree),
        },
        span_us: job.duration_us,
        tree,
        processes: lines,
        limits: job.limits.iter().map(limit).collect(),
        peak: (job.peak_bytes > 0).then_some((job.peak_at_us, job.peak_bytes.cast_signed())),
        lanes: lanes(visits, processes, job),
        forecast: outlook(job),
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
    Ok(Chart {
        svg: timeline(&data)?,
        words: words(job, &data, (visits, processes), gone),
        legend,
        is_cut: data.from_us > 0,
    })
}

/// Where the peak of a job that goes on will lie.
fn outlook(job: &JobReport) -> Option<Outlook> {
    let forecast = job.forecast.as_ref();
    let forecast = forecast.filter(|it| {
        let mut sessions = job.sessions.iter();
        job.state == JobState::Running
            && sessions.any(|of| of.ordinal == it.session && of.is_open())
    })?;
    let Span { value, low, high } = forecast.peak_bytes;
    Some(Outlook { low, value, high })
}

/// From where on a job is drawn: a little before its first session, where a long time with little memory came before that; else its start.
fn first_drawn_us(job: &JobReport, tree: &[Band]) -> i64 {
    let began = job.sessions.iter().filter_map(|session| session.began_us);
    let Some(began_us) = began.min() else {
        return 0;
    };
    let from_us = began_us.saturating_sub(job.duration_us.saturating_sub(began_us) / 50);
    let before = tree.iter().take_while(|band| band.t_us < from_us);
    let highest = before.map(|band| band.max).max().unwrap_or(0);
    let is_long = from_us >= job.duration_us / LEFT_OUT_FROM_PART;
    let is_low = highest < job.peak_bytes.cast_signed() / 2 && job.peak_at_us >= from_us;
    if is_long && is_low { from_us.max(0) } else { 0 }
}

fn bands(curve: &Curve<'_>) -> Vec<Band> {
    let bounds = curve.min.iter().zip(&*curve.max);
    let bands = curve.t_us.iter().zip(bounds);
    let bands = bands.map(|(t_us, (min, max))| Band {
        t_us: *t_us,
        min: *min,
        max: *max,
    });
    bands.collect()
}

/// The processes that pytest runs in, else those with the highest memory.
fn lines(processes: &[ProcessRow], curves: &[Curve<'_>]) -> Vec<Line> {
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
            let curve = curves
                .iter()
                .find(|curve| curve.of == Of::Process(process.id))?;
            Some(Line {
                label: format!("{} RSS", name_of(process)),
                points: curve
                    .t_us
                    .iter()
                    .copied()
                    .zip(curve.max.iter().copied())
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
    Limit {
        label: limit.kind.as_str().to_owned(),
        bytes: limit.limit_bytes.cast_signed(),
    }
}

fn lanes(visits: &[Visit], processes: &[ProcessRow], job: &JobReport) -> Vec<Lane> {
    let mut lanes: Vec<(u32, Lane)> = Vec::new();
    for (number, block) in blocks(visits, processes, job) {
        let known = lanes.iter().position(|(process, _)| *process == number);
        match known {
            Some(at) => lanes[at].1.blocks.push(block),
            None if lanes.len() < MOST_LANES => {
                let process = processes.iter().find(|process| process.id == number);
                let label = process
                    .map_or_else(|| "pytest".to_owned(), |process| lane_name(process, visits));
                lanes.push((
                    number,
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

/// Every stretch with the number of its process, in order of time.
fn blocks(visits: &[Visit], processes: &[ProcessRow], job: &JobReport) -> Vec<(u32, Block)> {
    // What never ended went on until its process was gone.
    let until = |ended_us: Option<i64>, process: Option<&ProcessRow>| {
        ended_us
            .or_else(|| process?.ended_us)
            .unwrap_or(job.duration_us)
    };
    let is_cut_short = |ended_us: Option<i64>| ended_us.is_none() && job.state != JobState::Running;
    let of_visit = |visit: &Visit| {
        let process = processes.iter().find(|process| process.id == visit.process);
        let block = Block {
            from_us: visit.began_us,
            to_us: until(visit.ended_us, process),
            label: visit.path.clone(),
            kind: match visit.failed > 0 || is_cut_short(visit.ended_us) {
                true => BlockKind::Failed,
                false => BlockKind::Tests,
            },
        };
        (visit.process, block)
    };
    let of_process = |process: &ProcessRow| {
        let blocks = process.collections.iter().map(|collection| Block {
            from_us: collection.began_us,
            to_us: until(collection.ended_us, Some(process)),
            label: "collection".to_owned(),
            kind: match is_cut_short(collection.ended_us) {
                true => BlockKind::Failed,
                false => BlockKind::Collection,
            },
        });
        let numbered = blocks.map(|block| (process.id, block));
        numbered.collect::<Vec<_>>()
    };
    let mut all: Vec<(u32, Block)> = processes.iter().flat_map(of_process).collect();
    all.extend(visits.iter().map(of_visit));
    all.sort_by_key(|(number, block)| (block.from_us, *number));
    all
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
fn words(
    job: &JobReport,
    data: &Timeline,
    (visits, processes): (&[Visit], &[ProcessRow]),
    gone: &str,
) -> String {
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
            count(visits.len(), "visit"),
            match workers.len() {
                several if several > 1 && !are_workers(&workers, processes) =>
                    format!("{several} processes"),
                workers => count(workers, "worker"),
            },
        )
    };
    let below = format!(
        "{below}{}{}",
        red(data),
        collected(processes, job.duration_us)
    );
    if !gone.is_empty() {
        return format!("{gone}{below}");
    }
    let peak = bytes_label(job.peak_bytes.cast_signed());
    let highest = data.tree.iter().map(|band| band.max).max().unwrap_or(0);
    let apart = peak_above_curve(job.peak_bytes, job.peak_kind, highest)
        .map_or_else(String::new, |apart| format!(" {apart}"));
    format!(
        "Memory of all processes over {}: from {} at the start to {} {}, highest with {peak} ({}) after {}.{apart}{below}{}",
        time_label(job.duration_us),
        bytes_label(first),
        bytes_label(last),
        end_of_curve(job, &data.tree),
        job.peak_kind.as_str(),
        time_label(job.peak_at_us),
        left_out(data),
    ) + &foreseen(data)
}

/// Whether each of them is a worker of xdist.
fn are_workers(visited: &BTreeSet<u32>, processes: &[ProcessRow]) -> bool {
    let mut of_them = processes.iter().filter(|it| visited.contains(&it.id));
    of_them.all(|process| process.worker.is_some())
}

/// Where the curve ends: with the job, or before, as where the agent was gone.
fn end_of_curve(job: &JobReport, tree: &[Band]) -> String {
    let width_us = match tree {
        [first, second, ..] => second.t_us - first.t_us,
        _ => 0,
    };
    let last_us = tree.last().map_or(job.duration_us, |band| band.t_us);
    let left_us = job.duration_us - last_us - width_us;
    if job.state == JobState::Running || left_us < LEAST_GAP_US.max(width_us) {
        return "at the end".to_owned();
    }
    format!(
        "at {}, after which nothing was sampled until the end",
        time_label(last_us)
    )
}

/// What the band at the right edge is.
fn foreseen(data: &Timeline) -> String {
    data.forecast.map_or_else(String::new, |forecast| {
        format!(
            " At the right edge, what the peak comes to by the end: {} to {}.",
            bytes_label(forecast.low),
            bytes_label(forecast.high)
        )
    })
}

/// What is red in the lanes.
fn red(data: &Timeline) -> &'static str {
    let mut blocks = data.lanes.iter().flat_map(|lane| &lane.blocks);
    match blocks.any(|block| block.kind == BlockKind::Failed) {
        true => " Red is where a test failed, or what ran did not finish.",
        false => "",
    }
}

/// How long collection took, where that is known and wide enough to be seen.
fn collected(processes: &[ProcessRow], span_us: i64) -> String {
    let took = processes.iter().flat_map(|process| {
        let until_us = process.ended_us.unwrap_or(span_us);
        let collections = process.collections.iter();
        collections.map(move |one| {
            one.ended_us
                .unwrap_or(until_us)
                .saturating_sub(one.began_us)
        })
    });
    let seen = took.filter(|took_us| took_us.saturating_mul(100) >= span_us);
    seen.max().map_or_else(String::new, |longest_us| {
        format!(
            " Collection (outlined), in which the test files are imported, took {}.",
            duration(longest_us)
        )
    })
}

/// What of the job the chart does not show.
fn left_out(data: &Timeline) -> String {
    match data.from_us {
        0 => String::new(),
        from_us => format!(
            " The first {} are not drawn: pytest had not begun.",
            time_label(from_us)
        ),
    }
}
