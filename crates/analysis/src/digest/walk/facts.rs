//! What is gathered of a visit, a test, a fixture and an import while walking.

use highwater_wire::report::{Books, Collection, PeakKind};

use super::DiagnosisFacts;
use crate::scopes;

/// An interval between two marks.
#[derive(Debug, Clone, Copy)]
pub(in crate::digest) struct Interval {
    pub(in crate::digest) from_us: i64,
    pub(in crate::digest) to_us: i64,
    pub(in crate::digest) peak: i64,
    pub(in crate::digest) exact: bool,
}

/// The highest RSS of a process.
#[derive(Debug, Clone, Copy)]
pub(in crate::digest) struct Peak {
    pub(in crate::digest) bytes: i64,
    pub(in crate::digest) kind: PeakKind,
    /// The mark that tells of it.
    pub(in crate::digest) at_us: i64,
}

/// Everything the marks of one process say.
#[derive(Debug, Default)]
pub(in crate::digest) struct Walk<'a> {
    /// Position of the process.
    pub(in crate::digest) process: usize,
    /// Ordinal of its first session.
    pub(in crate::digest) session: Option<u32>,
    pub(in crate::digest) books: Option<Books>,
    /// The highest RSS that the marks tell of.
    pub(in crate::digest) peak: Option<Peak>,
    pub(in crate::digest) intervals: Vec<Interval>,
    pub(in crate::digest) tests: Vec<TestFacts<'a>>,
    pub(in crate::digest) imports: Vec<ImportFacts<'a>>,
    /// Modules that tests imported.
    pub(in crate::digest) modules: Vec<ModuleFacts<'a>>,
    pub(in crate::digest) fixtures: Vec<FixtureFacts<'a>>,
    pub(in crate::digest) visits: Vec<VisitFacts<'a>>,
    pub(in crate::digest) diagnoses: Vec<DiagnosisFacts<'a>>,
    pub(in crate::digest) collections: Vec<Collection>,
    /// What was told to be collected.
    pub(in crate::digest) collected: Vec<Collected<'a>>,
    /// Ordinal of a session and pytest's exit status, as this process said them.
    pub(in crate::digest) session_ends: Vec<(u32, i32)>,
    /// Ordinals of the sessions that it left in order, whether they told a status or not.
    pub(in crate::digest) session_leaves: Vec<u32>,
    /// Sessions that this process began.
    pub(in crate::digest) session_begins: Vec<u32>,
    /// What was running at the last mark: a test or an import.
    pub(in crate::digest) running: Option<&'a str>,
    /// The test that was open at the last mark, by its place in `tests`; none where that is the test of the process that this one was forked from.
    pub(in crate::digest) open_test: Option<usize>,
}

impl<'a> Walk<'a> {
    /// The test that was open at the last mark.
    pub(in crate::digest) fn open_test(&self) -> Option<&TestFacts<'a>> {
        self.tests.get(self.open_test?)
    }
}

/// The test files that a session is to run.
#[derive(Debug, Clone, Copy)]
pub(in crate::digest) struct Collected<'a> {
    pub(in crate::digest) session: u32,
    /// How many tests.
    pub(in crate::digest) items: u64,
    /// As `pytest-plugin/FORMAT.md` has it.
    pub(in crate::digest) files: &'a str,
}

/// How a test ended, and each phase of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcomes<'a> {
    pub(super) outcome: &'a str,
    pub(super) setup: &'a str,
    pub(super) call: &'a str,
    pub(super) teardown: &'a str,
    pub(super) cause: &'a str,
}

/// Which fixture it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) scope: &'a str,
    pub(super) path: &'a str,
    pub(super) base: &'a str,
}

/// RSS over a stretch of intervals.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::digest) struct Span {
    pub(in crate::digest) start: i64,
    pub(in crate::digest) end: i64,
    pub(in crate::digest) peak: i64,
    /// Whether any interval's peak was only sampled.
    pub(in crate::digest) sampled: bool,
    /// What modules that tests imported took in it.
    pub(in crate::digest) late_import_bytes: i64,
    /// What fixtures took (above 0) or gave back (below 0) in it that belong to no file.
    pub(in crate::digest) shared_fixture_bytes: i64,
    /// The highest above its start and above what such modules and fixtures had taken until then.
    pub(in crate::digest) spike_bytes: i64,
}

impl From<i64> for Span {
    fn from(rss: i64) -> Self {
        Self {
            start: rss,
            end: rss,
            peak: rss,
            ..Self::default()
        }
    }
}

impl Span {
    /// What an import needs for a while is no spike of whoever asked for it, and neither is what a fixture needs that belongs to no file.
    pub(in crate::digest) fn see(&mut self, interval: Interval, end: i64, is_of_others: bool) {
        self.peak = self.peak.max(interval.peak);
        self.sampled |= !interval.exact;
        self.end = end;
        if !is_of_others {
            self.reach(interval.peak);
        }
    }

    /// Something in it stood as high.
    fn reach(&mut self, peak: i64) {
        self.spike_bytes = self.spike_bytes.max(self.above(peak));
    }

    /// How far so much lies above its start and what modules and fixtures hold that are nobody's, bytes.
    pub(super) fn above(&self, rss: i64) -> i64 {
        let others = self
            .late_import_bytes
            .saturating_add(self.shared_fixture_bytes);
        rss.saturating_sub(self.start.saturating_add(others))
    }

    pub(in crate::digest) fn import(&mut self, change: i64) {
        self.late_import_bytes = self.late_import_bytes.saturating_add(change);
    }

    pub(in crate::digest) fn share(&mut self, change: i64) {
        self.shared_fixture_bytes = self.shared_fixture_bytes.saturating_add(change);
    }

    /// What was left behind at its end, bytes; modules that tests imported are nobody's, and so are fixtures that several files share.
    pub(in crate::digest) fn retained(&self) -> i64 {
        self.above(self.end)
    }

    pub(in crate::digest) fn extend(&mut self, tail: Self, end: i64) {
        self.peak = self.peak.max(tail.peak).max(end);
        self.sampled |= tail.sampled;
        self.end = end;
        self.reach(tail.peak.max(end));
    }
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct VisitFacts<'a> {
    pub(in crate::digest) session: u32,
    pub(in crate::digest) path: &'a str,
    pub(in crate::digest) began_us: i64,
    /// None while its last test has not ended.
    pub(in crate::digest) ended_us: Option<i64>,
    pub(in crate::digest) span: Span,
    pub(in crate::digest) fixture_bytes: i64,
    pub(in crate::digest) between_bytes: i64,
    pub(in crate::digest) tests: u64,
    pub(in crate::digest) failed: u64,
}

impl<'a> VisitFacts<'a> {
    pub(super) fn begin(session: u32, path: &'a str, t_us: i64, rss: i64) -> Self {
        Self {
            session,
            path,
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
pub(in crate::digest) struct PhaseFacts<'a> {
    pub(in crate::digest) name: &'a str,
    pub(in crate::digest) outcome: &'a str,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) ended_us: i64,
    pub(in crate::digest) span: Span,
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct TestFacts<'a> {
    pub(in crate::digest) session: u32,
    pub(in crate::digest) path: &'a str,
    pub(in crate::digest) nodeid: &'a str,
    pub(in crate::digest) outcome: &'a str,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) ended_us: Option<i64>,
    pub(in crate::digest) end: i64,
    pub(in crate::digest) span: Span,
    /// How far its visit stood above its own start when it began, bytes.
    pub(super) visit_above: i64,
    pub(in crate::digest) fixture_bytes: i64,
    pub(in crate::digest) phases: Vec<PhaseFacts<'a>>,
    /// Peak above its own start, where a forked child ran the test.
    pub(in crate::digest) forked_spike: Option<i64>,
    /// What pytest-timeout allows it, µs.
    pub(in crate::digest) time_limit_us: Option<u64>,
    pub(in crate::digest) time_limit_ends_process: Option<bool>,
    /// Why it failed, where that speaks for an ending: `memory_error`, `timeout`, `limit`.
    pub(in crate::digest) cause: &'a str,
}

impl<'a> TestFacts<'a> {
    pub(super) fn begin(session: u32, path: &'a str, nodeid: &'a str, t_us: i64, rss: i64) -> Self {
        let mut test = Self {
            session,
            path,
            nodeid,
            outcome: "unknown",
            began_us: t_us,
            ended_us: None,
            end: rss,
            span: Span::from(rss),
            visit_above: 0,
            fixture_bytes: 0,
            phases: Vec::with_capacity(3),
            forked_spike: None,
            time_limit_us: None,
            time_limit_ends_process: None,
            cause: "",
        };
        test.next_phase("setup", t_us, rss);
        test
    }

    pub(super) fn next_phase(&mut self, name: &'a str, t_us: i64, rss: i64) {
        self.end_phase(t_us);
        self.phases.push(PhaseFacts {
            name,
            outcome: "-",
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

    pub(super) fn see(&mut self, interval: Interval, end: i64, is_of_others: bool) {
        self.span.see(interval, end, is_of_others);
        self.end = end;
        if let Some(phase) = self.phases.last_mut() {
            phase.span.see(interval, end, is_of_others);
        }
    }

    pub(super) fn import(&mut self, change: i64) {
        self.span.import(change);
        if let Some(phase) = self.phases.last_mut() {
            phase.span.import(change);
        }
    }

    pub(super) fn share(&mut self, change: i64) {
        self.span.share(change);
        if let Some(phase) = self.phases.last_mut() {
            phase.span.share(change);
        }
    }

    pub(super) fn finish(&mut self, t_us: i64, rss: i64, end: Option<Outcomes<'a>>) {
        self.end_phase(t_us);
        self.ended_us = Some(t_us);
        self.end = rss;
        let Some(end) = end else {
            return;
        };
        self.outcome = end.outcome;
        self.cause = end.cause;
        for phase in &mut self.phases {
            phase.outcome = match phase.name {
                "setup" => end.setup,
                "call" => end.call,
                _ => end.teardown,
            };
        }
    }

    /// What it left behind, bytes.
    pub(in crate::digest) fn retained(&self) -> i64 {
        self.span.above(self.end)
    }

    /// Failed or in error; an outcome of `rerun` has another chance.
    pub(in crate::digest) fn failed(&self) -> bool {
        matches!(self.outcome, "failed" | "error")
    }
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct ImportFacts<'a> {
    pub(in crate::digest) path: &'a str,
    pub(in crate::digest) session: u32,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) own_bytes: i64,
    pub(in crate::digest) failed: bool,
    /// Why, where that speaks for an ending: `memory_error`.
    pub(in crate::digest) cause: &'a str,
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct ModuleFacts<'a> {
    pub(in crate::digest) module: &'a str,
    /// Of the test file that asked for it.
    pub(in crate::digest) path: &'a str,
    pub(in crate::digest) session: u32,
    pub(in crate::digest) began_us: i64,
    pub(in crate::digest) own_bytes: i64,
}

#[derive(Debug, Clone)]
pub(in crate::digest) struct FixtureFacts<'a> {
    pub(in crate::digest) session: u32,
    pub(in crate::digest) name: &'a str,
    pub(in crate::digest) scope: &'a str,
    pub(in crate::digest) path: &'a str,
    pub(in crate::digest) base: &'a str,
    pub(in crate::digest) setup_bytes: i64,
    pub(in crate::digest) released_bytes: i64,
    pub(in crate::digest) start: i64,
    /// Highest in its set-up, without what others took until then.
    pub(in crate::digest) setup_peak: i64,
    /// What modules that it imported and fixtures that it asked for took while it was set up.
    pub(in crate::digest) others_bytes: i64,
    pub(in crate::digest) began_us: i64,
    /// When its set-up ended.
    pub(in crate::digest) ready_us: Option<i64>,
    pub(in crate::digest) release_began_us: Option<i64>,
    pub(in crate::digest) duration_us: i64,
    pub(in crate::digest) released: bool,
}

impl<'a> FixtureFacts<'a> {
    pub(super) fn begin(session: u32, named: Named<'a>, t_us: i64, rss: i64) -> Self {
        let Named {
            name,
            scope,
            path,
            base,
        } = named;
        Self {
            session,
            name,
            scope,
            path,
            base,
            setup_bytes: 0,
            released_bytes: 0,
            start: rss,
            setup_peak: rss,
            others_bytes: 0,
            began_us: t_us,
            ready_us: None,
            release_began_us: None,
            duration_us: 0,
            released: false,
        }
    }

    /// What its set-up took and nothing gave back yet.
    pub(in crate::digest) fn held(&self) -> i64 {
        self.setup_bytes.saturating_sub(self.released_bytes)
    }

    /// Whether its teardown did not begin yet.
    pub(super) fn is_set_up(&self) -> bool {
        !self.released && self.release_began_us.is_none()
    }

    /// See [`scopes::outlives_files`].
    pub(in crate::digest) fn outlives_files(&self) -> bool {
        scopes::outlives_files(self.scope)
    }

    /// See [`scopes::is_shared`].
    pub(in crate::digest) fn is_shared(&self) -> bool {
        scopes::is_shared(self.scope, self.base)
    }

    pub(super) fn see(&mut self, interval: Interval) {
        if self.ready_us.is_none() {
            let own = interval.peak.saturating_sub(self.others_bytes);
            self.setup_peak = self.setup_peak.max(own);
        }
    }

    pub(super) fn end_set_up(&mut self, t_us: i64, outcome: &str) {
        self.ready_us = Some(t_us);
        self.released = outcome == "failed";
        self.duration_us += t_us - self.began_us;
    }

    pub(super) fn end_release(&mut self, t_us: i64) {
        self.released = true;
        self.duration_us += t_us - self.release_began_us.unwrap_or(t_us);
    }
}
