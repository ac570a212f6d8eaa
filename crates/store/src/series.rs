//! Series and pages of finalised jobs.

use sqlx::SqliteConnection;

use crate::{
    Snapshot, StoreError,
    rows::{self, Statement},
};

pub(crate) const LIST: &str = "SELECT column_no, rate, metric, process_no, pid, start_ticks, cgroup FROM series WHERE job_id = $1 ORDER BY column_no";
pub(crate) const DELETE_SERIES: &str = "DELETE FROM series WHERE job_id = $1";
pub(crate) const DELETE_PAGES: &str = "DELETE FROM page WHERE job_id = $1";
const INSERT_SERIES: Statement = Statement {
    before: "INSERT INTO series (job_id, column_no, rate, metric, process_no, pid, start_ticks, cgroup) ",
    after: "",
};
const INSERT_PAGE: Statement = Statement {
    before: "INSERT INTO page (job_id, column_no, level, first_index, length, content) ",
    after: "",
};
pub(crate) const PAGES: &str = "SELECT column_no, level, first_index, length, content FROM page
    WHERE job_id = $1 AND column_no = $2 AND level = $3 AND first_index < $5 AND first_index + length > $4 ORDER BY first_index";

pub(crate) const VALUES: &str = "SELECT column_no, level, first_index, length, content FROM page
    WHERE job_id = $1 AND level = 0 ORDER BY column_no, first_index";

/// A series of a job.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SeriesRow {
    /// Number of its column, from 0.
    pub column_no: i64,
    /// Which ticks it lies on.
    pub rate: i64,
    /// Number of the metric on the wire.
    pub metric: i32,
    /// Number in the job's rows of the process it is of.
    pub process_no: Option<u32>,
    /// Number on the machine of that process.
    pub pid: Option<i64>,
    /// Start of that process in clock ticks.
    pub start_ticks: Option<i64>,
    /// Cgroup it is of.
    pub cgroup: Option<String>,
}

/// Columns of the ticks of a rate; of each, one that follows from the others may not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicksColumn {
    /// Times, µs: the next two together.
    pub t_us: i64,
    /// Lateness, µs.
    pub lateness_us: i64,
    /// When each was due, µs.
    pub due_us: i64,
}

/// Columns below zero hold the ticks of a rate.
#[must_use]
pub fn rate_columns(rate: i64) -> TicksColumn {
    TicksColumn {
        t_us: -1 - 2 * rate,
        lateness_us: -2 - 2 * rate,
        // After those of the three rates.
        due_us: -7 - rate,
    }
}

/// A packed page; see [`crate::pages`].
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredPage {
    /// Which column.
    pub column_no: i64,
    /// 0 for values, above for minima and maxima.
    pub level: i64,
    /// Position of its first entry at that level.
    pub first_index: i64,
    /// How many places it covers: at level 0 some may have no value, see [`crate::pages`].
    pub length: i64,
    /// Packed.
    pub content: Vec<u8>,
}

impl Snapshot {
    /// The series of a job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn series(&mut self, job: i64) -> Result<Vec<SeriesRow>, StoreError> {
        Ok(sqlx::query_as(LIST)
            .bind(job)
            .fetch_all(self.connection())
            .await?)
    }

    /// The pages of all values of a job, column by column.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn value_pages(&mut self, job: i64) -> Result<Vec<StoredPage>, StoreError> {
        Ok(sqlx::query_as(VALUES)
            .bind(job)
            .fetch_all(self.connection())
            .await?)
    }

    /// The pages of a column at a level that touch entries `from..to`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pages(
        &mut self,
        job: i64,
        column: i64,
        level: i64,
        from: i64,
        to: i64,
    ) -> Result<Vec<StoredPage>, StoreError> {
        Ok(sqlx::query_as(PAGES)
            .bind(job)
            .bind(column)
            .bind(level)
            .bind(from)
            .bind(to)
            .fetch_all(self.connection())
            .await?)
    }
}

pub(crate) async fn replace(
    connection: &mut SqliteConnection,
    job: i64,
    series: &[SeriesRow],
    pages: &[StoredPage],
) -> Result<(), StoreError> {
    sqlx::query(DELETE_SERIES)
        .bind(job)
        .execute(&mut *connection)
        .await?;
    sqlx::query(DELETE_PAGES)
        .bind(job)
        .execute(&mut *connection)
        .await?;
    rows::write(connection, INSERT_SERIES, series, |mut row, series| {
        row.push_bind(job)
            .push_bind(series.column_no)
            .push_bind(series.rate)
            .push_bind(series.metric)
            .push_bind(series.process_no)
            .push_bind(series.pid)
            .push_bind(series.start_ticks)
            .push_bind(series.cgroup.as_deref());
    })
    .await?;
    rows::write(connection, INSERT_PAGE, pages, |mut row, page| {
        row.push_bind(job)
            .push_bind(page.column_no)
            .push_bind(page.level)
            .push_bind(page.first_index)
            .push_bind(page.length)
            .push_bind(&page.content[..]);
    })
    .await
}
