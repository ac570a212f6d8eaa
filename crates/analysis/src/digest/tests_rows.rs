//! One row an execution of a test.

use std::collections::HashMap;

use highwater_wire::report::{PhaseRow, TestRow};

use super::{
    children::Children,
    memory::Memory,
    processes::ProcessFacts,
    visits::kind_of,
    walk::{PhaseFacts, TestFacts, Walk},
};

pub(super) fn rows(
    walks: &[Walk<'_>],
    processes: &[ProcessFacts],
    memory: &Memory,
    children: &[Children<'_>],
) -> Vec<TestRow> {
    let mut rows: Vec<TestRow> = walks
        .iter()
        .zip(children)
        .flat_map(|(walk, children)| {
            let row = move |test| {
                let process = &processes[walk.process];
                row(test, walk.process, process, memory, children)
            };
            walk.tests.iter().map(row)
        })
        .collect();
    rows.sort_by(|a, b| {
        (a.started_us, a.process, &a.nodeid).cmp(&(b.started_us, b.process, &b.nodeid))
    });
    let mut counts: HashMap<(u32, &str), u32> = HashMap::new();
    let executions: Vec<u32> = rows
        .iter()
        .map(|row| {
            let count = counts.entry((row.session, &row.nodeid)).or_default();
            *count += 1;
            *count
        })
        .collect();
    for (row, execution) in rows.iter_mut().zip(executions) {
        row.execution = execution;
    }
    rows
}

fn row(
    test: &TestFacts<'_>,
    position: usize,
    process: &ProcessFacts,
    memory: &Memory,
    children: &Children<'_>,
) -> TestRow {
    let until = test.ended_us.unwrap_or(i64::MAX);
    let subtree = memory.highest_subtree_in(position, test.began_us, until);
    let spike = test.forked_spike.unwrap_or(test.span.spike_bytes);
    let children = children.of_span(test.began_us, test.ended_us, test.span.peak);
    TestRow {
        nodeid: test.nodeid.to_owned(),
        path: test.path.to_owned(),
        session: test.session,
        execution: 1,
        outcome: test.outcome.to_owned(),
        worker: process.worker.clone(),
        process: process.number,
        started_us: test.began_us,
        duration_us: process.duration_us(test.began_us, test.ended_us),
        start_bytes: test.span.start,
        end_bytes: test.end,
        peak_bytes: test.span.peak,
        peak_kind: kind_of(&test.span),
        tree_peak_bytes: subtree.unwrap_or(0).max(test.span.peak),
        spike_bytes: spike,
        tree_spike_bytes: match test.forked_spike {
            // That is one of them.
            Some(_) => spike.max(children.spike_bytes),
            None => spike.saturating_add(children.spike_bytes),
        },
        retained_bytes: test.retained(),
        late_import_bytes: test.span.late_import_bytes,
        shared_fixture_bytes: test.span.shared_fixture_bytes,
        fixture_bytes: test.fixture_bytes,
        phases: test.phases.iter().map(phase).collect(),
    }
}

fn phase(phase: &PhaseFacts<'_>) -> PhaseRow {
    PhaseRow {
        phase: phase.name.to_owned(),
        outcome: phase.outcome.to_owned(),
        duration_us: phase.ended_us - phase.began_us,
        start_bytes: phase.span.start,
        end_bytes: phase.span.end,
        peak_bytes: phase.span.peak,
    }
}
