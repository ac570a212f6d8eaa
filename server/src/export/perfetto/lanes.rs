//! Who ran which file and which test when, as slices.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
};

use highwater_analysis::digest::Visit;
use highwater_store::DetailKind;
use highwater_wire::report::TestRow;

use super::trace::{Note, Trace, Track};
use crate::{export::Done, reading::Settled};

/// Writes a lane below each process that ran tests.
pub(super) fn write<W: Write>(
    job: &Settled,
    tracks: &HashMap<u32, Track>,
    trace: &mut Trace<W>,
) -> Done {
    let mut lanes: BTreeMap<u32, (Vec<Visit>, Vec<TestRow>)> = BTreeMap::new();
    for visit in job.rows::<Visit>(DetailKind::Visits)? {
        lanes.entry(visit.process).or_default().0.push(visit);
    }
    for test in job.rows::<TestRow>(DetailKind::Tests)? {
        lanes.entry(test.process).or_default().1.push(test);
    }
    for (process, (mut visits, mut tests)) in lanes {
        let Some(process) = tracks.get(&process) else {
            continue;
        };
        visits.sort_by_key(|visit| visit.began_us);
        tests.sort_by_key(|test| test.started_us);
        let lane = trace.track("tests", Some(*process))?;
        let mut tests = tests.iter().peekable();
        let mut visits = visits.iter().peekable();
        while let Some(visit) = visits.next() {
            let next_us = visits.peek().map_or(i64::MAX, |next| next.began_us);
            let within = std::iter::from_fn(|| tests.next_if(|test| test.started_us < next_us));
            write_visit(trace, lane, visit, within)?;
        }
    }
    Ok(())
}

/// A test file, and inside it its tests. What was still open when its process was gone has no end.
fn write_visit<'a, W: Write>(
    trace: &mut Trace<W>,
    lane: Track,
    visit: &Visit,
    tests: impl Iterator<Item = &'a TestRow>,
) -> io::Result<()> {
    let notes = [
        Note::Number("session", visit.session.into()),
        Note::Number("start_bytes", visit.start_bytes),
        Note::Number("end_bytes", visit.end_bytes),
        Note::Number("peak_bytes", visit.peak_bytes),
        Note::Text("peak_kind", visit.peak_kind.as_str()),
        Note::Number("tree_peak_bytes", visit.tree_peak_bytes),
        Note::Number("spike_bytes", visit.spike_bytes),
        Note::Number("tree_spike_bytes", visit.tree_spike_bytes),
        Note::Number("retained_bytes", visit.retained_bytes),
        Note::Number("children_retained_bytes", visit.children_retained_bytes),
    ];
    trace.open(lane, visit.began_us, "file", &visit.path, &notes)?;
    let mut tests = tests.peekable();
    while let Some(test) = tests.next() {
        open_test(trace, lane, test)?;
        if visit.ended_us.is_some() || tests.peek().is_some() {
            trace.close(lane, test.started_us + test.duration_us)?;
        }
    }
    match visit.ended_us {
        Some(ended_us) => trace.close(lane, ended_us),
        None => Ok(()),
    }
}

/// A test, and inside it its phases, which follow each other without a pause.
fn open_test<W: Write>(trace: &mut Trace<W>, lane: Track, test: &TestRow) -> io::Result<()> {
    let notes = [
        Note::Text("outcome", &test.outcome),
        Note::Number("execution", test.execution.into()),
        Note::Number("start_bytes", test.start_bytes),
        Note::Number("end_bytes", test.end_bytes),
        Note::Number("peak_bytes", test.peak_bytes),
        Note::Text("peak_kind", test.peak_kind.as_str()),
        Note::Number("tree_peak_bytes", test.tree_peak_bytes),
        Note::Number("spike_bytes", test.spike_bytes),
        Note::Number("retained_bytes", test.retained_bytes),
    ];
    trace.open(lane, test.started_us, "test", &test.nodeid, &notes)?;
    let ended_us = test.started_us + test.duration_us.max(0);
    let mut at = test.started_us;
    for phase in &test.phases {
        let until = (at + phase.duration_us.max(0)).min(ended_us);
        let notes = [
            Note::Text("outcome", &phase.outcome),
            Note::Number("start_bytes", phase.start_bytes),
            Note::Number("end_bytes", phase.end_bytes),
            Note::Number("peak_bytes", phase.peak_bytes),
        ];
        trace.open(lane, at, "phase", &phase.phase, &notes)?;
        trace.close(lane, until)?;
        at = until;
    }
    Ok(())
}
