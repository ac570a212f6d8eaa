//! `highwater-server backup`: a copy of the database, also while a server runs on it.

use std::{io::Write, path::Path};

use highwater_analysis::figures::mebibytes;

/// Makes it, and says what it holds.
///
/// # Errors
/// When the file is there already, the copy cannot be made or is not sound, or nothing can be written to `out`.
pub async fn run(
    database: &str,
    file: &Path,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let backup = highwater_store::back_up(database, file)
        .await
        .map_err(|error| format!("cannot back up {database}: {error}"))?;
    writeln!(
        out,
        "{} is sound, and holds in {}: projects {}, jobs {}, batches {}.",
        file.display(),
        mebibytes(backup.bytes.cast_signed()),
        backup.projects,
        backup.jobs,
        backup.batches
    )?;
    Ok(())
}
