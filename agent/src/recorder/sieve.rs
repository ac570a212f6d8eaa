//! Takes out of a batch what a server would refuse, so that one part of it does not cost the whole second.

use highwater_wire::{
    codec::Checked,
    v1::{Batch, Mark, Process},
};

/// What was taken out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Code of the notice that tells of it.
    pub(super) code: &'static str,
    /// Why the first was.
    pub(super) reason: String,
    /// How many.
    pub(super) count: u64,
}

/// Leaves in a batch only what passes the check by itself.
pub(super) fn leave_out_impossible(batch: &mut Batch) -> Vec<LeftOut> {
    if batch.check().is_ok() {
        return Vec::new();
    }
    let mut sieve = Sieve {
        alone: Batch {
            version: batch.version,
            ..Batch::default()
        },
        left_out: Vec::new(),
    };
    // The rest names processes by their place, so each keeps its own and loses what is said of it.
    for process in &mut batch.processes {
        sieve.alone.processes = vec![process.clone()];
        if !sieve.passes("parts_malformed") {
            *process = Process {
                pid: process.pid,
                start_ticks: process.start_ticks,
                ..Process::default()
            };
        }
    }
    sieve.alone.processes.clear();
    // A session is what marks told, and without it nothing says that it ended: the ending is judged by this code.
    sieve.sift("marks_malformed", &mut batch.sessions, |alone| {
        &mut alone.sessions
    });
    sieve.sift("parts_malformed", &mut batch.notices, |alone| {
        &mut alone.notices
    });
    sieve.sift("parts_malformed", &mut batch.events, |alone| {
        &mut alone.events
    });
    sieve.sift_marks(batch);
    // There are few of these, and each may name every process.
    sieve.alone.processes.clone_from(&batch.processes);
    sieve.sift("parts_malformed", &mut batch.samples, |alone| {
        &mut alone.samples
    });
    sieve.left_out
}

struct Sieve {
    /// A batch with nothing in it but what is being looked at, and the processes it may name.
    alone: Batch,
    left_out: Vec<LeftOut>,
}

impl Sieve {
    fn sift<T: Clone>(
        &mut self,
        code: &'static str,
        parts: &mut Vec<T>,
        slot: fn(&mut Batch) -> &mut Vec<T>,
    ) {
        parts.retain(|part| {
            *slot(&mut self.alone) = vec![part.clone()];
            self.passes(code)
        });
        slot(&mut self.alone).clear();
    }

    /// Each with the one process that it names: there may be thousands of both.
    fn sift_marks(&mut self, batch: &mut Batch) {
        let Batch {
            marks, processes, ..
        } = batch;
        marks.retain(|mark| {
            let named = processes.get(mark.process as usize);
            self.alone.processes.clear();
            self.alone.processes.extend(named.cloned());
            self.alone.marks = vec![Mark {
                process: 0,
                ..mark.clone()
            }];
            self.passes("marks_malformed")
        });
        self.alone.marks.clear();
    }

    fn passes(&mut self, code: &'static str) -> bool {
        let Err(problem) = self.alone.check() else {
            return true;
        };
        match self.left_out.iter_mut().find(|known| known.code == code) {
            Some(known) => known.count += 1,
            None => self.left_out.push(LeftOut {
                code,
                reason: problem.to_string(),
                count: 1,
            }),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use highwater_wire::v1::{Event, Metric, Notice, Samples, Series, Session};

    use super::*;

    fn process(pid: u32, command: &str) -> Process {
        Process {
            pid,
            command: command.to_owned(),
            ..Process::default()
        }
    }

    fn samples(metric: Metric) -> Samples {
        Samples {
            t_us_delta: vec![1],
            series: vec![Series {
                metric: metric.into(),
                process: Some(1),
                value_delta: vec![5],
                ..Series::default()
            }],
            ..Samples::default()
        }
    }

    #[test]
    fn one_part_that_cannot_be_does_not_cost_the_rest() {
        let long = "x".repeat(20_000);
        let session = |id: &str, root: &str| Session {
            id: id.to_owned(),
            root: root.to_owned(),
            ..Session::default()
        };
        let notice = |message: &str| Notice {
            code: "c".to_owned(),
            message: message.to_owned(),
            ..Notice::default()
        };
        let event = |t_us| Event {
            t_us,
            ..Event::default()
        };
        let mut batch = Batch {
            version: highwater_wire::VERSION,
            processes: vec![process(7, &long), process(8, "sh")],
            sessions: vec![session("a", "/r"), session("b", &long)],
            samples: vec![samples(Metric::Rss), samples(Metric::Unspecified)],
            notices: vec![notice(&long), notice("m")],
            events: vec![event(i64::MAX), event(0)],
            marks: vec![Mark::default()],
            ..Batch::default()
        };
        let left_out = leave_out_impossible(&mut batch);
        assert!(batch.check().is_ok());
        let counts: Vec<_> = left_out
            .iter()
            .map(|left| (left.code, left.count))
            .collect();
        assert_eq!(counts, [("parts_malformed", 4), ("marks_malformed", 2)]);
        assert_eq!(batch.processes, [process(7, ""), process(8, "sh")]);
        assert_eq!(
            (
                batch.sessions.len(),
                batch.samples.len(),
                batch.notices.len()
            ),
            (1, 1, 1)
        );
        assert_eq!(batch.sessions[0].id, "a");
        assert_eq!(leave_out_impossible(&mut batch), []);
    }
}
