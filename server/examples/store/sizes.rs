//! What a database of Highwater keeps of it.

use highwater_store::Store;
use serde_json::{Value, json};

use crate::Failure;

pub(crate) async fn measure(database: &str) -> Result<Value, Failure> {
    let store = Store::open(database).await?;
    let footprint = store.footprint().await?;
    let jobs = store.sizes().await?.jobs;
    store.close().await;
    let path = database.strip_prefix("sqlite://").unwrap_or(database);
    let tables = footprint.tables.iter();
    let tables = tables
        .map(|table| json!({"name": table.name, "bytes": table.bytes, "unused": table.unused}));
    let kinds = footprint.pages.iter();
    let kinds =
        kinds.map(|kind| json!({"kind": kind.kind, "pages": kind.pages, "bytes": kind.bytes}));
    Ok(json!({
        "jobs": jobs,
        "samples": footprint.samples,
        "tables": tables.collect::<Vec<_>>(),
        "pages": kinds.collect::<Vec<_>>(),
        "file": std::fs::metadata(path)?.len(),
    }))
}
