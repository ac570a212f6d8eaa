//! Every SQL statement; nothing else knows a database.
//!
//! Rooms: `db` opens it, `pages` packs columns; `projects`, `jobs`, `batches`, `series`, `details`, `facts` and `tokens` each keep
//! their own tables; `sizes` counts; `snapshot` is how a job is read, `writer` the one that writes, in groups; `whole` writes a
//! recording at once. `pymon` reads databases that are not ours.
//!
//! Conventions: what is absent is `Ok(None)`; rows are plain structs; a stored value that cannot
//! be is [`StoreError::Inconsistent`]. Statements are constants in the portable subset with `$1` parameters, and a test
//! prepares each of them.

mod batches;
mod db;
mod details;
mod error;
mod facts;
mod jobs;
pub mod pages;
mod projects;
pub mod pymon;
mod series;
mod sizes;
mod snapshot;
mod tokens;
mod whole;
mod writer;

pub use batches::{NewBatch, StoredBatch};
pub use db::Store;
pub use details::{Detail, Kind as DetailKind};
pub use error::StoreError;
pub use facts::{FileFact, HistoryPoint};
pub use jobs::{JobFilter, JobKey, JobRow, RunRow};
pub use projects::{MOST_VISIBLE, ProjectKey, ProjectRow, Visible};
pub use series::{SeriesRow, StoredPage, TicksColumn, rate_columns};
pub use sizes::Sizes;
pub use snapshot::Snapshot;
pub use tokens::{FoundToken, NewToken, TokenRow};
pub use whole::Whole;
pub use writer::{Finalised, Put};

#[cfg(test)]
mod tests;
