//! How far the tests came of the session that an ending is about, and which of them was broken off.

use highwater_wire::report::SessionReport;

use super::{
    super::{parts::Parts, walk::TestFacts},
    evidence::Evidence,
    open_sessions::walk_of,
    status,
    words::count,
};
use crate::counts::Counts;

/// The outcome of a test that did not come to one.
const UNKNOWN: &str = "unknown";

impl Evidence {
    /// How far the tests had come, to stand after "after".
    pub(in crate::digest) fn tests_so_far(&self) -> String {
        let running = self.about.unfinished;
        let of_it = if self.of_several {
            " of its session"
        } else {
            ""
        };
        let done = match self.about.tests.saturating_sub(running) {
            0 if running > 0 => format!("no test{of_it}"),
            done => format!("{}{of_it}", count(done, "test")),
        };
        match running {
            0 => done,
            1 => format!("{done} (one was running)"),
            running => format!("{done} ({running} were running)"),
        }
    }

    /// How the tests of a session that went on without a worker came out.
    pub(super) fn tests_all_told(&self) -> String {
        self.about.words()
    }
}

/// What ran last in a process that never left pytest; of several the one whose word is the latest.
pub(super) fn running(parts: &Parts<'_>) -> Option<String> {
    parts
        .walks
        .iter()
        .filter(|walk| walk.running.is_some())
        .max_by_key(|walk| walk.intervals.last().map_or(0, |interval| interval.to_us))
        .and_then(|walk| walk.running)
        .map(str::to_owned)
}

/// The test in which pytest was interrupted: it left it in order, without a word of how it went.
pub(super) fn broken_off(parts: &Parts<'_>) -> Option<String> {
    let tests = parts.tests.iter();
    let last = tests.max_by_key(|test| test.started_us)?;
    (last.outcome == UNKNOWN).then(|| last.nodeid.clone())
}

/// The test that was broken off after an instant: it has no outcome, or ran at the instant and did not pass. Workers go on for a while when their controller
/// is told to stop, so what passed since did not run at the end. Of several the one that began last.
pub(super) fn broken_off_after(parts: &Parts<'_>, t_us: i64) -> Option<String> {
    let tests = parts.walks.iter().flat_map(|walk| &walk.tests);
    let broken_off = |test: &&TestFacts<'_>| {
        let ran = test.began_us <= t_us && !matches!(test.outcome, "passed" | "skipped");
        test.ended_us.is_none_or(|ended| ended >= t_us) && (ran || test.outcome == UNKNOWN)
    };
    tests
        .filter(broken_off)
        .max_by_key(|test| test.began_us)
        .map(|test| test.nodeid.to_owned())
}

/// The ordinals of the sessions that the ending is about: that of who died, else those that were broken off by their own word, else all.
pub(super) fn about(
    parts: &Parts<'_>,
    sessions: &[SessionReport],
    evidence: &Evidence,
) -> Vec<u32> {
    let died = evidence.main_death().and_then(|death| death.process);
    let walk = died.and_then(|process| walk_of(parts, process));
    if let Some(last) = walk.and_then(|walk| walk.session_begins.last()) {
        return vec![*last];
    }
    let broken_off = |session: &&SessionReport| {
        let status = session.exit_status;
        died.is_none() && matches!(status, Some(status::INTERRUPTED | status::INTERNAL_ERROR))
    };
    let ordinals = |sessions: Vec<&SessionReport>| -> Vec<u32> {
        sessions.iter().map(|session| session.ordinal).collect()
    };
    match ordinals(sessions.iter().filter(broken_off).collect()) {
        none if none.is_empty() => ordinals(sessions.iter().collect()),
        some => some,
    }
}

/// How far the tests of some sessions came.
pub(super) fn counts_of(parts: &Parts<'_>, sessions: &[SessionReport], about: &[u32]) -> Counts {
    let is_about = |session: &&SessionReport| about.contains(&session.ordinal);
    let of_them: Vec<SessionReport> = sessions.iter().filter(is_about).cloned().collect();
    // What was sampled has no outcomes.
    let told = |ordinal: u32| {
        of_them
            .iter()
            .any(|it| it.ordinal == ordinal && !it.sampled)
    };
    let tests = parts.walks.iter().flat_map(|walk| &walk.tests);
    let broken_off = tests
        .filter(|test| test.ended_us.is_some() && test.outcome == UNKNOWN && told(test.session));
    let mut counts = Counts::of_sessions(&of_them);
    counts.unfinished += broken_off.count() as u64;
    counts
}
