//! What was found of jobs alike, for whoever looks next: the figures of a job change with its revision, and with that of a job that ran files of it
//! again, alone. So the same of both give the same changes.

use std::sync::{Arc, Mutex, PoisonError};

use highwater_store::{BaselineRow, JobKind};
use highwater_wire::report::{Change, JobsAlike};
use tokio::sync::OnceCell;

/// So many kinds of jobs are kept, those that were looked at last.
const MOST_KINDS: usize = 64;
/// What has more changes is worked out again.
const MOST_CHANGES: usize = 1_000;

/// The changes of one kind of jobs.
pub(super) type Found = (JobsAlike, Vec<Change>);

/// Worked out by the first who looks; others wait for it.
type Cell = Arc<OnceCell<Arc<Found>>>;

/// Which jobs something was found of: their kind, and each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    project: i64,
    kind: JobKind,
    jobs: Vec<OfJob>,
}

/// A job with its revision, and what ran files of it again with its own.
type OfJob = (i64, u32, Option<i64>, Option<u32>);

impl Key {
    pub(super) fn of(project: i64, kind: &JobKind, jobs: &[BaselineRow]) -> Self {
        Self {
            project,
            kind: kind.clone(),
            jobs: jobs
                .iter()
                .map(|job| (job.id, job.revision, job.again, job.again_revision))
                .collect(),
        }
    }

    fn is_of_kind(&self, other: &Self) -> bool {
        self.project == other.project && self.kind == other.kind
    }
}

/// What was found of the kinds of jobs that were looked at last.
#[derive(Debug, Default)]
pub(crate) struct Histories(Mutex<Vec<(Key, Cell)>>);

impl Histories {
    /// Where the changes of these jobs are, or will be; what was found of the kind before other jobs joined it is let go.
    pub(super) fn cell(&self, key: &Key) -> Cell {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| known == key);
        let cell = known.map(|at| kept.remove(at).1).unwrap_or_default();
        kept.retain(|(known, _)| !known.is_of_kind(key));
        if kept.len() >= MOST_KINDS {
            kept.remove(0);
        }
        kept.push((key.clone(), Arc::clone(&cell)));
        cell
    }

    /// Keeps what was found no longer where it is large.
    pub(super) fn weigh(&self, key: &Key, found: &Found) {
        if found.1.len() > MOST_CHANGES {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|(known, _)| known != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, jobs: &[OfJob]) -> Key {
        Key {
            project: 1,
            kind: JobKind {
                name: name.to_owned(),
                branch: "main".to_owned(),
                comparable: Some("x".to_owned()),
            },
            jobs: jobs.to_vec(),
        }
    }

    #[test]
    fn the_same_jobs_have_one_place_and_others_of_the_kind_take_it() {
        let histories = Histories::default();
        let first = (1, 1, None, None);
        let unit = key("unit", &[first]);
        let cell = histories.cell(&unit);
        histories.cell(&key("e2e", &[first]));
        assert!(Arc::ptr_eq(&cell, &histories.cell(&unit)));
        for changed in [
            key("unit", &[(2, 1, None, None), first]),
            key("unit", &[(1, 2, None, None)]),
            // It was run again, and what did that was finalised again.
            key("unit", &[(1, 1, Some(3), Some(1))]),
            key("unit", &[(1, 1, Some(3), Some(2))]),
        ] {
            assert!(!Arc::ptr_eq(&cell, &histories.cell(&changed)));
        }
        assert!(!Arc::ptr_eq(&cell, &histories.cell(&unit)));
        assert_eq!(histories.0.lock().unwrap().len(), 2);
        for n in 0..MOST_KINDS {
            histories.cell(&key(&n.to_string(), &[]));
        }
        assert_eq!(histories.0.lock().unwrap().len(), MOST_KINDS);
    }
}
