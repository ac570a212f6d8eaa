//! The figures of jobs that something is compared with: counted first, and read only once there is room for them.

use highwater_analysis::check::Before;
use highwater_store::{BaselineRow, Snapshot, StoreError};

use super::check::of_row;
use crate::work::Claimed;

/// What a row of figures takes in memory while it is compared, bytes.
pub(crate) const ROW_WEIGHT: u64 = 512;
/// So many rows are read for one answer at most.
pub(crate) const MOST_ROWS: u64 = 1_000_000;
/// A file has a row for each session of its job that ran it; so many of them are looked at.
const MOST_SESSIONS: u32 = 1_000;

/// Of which files figures are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    All,
    /// Of one file of a project.
    One(i64, &'a str),
}

/// Jobs alike, and how many rows of each are to be read; the newest commit first.
#[derive(Debug)]
pub(super) struct Counted(Vec<(BaselineRow, u32)>);

impl Counted {
    /// The newest of them that have [`MOST_ROWS`] together.
    pub(super) async fn count(
        snapshot: &mut Snapshot,
        jobs: Vec<BaselineRow>,
        of: Of<'_>,
    ) -> Result<Self, StoreError> {
        let mut counted = Vec::with_capacity(jobs.len());
        for job in jobs {
            let rows = match of {
                Of::All => snapshot.count_file_facts(job.id).await?,
                Of::One(..) => MOST_SESSIONS,
            };
            counted.push((job, rows));
        }
        Ok(Self(at_most(MOST_ROWS, counted)))
    }

    /// What they take in memory, bytes.
    pub(super) fn weight(&self) -> u64 {
        let rows: u64 = self.0.iter().map(|(_, rows)| u64::from(*rows)).sum();
        ROW_WEIGHT * rows
    }

    /// Reads no more than was counted, into room that was claimed for it; the oldest commit first.
    pub(super) async fn read(
        self,
        snapshot: &mut Snapshot,
        _room: &Claimed,
        of: Of<'_>,
    ) -> Result<Vec<Before>, StoreError> {
        let mut jobs = Vec::with_capacity(self.0.len());
        for (job, rows) in self.0.into_iter().rev() {
            let facts = match of {
                Of::All => snapshot.file_facts(job.id, rows).await?,
                Of::One(project, path) => {
                    let facts = snapshot.facts_of_file(job.id, project, path, rows);
                    facts.await?
                }
            };
            // Retention took it in between.
            if matches!(of, Of::All) && facts.is_empty() && rows > 0 {
                continue;
            }
            jobs.push(of_row(job, &facts));
        }
        Ok(jobs)
    }
}

fn at_most<T>(most: u64, mut counted: Vec<(T, u32)>) -> Vec<(T, u32)> {
    let mut sum = 0;
    let too_many = counted.iter().position(|(_, rows)| {
        sum += u64::from(*rows);
        sum > most
    });
    counted.truncate(too_many.unwrap_or(counted.len()));
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_jobs_are_read_that_there_is_room_for() {
        let cases: [(&[u32], usize); 6] = [
            (&[], 0),
            (&[0, 0], 2),
            (&[4, 6], 2),
            (&[4, 7], 1),
            (&[4, 7, 1], 1),
            (&[11], 0),
        ];
        for (rows, kept) in cases {
            let counted = rows.iter().map(|rows| ((), *rows)).collect();
            assert_eq!(at_most(10, counted).len(), kept, "{rows:?}");
        }
    }
}
