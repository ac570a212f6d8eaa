//! What the marks of one process say.
//!
//! Consecutive marks cut the life of a process into intervals without gap or overlap. The change of RSS across an interval
//! belongs to the innermost thing open in it (an import, a fixture's set-up or teardown, a test), else to "between"; so
//! first + imports + fixtures + tests + between = last, to the byte, whatever the marks are. The peak of an interval counts
//! for everything open in it.
//!
//! One refinement: pytest lets go of a fixture's value only after its teardown, and of the test's arguments after all teardowns. What
//! a test gives back after a teardown in it is therefore a release of the fixtures torn down, up to what their set-up took.

mod facts;
mod forked;

use std::collections::HashMap;

use highwater_wire::{
    report::{Books, PeakKind},
    v1::{FixtureBegin, Mark, TestBegin, TestEnd, mark::What},
};

use super::{memory::Memory, sessions::Sessions};

pub(super) use facts::{FixtureFacts, ImportFacts, PhaseFacts, Span, TestFacts, VisitFacts};
pub(super) use forked::adopt as adopt_forked;

/// An interval between two marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
    pub(super) peak: i64,
    pub(super) exact: bool,
}

/// The highest RSS of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peak {
    pub(super) bytes: i64,
    pub(super) kind: PeakKind,
    /// The mark that tells of it.
    pub(super) at_us: i64,
}

/// Everything the marks of one process say.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Position of the process.
    pub(super) process: usize,
    /// Ordinal of its first session.
    pub(super) session: Option<u32>,
    pub(super) books: Option<Books>,
    /// The highest RSS that the marks tell of.
    pub(super) peak: Option<Peak>,
    pub(super) intervals: Vec<Interval>,
    pub(super) tests: Vec<TestFacts>,
    pub(super) imports: Vec<ImportFacts>,
    pub(super) fixtures: Vec<FixtureFacts>,
    pub(super) visits: Vec<VisitFacts>,
    /// Ordinal of a session and pytest's exit status, as this process said them.
    pub(super) session_ends: Vec<(u32, i32)>,
    /// Ordinals of the sessions that it left in order, whether they told a status or not.
    pub(super) session_leaves: Vec<u32>,
    /// Sessions that this process began.
    pub(super) session_begins: Vec<u32>,
    /// What was running at the last mark: a test or an import.
    pub(super) running: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Import(usize),
    Test(usize),
    SetUp(usize),
    Release(usize),
}

/// The walk of each process, by its position.
pub(super) fn by_process(walks: &[Walk], processes: usize) -> Vec<Option<&Walk>> {
    let mut found = vec![None; processes];
    for walk in walks {
        found[walk.process] = Some(walk);
    }
    found
}

/// Walks along the marks of a process.
pub(super) fn walk(process: usize, marks: &[&Mark], memory: &Memory, sessions: &Sessions) -> Walk {
    let mut walker = Walker {
        walk: Walk {
            process,
            ..Walk::default()
        },
        stack: Vec::new(),
        books: Books::default(),
        open_visit: false,
        tail: Span::default(),
        fixture_at: HashMap::new(),
        torn_down: Vec::new(),
        sessions_begun: 0,
        memory,
        sessions,
    };
    let mut previous: Option<&Mark> = None;
    for mark in marks
        .iter()
        .filter(|mark| !matches!(mark.what, None | Some(What::Blocks(_))))
    {
        match previous {
            Some(previous) => walker.interval(previous, mark),
            None => walker.first(mark),
        }
        walker.take(mark);
        previous = Some(mark);
    }
    if let Some(last) = previous {
        walker.leave(last);
    }
    walker.walk
}

struct Walker<'a> {
    walk: Walk,
    stack: Vec<Frame>,
    books: Books,
    /// Whether the last visit may still go on.
    open_visit: bool,
    /// What came after the last test of the open visit: part of it only if another test of the same file follows.
    tail: Span,
    fixture_at: HashMap<u64, usize>,
    /// Fixtures that were torn down in the open test.
    torn_down: Vec<usize>,
    sessions_begun: usize,
    memory: &'a Memory,
    sessions: &'a Sessions,
}

fn rss(mark: &Mark) -> i64 {
    mark.rss_bytes.cast_signed()
}

impl Walker<'_> {
    fn session(&self) -> u32 {
        self.sessions
            .ordinal(self.walk.process, self.sessions_begun.saturating_sub(1))
    }

    fn first(&mut self, mark: &Mark) {
        self.books.first_bytes = rss(mark);
        let peak = mark
            .peak_bytes
            .map_or(rss(mark), |peak| peak.cast_signed().max(rss(mark)));
        self.higher(peak, mark.peak_bytes.is_some(), mark.t_us);
    }

    fn higher(&mut self, bytes: i64, exact: bool, at_us: i64) {
        let kind = if exact {
            PeakKind::Exact
        } else {
            PeakKind::Sampled
        };
        if self.walk.peak.is_none_or(|known| bytes > known.bytes) {
            self.walk.peak = Some(Peak { bytes, kind, at_us });
        }
    }

    fn interval(&mut self, from: &Mark, to: &Mark) {
        let ends = rss(from).max(rss(to));
        let exact = to.peak_bytes.is_some();
        let inside = match to.peak_bytes {
            Some(peak) => Some(peak.cast_signed()),
            None => self
                .memory
                .highest_rss_in(self.walk.process, from.t_us, to.t_us),
        };
        let interval = Interval {
            from_us: from.t_us,
            to_us: to.t_us,
            peak: inside.map_or(ends, |peak| peak.max(ends)),
            exact,
        };
        self.walk.intervals.push(interval);
        self.higher(interval.peak, exact, to.t_us);
        self.attribute(rss(to) - rss(from));
        self.spread(interval, rss(to));
    }

    /// Charges a change of RSS to the innermost open thing.
    fn attribute(&mut self, change: i64) {
        match self.stack.last() {
            Some(Frame::Import(at)) => {
                self.books.import_bytes += change;
                self.walk.imports[*at].own_bytes += change;
            }
            Some(Frame::SetUp(at)) => {
                self.books.fixture_bytes += change;
                self.walk.fixtures[*at].setup_bytes += change;
            }
            Some(Frame::Release(at)) => {
                self.books.fixture_bytes += change;
                self.walk.fixtures[*at].released_bytes -= change;
            }
            Some(Frame::Test(_)) => {
                let released = self.released_after_teardown(-change);
                self.books.test_bytes += change + released;
                self.charge_fixtures(-released);
            }
            None => self.books.between_bytes += change,
        }
        if matches!(self.stack.last(), Some(Frame::SetUp(_) | Frame::Release(_))) {
            self.charge_open_test(change);
        }
    }

    /// Of what a test gave back, the part that fixtures torn down in it still held; largest first.
    fn released_after_teardown(&mut self, given_back: i64) -> i64 {
        let mut left = given_back.max(0);
        let fixtures = &mut self.walk.fixtures;
        self.torn_down
            .sort_by_key(|at| std::cmp::Reverse(fixtures[*at].held()));
        for at in &self.torn_down {
            let part = left.min(fixtures[*at].held().max(0));
            fixtures[*at].released_bytes += part;
            left -= part;
        }
        given_back.max(0) - left
    }

    fn charge_fixtures(&mut self, change: i64) {
        self.books.fixture_bytes += change;
        self.charge_open_test(change);
    }

    fn charge_open_test(&mut self, change: i64) {
        if let Some(test) = self.open_test() {
            self.walk.tests[test].fixture_bytes += change;
            if let Some(visit) = self.walk.visits.last_mut() {
                visit.fixture_bytes += change;
            }
        }
    }

    /// Lets everything open see the peak and the end of an interval.
    fn spread(&mut self, interval: Interval, end: i64) {
        for frame in &self.stack {
            match *frame {
                Frame::Import(_) => {}
                Frame::Test(at) => self.walk.tests[at].see(interval, end),
                Frame::SetUp(at) | Frame::Release(at) => self.walk.fixtures[at].see(interval),
            }
        }
        if !self.open_visit {
            return;
        }
        if self.open_test().is_some() {
            if let Some(visit) = self.walk.visits.last_mut() {
                visit.span.see(interval, end);
            }
        } else {
            self.tail.see(interval, end);
        }
    }

    fn open_test(&self) -> Option<usize> {
        self.stack.iter().find_map(|frame| match frame {
            Frame::Test(at) => Some(*at),
            _ => None,
        })
    }

    /// Closes the stack down to a frame and that frame with it, if it is open.
    fn pop_to(&mut self, frame: Frame) -> bool {
        let Some(at) = self.stack.iter().rposition(|open| *open == frame) else {
            return false;
        };
        self.stack.truncate(at);
        true
    }

    fn take(&mut self, mark: &Mark) {
        match mark.what.as_ref() {
            Some(What::SessionBegin(_)) => {
                self.close_test(mark, None);
                self.stack.clear();
                self.open_visit = false;
                self.sessions_begun += 1;
                let session = self.session();
                self.walk.session.get_or_insert(session);
                self.walk.session_begins.push(session);
            }
            Some(What::ImportBegin(import)) => {
                self.stack.push(Frame::Import(self.walk.imports.len()));
                self.walk.imports.push(ImportFacts {
                    path: import.path.clone(),
                    session: self.session(),
                    began_us: mark.t_us,
                    own_bytes: 0,
                    failed: false,
                });
            }
            Some(What::ImportEnd(end)) => {
                let open = self
                    .stack
                    .iter()
                    .rposition(|frame| matches!(frame, Frame::Import(_)));
                if let Some(at) = open {
                    if let Frame::Import(import) = self.stack[at] {
                        self.walk.imports[import].failed = end.outcome == "failed";
                    }
                    self.stack.truncate(at);
                }
            }
            Some(What::TestBegin(test)) => self.begin_test(mark, test),
            Some(What::TestPhase(phase)) => {
                if let Some(test) = self.open_test() {
                    self.pop_inside(test);
                    self.walk.tests[test].next_phase(&phase.phase, mark.t_us, rss(mark));
                }
            }
            Some(What::TestEnd(end)) => self.close_test(mark, Some(end)),
            Some(What::FixtureBegin(fixture)) => self.begin_fixture(mark, fixture),
            Some(What::FixtureEnd(fixture)) => {
                if let Some(at) = self.fixture_at.get(&fixture.fixture).copied()
                    && self.pop_to(Frame::SetUp(at))
                {
                    self.walk.fixtures[at].end_set_up(mark.t_us, &fixture.outcome);
                }
            }
            Some(What::ReleaseBegin(fixture)) => {
                if let Some(at) = self.fixture_at.get(&fixture.fixture).copied() {
                    self.walk.fixtures[at].release_began_us = Some(mark.t_us);
                    self.stack.push(Frame::Release(at));
                }
            }
            Some(What::ReleaseEnd(fixture)) => {
                if let Some(at) = self.fixture_at.get(&fixture.fixture).copied()
                    && self.pop_to(Frame::Release(at))
                {
                    self.walk.fixtures[at].end_release(mark.t_us);
                    self.torn_down.push(at);
                }
            }
            Some(What::SessionEnd(end)) => {
                self.close_test(mark, None);
                self.open_visit = false;
                let session = self.session();
                self.walk.session_ends.push((session, end.exit_status));
            }
            Some(What::Leave(leave)) => {
                if let Some(peak) = leave.true_peak_bytes {
                    self.higher(peak.cast_signed(), mark.peak_bytes.is_some(), mark.t_us);
                }
                self.close_test(mark, None);
                self.stack.clear();
                self.open_visit = false;
                let session = self.session();
                self.walk.session_leaves.push(session);
            }
            Some(What::CollectBegin(_) | What::CollectEnd(_) | What::Blocks(_)) | None => {}
        }
    }

    /// A new phase closes what was left open inside the test, such as a set-up that raised.
    fn pop_inside(&mut self, test: usize) {
        if let Some(at) = self
            .stack
            .iter()
            .position(|frame| *frame == Frame::Test(test))
        {
            self.stack.truncate(at + 1);
        }
    }

    fn begin_test(&mut self, mark: &Mark, begin: &TestBegin) {
        self.close_test(mark, None);
        let session = self.session();
        let goes_on = self.open_visit
            && self
                .walk
                .visits
                .last()
                .is_some_and(|visit| visit.path == begin.path && visit.session == session);
        match self.walk.visits.last_mut() {
            Some(visit) if goes_on => {
                visit.between_bytes += rss(mark) - visit.span.end;
                visit.span.extend(self.tail, rss(mark));
            }
            _ => self.walk.visits.push(VisitFacts::begin(
                session,
                &begin.path,
                mark.t_us,
                rss(mark),
            )),
        }
        self.open_visit = true;
        self.torn_down.clear();
        self.tail = Span::default();
        self.stack.push(Frame::Test(self.walk.tests.len()));
        self.walk
            .tests
            .push(TestFacts::begin(session, begin, mark.t_us, rss(mark)));
    }

    /// Ends the open test, if there is one; without a word of how, its outcome stays unknown.
    fn close_test(&mut self, mark: &Mark, end: Option<&TestEnd>) {
        let Some(test) = self.open_test() else {
            return;
        };
        self.pop_to(Frame::Test(test));
        let test = &mut self.walk.tests[test];
        test.finish(mark.t_us, rss(mark), end);
        let failed = test.failed();
        if let Some(visit) = self.walk.visits.last_mut() {
            visit.tests += 1;
            visit.failed += u64::from(failed);
            visit.ended_us = Some(mark.t_us);
        }
        self.tail = Span::from(rss(mark));
    }

    fn begin_fixture(&mut self, mark: &Mark, begin: &FixtureBegin) {
        let at = self.walk.fixtures.len();
        let session = self.session();
        self.walk
            .fixtures
            .push(FixtureFacts::begin(session, begin, mark.t_us, rss(mark)));
        self.fixture_at.insert(begin.fixture, at);
        self.stack.push(Frame::SetUp(at));
    }

    /// After the last mark: what is still open lives on in the samples, if there are any.
    fn leave(&mut self, last: &Mark) {
        self.books.last_bytes = rss(last);
        self.walk.books = Some(self.books);
        self.walk.running = self.stack.iter().rev().find_map(|frame| match *frame {
            Frame::Test(at) => Some(self.walk.tests[at].nodeid.clone()),
            Frame::Import(at) => Some(self.walk.imports[at].path.clone()),
            Frame::SetUp(_) | Frame::Release(_) => None,
        });
        let highest = self
            .memory
            .highest_rss_in(self.walk.process, last.t_us, i64::MAX);
        if let (Some(peak), Some(open)) = (highest, self.open_test()) {
            let end = self.memory.last_rss(self.walk.process).unwrap_or(rss(last));
            let interval = Interval {
                from_us: last.t_us,
                to_us: i64::MAX,
                peak: peak.max(rss(last)),
                exact: false,
            };
            self.higher(interval.peak, false, last.t_us);
            self.spread(interval, end);
            self.walk.tests[open].end = end;
        }
        if let Some(open) = self.open_test() {
            let failed = self.walk.tests[open].failed();
            if let Some(visit) = self.walk.visits.last_mut() {
                visit.ended_us = None;
                visit.tests += 1;
                visit.failed += u64::from(failed);
            }
        }
    }
}
