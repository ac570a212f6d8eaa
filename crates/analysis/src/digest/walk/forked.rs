//! Tests that ran in a forked child (pytest-forked): the child's marks tell of the test, the parent's of the file.

use std::collections::HashMap;

use super::{TestFacts, Walk};
use crate::digest::processes::ProcessFacts;

/// Gives each test of a forked child to the test of its parent that it is.
///
/// The parent's test keeps its own start and end, since what the child held went with it; peak, spike and phases are
/// the child's. A child's test whose parent said nothing of it stays where it is.
pub(in crate::digest) fn adopt(walks: &mut [Walk<'_>], processes: &[ProcessFacts]) {
    let mut walks_of: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, walk) in walks.iter().enumerate() {
        let pid = processes[walk.process].key.pid;
        walks_of.entry(pid).or_default().push(at);
    }
    for child in 0..walks.len() {
        let from = processes[walks[child].process].forked_from;
        if from == 0 {
            continue;
        }
        let has_tests = |at: &usize| !walks[*at].tests.is_empty();
        let mut parents = walks_of.get(&from).into_iter().flatten().copied();
        let Some(parent) = parents.find(has_tests).filter(|parent| *parent != child) else {
            continue;
        };
        let open = walks[child].open_test.take();
        let (mut given, mut kept) = (Vec::new(), Vec::new());
        for (at, test) in std::mem::take(&mut walks[child].tests)
            .into_iter()
            .enumerate()
        {
            if same_test(&walks[parent].tests, &test).is_some() {
                given.push(test);
                continue;
            }
            if open == Some(at) {
                walks[child].open_test = Some(kept.len());
            }
            kept.push(test);
        }
        if kept.is_empty() {
            walks[child].visits.clear();
            // With the process went what its test imported.
            walks[child].modules.clear();
        }
        walks[child].tests = kept;
        for test in given {
            if let Some(at) = same_test(&walks[parent].tests, &test) {
                give(&mut walks[parent], at, test);
            }
        }
    }
}

/// The parent's test that was open when the child began, if it is the same. The parent's tests stand in order of time.
fn same_test(tests: &[TestFacts<'_>], child: &TestFacts<'_>) -> Option<usize> {
    let after = tests.partition_point(|test| test.began_us <= child.began_us);
    let at = after.checked_sub(1)?;
    let test = &tests[at];
    let is_open = test.ended_us.is_none_or(|ended| ended >= child.began_us);
    (is_open && test.nodeid == child.nodeid).then_some(at)
}

fn give<'a>(parent: &mut Walk<'a>, at: usize, child: TestFacts<'a>) {
    let test = &mut parent.tests[at];
    // What it imported went with it: each child pays for itself.
    let spike = child.span.peak - child.span.start;
    test.forked_spike = Some(spike);
    test.span.peak = test.span.peak.max(child.span.peak);
    test.span.sampled |= child.span.sampled;
    test.phases = child.phases;
    let (began_us, peak, sampled) = (test.began_us, test.span.peak, test.span.sampled);
    let visit_spike = test.visit_above.saturating_add(spike);
    if let Some(visit) = parent.visits.iter_mut().rfind(|visit| {
        visit.began_us <= began_us && visit.ended_us.is_none_or(|ended| ended >= began_us)
    }) {
        visit.span.peak = visit.span.peak.max(peak);
        visit.span.spike_bytes = visit.span.spike_bytes.max(visit_spike);
        visit.span.sampled |= sampled;
    }
}
