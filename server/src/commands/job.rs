//! `highwater-server job`: which jobs retention passes by.

use std::io::Write;

use highwater_analysis::time::rfc3339;
use highwater_store::Store;
use uuid::Uuid;

/// What to do about a job.
#[derive(Debug)]
pub enum Order {
    /// Pin it, or let go of it.
    Pin(Uuid, bool),
}

/// Does it, and says so.
///
/// # Errors
/// When the database fails, there is no such job, or nothing can be written to `out`.
pub async fn run(
    store: &Store,
    order: Order,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let Order::Pin(uuid, pinned) = order;
    if !store.pin(uuid, pinned).await? {
        return Err(format!("there is no job {uuid}").into());
    }
    if !pinned {
        writeln!(out, "{uuid} is no longer pinned: its time is counted.")?;
        return Ok(());
    }
    let job = store.snapshot().await?.job(uuid).await?;
    let gone = job.and_then(|job| job.pages_removed_unix_us);
    let already = gone.map_or_else(String::new, |at| {
        format!(" Its samples were removed before, at {}.", rfc3339(at))
    });
    writeln!(
        out,
        "{uuid} is pinned: retention removes nothing of it.{already}"
    )?;
    Ok(())
}
