//! What the marks of one process say.
//!
//! Consecutive marks cut the life of a process into intervals without gap or overlap. The change of RSS across an interval
//! belongs to the innermost thing open in it (an import, a fixture's set-up or teardown, a test), else to "between"; so
//! first + imports + fixtures + tests + between = last, to the byte, whatever the marks are. The peak of an interval counts
//! for everything open in it.
//!
//! One refinement: pytest lets go of a fixture's value only after its teardown, and of the test's arguments after all teardowns. What
//! a test gives back after a teardown in it is therefore a release of the fixtures torn down, up to what their set-up took.
//!
//! Which file sets up a fixture that several of them share, and which one meets the end of it, is a matter of order: what such fixtures take and give
//! back is gathered beside what the visit did itself.

mod charge;
mod crashed;
mod diagnosed;
mod facts;
mod forked;
mod gone;

use std::collections::HashMap;

use highwater_wire::report::{Books, Collection, PeakKind};

use super::{memory::Memory, sessions::Sessions};
use crate::recording::{Mark, Texts, What};

pub(super) use crashed::fail as fail_crashed;
pub(super) use diagnosed::DiagnosisFacts;
use facts::{Collected, Named, Outcomes, Peak};
pub(super) use facts::{
    FixtureFacts, ImportFacts, Interval, ModuleFacts, PhaseFacts, Span, TestFacts, VisitFacts, Walk,
};
pub(super) use forked::adopt as adopt_forked;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Import(usize),
    /// A module that a test imports.
    Module(usize),
    Test(usize),
    SetUp(usize),
    Release(usize),
    /// The recorder's own doing: no peak and no change of it belongs to what it stands in.
    Diagnosis,
}

/// The walk of each process, by its position.
pub(super) fn by_process<'w, 'a>(
    walks: &'w [Walk<'a>],
    processes: usize,
) -> Vec<Option<&'w Walk<'a>>> {
    let mut found = vec![None; processes];
    for walk in walks {
        found[walk.process] = Some(walk);
    }
    found
}

/// Walks along the marks of a process.
pub(super) fn walk<'a>(
    process: usize,
    marks: &[Mark],
    texts: &'a Texts,
    memory: &'a Memory,
    sessions: &'a Sessions,
) -> Walk<'a> {
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
        since: 0,
        diagnosed_from: None,
        held_at_diagnosis: 0,
        texts,
        memory,
        sessions,
    };
    let gone = gone::modules(marks, texts);
    let mut previous: Option<&Mark> = None;
    let marks = marks.iter().enumerate();
    for (at, mark) in
        marks.filter(|(_, mark)| !matches!(mark.what, What::Unknown | What::Blocks { .. }))
    {
        match previous {
            Some(previous) => walker.interval(previous, mark),
            None => walker.first(mark),
        }
        if !gone.contains(&at) {
            walker.take(mark);
        }
        previous = Some(mark);
    }
    if let Some(last) = previous {
        walker.leave(last);
    }
    walker.walk
}

struct Walker<'a> {
    walk: Walk<'a>,
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
    /// The first visit that no diagnosis has looked back at.
    since: usize,
    /// RSS where the open diagnosis began.
    diagnosed_from: Option<i64>,
    /// What fixtures held at the diagnosis before.
    held_at_diagnosis: i64,
    texts: &'a Texts,
    memory: &'a Memory,
    sessions: &'a Sessions,
}

fn rss(mark: &Mark) -> i64 {
    mark.rss_bytes.cast_signed()
}

impl<'a> Walker<'a> {
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
        let inside = inside.filter(|_| !self.is_diagnosed());
        let interval = Interval {
            from_us: from.t_us,
            to_us: to.t_us,
            peak: inside.map_or(ends, |peak| peak.max(ends)),
            exact,
        };
        self.walk.intervals.push(interval);
        self.higher(interval.peak, exact, to.t_us);
        if !self.is_diagnosed() {
            self.spread(interval, rss(to));
        }
        self.attribute(rss(to) - rss(from));
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
        let texts = self.texts;
        match mark.what {
            What::SessionBegin => {
                self.close_test(mark, None);
                self.drop_diagnosis();
                self.stack.clear();
                self.open_visit = false;
                self.sessions_begun += 1;
                let session = self.session();
                self.walk.session.get_or_insert(session);
                self.walk.session_begins.push(session);
            }
            What::ImportBegin { path } => {
                self.stack.push(Frame::Import(self.walk.imports.len()));
                self.walk.imports.push(ImportFacts {
                    path: texts.get(path),
                    session: self.session(),
                    began_us: mark.t_us,
                    own_bytes: 0,
                    failed: false,
                    cause: "",
                });
            }
            What::ImportEnd { outcome, cause } => {
                let open = self
                    .stack
                    .iter()
                    .rposition(|frame| matches!(frame, Frame::Import(_)));
                if let Some(at) = open {
                    if let Frame::Import(import) = self.stack[at] {
                        self.walk.imports[import].failed = texts.get(outcome) == "failed";
                        self.walk.imports[import].cause = texts.get(cause);
                    }
                    self.stack.truncate(at);
                }
            }
            What::ModuleBegin { module } => {
                if let Some(test) = self.open_test() {
                    self.stack.push(Frame::Module(self.walk.modules.len()));
                    self.walk.modules.push(ModuleFacts {
                        module: texts.get(module),
                        path: self.walk.tests[test].path,
                        session: self.session(),
                        began_us: mark.t_us,
                        own_bytes: 0,
                    });
                }
            }
            What::ModuleEnd => {
                let is_module = |frame: &Frame| matches!(frame, Frame::Module(_));
                if let Some(at) = self.stack.iter().rposition(is_module) {
                    self.stack.truncate(at);
                }
            }
            What::TestBegin {
                path,
                nodeid,
                time_limit_us,
                time_limit_ends_process,
                ..
            } => {
                self.begin_test(mark, texts.get(path), texts.get(nodeid));
                if let Some(test) = self.walk.tests.last_mut() {
                    test.time_limit_us = time_limit_us;
                    test.time_limit_ends_process = time_limit_ends_process;
                }
            }
            What::TestPhase { phase } => {
                if let Some(test) = self.open_test() {
                    self.pop_inside(test);
                    self.walk.tests[test].next_phase(texts.get(phase), mark.t_us, rss(mark));
                }
            }
            What::TestEnd {
                outcome,
                setup,
                call,
                teardown,
                cause,
            } => {
                let outcomes = Outcomes {
                    outcome: texts.get(outcome),
                    setup: texts.get(setup),
                    call: texts.get(call),
                    teardown: texts.get(teardown),
                    cause: texts.get(cause),
                };
                self.close_test(mark, Some(outcomes));
            }
            What::FixtureBegin {
                fixture,
                name,
                scope,
                path,
                base,
            } => {
                let named = Named {
                    name: texts.get(name),
                    scope: texts.get(scope),
                    path: texts.get(path),
                    base: texts.get(base),
                };
                self.begin_fixture(mark, fixture, named);
            }
            What::FixtureEnd { fixture, outcome } => {
                if let Some(at) = self.fixture_at.get(&fixture).copied()
                    && self.pop_to(Frame::SetUp(at))
                {
                    self.walk.fixtures[at].end_set_up(mark.t_us, texts.get(outcome));
                }
            }
            What::ReleaseBegin { fixture } => {
                if let Some(at) = self.fixture_at.get(&fixture).copied() {
                    self.walk.fixtures[at].release_began_us = Some(mark.t_us);
                    self.stack.push(Frame::Release(at));
                }
            }
            What::ReleaseEnd { fixture } => {
                if let Some(at) = self.fixture_at.get(&fixture).copied()
                    && self.pop_to(Frame::Release(at))
                {
                    self.walk.fixtures[at].end_release(mark.t_us);
                    self.torn_down.push(at);
                }
            }
            What::SessionEnd { exit_status } => {
                self.close_test(mark, None);
                self.end_collection(mark);
                self.open_visit = false;
                let session = self.session();
                self.walk.session_ends.push((session, exit_status));
            }
            What::Leave { true_peak_bytes } => {
                if let Some(peak) = true_peak_bytes {
                    self.higher(peak.cast_signed(), mark.peak_bytes.is_some(), mark.t_us);
                }
                self.close_test(mark, None);
                self.stack.clear();
                self.open_visit = false;
                let session = self.session();
                self.walk.session_leaves.push(session);
            }
            What::CollectBegin => {
                let session = self.session();
                self.walk.collections.push(Collection {
                    session,
                    began_us: mark.t_us,
                    ended_us: None,
                });
            }
            What::DiagnosisBegin => self.begin_diagnosis(mark),
            What::DiagnosisEnd { found } => self.end_diagnosis(texts.found(found)),
            What::CollectEnd { items, files } => {
                self.end_collection(mark);
                let files = texts.get(files);
                if !files.is_empty() {
                    let session = self.session();
                    self.walk.collected.push(Collected {
                        session,
                        items,
                        files,
                    });
                }
            }
            What::ModuleGone { .. } | What::Blocks { .. } | What::Unknown => {}
        }
    }

    fn end_collection(&mut self, mark: &Mark) {
        if let Some(collection) = self.walk.collections.last_mut() {
            collection.ended_us.get_or_insert(mark.t_us);
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

    fn begin_test(&mut self, mark: &Mark, path: &'a str, nodeid: &'a str) {
        self.close_test(mark, None);
        self.drop_diagnosis();
        self.end_collection(mark);
        let session = self.session();
        let goes_on = self.open_visit
            && self
                .walk
                .visits
                .last()
                .is_some_and(|visit| visit.path == path && visit.session == session);
        match self.walk.visits.last_mut() {
            Some(visit) if goes_on => {
                let between = rss(mark) - visit.span.end;
                visit.between_bytes = visit.between_bytes.saturating_add(between);
                visit.span.extend(self.tail, rss(mark));
            }
            _ => self
                .walk
                .visits
                .push(VisitFacts::begin(session, path, mark.t_us, rss(mark))),
        }
        self.open_visit = true;
        self.torn_down.clear();
        self.tail = Span::default();
        self.stack.push(Frame::Test(self.walk.tests.len()));
        let visit = self.walk.visits.last();
        self.walk.tests.push(TestFacts {
            visit_above: visit.map_or(0, |visit| visit.span.above(rss(mark))),
            ..TestFacts::begin(session, path, nodeid, mark.t_us, rss(mark))
        });
    }

    /// Ends the open test, if there is one; without a word of how, its outcome stays unknown.
    fn close_test(&mut self, mark: &Mark, end: Option<Outcomes<'a>>) {
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

    fn begin_fixture(&mut self, mark: &Mark, fixture: u64, named: Named<'a>) {
        let at = self.walk.fixtures.len();
        let session = self.session();
        self.walk
            .fixtures
            .push(FixtureFacts::begin(session, named, mark.t_us, rss(mark)));
        self.fixture_at.insert(fixture, at);
        self.stack.push(Frame::SetUp(at));
    }

    /// After the last mark: what is still open lives on in the samples, if there are any.
    fn leave(&mut self, last: &Mark) {
        self.books.last_bytes = rss(last);
        // Of a session that was sampled nobody knows what imports and fixtures took.
        let is_sampled = self.sessions.is_sampled(self.session());
        self.walk.books = (!is_sampled).then_some(self.books);
        self.walk.running = self.stack.iter().rev().find_map(|frame| match *frame {
            Frame::Test(at) => Some(self.walk.tests[at].nodeid),
            Frame::Import(at) => Some(self.walk.imports[at].path),
            Frame::Module(_) | Frame::SetUp(_) | Frame::Release(_) | Frame::Diagnosis => None,
        });
        self.walk.open_test = self.open_test();
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
