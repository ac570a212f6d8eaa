//! The diagnoses of a process: which visits each looks back at.

use highwater_wire::v1::Diagnosis;

use super::{Frame, Mark, Walker, rss};

/// What a diagnosis found of the visits since the one before it.
#[derive(Debug, Clone)]
pub(in crate::digest) struct DiagnosisFacts<'a> {
    /// Ordinal of the session.
    pub(in crate::digest) session: u32,
    /// Paths of the visits, one or more.
    pub(in crate::digest) paths: Vec<&'a str>,
    /// RSS where the first of them began.
    pub(in crate::digest) start: i64,
    /// RSS where the diagnosis began.
    pub(in crate::digest) end: i64,
    /// By how much grew what fixtures hold that are set up where it began, shared or not: one that was torn down holds nothing any more.
    pub(in crate::digest) fixture_bytes: i64,
    /// RSS after the C library gave back.
    pub(in crate::digest) trimmed: i64,
    pub(in crate::digest) found: &'a Diagnosis,
}

impl<'a> Walker<'a> {
    pub(super) fn is_diagnosed(&self) -> bool {
        self.stack.contains(&Frame::Diagnosis)
    }

    /// A test begins, and the end of the diagnosis before it is missing.
    pub(super) fn drop_diagnosis(&mut self) {
        self.diagnosed_from = None;
        self.pop_to(Frame::Diagnosis);
    }

    /// A diagnosis stands between tests: one that is open never ended.
    pub(super) fn begin_diagnosis(&mut self, mark: &Mark) {
        self.close_test(mark, None);
        self.diagnosed_from = Some(rss(mark));
        self.stack.push(Frame::Diagnosis);
    }

    pub(super) fn end_diagnosis(&mut self, found: Option<&'a Diagnosis>) {
        self.pop_to(Frame::Diagnosis);
        let from = self.diagnosed_from.take();
        let visits = self.walk.visits.get(self.since..).unwrap_or_default();
        self.since = self.walk.visits.len();
        let held = self.held_by_fixtures();
        let grown = held.saturating_sub(std::mem::replace(&mut self.held_at_diagnosis, held));
        let (Some(end), Some(found), Some(first)) = (from, found, visits.first()) else {
            return;
        };
        let Some(trimmed) = found.trimmed_bytes else {
            return;
        };
        self.walk.diagnoses.push(DiagnosisFacts {
            session: first.session,
            paths: visits.iter().map(|visit| visit.path).collect(),
            start: first.span.start,
            end,
            fixture_bytes: grown,
            trimmed: trimmed.cast_signed(),
            found,
        });
    }

    fn held_by_fixtures(&self) -> i64 {
        let set_up = self.walk.fixtures.iter().filter(|it| it.is_set_up());
        set_up.fold(0, |sum, it| sum.saturating_add(it.held()))
    }
}
