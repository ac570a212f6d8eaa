//! A forecast as it is told: of a session with its limits and the history of its files.

use std::collections::{BTreeMap, HashSet};

use highwater_wire::report::{
    FileRow, ForecastReport, LimitCrossing, LimitKind, SessionReport, Span, WorkerFigures,
};

use super::{Crossing, Known, Limit, Seen, Step, Steps, WARN_FROM, forecast, words};
use crate::branches::Branch;

/// What a job before saw of each file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// In the order in which they ran.
    paths: Vec<String>,
    known: BTreeMap<String, Known>,
    /// The arguments of its only session; none where it had several.
    asked: Option<Vec<String>>,
    /// The branch of that job, where its code may be another.
    elsewhere: Option<Branch>,
}

impl History {
    /// From the files of a job that ran to its end; those that were cut short tell nothing.
    #[must_use]
    pub fn of(files: &[FileRow], sessions: &[SessionReport]) -> Self {
        let mut history = Self {
            asked: match sessions {
                [only] => Some(only.args.clone()),
                _ => None,
            },
            ..Self::default()
        };
        for file in files
            .iter()
            .filter(|file| file.visits > 0 && !file.censored)
        {
            let above = file.workers.iter().filter(|worker| worker.visits > 0);
            let known = Known {
                retained_bytes: held_after(file),
                above_bytes: above.map(above_bytes).max().unwrap_or(0),
            };
            if history.known.insert(file.path.clone(), known).is_none() {
                history.paths.push(file.path.clone());
            }
        }
        history
    }

    /// The same of a job that is neither of the branch of the one that is forecast nor of a baseline's.
    #[must_use]
    pub fn elsewhere(self, branch: &Branch) -> Self {
        Self {
            elsewhere: Some(branch.clone()),
            ..self
        }
    }

    /// Whether that job was asked to run the same, and knows all files that ended: else it says nothing of which are to come.
    fn is_alike(&self, asked: &[String], ended: &HashSet<&str>) -> bool {
        let is_asked = self.asked.as_deref() == Some(asked);
        is_asked && ended.iter().all(|path| self.known.contains_key(*path))
    }

    fn of_file(&self, path: &str) -> Option<Known> {
        self.known.get(path).copied()
    }
}

/// What its tests import the next job may import too, and what it set up for others this may. What it tore down for others stays until then: in the next
/// job it may not be the last.
fn held_after(file: &FileRow) -> i64 {
    let set_up = file.workers.iter().map(|it| it.shared_fixture_bytes.max(0));
    let others = set_up.fold(file.late_import_bytes, i64::saturating_add);
    file.retained_bytes.saturating_add(others)
}

fn above_bytes(worker: &WorkerFigures) -> i64 {
    let held = worker.start_bytes.max(worker.end_bytes);
    worker.tree_peak_bytes.saturating_sub(held).max(0)
}

/// A limit as it is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Which constraint.
    pub kind: LimitKind,
    /// Path of the cgroup; empty for others.
    pub path: String,
    /// What it allows, and what counts against it beside the job.
    pub limit: Limit,
    /// Whether the job was there already, though no sample may have seen it.
    pub is_reached: bool,
}

/// What is known of a session.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Its ordinal.
    pub session: u32,
    /// Its files.
    pub steps: &'a Steps,
    /// The most that the job held.
    pub peak_bytes: i64,
    /// What it holds where no file has ended yet.
    pub held_bytes: i64,
    /// How many workers run files beside each other.
    pub workers: usize,
    /// Every limit.
    pub limits: &'a [Measured],
    /// What a job of the same name saw.
    pub history: &'a History,
    /// Its arguments.
    pub asked: &'a [String],
    /// Whether it goes on; else it is told what it would have come to.
    pub goes_on: bool,
}

/// Tells what memory comes to; `None` where nothing is to come, or too little is known.
#[must_use]
pub fn report(of: &Situation<'_>) -> Option<ForecastReport> {
    let known = |step: &Step| (step.clone(), of.history.of_file(&step.path));
    let done: Vec<(Step, Option<Known>)> = of.steps.done().iter().map(known).collect();
    let ahead = ahead(of);
    let known: Vec<Option<Known>> = ahead
        .iter()
        .map(|path| of.history.of_file(path))
        .chain(std::iter::repeat_n(None, of.steps.further()))
        .collect();
    let limits: Vec<Limit> = of.limits.iter().map(|measured| measured.limit).collect();
    // What the job held when a limit was reached is what the limit leaves it.
    let held_then = of.limits.iter().filter(|it| it.is_reached).map(|it| {
        let beside = it.limit.beside_bytes.max(0);
        it.limit.limit_bytes.saturating_sub(beside)
    });
    let peak_bytes = held_then.fold(of.peak_bytes, i64::max);
    let seen = Seen {
        steps: &done,
        held_bytes: match done.is_empty() {
            true => of.held_bytes,
            false => of.steps.held_bytes(),
        },
        peak_bytes,
        workers: of.workers,
    };
    let found = forecast(&seen, &known, &limits)?;
    let told = of.limits.iter().zip(found.crossings);
    let mut crossings: Vec<LimitCrossing> = told
        .filter_map(|(measured, crossing)| {
            let crossing = crossing.filter(|_| !measured.is_reached)?;
            Some(told_crossing(
                measured,
                crossing,
                done.len(),
                &ahead,
                of.workers,
            ))
        })
        .collect();
    crossings.sort_by_key(|it| (std::cmp::Reverse(it.percent), it.file, it.file_low));
    let report = ForecastReport {
        session: of.session,
        sentence: String::new(),
        files_done: done.len() as u64,
        files: (done.len() + known.len()) as u64,
        files_known: known.iter().flatten().count() as u64,
        elsewhere: (of.history.elsewhere.as_ref())
            .filter(|_| found.rests_on_history)
            .map(Branch::words),
        is_warning: of.goes_on && crossings.iter().any(|it| it.percent >= WARN_FROM),
        peak_bytes: Span {
            value: found.peak_bytes.value as i64,
            low: found.peak_bytes.low as i64,
            high: found.peak_bytes.high as i64,
        },
        crossings,
    };
    let reached = of.limits.iter().find(|it| it.is_reached);
    Some(ForecastReport {
        sentence: words::sentence(&report, found.rests_on_history, reached, of.goes_on),
        ..report
    })
}

/// The files to come that are named: as collected, else, while a job goes on that is alike, those of history that have not ended.
fn ahead<'a>(of: &Situation<'a>) -> Vec<&'a str> {
    if of.steps.is_listed() {
        return of.steps.ahead().collect();
    }
    let ended: HashSet<&str> = of
        .steps
        .done()
        .iter()
        .map(|step| step.path.as_str())
        .collect();
    if !of.goes_on || !of.history.is_alike(of.asked, &ended) {
        return Vec::new();
    }
    let paths = of.history.paths.iter().map(String::as_str);
    paths.filter(|path| !ended.contains(path)).collect()
}

fn told_crossing(
    measured: &Measured,
    crossing: Crossing,
    done: usize,
    ahead: &[&str],
    workers: usize,
) -> LimitCrossing {
    let file = |at: Option<usize>| at.map(|at| (done + at + 1) as u64);
    let named = crossing
        .at
        .filter(|_| workers < 2)
        .and_then(|at| ahead.get(at));
    LimitCrossing {
        kind: measured.kind,
        path: measured.path.clone(),
        limit_bytes: measured.limit.limit_bytes.max(0).cast_unsigned(),
        percent: crossing.percent,
        file: file(crossing.at),
        file_low: file(crossing.low),
        file_high: file(crossing.high),
        test_file: named.map_or_else(String::new, |path| (*path).to_owned()),
    }
}

#[cfg(test)]
mod tests;
