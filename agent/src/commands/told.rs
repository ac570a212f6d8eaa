//! What is said of a recording that is over: its figures, and what became of its spool.

use std::path::{Path, PathBuf};

use highwater_analysis::digest::Digest;
use uuid::Uuid;

use crate::{shipper, spool, summary, terminal};

/// What became of the sending.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    /// Everything is on the server's disk.
    pub(super) complete: bool,
    /// Why it is not.
    pub(super) reason: String,
}

impl From<&shipper::Outcome> for Sent {
    fn from(outcome: &shipper::Outcome) -> Self {
        Self {
            complete: outcome.complete,
            reason: outcome.reason(),
        }
    }
}

/// Removes the spool once it is acknowledged; answers the folder that stays.
pub(super) fn settle(folder: &Path, sent: Option<&Sent>) -> Option<PathBuf> {
    if sent.is_some_and(|sent| sent.complete) {
        match shipper::discard(folder) {
            Ok(()) => return None,
            Err(error) => terminal::tell(format_args!("{}: {error}", folder.display())),
        }
    }
    Some(folder.to_path_buf())
}

/// Writes the summary as JSON, with the job's page and the folder that is kept.
pub(super) fn write_summary(
    file: &Path,
    digest: &mut Digest,
    page: Option<String>,
    kept: Option<&Path>,
) {
    digest.job.url = page;
    digest.job.spool = kept
        .filter(|folder| spool::is_job(folder))
        .map(|folder| folder.display().to_string());
    if let Err(error) = summary::write_json(file, &digest.job) {
        terminal::tell(format_args!("{}: {error}", file.display()));
    }
}

/// Says what has not been sent and how to send it. `kept` comes with whether it lies elsewhere than where a recording is looked for.
pub(super) fn tell_unsent(
    server: Option<&str>,
    uuid: Uuid,
    kept: Option<(&Path, bool)>,
    sent: Option<&Sent>,
    quiet: bool,
) {
    let Some((kept, is_elsewhere)) = kept else {
        return;
    };
    let spool = match kept.parent() {
        Some(root) if is_elsewhere => format!("--spool {} ", root.display()),
        _ => String::new(),
    };
    if !spool::is_job(kept) {
        terminal::tell(format_args!(
            "{} was removed while the recording went on: what had not been sent is lost",
            kept.display()
        ));
        return;
    }
    match sent {
        None if quiet => {}
        None => terminal::tell(format_args!(
            "kept in {}; `highwater upload --server URL {spool}{uuid}` sends it",
            kept.display()
        )),
        Some(sent) if sent.complete => {}
        Some(sent) => {
            let server = server.unwrap_or("URL");
            let why = &sent.reason;
            terminal::tell(format_args!(
                "not all of it reached {server} ({why}); kept in {}; `highwater upload --server {server} {spool}{uuid}` sends it later",
                kept.display()
            ));
        }
    }
}
