//! Recordings in a few words.

use highwater_wire::{
    VERSION,
    report::{Confidence, Ending, JobState, Verdict},
    v1::{
        Batch, CollectEnd, Diagnosis, Empty, End, Event, FixtureBegin, FixtureEnd, FixtureRef,
        ImportBegin, ImportEnd, Job, Leave, Mark, Metric, ModuleBegin, ModuleGone, Process, Role,
        Samples, Series, Session, SessionEnd, TestBegin, TestEnd, TestPhase, event, mark::What,
    },
};
use uuid::Uuid;

use crate::{
    digest::{Context, Digest, digest},
    recording::Recording,
};

pub(crate) const MB: i64 = 1_000_000;

pub(crate) fn sb() -> What {
    What::SessionBegin(Empty {})
}
pub(crate) fn se(exit_status: i32) -> What {
    What::SessionEnd(SessionEnd { exit_status })
}
pub(crate) fn db() -> What {
    What::DiagnosisBegin(Empty {})
}
pub(crate) fn de(found: Diagnosis) -> What {
    What::DiagnosisEnd(found)
}
pub(crate) fn xx() -> What {
    What::Leave(Leave {
        true_peak_bytes: None,
    })
}
pub(crate) fn cb() -> What {
    What::CollectBegin(Empty {})
}
pub(crate) fn ce(items: u64) -> What {
    What::CollectEnd(CollectEnd {
        items,
        ..CollectEnd::default()
    })
}
pub(crate) fn ib(path: &str) -> What {
    What::ImportBegin(ImportBegin {
        path: path.to_owned(),
    })
}
pub(crate) fn ie_failed() -> What {
    What::ImportEnd(ImportEnd {
        outcome: "failed".to_owned(),
        ..ImportEnd::default()
    })
}
pub(crate) fn ie() -> What {
    What::ImportEnd(ImportEnd {
        outcome: "passed".to_owned(),
        ..ImportEnd::default()
    })
}
pub(crate) fn mb(module: &str) -> What {
    What::ModuleBegin(ModuleBegin {
        module: module.to_owned(),
    })
}
pub(crate) fn me() -> What {
    What::ModuleEnd(Empty {})
}
pub(crate) fn mg(module: &str) -> What {
    What::ModuleGone(ModuleGone {
        module: module.to_owned(),
    })
}
pub(crate) fn tb(path: &str, name: &str) -> What {
    What::TestBegin(TestBegin {
        execution: 1,
        path: path.to_owned(),
        nodeid: format!("{path}::{name}"),
        ..TestBegin::default()
    })
}
pub(crate) fn tp(phase: &str) -> What {
    What::TestPhase(TestPhase {
        phase: phase.to_owned(),
    })
}
pub(crate) fn te(outcome: &str) -> What {
    What::TestEnd(TestEnd {
        outcome: outcome.to_owned(),
        setup: "passed".to_owned(),
        call: outcome.to_owned(),
        teardown: "passed".to_owned(),
        ..TestEnd::default()
    })
}
/// A test that failed for a cause that speaks for an ending.
pub(crate) fn te_because(cause: &str) -> What {
    What::TestEnd(TestEnd {
        outcome: "failed".to_owned(),
        call: "failed".to_owned(),
        cause: cause.to_owned(),
        ..TestEnd::default()
    })
}
/// A test that pytest-timeout allows so many ms.
pub(crate) fn tb_within(path: &str, name: &str, ms: u64) -> What {
    What::TestBegin(TestBegin {
        execution: 1,
        path: path.to_owned(),
        nodeid: format!("{path}::{name}"),
        time_limit_us: Some(ms * 1_000),
        ..TestBegin::default()
    })
}
pub(crate) fn fb(fixture: u64, name: &str, scope: &str, path: &str) -> What {
    What::FixtureBegin(FixtureBegin {
        fixture,
        name: name.to_owned(),
        scope: scope.to_owned(),
        path: path.to_owned(),
        base: String::new(),
    })
}
pub(crate) fn fe(fixture: u64) -> What {
    What::FixtureEnd(FixtureEnd {
        fixture,
        outcome: "passed".to_owned(),
    })
}
pub(crate) fn rb(fixture: u64) -> What {
    What::ReleaseBegin(FixtureRef { fixture })
}
pub(crate) fn re(fixture: u64) -> What {
    What::ReleaseEnd(FixtureRef { fixture })
}

/// A recording of one pytest without workers.
pub(crate) fn one_process() -> Story {
    Story::new()
        .session("s", 0)
        .process(10, 1, Role::Pytest, "", "s")
}

/// A recording of one batch, built up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    pub(crate) batch: Batch,
    pub(crate) end: Option<End>,
    pub(crate) budget_bytes: u64,
    pub(crate) job: Job,
}

impl Story {
    pub(crate) fn new() -> Self {
        let mut story = Self::default();
        story.batch.version = VERSION;
        story
    }

    /// A session under the name of its ordinal.
    pub(crate) fn session(mut self, id: &str, began_us: i64) -> Self {
        self.batch.sessions.push(Session {
            id: id.to_owned(),
            began_us: Some(began_us),
            ..Session::default()
        });
        self
    }

    pub(crate) fn process(
        mut self,
        pid: u32,
        parent: u32,
        role: Role,
        worker: &str,
        session: &str,
    ) -> Self {
        self.batch.processes.push(Process {
            pid,
            start_ticks: u64::from(pid),
            parent_pid: parent,
            role: Some(role.into()),
            worker: worker.to_owned(),
            session: session.to_owned(),
            started_us: Some(i64::from(pid)),
            exact: Some(true),
            command: format!("process {pid}"),
            ..Process::default()
        });
        self
    }

    /// The last process was gone at a time in ms, with its exit code where the agent saw it.
    pub(crate) fn gone(mut self, ms: i64, exit_code: Option<i32>) -> Self {
        if let Some(process) = self.batch.processes.last_mut() {
            process.ended_us = Some(ms * 1_000);
            process.exit_code = exit_code;
        }
        self
    }

    /// Says more of the last process.
    pub(crate) fn with(mut self, say: impl FnOnce(&mut Process)) -> Self {
        if let Some(process) = self.batch.processes.last_mut() {
            say(process);
        }
        self
    }

    /// Says more of the process of a number.
    pub(crate) fn of_process(mut self, pid: u32, say: impl Fn(&mut Process)) -> Self {
        let of_pid = self.batch.processes.iter_mut();
        of_pid.filter(|process| process.pid == pid).for_each(say);
        self
    }

    /// Says more of the job.
    pub(crate) fn of_job(mut self, say: impl FnOnce(&mut Job)) -> Self {
        say(&mut self.job);
        self
    }

    /// Says more of the end.
    pub(crate) fn of_end(mut self, say: impl FnOnce(&mut End)) -> Self {
        say(self.end.get_or_insert_default());
        self
    }

    /// The agent saw something at a time in ms.
    pub(crate) fn event(mut self, ms: i64, what: event::What) -> Self {
        self.batch.to_us = self.batch.to_us.max(ms * 1_000);
        self.batch.events.push(Event {
            t_us: ms * 1_000,
            what: Some(what),
        });
        self
    }

    /// Readings of the machine, one each 50 ms: what is available of 100.
    pub(crate) fn machine(self, from_ms: i64, available: &[i64]) -> Self {
        let total = vec![100; available.len()];
        self.series(Metric::MachineTotal, None, "", from_ms, &total, MB)
            .series(Metric::MachineAvailable, None, "", from_ms, available, MB)
    }

    /// Marks of the last process: time in ms, RSS and peak in MB.
    pub(crate) fn marks(mut self, marks: &[(i64, i64, i64, What)]) -> Self {
        let process = u32::try_from(self.batch.processes.len() - 1).unwrap();
        for (ms, rss, peak, what) in marks {
            self.batch.marks.push(Mark {
                process,
                t_us: ms * 1_000,
                rss_bytes: (rss * MB).cast_unsigned(),
                peak_bytes: (*peak >= 0).then(|| (peak * MB).cast_unsigned()),
                what: Some(what.clone()),
            });
            self.batch.to_us = self.batch.to_us.max(ms * 1_000);
        }
        self
    }

    /// Samples of the last process, one each 50 ms from a time in ms; values in MB.
    pub(crate) fn samples(self, metric: Metric, from_ms: i64, values: &[i64]) -> Self {
        let process = u32::try_from(self.batch.processes.len() - 1).unwrap();
        self.series(metric, Some(process), "", from_ms, values, MB)
    }

    pub(crate) fn series(
        mut self,
        metric: Metric,
        process: Option<u32>,
        cgroup: &str,
        from_ms: i64,
        values: &[i64],
        unit: i64,
    ) -> Self {
        let mut t_us_delta = vec![50_000; values.len()];
        t_us_delta[0] = from_ms * 1_000;
        self.batch.to_us = self.batch.to_us.max(t_us_delta.iter().sum());
        let mut last = 0;
        let value_delta = values
            .iter()
            .map(|value| {
                let delta = value * unit - last;
                last = value * unit;
                delta
            })
            .collect();
        self.batch.samples.push(Samples {
            t_us_delta,
            lateness_us: vec![7; values.len()],
            series: vec![Series {
                metric: metric.into(),
                process,
                cgroup: cgroup.to_owned(),
                first: 0,
                value_delta,
            }],
        });
        self
    }

    pub(crate) fn ends(mut self, exit_code: Option<i32>, signal: Option<i32>) -> Self {
        self.end = Some(End {
            version: VERSION,
            ended_us: self.batch.to_us,
            exit_code,
            signal,
            ..End::default()
        });
        self
    }

    pub(crate) fn recording(&self) -> Recording {
        let mut recording = Recording::new(Job {
            budget_bytes: self.budget_bytes,
            ..self.job.clone()
        });
        recording.add(Uuid::nil(), 0, &self.batch);
        if let Some(end) = &self.end {
            recording.set_end(end.clone());
        }
        recording
    }

    pub(crate) fn digest(&self) -> Digest {
        digest(&self.recording(), &context(JobState::Finished))
    }

    /// Holds the ending that a silent story has to a verdict.
    pub(crate) fn falls_silent_as(
        &self,
        name: &str,
        verdict: Verdict,
        confidence: Confidence,
    ) -> Ending {
        let digest = digest(&self.recording(), &context(JobState::Lost));
        let ending = digest.job.ending.unwrap();
        let decided = (ending.verdict, ending.confidence);
        assert_eq!(decided, (verdict, confidence), "{name}: {ending:?}");
        ending
    }

    /// Holds the ending of the story to a verdict, and answers it for what else is asked of it.
    pub(crate) fn ends_as(&self, name: &str, verdict: Verdict, confidence: Confidence) -> Ending {
        let ending = self.digest().job.ending.unwrap();
        let decided = (ending.verdict, ending.confidence);
        assert_eq!(decided, (verdict, confidence), "{name}: {ending:?}");
        ending
    }
}

pub(crate) fn context(state: JobState) -> Context {
    Context {
        uuid: Uuid::nil(),
        state,
        revision: 1,
        clock_skew_us: None,
    }
}
