//! Tests in which an xdist worker was gone while its session went on: pytest reports them as failed, and nobody was left to mark it.

use super::Walk;
use crate::digest::processes::ProcessFacts;

/// The exit status of a session in which tests failed.
const TESTS_FAILED: i32 = 1;

/// Gives the open test of each worker that was gone the outcome that pytest reports, where its session told of failures. A session that
/// ended well had it run again.
pub(in crate::digest) fn fail(walks: &mut [Walk<'_>], processes: &[ProcessFacts]) {
    let failed: Vec<u32> = walks
        .iter()
        .filter(|walk| processes[walk.process].worker.is_none())
        .flat_map(|walk| &walk.session_ends)
        .filter(|(_, status)| *status == TESTS_FAILED)
        .map(|(session, _)| *session)
        .collect();
    for walk in walks.iter_mut() {
        let is_worker = processes[walk.process].worker.is_some();
        let open = walk
            .open_test
            .filter(|_| is_worker && walk.session_ends.is_empty());
        let Some(test) = open.and_then(|at| walk.tests.get_mut(at)) else {
            continue;
        };
        if failed.contains(&test.session) {
            test.outcome = "failed";
            if let Some(visit) = walk.visits.last_mut() {
                visit.failed += 1;
            }
        }
    }
}
