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
                            add(&mut self.walk.fixtures[at].late_import_bytes, change);
                        }
                        _ => {}
                    }
                }
                if let Some(visit) = self.walk.visits.last_mut() {
                    visit.span.import(change);
                }
            }
            Some(Frame::SetUp(at)) => {
                add(&mut self.books.fixture_bytes, change);
                add(&mut self.walk.fixtures[*at].setup_bytes, change);
            }
            Some(Frame::Release(at)) => {
                add(&mut self.books.fixture_bytes, change);
                add(&mut self.walk.fixtures[*at].released_bytes, -change);
            }
            Some(Frame::Test(_)) => {
                let released = self.released_after_teardown(-change);
                add(&mut self.books.test_bytes, change + released);
                self.charge_fixtures(-released);
            }
            Some(Frame::Diagnosis) => {
                add(&mut self.books.between_bytes, change);
                add(&mut self.books.diagnosis_bytes, change);
            }
            None => add(&mut self.books.between_bytes, change),
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
            add(&mut fixtures[*at].released_bytes, part);
            left -= part;
        }
        given_back.max(0) - left
    }

    fn charge_fixtures(&mut self, change: i64) {
        add(&mut self.books.fixture_bytes, change);
        self.charge_open_test(change);
    }

    fn charge_open_test(&mut self, change: i64) {
        if let Some(test) = self.open_test() {
            add(&mut self.walk.tests[test].fixture_bytes, change);
            if let Some(visit) = self.walk.visits.last_mut() {
                add(&mut visit.fixture_bytes, change);
            }
        }
    }

    /// Lets everything open see the peak and the end of an interval.
    pub(super) fn spread(&mut self, interval: Interval, end: i64) {
        let is_importing = matches!(self.stack.last(), Some(Frame::Module(_)));
        for frame in &self.stack {
            match *frame {
                Frame::Import(_) | Frame::Module(_) | Frame::Diagnosis => {}
                Frame::Test(at) => self.walk.tests[at].see(interval, end, is_importing),
                Frame::SetUp(at) | Frame::Release(at) => {
                    self.walk.fixtures[at].see(interval, is_importing);
                }
            }
        }
        if !self.open_visit {
            return;
        }
        if self.open_test().is_some() {
            if let Some(visit) = self.walk.visits.last_mut() {
                visit.span.see(interval, end, is_importing);
            }
        } else {
            self.tail.see(interval, end, is_importing);
        }
    }
}
