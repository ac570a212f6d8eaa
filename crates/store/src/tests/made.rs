//! What tests of several rooms are made of.

use crate::{FileFact, Store};

/// Figures of a file in a session, of which nothing is to be said.
pub(crate) fn fact(path: &str, session: u32) -> FileFact {
    FileFact {
        path: path.to_owned(),
        session,
        start_bytes: 1,
        peak_bytes: 1,
        peak_kind: "exact".to_owned(),
        tree_peak_bytes: 1,
        spike_bytes: 1,
        tree_spike_bytes: 0,
        children_retained_bytes: 0,
        retained_bytes: 1,
        import_bytes: 1,
        late_import_bytes: 0,
        tests: 1,
        failed: 0,
        duration_us: 1,
        censored: false,
    }
}

/// Steps of the plan for a statement.
pub(crate) async fn plan_of(store: &Store, statement: &str) -> Vec<String> {
    let explained = format!("EXPLAIN QUERY PLAN {statement}");
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explained))
        .fetch_all(&store.readers)
        .await
        .unwrap();
    plan.into_iter().map(|step| step.3).collect()
}
