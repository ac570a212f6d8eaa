//! From a recording to its figures.
//!
//! Rooms, each resting on those before it: `processes` (who was there), `memory` (how much at each tick), `walk` (what a
//! process's marks say), `children` (what its descendants held meanwhile), then the rows: `process_rows`, `visits`, `files`, `tests_rows`, `fixtures`, `collected`; then
//! the job from its `parts`: `peak`, `readings`, `cgroups`, `limits`, `growth`, `fallen`, `forecast`, `ending`, `job`.

mod cgroups;
mod children;
mod collected;
mod diagnosis;
mod ending;
mod fallen;
mod files;
mod fixtures;
mod forecast;
mod growth;
mod job;
mod limits;
mod memory;
mod parts;
mod peak;
mod process_rows;
mod processes;
mod readings;
mod sessions;
mod tests_rows;
mod visits;
mod walk;

use std::collections::{BTreeMap, HashMap};

use highwater_wire::report::{
    CollectedRow, FileRow, FixtureRow, JobReport, JobState, ProcessRow, TestRow,
};
use uuid::Uuid;

use crate::{
    forecast::History,
    recording::{ProcessKey, Recording},
};

pub(crate) use limits::headroom;
pub use memory::TreePoint;
pub use visits::Visit;

/// What the keeper of a recording knows and the recording does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Identity of the job.
    pub uuid: Uuid,
    /// Where it is in its life.
    pub state: JobState,
    /// How often it was finalised.
    pub revision: u32,
    /// How far the machine's clock was ahead of the server's, µs, where somebody compared them.
    pub clock_skew_us: Option<i64>,
}

/// Every figure of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// The job as a whole.
    pub job: JobReport,
    /// Its processes, in the order they started, then those outside of it.
    pub processes: Vec<ProcessRow>,
    /// One row a test file and session, in the order they first ran.
    pub files: Vec<FileRow>,
    /// One row an execution, in order of time.
    pub tests: Vec<TestRow>,
    /// One row a fixture and the file it was set up for.
    pub fixtures: Vec<FixtureRow>,
    /// The lanes: who ran which file when.
    pub visits: Vec<Visit>,
    /// The test files that each session was to run, where its plugin told them.
    pub collected: Vec<CollectedRow>,
    /// The job's curve, on the ticks of the grid.
    pub tree: Vec<TreePoint>,
}

/// Works out every figure of a recording.
#[must_use]
pub fn digest(recording: &Recording, context: &Context) -> Digest {
    digest_with(recording, context, &History::default())
}

/// The same where it is known what a job of the same name saw before: the forecast rests on it.
#[must_use]
pub fn digest_with(recording: &Recording, context: &Context, history: &History) -> Digest {
    let processes = processes::gather(recording);
    let memory = memory::Memory::of(recording, &processes);
    let sessions = sessions::Sessions::of(recording, &processes);
    let positions: HashMap<ProcessKey, usize> = processes
        .iter()
        .enumerate()
        .map(|(at, process)| (process.key, at))
        .collect();
    let mut walks: Vec<walk::Walk<'_>> = recording
        .marks()
        .filter_map(|(key, marks)| {
            let process = *positions.get(&key)?;
            Some(walk::walk(
                process,
                marks,
                recording.texts(),
                &memory,
                &sessions,
            ))
        })
        .collect();
    walk::adopt_forked(&mut walks, &processes);
    walk::fail_crashed(&mut walks, &processes);
    let children = walks
        .iter()
        .map(|walk| children::Children::of(walk, &processes, &memory));
    let children: Vec<children::Children<'_>> = children.collect();
    let visits = visits::rows(&walks, &processes, &memory, &children);
    let mut files = files::rows(&walks, &visits, &processes);
    let diagnosis = diagnosis::take_apart(&walks, &mut files);
    let tests = tests_rows::rows(&walks, &processes, &memory, &children);
    let fixtures = fixtures::rows(&walks, &children);
    let peak = peak::of_job(&memory, &walks, &processes);
    let job = job::report(&parts::Parts {
        recording,
        context,
        processes: &processes,
        sessions: &sessions,
        walks: &walks,
        visits: &visits,
        tests: &tests,
        peak,
        diagnosis,
        memory: &memory,
        cgroups: &cgroups::Cgroups::of(recording, &processes),
        history,
    });
    let collected = collected::rows(&walks);
    files::cut_short(&mut files, &collected, &job.sessions);
    Digest {
        job,
        processes: process_rows::rows(recording, &processes, &walks, &memory),
        files,
        tests,
        fixtures,
        visits,
        collected,
        tree: memory.tree().to_vec(),
    }
}

/// The number of each process in the rows of a digest, so that series can be told by the same number.
#[must_use]
pub fn process_numbers(recording: &Recording) -> BTreeMap<ProcessKey, u32> {
    processes::gather(recording)
        .iter()
        .map(|process| (process.key, process.number))
        .collect()
}

#[cfg(test)]
mod tests;
