//! Who an interval's change and peak are charged to.

use super::{Frame, Interval, Walker};

/// Sums of what cannot be do not wrap around.
fn add(sum: &mut i64, change: i64) {
    *sum = sum.saturating_add(change);
}

impl Walker<'_> {
    /// Charges a change of RSS to the innermost open thing.
    pub(super) fn attribute(&mut self, change: i64) {
        match self.stack.last() {
            Some(Frame::Import(at)) => {
                add(&mut self.books.import_bytes, change);
                add(&mut self.walk.imports[*at].own_bytes, change);
            }
            Some(Frame::Module(at)) => {
                add(&mut self.books.import_bytes, change);
                add(&mut self.walk.modules[*at].own_bytes, change);
                for frame in &self.stack {
                    match *frame {
                        Frame::Test(at) => {
                            self.walk.tests[at].import(change);
                        }
                        Frame::SetUp(at) => {
                            add(&mut self.walk.fixtures[at].others_bytes, change);
                        }
                        _ => {}
                    }
                }
                if let Some(visit) = self.walk.visits.last_mut() {
                    visit.span.import(change);
                }
            }
            Some(Frame::SetUp(at)) => {
                let fixture = &mut self.walk.fixtures[*at];
                add(&mut fixture.setup_bytes, change);
                let is_shared = fixture.is_shared();
                self.charge_who_asked(change);
                self.charge_fixture(change, is_shared);
            }
            Some(Frame::Release(at)) => {
                let fixture = &mut self.walk.fixtures[*at];
                add(&mut fixture.released_bytes, -change);
                let outlives_files = fixture.outlives_files();
                self.charge_who_asked(change);
                self.charge_fixture(change, outlives_files);
            }
            Some(Frame::Test(_)) => {
                let (released, of_shared) = self.released_after_teardown(-change);
                add(&mut self.books.test_bytes, change + released + of_shared);
                self.charge_fixture(-released, false);
                self.charge_fixture(-of_shared, true);
            }
            Some(Frame::Diagnosis) => {
                add(&mut self.books.between_bytes, change);
                add(&mut self.books.diagnosis_bytes, change);
            }
            None => add(&mut self.books.between_bytes, change),
        }
    }

    /// Of what a test gave back, the parts that fixtures torn down in it still held, those that outlive files apart; largest first.
    fn released_after_teardown(&mut self, given_back: i64) -> (i64, i64) {
        let mut left = given_back.max(0);
        let (mut released, mut of_shared) = (0, 0);
        let fixtures = &mut self.walk.fixtures;
        self.torn_down
            .sort_by_key(|at| std::cmp::Reverse(fixtures[*at].held()));
        for at in &self.torn_down {
            let part = left.min(fixtures[*at].held().max(0));
            add(&mut fixtures[*at].released_bytes, part);
            left -= part;
            match fixtures[*at].outlives_files() {
                true => of_shared += part,
                false => released += part,
            }
        }
        (released, of_shared)
    }

    /// What the innermost fixture changes, those do not that asked for it while they were set up themselves.
    fn charge_who_asked(&mut self, change: i64) {
        let [outer @ .., _] = self.stack.as_slice() else {
            return;
        };
        for frame in outer {
            if let Frame::SetUp(at) = *frame {
                add(&mut self.walk.fixtures[at].others_bytes, change);
            }
        }
    }

    /// Charges what a fixture took or gave back. `is_shared`: which file meets it is a matter of order, so it is told apart from what that one did.
    fn charge_fixture(&mut self, change: i64, is_shared: bool) {
        add(&mut self.books.fixture_bytes, change);
        let Some(test) = self.open_test() else {
            return;
        };
        let test = &mut self.walk.tests[test];
        let visit = self.walk.visits.last_mut();
        if is_shared {
            test.share(change);
            if let Some(visit) = visit {
                visit.span.share(change);
            }
        } else {
            add(&mut test.fixture_bytes, change);
            if let Some(visit) = visit {
                add(&mut visit.fixture_bytes, change);
            }
        }
    }

    /// Whether what is needed for a while now is no spike of whoever runs: a module is imported, or a fixture comes or goes that belongs to no file.
    fn is_of_others(&self) -> bool {
        let fixtures = &self.walk.fixtures;
        self.stack.iter().any(|frame| match *frame {
            Frame::Module(_) => true,
            Frame::SetUp(at) => fixtures[at].is_shared(),
            Frame::Release(at) => fixtures[at].outlives_files(),
            Frame::Import(_) | Frame::Test(_) | Frame::Diagnosis => false,
        })
    }

    /// Lets everything open see the peak and the end of an interval, before what changed in it is charged: what was given back was there until then.
    pub(super) fn spread(&mut self, interval: Interval, end: i64) {
        let is_of_others = self.is_of_others();
        let innermost = self.stack.last().copied();
        for frame in &self.stack {
            match *frame {
                Frame::Import(_) | Frame::Module(_) | Frame::Diagnosis => {}
                Frame::Test(at) => self.walk.tests[at].see(interval, end, is_of_others),
                Frame::SetUp(at) | Frame::Release(at) => {
                    // Neither what it imports nor what it asks for is its own.
                    if innermost == Some(*frame) {
                        self.walk.fixtures[at].see(interval);
                    }
                }
            }
        }
        if !self.open_visit {
            return;
        }
        if self.open_test().is_some() {
            if let Some(visit) = self.walk.visits.last_mut() {
                visit.span.see(interval, end, is_of_others);
            }
        } else {
            self.tail.see(interval, end, is_of_others);
        }
    }
}
