//! How the memory of each session went from file to file, and how far it can go on so.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::{Course, GrowthReport, GrowthStep, LimitKind, LimitUse, Room, Span};

use super::visits::Visit;
use crate::{
    figures::mebibytes,
    growth::{self, Growth, Point},
    robust::Estimate,
};

/// What steady workers must hold of the growth of all to make it steady, and those with enough visits of all visits for anything to be said.
const MOST: f64 = 0.5;
/// More files than this are not told to fit: nobody knows what a suite will be by then.
const MOST_FILES: f64 = 1e6;

/// A change that is worth a figure, bytes.
const LEAST_TOLD_BYTES: i64 = growth::LEAST_GROWTH_BYTES as i64;
/// Growth in steps has hardly anything between them where that is less than this share of it.
const HARDLY: f64 = 0.1;
/// Room for more than so many times the files that ran is no news.
const NEWS: i64 = 4;

/// The visits of one worker in a session, in order.
struct Worker<'a> {
    visits: Vec<&'a Visit>,
    growth: Growth,
}

impl<'a> Worker<'a> {
    fn of(visits: Vec<&'a Visit>) -> Self {
        // What modules take that tests import is no growth that goes on, nor what fixtures take that several files share.
        let mut others_bytes: i64 = 0;
        let point = |visit: &&Visit| {
            others_bytes = others_bytes.saturating_add(visit.of_others_bytes());
            Point {
                t_us: visit.ended_us.unwrap_or(visit.began_us),
                bytes: visit.end_bytes.saturating_sub(others_bytes),
            }
        };
        let points: Vec<Point> = visits.iter().map(point).collect();
        let growth = growth::of(&points);
        Self { visits, growth }
    }

    /// A figure a visit, times its visits.
    fn over_all(&self) -> Option<Estimate> {
        let visits = self.visits.len() as f64;
        self.growth.per_visit_bytes.map(|each| Estimate {
            value: each.value * visits,
            low: each.low * visits,
            high: each.high * visits,
        })
    }
}

/// One report a session of which enough files ran. It is of the workers that had enough visits, and of their files alone.
pub(super) fn reports(visits: &[Visit], limits: &[LimitUse]) -> Vec<GrowthReport> {
    let mut sessions: BTreeMap<u32, BTreeMap<u32, Vec<&Visit>>> = BTreeMap::new();
    // What is cut short has no end to count from.
    for visit in visits.iter().filter(|visit| visit.ended_us.is_some()) {
        let workers = sessions.entry(visit.session).or_default();
        workers.entry(visit.process).or_default().push(visit);
    }
    let report = |(session, workers): (u32, BTreeMap<u32, Vec<&Visit>>)| {
        let workers: Vec<Worker<'_>> = workers.into_values().map(Worker::of).collect();
        let visits = |workers: &[Worker<'_>]| workers.iter().map(|it| it.visits.len()).sum();
        let all: usize = visits(&workers);
        let mut workers = workers;
        workers.retain(|it| it.growth.course != growth::Course::TooFew);
        let judged: usize = visits(&workers);
        if (judged as f64) < all as f64 * MOST {
            return None;
        }
        of_session(session, &workers, limits)
    };
    sessions.into_iter().filter_map(report).collect()
}

fn of_session(session: u32, workers: &[Worker<'_>], limits: &[LimitUse]) -> Option<GrowthReport> {
    let course = course(workers);
    let visits = workers.iter().flat_map(|worker| &worker.visits);
    let files: BTreeSet<&str> = visits.map(|visit| visit.path.as_str()).collect();
    let over_all = together(workers.iter().filter_map(Worker::over_all))?;
    let count = files.len() as f64;
    let per_file = Estimate {
        value: over_all.value / count,
        low: over_all.low / count,
        high: over_all.high / count,
    };
    let per_minute = together(workers.iter().filter_map(|it| it.growth.per_minute_bytes))?;
    let grown: f64 = workers.iter().map(|it| it.growth.grown_bytes).sum();
    let steps = match course {
        Course::Steps => steps(workers),
        _ => Vec::new(),
    };
    let room = match course {
        Course::Steady => room(per_file, per_minute, limits),
        _ => None,
    };
    let report = GrowthReport {
        session,
        course,
        sentence: String::new(),
        files: files.len() as u64,
        grown_bytes: grown as i64,
        per_file_bytes: span(per_file),
        per_minute_bytes: span(per_minute),
        steps,
        room,
    };
    Some(GrowthReport {
        sentence: sentence(&report, workers.len()),
        ..report
    })
}

/// What most of the growth was like.
fn course(workers: &[Worker<'_>]) -> Course {
    let grown = |course| {
        let those = workers.iter().filter(move |it| it.growth.course == course);
        those.map(|it| it.growth.grown_bytes.max(0.0)).sum::<f64>()
    };
    let [off, steps, steady] = [
        growth::Course::LevelsOff,
        growth::Course::Steps,
        growth::Course::Steady,
    ]
    .map(grown);
    let all = off + steps + steady;
    if all <= 0.0 {
        Course::Level
    } else if steady >= MOST * all {
        Course::Steady
    } else if steps >= off {
        Course::Steps
    } else {
        Course::LevelsOff
    }
}

/// The sum of independent figures: the sides of their intervals add as squares.
fn together(figures: impl Iterator<Item = Estimate>) -> Option<Estimate> {
    let (mut value, mut below, mut above, mut any) = (0.0, 0.0, 0.0, false);
    for figure in figures {
        any = true;
        value += figure.value;
        below += (figure.value - figure.low).powi(2);
        above += (figure.high - figure.value).powi(2);
    }
    any.then_some(Estimate {
        value,
        low: value - f64::sqrt(below),
        high: value + f64::sqrt(above),
    })
}

fn steps(workers: &[Worker<'_>]) -> Vec<GrowthStep> {
    let of_worker = |worker: &Worker<'_>| {
        let step = |(at, bytes): &(usize, f64)| {
            let visit = worker.visits.get(*at)?;
            let step = GrowthStep {
                path: visit.path.clone(),
                bytes: *bytes as i64,
            };
            Some((visit.began_us, step))
        };
        let steps = worker.growth.steps.iter();
        steps.filter_map(step).collect::<Vec<_>>()
    };
    let mut steps: Vec<(i64, GrowthStep)> = workers.iter().flat_map(of_worker).collect();
    steps.sort_by_key(|(began_us, _)| *began_us);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// How many files more the tightest limit bears: each raises what is used at the worst by what it retains.
fn room(per_file: Estimate, per_minute: Estimate, limits: &[LimitUse]) -> Option<Room> {
    let limit = LimitUse::tightest(limits)?;
    let bytes = limit.left_bytes();
    let fits = |each: Estimate, unit: f64| {
        let fit = |each: f64| (bytes as f64 / each * unit).clamp(0.0, MOST_FILES * unit) as i64;
        (bytes > 0 && each.value > 0.0).then(|| Span {
            value: fit(each.value),
            low: fit(each.high),
            // Where it may be that nothing grows there may be room for ever.
            high: fit(each.low.max(each.value / MOST_FILES)),
        })
    };
    Some(Room {
        kind: limit.kind,
        bytes,
        files: fits(per_file, 1.0)?,
        duration_us: fits(per_minute, 60e6)?,
    })
}

fn span(estimate: Estimate) -> Span {
    Span {
        value: estimate.value as i64,
        low: estimate.low as i64,
        high: estimate.high as i64,
    }
}

fn sentence(report: &GrowthReport, workers: usize) -> String {
    let grown = mebibytes(report.grown_bytes);
    let files = report.files;
    let on = match workers {
        1 => String::new(),
        workers => format!(" on {workers} workers"),
    };
    match report.course {
        // What went up and came down again may have been much.
        Course::Level if report.grown_bytes.abs() < LEAST_TOLD_BYTES => {
            format!("After {files} files{on} memory was about where it was after the first.")
        }
        Course::Level => {
            let than = if report.grown_bytes < 0 {
                "below"
            } else {
                "above"
            };
            let by = mebibytes(report.grown_bytes.abs());
            format!(
                "Memory went up and down: after {files} files{on} it was {by} {than} what it was after the first."
            )
        }
        Course::LevelsOff => format!(
            "Memory grew by {grown} with the first files and then levelled off, over {files} files{on}."
        ),
        Course::Steps => {
            let mut largest: Vec<&GrowthStep> = report.steps.iter().collect();
            largest.sort_by_key(|step| std::cmp::Reverse(step.bytes));
            let named = largest.iter().take(growth::MOST_STEPS);
            let named = named.map(|step| format!("{} ({})", step.path, mebibytes(step.bytes)));
            let named = named.collect::<Vec<_>>().join(", ");
            let more = match largest.len().saturating_sub(growth::MOST_STEPS) {
                0 => String::new(),
                1 => " and 1 file more".to_owned(),
                more => format!(" and {more} files more"),
            };
            let beside = beside_steps(report);
            format!(
                "Memory stepped up by {grown} over {files} files{on}: in {named}{more}{beside}."
            )
        }
        Course::Steady => {
            let Span { value, low, high } = report.per_file_bytes;
            let [value, low, high] = [value, low, high].map(mebibytes);
            let each = match value == low && value == high {
                true => format!("{value} a file"),
                false => format!("{value} a file ({low} to {high})"),
            };
            let ran = i64::try_from(files).unwrap_or(i64::MAX);
            // Where there is none left the ending or the limit says so.
            let is_news = |room: &&Room| (1..=ran.saturating_mul(NEWS)).contains(&room.files.value);
            let room = report.room.as_ref().filter(is_news);
            let room = room.map_or_else(String::new, room_sentence);
            format!("Memory grew on and on: {each}, {grown} over {files} files{on}.{room}")
        }
    }
}

/// What of growth in steps is none of them.
fn beside_steps(report: &GrowthReport) -> String {
    let stepped = report.steps.iter();
    let stepped = stepped.fold(0, |sum: i64, step| sum.saturating_add(step.bytes));
    let grown = report.grown_bytes.max(1);
    let rest = grown.saturating_sub(stepped);
    let share = rest as f64 / grown as f64;
    if share.abs() < HARDLY {
        return ", and hardly between".to_owned();
    }
    let bytes = mebibytes(rest.saturating_abs());
    let percent = share.abs() * 100.0;
    match rest > 0 {
        true => format!(", and by {bytes} ({percent:.0} %) in all others"),
        false => format!(", of which all others gave back {bytes}"),
    }
}

fn room_sentence(room: &Room) -> String {
    let Span { value, low, high } = room.files;
    let limit = match room.kind {
        LimitKind::Cgroup => "the limit of the cgroup",
        LimitKind::Machine => "the machine",
        LimitKind::Budget => "the budget",
    };
    let files = match low == high {
        true if value == 1 => "1 file more".to_owned(),
        true => format!("{value} files more"),
        false => format!("about {value} files more ({low} to {high})"),
    };
    format!(" If it goes on so, {limit} has room for {files}.")
}
