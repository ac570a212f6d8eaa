//! `highwater-server project`: who may read a project.

use std::io::Write;

use highwater_store::Store;
use highwater_wire::ids::ProjectSlug;

/// What to do about a project.
#[derive(Debug)]
pub enum Order {
    /// Let everybody read it, or no longer.
    Publish(ProjectSlug, bool),
}

/// Does it, and says so.
///
/// # Errors
/// When the database fails, or nothing can be written to `out`.
pub async fn run(
    store: &Store,
    order: Order,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let Order::Publish(project, public) = order;
    let is_known = store.project(project.as_str()).await?.is_some();
    store.publish(project.as_str(), public).await?;
    if !is_known {
        writeln!(out, "{project} has no job yet.")?;
    }
    if public {
        writeln!(
            out,
            "{project} can be read by everybody who reaches this server."
        )?;
    } else {
        writeln!(
            out,
            "{project} can be read with a token only, once this server has one."
        )?;
    }
    Ok(())
}
