//! `highwater-server retention`: removes what has had its time, or says what that would be.

use std::io::Write;

use highwater_analysis::figures::mebibytes;
use highwater_store::{Expired, Store};

use super::columns;
use crate::retention::{self, Due, Retention};

/// What to do about what has had its time.
#[derive(Debug)]
pub struct Order {
    /// The settings.
    pub retention: Retention,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Does it, and says what goes: a line a project and kind.
///
/// # Errors
/// When the database fails, or nothing can be written to `out`.
pub async fn run(
    store: &Store,
    order: Order,
    now_unix_us: i64,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    if order.retention.keeps_everything() {
        writeln!(
            out,
            "The settings keep everything for good: there is no [retention] in highwater.toml."
        )?;
    }
    let before = store.space().await?;
    let mut rows = Vec::new();
    for due in retention::due(store, &order.retention, now_unix_us).await? {
        let expired = store.expired(&due.expiry).await?;
        rows.extend((expired.jobs > 0).then_some((due, expired)));
    }
    rows.sort_by(|(a, _), (b, _)| {
        let order = a.slug.cmp(&b.slug);
        order.then(a.expiry.kind.cmp(&b.expiry.kind))
    });
    for line in table(&rows) {
        writeln!(out, "{line}")?;
    }
    if order.dry_run {
        writeln!(out, "Nothing was removed.")?;
        return Ok(());
    }
    for (due, _) in &rows {
        retention::expire(store, due.expiry, now_unix_us).await?;
    }
    retention::sweep(store).await?;
    let after = store.space().await?;
    let [was, is, free] = [before.bytes, after.bytes, after.free_bytes].map(mebibytes);
    writeln!(
        out,
        "The database had {was} and has {is}, {free} of it free."
    )?;
    if !after.shrinks {
        writeln!(
            out,
            "It does not get shorter: it was made before that was possible. What is free is used for what comes; a copy made by \
             `highwater-server backup` is as short as can be, and gets shorter from then on."
        )?;
    }
    Ok(())
}

fn table(rows: &[(Due, Expired)]) -> Vec<String> {
    if rows.is_empty() {
        return vec!["Nothing has had its time.".to_owned()];
    }
    let rows = rows.iter().map(|(due, expired)| {
        [
            due.slug.clone(),
            due.expiry.kind.as_str().to_owned(),
            expired.jobs.to_string(),
            format!("{} ({} bytes)", mebibytes(expired.bytes), expired.bytes),
        ]
    });
    columns::lines(["project", "kind", "jobs", "about"], rows)
}
