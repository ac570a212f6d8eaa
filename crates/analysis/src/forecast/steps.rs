//! From visits of workers to files that ended, one after the other, whoever ran them.
//!
//! A file has ended when as many of its tests were run as were collected, or at the end of its visit where that is not known. Under xdist a file may
//! have several visits, and others run beside it: what they retain counts for the file that ends next, and the sum is right.

use std::collections::{BTreeMap, HashMap};

use highwater_wire::marks::{CollectedFile, collected};

use super::Step;

/// A visit that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended<'a> {
    /// The number of its process.
    pub process: u32,
    /// The file.
    pub path: &'a str,
    /// RSS of the process when it began, bytes.
    pub start_bytes: i64,
    /// RSS when it ended.
    pub end_bytes: i64,
    /// Highest memory of the process and its descendants inside.
    pub peak_bytes: i64,
    /// Tests that ran.
    pub tests: u64,
}

/// No suite collects more files than it names and so many.
const MOST_FURTHER: usize = 100_000;

/// The files of a session that ended, and those to come.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// Collected files in the order in which they begin, with the tests that are still to run.
    files: Vec<(String, u64)>,
    places: HashMap<String, usize>,
    /// Collected files that are not named.
    further: usize,
    /// What each worker held at the end of its last visit.
    workers: BTreeMap<u32, i64>,
    /// What they held together at the end of the last file.
    before_bytes: i64,
    peak_bytes: i64,
    has_first: bool,
    ended: Vec<Step>,
}

impl Steps {
    /// Takes the list of what was collected.
    pub fn collected(&mut self, list: &str) {
        for file in collected(list) {
            match file {
                CollectedFile::Further(files) => {
                    let files = usize::try_from(files).unwrap_or(usize::MAX);
                    self.further = self.further.saturating_add(files).min(MOST_FURTHER);
                }
                CollectedFile::File { path, tests } => {
                    self.places.insert(path.clone(), self.files.len());
                    self.files.push((path, tests));
                }
            }
        }
    }

    /// The job was seen to hold so much.
    pub fn holds(&mut self, bytes: i64) {
        self.peak_bytes = self.peak_bytes.max(bytes);
    }

    /// How many tests of a file are still to run; `None` where that is not known.
    #[must_use]
    pub fn left_of(&self, path: &str) -> Option<u64> {
        let at = self.places.get(path)?;
        self.files.get(*at).map(|(_, left)| *left)
    }

    /// A visit ended; true where its file did too.
    pub fn ended(&mut self, visit: &Ended<'_>) -> bool {
        if !self.workers.contains_key(&visit.process) {
            self.before_bytes = self.before_bytes.saturating_add(visit.start_bytes);
            self.has_first = true;
        }
        self.workers.insert(visit.process, visit.end_bytes);
        let held = self.held_bytes();
        if self.workers.len() == 1 {
            // What several held at once only samples tell.
            self.holds(visit.peak_bytes);
        }
        if let Some(at) = self.places.get(visit.path) {
            let left = &mut self.files[*at].1;
            if *left == 0 {
                // Tests of it ran once more; what they took counts for the file that ends next.
                return false;
            }
            *left = left.saturating_sub(visit.tests);
            if *left > 0 {
                return false;
            }
        } else if self.further > 0 {
            // One of those that are not named; where it comes again it counts twice, and the list is used up sooner.
            self.further -= 1;
        }
        self.ended.push(Step {
            path: visit.path.to_owned(),
            before_bytes: self.before_bytes,
            after_bytes: held,
            peak_bytes: self.peak_bytes,
            is_first: self.has_first,
        });
        self.before_bytes = held;
        self.peak_bytes = 0;
        self.has_first = false;
        true
    }

    /// A process is gone, and what it held.
    pub fn gone(&mut self, process: u32) {
        if let Some(held) = self.workers.remove(&process) {
            self.before_bytes = self.before_bytes.saturating_sub(held);
        }
    }

    /// The files that ended.
    #[must_use]
    pub fn done(&self) -> &[Step] {
        &self.ended
    }

    /// How many of them are a measure for others: the first of each worker is none.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.ended.iter().filter(|step| !step.is_first).count()
    }

    /// Whether it was told what was collected.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        !self.files.is_empty()
    }

    /// The named files to come, in order.
    pub fn ahead(&self) -> impl Iterator<Item = &str> {
        let left = self.files.iter().filter(|(_, left)| *left > 0);
        left.map(|(path, _)| path.as_str())
    }

    /// How many more are to come.
    #[must_use]
    pub fn further(&self) -> usize {
        self.further
    }

    /// What the workers hold.
    #[must_use]
    pub fn held_bytes(&self) -> i64 {
        self.workers
            .values()
            .fold(0, |sum, held| sum.saturating_add(*held))
    }
}
