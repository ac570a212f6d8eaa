//! Many rows in one statement. Each statement goes to the thread of SQLite and comes back, which for one small row takes longer than what is done
//! there.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated};

use crate::StoreError;

/// Rows in one statement; times their columns they stay far below the 32,766 parameters that SQLite takes.
pub(crate) const MOST: usize = 512;

/// A statement around its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

/// Executes a statement for rows; for none it does nothing.
pub(crate) async fn write<T>(
    connection: &mut SqliteConnection,
    statement: Statement,
    rows: impl IntoIterator<Item = T>,
    mut bind: impl FnMut(Separated<'_, Sqlite, &'static str>, T),
) -> Result<(), StoreError> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut query = QueryBuilder::<Sqlite>::new(statement.before);
        query.push_values(rows.by_ref().take(MOST), &mut bind);
        query.push(statement.after);
        let query = query.build().persistent(false);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
