//! A forecast as it is told: of a session with its limits and the history of its files.

use std::collections::{BTreeMap, HashSet};

use highwater_wire::report::{
    FileRow, ForecastReport, LimitCrossing, LimitKind, SessionReport, Span, WorkerFigures,
};

use super::{Crossing, Known, Limit, Seen, Step, Steps, WARN_FROM, forecast, words};

/// What a job before saw of each file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// In the order in which they ran.
    paths: Vec<String>,
    known: BTreeMap<String, Known>,
    /// The arguments of its only session; none where it had several.
    asked: Option<Vec<String>>,
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
        sentence: words::sentence(&report, reached, of.goes_on),
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
mod tests {
    use super::*;
    use crate::forecast::Ended;

    const MB: i64 = 1_000_000;

    fn steps(files: usize, done: usize) -> Steps {
        let mut steps = Steps::default();
        let list: Vec<String> = (1..=files).map(|at| format!("2 test_{at:02}.py")).collect();
        steps.collected(&list.join("\n"));
        for at in 1..=done {
            let held = 100 + 20 * at as i64;
            let is_done = steps.ended(&Ended {
                process: 7,
                path: &format!("test_{at:02}.py"),
                start_bytes: (held - 20) * MB,
                end_bytes: held * MB,
                peak_bytes: (held + 5) * MB,
                tests: 2,
            });
            assert!(is_done);
        }
        steps
    }

    fn situation<'a>(
        steps: &'a Steps,
        limits: &'a [Measured],
        history: &'a History,
    ) -> Situation<'a> {
        Situation {
            session: 1,
            steps,
            peak_bytes: steps.held_bytes() + 5 * MB,
            held_bytes: 0,
            workers: 1,
            limits,
            history,
            asked: &[],
            goes_on: true,
        }
    }

    fn cgroup(limit: i64) -> Measured {
        Measured {
            kind: LimitKind::Cgroup,
            path: "/a".to_owned(),
            limit: Limit {
                limit_bytes: limit * MB,
                beside_bytes: 0,
            },
            is_reached: false,
        }
    }

    #[test]
    fn the_file_at_which_a_limit_is_crossed_is_named() {
        let (steps, history) = (steps(40, 20), History::default());
        let limits = [cgroup(9_000), cgroup(700)];
        let told = report(&situation(&steps, &limits, &history)).unwrap();
        assert_eq!(
            (told.files_done, told.files, told.is_warning),
            (20, 40, true)
        );
        let first = &told.crossings[0];
        // 100 MB, 20 a file and 5 above that.
        assert_eq!(
            (first.file, first.test_file.as_str()),
            (Some(30), "test_30.py")
        );
        assert_eq!(
            told.sentence,
            "If it goes on so, memory comes to 863.1 MiB by the end, after 20 of 40 files. It crosses the limit of the cgroup, 667.6 MiB, at file 30 of 40, test_30.py."
        );
        let workers = Situation {
            workers: 2,
            goes_on: false,
            ..situation(&steps, &limits, &history)
        };
        assert_eq!(
            report(&workers).unwrap().sentence,
            "Had it gone on so, memory would have come to 863.1 MiB by the end, after 20 of 40 files. It would have crossed the limit of the cgroup, 667.6 MiB, at file 30 of 40."
        );
    }

    #[test]
    fn a_suite_that_ran_to_its_end_has_no_forecast() {
        let (steps, history) = (steps(20, 20), History::default());
        assert_eq!(report(&situation(&steps, &[], &history)), None);
    }

    #[test]
    fn history_names_the_files_where_no_list_does() {
        let mut history = History {
            asked: Some(Vec::new()),
            ..History::default()
        };
        for path in ["a.py", "b.py", "c.py"] {
            history.paths.push(path.to_owned());
            let known = Known {
                retained_bytes: 0,
                above_bytes: 300 * MB,
            };
            history.known.insert(path.to_owned(), known);
        }
        let steps = Steps::default();
        let nothing_yet = Situation {
            peak_bytes: 50 * MB,
            held_bytes: 50 * MB,
            ..situation(&steps, &[], &history)
        };
        let told = report(&nothing_yet).unwrap();
        assert_eq!((told.files_done, told.files, told.files_known), (0, 3, 3));
        assert!(
            told.sentence
                .starts_with("By the last good job of this name memory comes to "),
            "{}",
            told.sentence
        );
        // Of a job that ended, or was asked for something else, or ran a file that the other did not, it is not known what was to come.
        let ended = Situation {
            goes_on: false,
            ..nothing_yet
        };
        assert_eq!(report(&ended), None);
        let asked = ["other.py".to_owned()];
        let other = Situation {
            asked: &asked,
            ..nothing_yet
        };
        assert_eq!(report(&other), None);
        let mut steps = Steps::default();
        steps.ended(&Ended {
            process: 7,
            path: "other.py",
            start_bytes: MB,
            end_bytes: MB,
            peak_bytes: MB,
            tests: 1,
        });
        let strange = Situation {
            steps: &steps,
            ..nothing_yet
        };
        assert_eq!(report(&strange), None);
    }

    #[test]
    fn no_figure_lies_below_a_limit_that_was_reached() {
        let (steps, history) = (steps(20, 19), History::default());
        let mut limits = [cgroup(9_000), cgroup(700)];
        limits[1].is_reached = true;
        limits[1].limit.beside_bytes = 50 * MB;
        let died = Situation {
            goes_on: false,
            ..situation(&steps, &limits, &history)
        };
        // One file of 20 MB is to come, and 480 are held.
        let told = report(&died).unwrap();
        assert_eq!(told.peak_bytes.low, 650 * MB);
        assert_eq!((told.crossings.len(), told.is_warning), (1, false));
        assert!(
            told.sentence
                .ends_with(" It had reached the limit of the cgroup, 667.6 MiB."),
            "{}",
            told.sentence
        );
    }
}
