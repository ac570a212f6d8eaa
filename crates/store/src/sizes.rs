//! How much is kept and what it takes; for benchmarks.

use crate::{Store, StoreError, pages};

/// Number of the job's curve, which was not sent, in place of a metric.
const WORKED_OUT: i32 = 0;

pub(crate) const HEADS: &str = "SELECT series.metric, page.length, SUBSTR(page.content, 1, 5) FROM page \
    JOIN series ON series.job_id = page.job_id AND series.column_no = page.column_no WHERE page.level = 0";
pub(crate) const PAGE_BYTES: &str = "SELECT COALESCE(SUM(LENGTH(content)), 0) FROM page";
pub(crate) const TABLES: &str = "SELECT owner.tbl_name, SUM(part.pgsize), SUM(part.unused) FROM dbstat AS part \
    JOIN sqlite_master AS owner ON owner.name = part.name \
    WHERE part.aggregate = 1 GROUP BY owner.tbl_name ORDER BY owner.tbl_name";
pub(crate) const PAGE_KINDS: &str = "SELECT CASE WHEN column_no < 0 AND level > 0 THEN 'pyramid of ticks' \
    WHEN column_no IN (-1, -3, -5) THEN 'ticks' WHEN column_no IN (-2, -4, -6) THEN 'lateness' WHEN column_no < 0 THEN 'due' WHEN level > 0 THEN 'pyramid' ELSE 'values' END AS kind, \
    COUNT(*), SUM(LENGTH(content)) FROM page GROUP BY kind ORDER BY kind";

/// How much is kept and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Values of all series of all finalised jobs, without those of the pyramid.
    pub samples: i64,
    /// Bytes of all pages, the pyramid and the ticks included.
    pub page_bytes: i64,
    /// Jobs.
    pub jobs: i64,
}

/// What the tables of a database take of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// Values of the series that were sent, of all finalised jobs: without the job's curve, which is worked out.
    pub samples: i64,
    /// Each table with its indexes.
    pub tables: Vec<TableSize>,
    /// Contents of the pages of columns, by what they hold.
    pub pages: Vec<PageKind>,
}

/// A table with its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// Bytes of the file, whole pages of SQLite.
    pub bytes: i64,
    /// Of them empty.
    pub unused: i64,
}

/// Pages of columns that hold the same kind of thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageKind {
    /// `values`, `pyramid`, `ticks`, `lateness`, `due` or `pyramid of ticks`.
    pub kind: String,
    /// How many there are.
    pub pages: i64,
    /// Bytes of their content.
    pub bytes: i64,
}

impl Store {
    /// Values of all series whose metric is wanted.
    async fn samples(&self, wanted: impl Fn(i32) -> bool) -> Result<i64, StoreError> {
        let heads: Vec<(i32, i64, Vec<u8>)> =
            sqlx::query_as(HEADS).fetch_all(&self.readers).await?;
        let mut samples = 0;
        for (metric, length, head) in heads {
            let covers = usize::try_from(length).unwrap_or(0);
            let values = if wanted(metric) {
                pages::values_in(&head, covers)
            } else {
                0
            };
            samples += i64::try_from(values).unwrap_or(i64::MAX);
        }
        Ok(samples)
    }

    /// Counts everything; reads every page's head, so not for a running server.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sizes(&self) -> Result<Sizes, StoreError> {
        let (jobs, _) = self.job_counts().await?;
        Ok(Sizes {
            samples: self.samples(|_| true).await?,
            page_bytes: sqlx::query_scalar(PAGE_BYTES)
                .fetch_one(&self.readers)
                .await?,
            jobs,
        })
    }

    /// Looks at every page of the file, so not for a running server.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn footprint(&self) -> Result<Footprint, StoreError> {
        let tables: Vec<(String, i64, i64)> =
            sqlx::query_as(TABLES).fetch_all(&self.readers).await?;
        let tables = tables.into_iter().map(|(name, bytes, unused)| TableSize {
            name,
            bytes,
            unused,
        });
        let pages: Vec<(String, i64, i64)> =
            sqlx::query_as(PAGE_KINDS).fetch_all(&self.readers).await?;
        let pages = pages
            .into_iter()
            .map(|(kind, pages, bytes)| PageKind { kind, pages, bytes });
        Ok(Footprint {
            samples: self.samples(|metric| metric != WORKED_OUT).await?,
            tables: tables.collect(),
            pages: pages.collect(),
        })
    }
}
