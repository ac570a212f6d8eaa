//! What is gathered of a visit, a test, a fixture and an import while walking.

use highwater_wire::v1::{FixtureBegin, TestBegin, TestEnd};

use super::Interval;

/// RSS over a stretch of intervals.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::digest) struct Span {
    pub(in crate::digest) start: i64,
    pub(in crate::digest) end: i64,
    pub(in crate::digest) peak: i64,
    /// Whether any interval's peak was only sampled.
    pub(in crate::digest) sampled: bool,
}

impl From<i64> for Span {
    fn from(rss: i64) -> Self {
        Self {
            start: rss,
            end: rss,
            peak: rss,
            sampled: false,
        }
    }
}

impl Span {
    pub(in crate::digest) fn see(&mut self, interval: Interval, end: i64) {
        self.peak = self.peak.max(interval.peak);
        self.sampled |= !interval.exact;
        self.end = end;
    }

    pub(in crate::digest) fn extend(&mut self, tail: Self, end: i64) {
        self.peak = self.peak.max(tail.peak).max(end);
        self.sampled |= tail.sampled;
        self.end = end;
    }
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct VisitFacts {
    pub(in crate::digest) session: u32,
    pub(in crate::digest) path: String,
    pub(in crate::digest) began_us: i64,
    /// None while its last test has not ended.
    pub(in crate::digest) ended_us: Option<i64>,
    pub(in crate::digest) span: Span,
    pub(in crate::digest) fixture_bytes: i64,
    pub(in crate::digest) between_bytes: i64,
    pub(in crate::digest) tests: u64,
    pub(in crate::digest) failed: u64,
}

impl VisitFacts {
    pub(super) fn begin(session: u32, path: &str, t_us: i64, rss: i64) -> Self {
        Self {
            session,
            path: path.to_owned(),
            began_us: t_us,
            ended_us: None,
            span: Span::from(rss),
            fixture_bytes: 0,
            between_bytes: 0,
            tests: 0,
            failed: 0,
        }
    }
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct PhaseFacts {
    pub(in crate::digest) name: String,
    pub(in crate::digest) outcome: String,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) ended_us: i64,
    pub(in crate::digest) span: Span,
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct TestFacts {
    pub(in crate::digest) session: u32,
    pub(in crate::digest) path: String,
    pub(in crate::digest) nodeid: String,
    pub(in crate::digest) outcome: String,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) ended_us: Option<i64>,
    pub(in crate::digest) end: i64,
    pub(in crate::digest) span: Span,
    pub(in crate::digest) fixture_bytes: i64,
    pub(in crate::digest) phases: Vec<PhaseFacts>,
    /// Peak above its own start, where a forked child ran the test.
    pub(in crate::digest) forked_spike: Option<i64>,
}

impl TestFacts {
    pub(super) fn begin(session: u32, begin: &TestBegin, t_us: i64, rss: i64) -> Self {
        let mut test = Self {
            session,
            path: begin.path.clone(),
            nodeid: begin.nodeid.clone(),
            outcome: "unknown".to_owned(),
            began_us: t_us,
            ended_us: None,
            end: rss,
            span: Span::from(rss),
            fixture_bytes: 0,
            phases: Vec::with_capacity(3),
            forked_spike: None,
        };
        test.next_phase("setup", t_us, rss);
        test
    }

    pub(super) fn next_phase(&mut self, name: &str, t_us: i64, rss: i64) {
        self.end_phase(t_us);
        self.phases.push(PhaseFacts {
            name: name.to_owned(),
            outcome: "-".to_owned(),
            began_us: t_us,
            ended_us: t_us,
            span: Span::from(rss),
        });
    }

    fn end_phase(&mut self, t_us: i64) {
        if let Some(phase) = self.phases.last_mut() {
            phase.ended_us = t_us;
        }
    }

    pub(super) fn see(&mut self, interval: Interval, end: i64) {
        self.span.see(interval, end);
        self.end = end;
        if let Some(phase) = self.phases.last_mut() {
            phase.span.see(interval, end);
        }
    }

    pub(super) fn finish(&mut self, t_us: i64, rss: i64, end: Option<&TestEnd>) {
        self.end_phase(t_us);
        self.ended_us = Some(t_us);
        self.end = rss;
        let Some(end) = end else {
            return;
        };
        self.outcome.clone_from(&end.outcome);
        for phase in &mut self.phases {
            phase.outcome.clone_from(match phase.name.as_str() {
                "setup" => &end.setup,
                "call" => &end.call,
                _ => &end.teardown,
            });
        }
    }

    /// Failed or in error; an outcome of `rerun` has another chance.
    pub(in crate::digest) fn failed(&self) -> bool {
        matches!(self.outcome.as_str(), "failed" | "error")
    }
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct ImportFacts {
    pub(in crate::digest) path: String,
    pub(in crate::digest) session: u32,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) own_bytes: i64,
    pub(in crate::digest) failed: bool,
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct FixtureFacts {
    pub(in crate::digest) session: u32,
    pub(in crate::digest) name: String,
    pub(in crate::digest) scope: String,
    pub(in crate::digest) path: String,
    pub(in crate::digest) base: String,
    pub(in crate::digest) setup_bytes: i64,
    pub(in crate::digest) released_bytes: i64,
    pub(in crate::digest) start: i64,
    pub(in crate::digest) setup_peak: i64,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) release_began_us: Option<i64>,
    pub(in crate::digest) duration_us: i64,
    pub(in crate::digest) set_up: bool,
    pub(in crate::digest) released: bool,
}

impl FixtureFacts {
    pub(super) fn begin(session: u32, begin: &FixtureBegin, t_us: i64, rss: i64) -> Self {
        Self {
            session,
            name: begin.name.clone(),
            scope: begin.scope.clone(),
            path: begin.path.clone(),
            base: begin.base.clone(),
            setup_bytes: 0,
            released_bytes: 0,
            start: rss,
            setup_peak: rss,
            began_us: t_us,
            release_began_us: None,
            duration_us: 0,
            set_up: false,
            released: false,
        }
    }

    /// What its set-up took and nothing gave back yet.
    pub(in crate::digest) fn held(&self) -> i64 {
        self.setup_bytes.saturating_sub(self.released_bytes)
    }

    pub(super) fn see(&mut self, interval: Interval) {
        if !self.set_up {
            self.setup_peak = self.setup_peak.max(interval.peak);
        }
    }

    pub(super) fn end_set_up(&mut self, t_us: i64, outcome: &str) {
        self.set_up = true;
        self.released = outcome == "failed";
        self.duration_us += t_us - self.began_us;
    }

    pub(super) fn end_release(&mut self, t_us: i64) {
        self.released = true;
        self.duration_us += t_us - self.release_began_us.unwrap_or(t_us);
    }
}
