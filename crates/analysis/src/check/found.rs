//! What a check finds, figure by figure.

use std::collections::BTreeMap;

use highwater_wire::report::{
    CheckFigure, Finding, FindingCause, JobReport, JobState, LimitKind, LimitUse, TestCounts,
    Unsteady,
};

use super::{Before, FileFigures, imports, is_cut_short, mended, moved::Moved, words};
use crate::regression::{self, Compared, Figure, Standing, Told, is_unsteady};

/// What was found so far.
pub(super) struct Found<'a> {
    before: &'a [Before],
    tested: usize,
    /// What moved between files.
    pub(super) moved: Moved,
    pub(super) compared: u64,
    /// Of which a change that matters may stay untold.
    pub(super) unsteady: Vec<Unsteady>,
    pub(super) worse: Vec<Finding>,
    pub(super) better: Vec<Finding>,
}

/// A figure with its history: the values of those jobs of the baseline that have it, by their place.
#[derive(Clone)]
struct History<'a> {
    figure: CheckFigure,
    path: Option<&'a str>,
    tests: Option<TestCounts>,
    now: i64,
    /// What the floors are shares of, bytes.
    size_bytes: f64,
    had: Vec<(usize, i64)>,
    /// What of a change is told by another figure, bytes.
    held_bytes: i64,
    /// It may have been more in truth.
    is_lower_bound: bool,
}

impl<'a> Found<'a> {
    pub(super) fn new(before: &'a [Before], tested: usize) -> Self {
        Self {
            before,
            tested,
            moved: Moved::default(),
            compared: 0,
            unsteady: Vec::new(),
            worse: Vec::new(),
            better: Vec::new(),
        }
    }

    pub(super) fn of_job(&mut self, job: &JobReport, files: &BTreeMap<String, FileFigures>) {
        if super::has_failed(job) {
            return;
        }
        let import_bytes = imports(files.values());
        let whole = || {
            self.before
                .iter()
                .enumerate()
                .filter(|(_, it)| it.failed == 0)
        };
        let peak_bytes = job.peak_bytes.cast_signed();
        let peak = History {
            figure: CheckFigure::Peak,
            path: None,
            tests: None,
            now: peak_bytes,
            size_bytes: peak_bytes as f64,
            had: whole().map(|(at, it)| (at, it.peak_bytes)).collect(),
            held_bytes: 0,
            is_lower_bound: job.censored || job.state == JobState::Running,
        };
        // What others take of the machine is no doing of the job's.
        let own = job
            .limits
            .iter()
            .filter(|limit| limit.kind != LimitKind::Machine);
        let own = job
            .headroom_bytes
            .and_then(|now| own.into_iter().find(|limit| limit.left_bytes() == now));
        let machine = job
            .limits
            .iter()
            .find(|limit| limit.kind == LimitKind::Machine);
        let headroom = own.map(|own| History {
            figure: CheckFigure::Headroom,
            now: own.left_bytes(),
            had: whole()
                .filter_map(|(at, it)| Some((at, it.headroom_bytes?)))
                .filter(|(at, left)| {
                    // A job before the first budget, or cgroup, has what the machine left it.
                    let bore = self.before[*at].peak_bytes.saturating_add(*left);
                    let is_nearer = |it: &LimitUse| bore.abs_diff(it.limit_bytes.cast_signed());
                    machine.is_none_or(|machine| is_nearer(own) <= is_nearer(machine))
                })
                .collect(),
            ..peak.clone()
        });
        let imported = |at: usize| imports(&self.before[at].files);
        let imports = History {
            figure: CheckFigure::Imports,
            now: import_bytes,
            had: whole().map(|(at, _)| (at, imported(at))).collect(),
            ..peak.clone()
        };
        // How many of the workers import a library is a matter of chance, where tests are handed out as they come: what that explains is not told.
        let without_imports = |it: &History<'a>| {
            let sign = sign_of(it.figure) as i64;
            let less = |bytes: i64, imported: i64| bytes.saturating_sub(sign * imported);
            History {
                now: less(it.now, import_bytes),
                had: it
                    .had
                    .iter()
                    .map(|(at, bytes)| (*at, less(*bytes, imported(*at))))
                    .collect(),
                ..it.clone()
            }
        };
        let without = [
            Some(without_imports(&peak)),
            headroom.as_ref().map(without_imports),
        ];
        let told = self.told();
        self.test(&imports);
        let are_imports_told = self.told() > told;
        // Where the peak rose headroom fell with it, which is no second finding; it is one where the limit changed.
        for (history, without) in [Some(peak), headroom].into_iter().zip(without) {
            let (Some(history), Some(without)) = (history, without) else {
                continue;
            };
            let told = self.told();
            let is_same = |it: Compared| it.standing == Standing::Same;
            match are_imports_told || !self.compared(&without).is_some_and(is_same) {
                true => drop(self.test(&self.without_replaced(history, job, files))),
                false => {
                    self.compared += 1;
                    // Headroom varies as the peak does.
                    let peak = Some(&history).filter(|it| it.figure == CheckFigure::Peak);
                    if let Some((peak, compared)) =
                        peak.and_then(|it| Some((it, self.compared(it)?)))
                    {
                        self.note_unsteady(peak, &compared);
                    }
                }
            }
            if self.told() > told {
                break;
            }
        }
    }

    /// A figure of the job without what the newest job before had of a rise that this one does not have, where that makes it a change of this job.
    fn without_replaced(
        &self,
        history: History<'a>,
        job: &JobReport,
        files: &BTreeMap<String, FileFigures>,
    ) -> History<'a> {
        let is = |history: &History<'a>, standing| {
            self.compared(history)
                .is_some_and(|it| it.standing == standing)
        };
        if !is(&history, Standing::WorseBefore) {
            return history;
        }
        let mut without = history.clone();
        if let Some((at, bytes)) = without.had.last_mut() {
            let by = mended::replaced(&self.before[..=*at], files, !is_cut_short(job));
            *bytes = bytes.saturating_sub(sign_of(history.figure) as i64 * by);
        }
        match is(&without, Standing::Worse) {
            true => without,
            false => history,
        }
    }

    /// Whether there was enough to compare it with.
    pub(super) fn of_file(&mut self, file: &FileFigures, had: &[(usize, &FileFigures)]) -> bool {
        let whole = || had.iter().filter(|(_, it)| it.is_whole);
        let retained = History {
            figure: CheckFigure::Retained,
            path: Some(&file.path),
            tests: had.last().map(|(_, it)| TestCounts {
                now: file.tests,
                before: it.tests,
            }),
            now: file.retained_bytes,
            size_bytes: file.size_bytes(),
            had: whole().map(|(at, it)| (*at, it.retained_bytes)).collect(),
            held_bytes: 0,
            is_lower_bound: false,
        };
        let compared = self.test(&retained);
        // What is still held at the end was needed for a while too, in this job as in those before that surely held more.
        let held_bytes = compared.map_or(0.0, |it| it.change_bytes.max(0.0)) as i64;
        let less = |it: &FileFigures| {
            let held = compared.map_or(0.0, |compared| {
                let more = it.retained_bytes as f64 - compared.before_bytes;
                if more > compared.least_bytes {
                    more
                } else {
                    0.0
                }
            });
            it.spike_bytes.saturating_sub(held as i64)
        };
        self.test(&History {
            figure: CheckFigure::Spike,
            now: file.spike_bytes,
            had: whole().map(|(at, it)| (*at, less(it))).collect(),
            held_bytes,
            is_lower_bound: held_bytes > 0,
            ..retained
        });
        compared.is_some()
    }

    fn told(&self) -> usize {
        self.worse.len() + self.better.len()
    }

    /// How it compares; none where there was too little to compare it with.
    fn compared(&self, history: &History<'_>) -> Option<Compared> {
        let sign = sign_of(history.figure);
        let values: Vec<f64> = history
            .had
            .iter()
            .map(|(_, bytes)| sign * *bytes as f64)
            .collect();
        let figure = Figure {
            bytes: sign * history.now.saturating_sub(history.held_bytes) as f64,
            size_bytes: history.size_bytes,
        };
        match regression::compare(&values, figure, self.tested) {
            Told::Compared(compared) => Some(compared),
            _ => None,
        }
    }

    /// Names a figure that is not worse where it varies so much that a change that matters may stay untold.
    fn note_unsteady(&mut self, history: &History<'_>, compared: &Compared) {
        let is_worse = matches!(compared.standing, Standing::Worse | Standing::WorseBefore);
        if !is_worse && is_unsteady(compared.least_bytes, history.size_bytes) {
            self.unsteady.push(Unsteady {
                figure: history.figure,
                path: history.path.map(str::to_owned),
                least_bytes: compared.least_bytes as i64,
            });
        }
    }

    /// The same, and what is to be told of it is.
    fn test(&mut self, history: &History<'_>) -> Option<Compared> {
        let compared = self.compared(history)?;
        self.compared += 1;
        let sign = sign_of(history.figure);
        self.note_unsteady(history, &compared);
        // Costs more than the test itself.
        let is_moved = || {
            let retained = history.figure == CheckFigure::Retained;
            let path = history.path.filter(|_| retained);
            path.is_some_and(|path| self.moved.explains(path, compared.change_bytes))
        };
        let since = match compared.standing {
            Standing::Same => return Some(compared),
            _ if is_moved() => return Some(compared),
            Standing::Better if history.is_lower_bound => return Some(compared),
            Standing::WorseBefore => history.had.last(),
            Standing::Better | Standing::Worse => None,
        };
        let finding = Finding {
            figure: history.figure,
            path: history.path.map(str::to_owned),
            cause: match compared.standing {
                Standing::WorseBefore => FindingCause::ChangedBefore,
                _ => FindingCause::Changed,
            },
            limit: None,
            sentence: words::of_change(history.figure, history.path, history.now, &compared, sign),
            bytes: history.now,
            before_bytes: Some((sign * compared.before_bytes) as i64),
            least_bytes: compared.least_bytes as i64,
            noise_bytes: Some(compared.noise_bytes as i64),
            since: since.and_then(|(at, _)| Some(self.before.get(*at)?.job.clone())),
            tests: history.tests,
            acknowledged: None,
            again: None,
            fixtures: Vec::new(),
        };
        match compared.standing {
            Standing::Better => self.better.push(finding),
            _ => self.worse.push(finding),
        }
        Some(compared)
    }
}

/// Of headroom less is worse.
fn sign_of(figure: CheckFigure) -> f64 {
    match figure {
        CheckFigure::Headroom => -1.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests;
