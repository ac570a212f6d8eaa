//! How the memory of each session went from file to file, and how far it can go on so.

use std::collections::{BTreeMap, BTreeSet};

use highwater_wire::report::{Course, GrowthReport, GrowthStep, LimitKind, LimitUse, Room, Span};

use super::visits::Visit;
use crate::{
    figures::{count, mebibytes, shown},
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

/// How many files more the tightest limit bears, none where it was passed: each raises what is used at the worst by what it retains.
fn room(per_file: Estimate, per_minute: Estimate, limits: &[LimitUse]) -> Option<Room> {
    let limit = LimitUse::tightest(limits)?;
    let bytes = limit.left_bytes();
    let fits = |each: Estimate, unit: f64| {
        let fit = |each: f64| (bytes as f64 / each * unit).clamp(0.0, MOST_FILES * unit) as i64;
        (each.value > 0.0).then(|| Span {
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
    let files = count(usize::try_from(report.files).unwrap_or(usize::MAX), "file");
    let on = match workers {
        1 => String::new(),
        workers => format!(" on {workers} workers"),
    };
    // Of several workers some may have given back what others grew by.
    let course = match report.grown_bytes < LEAST_TOLD_BYTES {
        true => Course::Level,
        false => report.course,
    };
    match course {
        Course::Level if report.grown_bytes.abs() < LEAST_TOLD_BYTES => {
            format!("After {files}{on} memory was about where it was after the first.")
        }
        Course::Level if report.grown_bytes < 0 => {
            let by = mebibytes(report.grown_bytes.saturating_neg());
            format!("After {files}{on} memory was {by} below where it was after the first.")
        }
        // What went up and came down again may have been much.
        Course::Level => format!(
            "Memory went up and down: after {files}{on} it was {grown} above where it was after the first."
        ),
        Course::LevelsOff => {
            format!("Memory grew by {grown} with the first of {files}{on} and then levelled off.")
        }
        Course::Steps => {
            let mut largest: Vec<&GrowthStep> = report.steps.iter().collect();
            largest.sort_by_key(|step| std::cmp::Reverse(step.bytes));
            let named = largest.iter().take(growth::MOST_STEPS);
            let named =
                named.map(|step| format!("{} ({})", shown(&step.path), mebibytes(step.bytes)));
            let named = named.collect::<Vec<_>>().join(", ");
            let more = match largest.len().saturating_sub(growth::MOST_STEPS) {
                0 => String::new(),
                more => format!(" and {} more", count(more, "file")),
            };
            let beside = beside_steps(report);
            format!("Memory stepped up by {grown} over {files}{on}: in {named}{more}{beside}.")
        }
        Course::Steady => {
            let Span { value, low, high } = report.per_file_bytes;
            let [value, low, high] = [value, low, high].map(mebibytes);
            let each = match value == low && value == high {
                true if value == mebibytes(0) => "less than 0.1 MiB a file".to_owned(),
                true => format!("{value} a file"),
                false => format!("{value} a file ({low} to {high})"),
            };
            let ran = i64::try_from(report.files).unwrap_or(i64::MAX);
            // Where there is none left the ending or the limit says so.
            let is_news = |room: &&Room| (1..=ran.saturating_mul(NEWS)).contains(&room.files.value);
            let room = report.room.as_ref().filter(is_news);
            let room = room.map_or_else(String::new, room_sentence);
            format!("Memory grew on and on: {each}, {grown} over {files}{on}.{room}")
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
        return ", and hardly in any other".to_owned();
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
    let more = match value {
        1 => "1 file more".to_owned(),
        value => format!("{value} files more"),
    };
    let files = match low == high {
        true => more,
        false => format!("about {more} ({low} to {high})"),
    };
    format!(" If it goes on so, {limit} has room for {files}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of files that grew by so many MiB in all.
    fn said(course: Course, files: u64, workers: usize, grown: i64) -> String {
        let each = |bytes: i64| Span {
            value: bytes,
            low: bytes,
            high: bytes,
        };
        let grown_bytes = grown << 20;
        let report = GrowthReport {
            session: 1,
            course,
            sentence: String::new(),
            files,
            grown_bytes,
            per_file_bytes: each(grown_bytes / files as i64),
            per_minute_bytes: each(0),
            steps: vec![GrowthStep {
                path: "a.py".to_owned(),
                bytes: grown_bytes,
            }],
            room: None,
        };
        sentence(&report, workers)
    }

    #[test]
    fn growth_is_told_in_english_whatever_the_numbers_are() {
        use Course::{Level, LevelsOff, Steady, Steps};
        for (course, files, workers, grown, says) in [
            (
                Level,
                1,
                1,
                0,
                "After 1 file memory was about where it was after the first.",
            ),
            (
                Level,
                2,
                2,
                -3,
                "After 2 files on 2 workers memory was about where it was after the first.",
            ),
            (
                Level,
                3,
                1,
                -12,
                "After 3 files memory was 12.0 MiB below where it was after the first.",
            ),
            (
                Level,
                9,
                1,
                12,
                "Memory went up and down: after 9 files it was 12.0 MiB above where it was after the first.",
            ),
            (
                LevelsOff,
                9,
                1,
                12,
                "Memory grew by 12.0 MiB with the first of 9 files and then levelled off.",
            ),
            (
                Steps,
                9,
                1,
                12,
                "Memory stepped up by 12.0 MiB over 9 files: in a.py (12.0 MiB), and hardly in any other.",
            ),
            (
                Steady,
                1,
                2,
                12,
                "Memory grew on and on: 12.0 MiB a file, 12.0 MiB over 1 file on 2 workers.",
            ),
            (
                Steady,
                300,
                1,
                12,
                "Memory grew on and on: less than 0.1 MiB a file, 12.0 MiB over 300 files.",
            ),
            // What one worker grew by others gave back.
            (
                Steady,
                9,
                3,
                0,
                "After 9 files on 3 workers memory was about where it was after the first.",
            ),
            (
                LevelsOff,
                9,
                3,
                -9,
                "After 9 files on 3 workers memory was 9.0 MiB below where it was after the first.",
            ),
        ] {
            assert_eq!(said(course, files, workers, grown), says);
        }
    }

    #[test]
    fn a_limit_that_was_passed_has_room_for_nothing() {
        let each = Estimate {
            value: 20e6,
            low: 19e6,
            high: 21e6,
        };
        let limit = |used| LimitUse {
            kind: LimitKind::Budget,
            path: String::new(),
            limit_bytes: 300_000_000,
            worst_used_bytes: used,
        };
        let over = room(each, each, &[limit(310_000_000)]).unwrap();
        assert_eq!(
            (over.bytes, over.files.value, over.files.high),
            (-10_000_000, 0, 0)
        );
        let under = room(each, each, &[limit(250_000_000)]).unwrap();
        assert_eq!(under.files.value, 2);
    }

    #[test]
    fn room_for_one_file_is_no_room_for_files() {
        let room = |value, low, high| {
            room_sentence(&Room {
                kind: LimitKind::Budget,
                bytes: 1,
                files: Span { value, low, high },
                duration_us: Span { value, low, high },
            })
        };
        for (spanned, says) in [
            ((1, 1, 1), "1 file more"),
            ((1, 0, 3), "about 1 file more (0 to 3)"),
            ((4, 4, 4), "4 files more"),
            ((4, 1, 7), "about 4 files more (1 to 7)"),
        ] {
            let (value, low, high) = spanned;
            let expected = format!(" If it goes on so, the budget has room for {says}.");
            assert_eq!(room(value, low, high), expected);
        }
    }
}
