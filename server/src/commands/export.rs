//! `highwater-server export`: writes a job for other programs.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use highwater_store::Store;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::{
    access::Access,
    config::Config,
    export::{self, ExportError, Form},
    reading::{Job, Settled},
    state::AppState,
};

/// What to write.
#[derive(Debug)]
pub struct Order {
    /// Which job.
    pub job: Uuid,
    /// How.
    pub form: Form,
    /// To which file; `None` means standard output.
    pub output: Option<PathBuf>,
}

/// Writes it. A file is there whole or not at all.
///
/// # Errors
/// When there is no such job, something of it is not finalised yet, or it cannot be read or written.
pub async fn run(store: &Store, order: Order) -> Result<(), Box<dyn std::error::Error>> {
    let Order { job, form, output } = order;
    if output.is_none() && form.is_binary() && io::stdout().is_terminal() {
        return Err("a terminal cannot show this format; name a file with -o".into());
    }
    let state = AppState::new(store.clone(), &Config::default());
    let found = async { Job::find(&state, &Access::Open, job).await?.settled().await };
    let settled = found.await?;
    spawn_blocking(move || match output {
        Some(path) => to_file(&settled, form, &path),
        None => export::write(&settled, form, BufWriter::new(io::stdout()))
            .map_err(|error| error.to_string()),
    })
    .await??;
    Ok(())
}

fn to_file(job: &Settled, form: Form, path: &Path) -> Result<(), String> {
    // A link leads to what is meant by it; a device or a pipe takes what comes.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        let out = File::options().write(true).open(path);
        let out = out.map_err(|error| format!("{}: {error}", path.display()))?;
        return export::write(job, form, BufWriter::new(out)).map_err(|error| error.to_string());
    }
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", Uuid::new_v4()));
    let part = PathBuf::from(part);
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let written = File::create_new(&part)
        .map_err(ExportError::Io)
        .and_then(|file| {
            let mut out = BufWriter::new(file);
            export::write(job, form, &mut out)?;
            out.flush()?;
            fs::rename(&part, path)?;
            Ok(())
        });
    written.map_err(|error| {
        // What could not be finished is of no use to anybody.
        let _ = fs::remove_file(&part);
        failed(&error)
    })
}
