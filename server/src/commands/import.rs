//! `highwater-server import`: keeps recordings that come as files.

use std::{io::Write, path::PathBuf};

use highwater_store::{Put, Store};
use highwater_wire::ids::ProjectSlug;

use crate::{
    config::Config,
    import::{ImportError, Imported, Named, Source},
    settle,
    state::AppState,
};

/// What to keep.
#[derive(Debug)]
pub struct Order {
    /// Files, folders of jobs, and folders of these.
    pub paths: Vec<PathBuf>,
    /// Of which project files are that do not say it.
    pub project: Option<ProjectSlug>,
    /// What to call their jobs.
    pub job: Option<String>,
}

/// Keeps each job, whole or not at all, and works out its figures; says on `out` what became of it, and on `notes` what cannot be read.
///
/// # Errors
/// When something could not be kept. All that could is.
pub async fn run(
    store: &Store,
    order: Order,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let Order {
        paths,
        project,
        job,
    } = order;
    let named = Named { project, job };
    let state = AppState::new(store.clone(), &Config::default());
    let (mut all, mut failed) = (0, 0);
    for path in &paths {
        let sources = Source::at(path).map(|sources| sources.into_iter().map(Ok));
        let sources: Vec<Result<Source, ImportError>> = match sources {
            Ok(sources) => sources.collect(),
            Err(error) => vec![Err(error)],
        };
        for source in sources {
            all += 1;
            if let Err(error) = import(&state, source, &named, out).await {
                failed += 1;
                writeln!(notes, "highwater-server: {error}")?;
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {all} could not be imported").into()),
    }
}

async fn import(
    state: &AppState,
    source: Result<Source, ImportError>,
    named: &Named,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let source = source?;
    for imported in source.read(named).await? {
        let line = keep(state, &source, imported).await?;
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn keep(
    state: &AppState,
    source: &Source,
    imported: Imported,
) -> Result<String, Box<dyn std::error::Error>> {
    let Imported { uuid, whole, lacks } = imported;
    let path = source.path().display();
    let put = state
        .store
        .put_whole(uuid, whole, state.now_unix_us())
        .await?;
    let lacks = match lacks.as_str() {
        "" => String::new(),
        lacks => format!(" ({lacks})"),
    };
    match put {
        Put::New => {
            settle::settle_as_it_is(state, uuid).await?;
            Ok(format!("{path}: imported as {uuid}{lacks}"))
        }
        Put::Same => Ok(format!("{path}: {uuid} was there already{lacks}")),
        Put::Full => {
            Err(format!("{path}: holds more than one job may; nothing of it was kept").into())
        }
        Put::Removed => {
            let reason = "retention removed its samples, and nothing can be added to what is left";
            Err(format!("{path}: job {uuid}: {reason}").into())
        }
        Put::Conflict | Put::Unknown => {
            let reason = "is stored with another beginning or end; nothing was changed";
            Err(format!("{path}: job {uuid} {reason}").into())
        }
    }
}
