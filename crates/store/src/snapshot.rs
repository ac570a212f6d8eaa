//! One moment of the database: what is read of a job in several statements belongs together.

use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::{Store, StoreError};

/// A read transaction. What is committed after its first statement is not seen by the others; it keeps a connection until it is
/// dropped, so nothing else may be asked of the store meanwhile.
#[derive(Debug)]
pub struct Snapshot {
    transaction: Transaction<'static, Sqlite>,
}

impl Snapshot {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

impl Store {
    /// Begins to read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot {
            transaction: self.readers.begin().await?,
        })
    }
}
