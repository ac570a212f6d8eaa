//! From marks, as they come, to test files that ended.

use std::collections::HashMap;

use highwater_analysis::forecast::{Ended, Steps};
use highwater_wire::{
    marks::SessionLine,
    v1::{Mark, mark::What},
};

use crate::tree::ProcessKey;

/// The outcome of an execution that another follows.
const RERUN: &str = "rerun";

/// A visit that goes on.
#[derive(Debug)]
struct Visit {
    path: String,
    start_bytes: i64,
    /// At the end of its last test.
    end_bytes: i64,
    peak_bytes: i64,
    tests: u64,
}

/// The files of the session that began last.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Sessions so far.
    session: u32,
    id: String,
    workers: usize,
    /// The processes of it, each with the visit that goes on.
    visits: HashMap<ProcessKey, Option<Visit>>,
    /// A short number of each.
    numbers: HashMap<ProcessKey, u32>,
    next_number: u32,
    steps: Steps,
    peak_bytes: i64,
}

impl Gather {
    pub(super) fn joined(&mut self, key: ProcessKey, line: &SessionLine) {
        if line.session != self.id {
            *self = Self {
                session: self.session + 1,
                id: line.session.clone(),
                workers: line.numprocesses as usize,
                peak_bytes: self.peak_bytes,
                ..Self::default()
            };
        }
        self.visits.insert(key, None);
    }

    pub(super) fn gone(&mut self, key: ProcessKey) {
        self.visits.remove(&key);
        if let Some(number) = self.numbers.remove(&key) {
            self.steps.gone(number);
        }
    }

    /// The job held so much.
    pub(super) fn holds(&mut self, bytes: i64) {
        self.peak_bytes = self.peak_bytes.max(bytes);
        self.steps.holds(bytes);
    }

    /// Takes a mark; true where a file ended with it.
    pub(super) fn heard(&mut self, key: ProcessKey, mark: &Mark) -> bool {
        let Some(visit) = self.visits.get_mut(&key) else {
            return false;
        };
        let rss = mark.rss_bytes.cast_signed();
        let highest = mark
            .peak_bytes
            .map_or(rss, |peak| peak.cast_signed().max(rss));
        if let (Some(visit), false) = (&mut *visit, matches!(mark.what, Some(What::Blocks(_)))) {
            visit.peak_bytes = visit.peak_bytes.max(highest);
        }
        match &mark.what {
            Some(What::CollectEnd(end)) => {
                self.steps.collected(&end.files);
                false
            }
            Some(What::TestBegin(test)) => {
                if visit.as_ref().is_some_and(|visit| visit.path == test.path) {
                    return false;
                }
                let before = visit.replace(Visit {
                    path: test.path.clone(),
                    start_bytes: rss,
                    end_bytes: rss,
                    peak_bytes: rss,
                    tests: 0,
                });
                self.ended(key, before)
            }
            Some(What::TestEnd(end)) => {
                let Some(open) = visit else { return false };
                open.end_bytes = rss;
                open.tests += u64::from(end.outcome != RERUN);
                match self.steps.left_of(&open.path) {
                    Some(left) if open.tests >= left => {
                        let open = visit.take();
                        self.ended(key, open)
                    }
                    _ => false,
                }
            }
            Some(What::SessionEnd(_)) => {
                let open = visit.take();
                self.ended(key, open)
            }
            _ => false,
        }
    }

    fn ended(&mut self, key: ProcessKey, visit: Option<Visit>) -> bool {
        let Some(visit) = visit.filter(|visit| visit.tests > 0) else {
            return false;
        };
        let number = *self.numbers.entry(key).or_insert_with(|| {
            self.next_number += 1;
            self.next_number
        });
        self.peak_bytes = self.peak_bytes.max(visit.peak_bytes);
        self.steps.ended(&Ended {
            process: number,
            path: &visit.path,
            start_bytes: visit.start_bytes,
            end_bytes: visit.end_bytes,
            peak_bytes: visit.peak_bytes,
            tests: visit.tests,
        })
    }

    pub(super) fn session(&self) -> u32 {
        self.session
    }

    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// How many run files beside each other.
    pub(super) fn workers(&self) -> usize {
        self.workers.max(self.numbers.len())
    }

    pub(super) fn peak_bytes(&self) -> i64 {
        self.peak_bytes
    }
}

#[cfg(test)]
mod tests {
    use highwater_wire::v1::{CollectEnd, TestBegin, TestEnd};

    use super::*;

    fn mark(rss: u64, what: What) -> Mark {
        Mark {
            rss_bytes: rss,
            peak_bytes: Some(rss + 5),
            what: Some(what),
            ..Mark::default()
        }
    }

    fn begin(path: &str) -> What {
        What::TestBegin(TestBegin {
            path: path.to_owned(),
            ..TestBegin::default()
        })
    }

    fn end(outcome: &str) -> What {
        What::TestEnd(TestEnd {
            outcome: outcome.to_owned(),
            ..TestEnd::default()
        })
    }

    #[test]
    fn a_file_ends_with_its_last_test_and_not_with_a_rerun() {
        let mut gather = Gather::default();
        let key = ProcessKey {
            pid: 7,
            start_ticks: 1,
        };
        let other = ProcessKey { pid: 8, ..key };
        let line = SessionLine {
            session: "a".to_owned(),
            ..SessionLine::default()
        };
        gather.joined(key, &line);
        let list = What::CollectEnd(CollectEnd {
            items: 4,
            files: "2 a.py\n2 b.py".to_owned(),
        });
        let story = [
            (key, 100, list, false),
            (key, 110, begin("a.py"), false),
            (key, 120, end("rerun"), false),
            (key, 120, begin("a.py"), false),
            (key, 130, end("passed"), false),
            // Nobody knows who that is.
            (other, 900, begin("b.py"), false),
            (key, 130, begin("a.py"), false),
            (key, 140, end("failed"), true),
            (key, 140, begin("b.py"), false),
            (key, 150, end("passed"), false),
        ];
        for (at, (key, rss, what, ends)) in story.into_iter().enumerate() {
            assert_eq!(gather.heard(key, &mark(rss, what)), ends, "{at}");
        }
        let [step] = gather.steps().done() else {
            panic!("{:?}", gather.steps());
        };
        let told = (step.before_bytes, step.after_bytes, step.peak_bytes);
        assert_eq!((step.path.as_str(), told), ("a.py", (110, 140, 145)));
        assert_eq!(gather.steps().ahead().collect::<Vec<_>>(), ["b.py"]);
        // Another session has files of its own.
        let line = SessionLine {
            session: "b".to_owned(),
            ..SessionLine::default()
        };
        gather.joined(other, &line);
        assert_eq!((gather.session(), gather.steps().done().len()), (2, 0));
    }
}
