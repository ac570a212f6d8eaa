//! The figures of jobs that something is compared with: counted first, and read only once there is room for them.

use highwater_analysis::check::{Again, Before};
use highwater_store::{BaselineRow, FileFact, Snapshot, StoreError};

use super::check::{figures, of_row};
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
pub(super) struct Counted(Vec<(BaselineRow, Rows)>);

/// How many rows there are of a job, and of the one that ran files of it again.
#[derive(Debug, Clone, Copy)]
struct Rows {
    own: u32,
    again: u32,
}

impl Rows {
    fn all(self) -> u64 {
        u64::from(self.own) + u64::from(self.again)
    }
}

impl Counted {
    /// The newest of them that have [`MOST_ROWS`] together.
    pub(super) async fn count(
        snapshot: &mut Snapshot,
        jobs: Vec<BaselineRow>,
        of: Of<'_>,
    ) -> Result<Self, StoreError> {
        let mut counted = Vec::with_capacity(jobs.len());
        for job in jobs {
            let rows = Rows {
                own: of.count(snapshot, job.id).await?,
                again: match job.again {
                    Some(again) => of.count(snapshot, again).await?,
                    None => 0,
                },
            };
            counted.push((job, rows));
        }
        Ok(Self(at_most(MOST_ROWS, counted, Rows::all)))
    }

    /// What they take in memory, bytes.
    pub(super) fn weight(&self) -> u64 {
        let rows: u64 = self.0.iter().map(|(_, rows)| rows.all()).sum();
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
            let facts = of.read(snapshot, job.id, rows.own).await?;
            // Retention took it in between.
            if matches!(of, Of::All) && facts.is_empty() && rows.own > 0 {
                continue;
            }
            let again = match job.again.zip(job.again_uuid) {
                Some((id, uuid)) => Some(Again {
                    job: uuid,
                    of_files: snapshot.count_file_facts(job.id).await? as usize,
                    files: of
                        .read(snapshot, id, rows.again)
                        .await?
                        .iter()
                        .map(figures)
                        .collect(),
                }),
                None => None,
            };
            jobs.push(of_row(job, &facts, again));
        }
        Ok(jobs)
    }
}

impl Of<'_> {
    async fn count(self, snapshot: &mut Snapshot, job: i64) -> Result<u32, StoreError> {
        match self {
            Self::All => snapshot.count_file_facts(job).await,
            Self::One(..) => Ok(MOST_SESSIONS),
        }
    }

    async fn read(
        self,
        snapshot: &mut Snapshot,
        job: i64,
        rows: u32,
    ) -> Result<Vec<FileFact>, StoreError> {
        match self {
            Self::All => snapshot.file_facts(job, rows).await,
            Self::One(project, path) => snapshot.facts_of_file(job, project, path, rows).await,
        }
    }
}

fn at_most<T, R: Copy>(
    most: u64,
    mut counted: Vec<(T, R)>,
    rows_of: impl Fn(R) -> u64,
) -> Vec<(T, R)> {
    let mut sum = 0;
    let too_many = counted.iter().position(|(_, rows)| {
        sum += rows_of(*rows);
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
            assert_eq!(at_most(10, counted, u64::from).len(), kept, "{rows:?}");
        }
    }
}
