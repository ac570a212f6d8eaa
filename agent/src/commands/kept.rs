//! Plans that a server keeps, by their id.
//!
//! A plan never changes, so one that was fetched lies beside the spool, and whoever names it again on this machine asks nobody.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use highwater_wire::report::PlanReport;
use uuid::Uuid;

use super::CommandError;
use crate::{
    ci::Env,
    regular,
    settings::{self, Places},
    shipper::Client,
    terminal,
};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a plan may weigh, bytes: a server plans 5,000 files at most.
pub(super) const MOST_BYTES: u64 = 16 << 20;
/// Folder below the spool.
const FOLDER: &str = "plans";
/// One that nobody named for so long is removed.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// The plan of an id, from the server.
///
/// # Errors
/// When no server is named, it does not show the plan, or what it shows is another.
pub(super) fn fetch(id: Uuid, places: &Places, env: &Env) -> Result<PlanReport, CommandError> {
    let server = places.server.as_ref();
    let server = server.ok_or(CommandError::NoServerForPlan(id))?;
    let client = Client::new(server, places.token.as_ref(), env, Uuid::nil());
    let path = format!("/api/v1/plans/{id}");
    let answer = client.read(&path, PATIENCE, MOST_BYTES);
    let answer = answer.map_err(|why| CommandError::PlanNotFetched(id, why))?;
    understood(&answer, Some(id)).map_err(|why| CommandError::PlanNotFetched(id, why))
}

/// A plan that a server answered, which is what its id says; `wanted` where that is known.
pub(super) fn understood(answer: &str, wanted: Option<Uuid>) -> Result<PlanReport, String> {
    let plan: PlanReport = serde_json::from_str(answer)
        .map_err(|error| format!("what it answers is not understood: {error}"))?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != plan.id) {
        return Err(format!("it answers with plan {}, not {wanted}", plan.id));
    }
    let digest = plan.digest();
    if !plan.is_whole() || digest != plan.id {
        return Err(format!(
            "what it answers as plan {} was changed: the id of its content is {digest}",
            plan.id
        ));
    }
    Ok(plan)
}

/// A file that holds the plan of an id: the one of before, or a new one with what the server has.
///
/// # Errors
/// As [`fetch`], and when the file cannot be written.
pub(super) fn file(id: Uuid, places: &Places, env: &Env) -> Result<PathBuf, CommandError> {
    let elsewhere = settings::spool_elsewhere(&places.spool, env);
    let folders = [Some(places.spool.clone()), elsewhere];
    let folders = folders.map(|root| root.map(|root| root.join(FOLDER)));
    let name = format!("{id}.json");
    for folder in folders.iter().flatten() {
        let path = folder.join(&name);
        if is_there(&path, id) {
            return Ok(path);
        }
    }
    let plan = fetch(id, places, env)?;
    let json = serde_json::to_vec(&plan).map_err(io::Error::other)?;
    let mut failed = None;
    for folder in folders.iter().flatten() {
        match write(folder, &name, &json) {
            Ok(path) => return Ok(path),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or(CommandError::NoServerForPlan(id)))
}

/// Whether a file holds that plan. One that does not is no error: it is written anew.
fn is_there(path: &Path, id: Uuid) -> bool {
    let is_it = regular::open(path)
        .and_then(io::read_to_string)
        .is_ok_and(|text| understood(&text, Some(id)).is_ok());
    if is_it && let Ok(file) = File::options().append(true).open(path) {
        // Who cannot write it cannot remove it either.
        let _ = file.set_modified(SystemTime::now());
    }
    is_it
}

fn write(folder: &Path, name: &str, json: &[u8]) -> Result<PathBuf, CommandError> {
    let path = folder.join(name);
    let failed = |path: &Path, error| CommandError::NotWritten(path.to_owned(), error);
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    if let Err(error) = remove_old(folder) {
        terminal::tell(format_args!("{}: {error}", folder.display()));
    }
    // Jobs of one machine may fetch it at once.
    let fresh = folder.join(format!("{name}.{}.new", std::process::id()));
    regular::replace_by(&path, &fresh, json).map_err(|(path, error)| failed(&path, error))?;
    Ok(path)
}

fn remove_old(folder: &Path) -> io::Result<()> {
    let since = SystemTime::now() - KEPT_FOR;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_file() && about.modified()? < since {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
