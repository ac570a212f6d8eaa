//! Which job was started where a command runs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{runner, state::Agent};
use crate::{
    procfs::{ProcError, Procfs},
    spool::{self, SpoolError},
    tree::{ProcessKey, chain_of},
};

/// A job that was started, and the folder it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Folder of the job.
    pub folder: PathBuf,
    /// Its agent, as it said itself.
    pub agent: Agent,
    /// Whether that lives.
    pub lives: bool,
}

/// Why a spool cannot be searched.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The spool.
    #[error("{0}")]
    Spool(#[from] SpoolError),
    /// The kernel's files.
    #[error("{0}")]
    Proc(#[from] ProcError),
}

/// The job that the environment names: its variables reach every step after the one that started it.
#[must_use]
pub fn named(procfs: &Procfs, present: impl Fn(&str) -> Option<OsString>) -> Option<Started> {
    present("HIGHWATER_JOB").filter(|job| !job.is_empty())?;
    let events = PathBuf::from(present("HIGHWATER_EVENTS")?);
    started(procfs, events.parent()?)
}

/// The agent of a job that was started here, and its folder, where that tells nothing of it any more: somebody cleared it away. It is the one that
/// the environment names, else one that records below a spool for a runner of this process.
#[must_use]
pub fn without_folder(
    procfs: &Procfs,
    root: &Path,
    present: impl Fn(&str) -> Option<OsString>,
) -> Option<(ProcessKey, PathBuf)> {
    let named = present("HIGHWATER_EVENTS")
        .and_then(|events| Some(Path::new(&events).parent()?.to_path_buf()));
    let ancestors = runner::ancestors_of(procfs, std::process::id()).unwrap_or_default();
    let is_here = |folder: &Path, chain: &[ProcessKey]| {
        let is_named = named
            .as_ref()
            .is_some_and(|named| named.file_name() == folder.file_name());
        is_named
            || (folder.parent() == Some(root) && chain.iter().any(|key| ancestors.contains(key)))
    };
    let mut buffer = Vec::new();
    procfs.pids().ok()?.into_iter().find_map(|pid| {
        // Read before its words: whoever has the number by then is not who began at that time.
        let start_ticks = procfs.stat(pid, &mut buffer).ok()??.start_ticks;
        let words = procfs.words(pid, &mut buffer).ok()?;
        let folder = PathBuf::from(words.last()?);
        let chain = chain_of(&words)?;
        let tells = || started(procfs, &folder).is_some_and(|started| started.lives);
        (is_here(&folder, &chain) && !tells()).then_some((ProcessKey { pid, start_ticks }, folder))
    })
}

/// The job of a folder.
#[must_use]
pub fn started(procfs: &Procfs, folder: &Path) -> Option<Started> {
    let agent = Agent::read(folder).ok().flatten()?;
    Some(Started {
        lives: agent.lives(procfs, folder),
        folder: folder.to_path_buf(),
        agent,
    })
}

/// Every job below a spool that was started, by name or uuid where that is said, else below an ancestor of this process: the closest
/// ones, those with an agent that lives before those without.
///
/// # Errors
/// When the spool or `/proc` cannot be read.
pub fn here(procfs: &Procfs, root: &Path, job: Option<&str>) -> Result<Vec<Started>, FindError> {
    let folders = spool::open_jobs(root)?;
    let all = folders.iter().filter_map(|folder| started(procfs, folder));
    let ancestors = runner::ancestors_of(procfs, std::process::id())?;
    let mut found: Vec<(usize, Started)> = all
        .filter_map(|started| {
            let at = match job {
                Some(job) => is_called(&started.agent, job).then_some(0),
                None => ancestors
                    .iter()
                    .position(|key| started.agent.chain.contains(&(*key).into())),
            };
            Some((at?, started))
        })
        .collect();
    if let Some(best) = found.iter().map(|(at, it)| (!it.lives, *at)).min() {
        found.retain(|(at, it)| (!it.lives, *at) == best);
    }
    Ok(found.into_iter().map(|(_, started)| started).collect())
}

fn is_called(agent: &Agent, job: &str) -> bool {
    agent.job == job || agent.uuid.to_string() == job
}
