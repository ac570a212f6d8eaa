//! Every SQL statement; nothing else knows a database.
//!
//! Rooms: `db` opens it, `pages` packs columns; `projects`, `jobs`, `batches`, `series`, `details`, `facts` and `tokens` each keep
//! their own tables; `baselines` finds the jobs that a job is compared with, `acknowledgements` what is known of their figures; `plans` are those that somebody asked to keep; `good` the last one that ran to its end, `kinds` which jobs of a project are alike; `sizes` counts; `snapshot` is how a job is read, `writer` the one that writes, in groups, `finalised` what it writes of a job that
//! is settled, `trouble` whether that comes to disk; `retention` removes what had its time, `space` gives room back to the file system, `backup` copies, `look` says how a database is, `whole`
//! writes a recording at once, `webhooks` are addresses that are told of jobs and `deliveries` what they are told, `rows` is many rows in one statement. `pymon` reads databases that are not ours.
//!
//! Conventions: what is absent is `Ok(None)`; rows are plain structs; a stored value that cannot
//! be is [`StoreError::Inconsistent`]. Statements are constants with `$1` parameters, in the subset that SQLite and PostgreSQL share but for
//! `INDEXED BY`, which stands where the planner would take another index; a test prepares each of them; around many rows a statement is two constants, and tests write them.

mod acknowledgements;
mod backup;
mod baselines;
mod batches;
mod db;
mod deliveries;
mod details;
mod error;
mod facts;
mod finalised;
mod good;
mod jobs;
mod kinds;
mod look;
pub mod pages;
mod plans;
mod projects;
pub mod pymon;
mod retention;
mod rows;
mod series;
mod sizes;
mod snapshot;
mod space;
mod tokens;
mod trouble;
mod webhooks;
mod whole;
mod writer;

pub use acknowledgements::{AcknowledgedRow, MOST_ACKNOWLEDGED, NewAcknowledged};
pub use backup::{Backup, back_up};
pub use baselines::{Alike, BaselineRow};
pub use batches::{NewBatch, StoredBatch};
pub use db::{Store, is_there};
pub use deliveries::{Delivery, DeliveryRow, MOST_WAITING, Message, Outcome};
pub use details::{Detail, Kind as DetailKind};
pub use error::StoreError;
pub use facts::{FileFact, HistoryPoint, OfBranch};
pub use finalised::Finalised;
pub use good::Place;
pub use jobs::{JobFigures, JobFilter, JobKey, JobRow, Moment, RunRow};
pub use kinds::JobKind;
pub use look::{Inside, Look, look, problems};
pub use plans::{KeptPlan, MOST_KEPT_PLANS, NewPlan, PlanContent, PlanRow};
pub use projects::{MOST_VISIBLE, ProjectKey, ProjectRow, Visible};
pub use retention::{Expired, Expiry, Kind as RetentionKind};
pub use series::{SeriesRow, StoredPage, TicksColumn, rate_columns};
pub use sizes::{Footprint, PageKind, Sizes, TableSize};
pub use snapshot::Snapshot;
pub use space::Space;
pub use tokens::{FoundToken, NewToken, TokenRow};
pub use trouble::Trouble;
pub use webhooks::{NewWebhook, News, WebhookRow};
pub use whole::Whole;
pub use writer::{Figures, Put};

#[cfg(test)]
mod tests;
