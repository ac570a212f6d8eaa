//! How many tests a job ran, in the same words wherever they are told.

use highwater_wire::report::{JobReport, JobState, SessionReport};

use crate::figures::count;

/// Tests of a session or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Executions that began.
    pub tests: u64,
    /// Of them without an end.
    pub unfinished: u64,
    /// Tests that were to run and did not begin, as far as that is known.
    pub not_begun: u64,
    /// Whether the job still runs.
    pub goes_on: bool,
}

impl Counts {
    /// Of a session of a job.
    #[must_use]
    pub fn of_session(session: &SessionReport, job: &JobReport) -> Self {
        Self {
            tests: session.tests,
            unfinished: session.unfinished,
            not_begun: session.not_begun.unwrap_or(0),
            goes_on: job.state == JobState::Running,
        }
    }

    /// Of all sessions of a job.
    #[must_use]
    pub fn of_job(job: &JobReport) -> Self {
        Self {
            goes_on: job.state == JobState::Running,
            ..Self::of_sessions(&job.sessions)
        }
    }

    /// Of several sessions that are over.
    #[must_use]
    pub fn of_sessions(sessions: &[SessionReport]) -> Self {
        let sum = |figure: fn(&SessionReport) -> u64| sessions.iter().map(figure).sum();
        Self {
            tests: sum(|it| it.tests),
            unfinished: sum(|it| it.unfinished),
            not_begun: sum(|it| it.not_begun.unwrap_or(0)),
            goes_on: false,
        }
    }

    /// Whether each test that was to run did, to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unfinished == 0 && (self.not_begun == 0 || self.goes_on)
    }

    /// As "85 tests", or "12 tests finished, 1 did not finish, 72 did not begin".
    #[must_use]
    pub fn words(&self) -> String {
        let number = |tests: u64| count(usize::try_from(tests).unwrap_or(usize::MAX), "test");
        if self.is_whole() {
            return number(self.tests);
        }
        let mut words = format!(
            "{} finished",
            number(self.tests.saturating_sub(self.unfinished))
        );
        match (self.unfinished, self.goes_on) {
            (0, _) => {}
            (running, true) => words += &format!(", {running} running"),
            (unfinished, false) => words += &format!(", {unfinished} did not finish"),
        }
        if self.not_begun > 0 && !self.goes_on {
            words += &format!(", {} did not begin", self.not_begun);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_finish_or_begin_is_told_apart() {
        for (tests, unfinished, not_begun, goes_on, words) in [
            (85, 0, 0, false, "85 tests"),
            (1, 0, 0, false, "1 test"),
            (0, 0, 0, false, "0 tests"),
            (
                13,
                1,
                72,
                false,
                "12 tests finished, 1 did not finish, 72 did not begin",
            ),
            (2, 1, 0, false, "1 test finished, 1 did not finish"),
            (12, 0, 3, false, "12 tests finished, 3 did not begin"),
            (13, 1, 72, true, "12 tests finished, 1 running"),
            (12, 0, 73, true, "12 tests"),
        ] {
            let counts = Counts {
                tests,
                unfinished,
                not_begun,
                goes_on,
            };
            assert_eq!(counts.words(), words);
        }
    }
}
