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

use super::{CommandError, answers::understood};
use crate::{
    ci::Env,
    regular,
    settings::{self, Places, Token},
    shipper::Client,
    terminal,
};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a plan may weigh, bytes: a server plans 5,000 files at most.
pub(super) const MOST_BYTES: u64 = 16 << 20;
/// The token that plans are fetched with, where the one that records may not read.
const READ_TOKEN: &str = "HIGHWATER_READ_TOKEN";
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
    let not_fetched = |why| CommandError::PlanNotFetched(id, why);
    let (token, by) = read_token(places, env).map_err(not_fetched)?;
    let client = Client::new(server, token.as_ref(), env, Uuid::nil());
    let path = format!("/api/v1/plans/{id}");
    let answer = client.read(&path, PATIENCE, MOST_BYTES);
    let answer = answer.map_err(|why| not_fetched(format!("asked {by}: {why}")))?;
    checked(&answer, Some(id)).map_err(not_fetched)
}

/// The token that may read, and what is asked with, in words. Whoever records has often one that may do that alone.
fn read_token(places: &Places, env: &Env) -> Result<(Option<Token>, &'static str), String> {
    if let Some(text) = env.get(READ_TOKEN).filter(|text| !text.trim().is_empty()) {
        let token = Token::new(text).map_err(|why| format!("{READ_TOKEN}: {why}"))?;
        return Ok((Some(token), "with HIGHWATER_READ_TOKEN"));
    }
    let by = match (&places.token, env.contains_key("HIGHWATER_OIDC_AUDIENCE")) {
        (Some(_), _) => "with HIGHWATER_TOKEN",
        (None, true) => {
            "with what the CI proves of itself, which may record alone (HIGHWATER_READ_TOKEN takes a token that may read)"
        }
        (None, false) => "without a token (HIGHWATER_READ_TOKEN takes one that may read)",
    };
    Ok((places.token.clone(), by))
}

/// A plan that a server answered, which is what its id says; `wanted` where that is known.
pub(super) fn checked(answer: &str, wanted: Option<Uuid>) -> Result<PlanReport, String> {
    let plan: PlanReport = understood(answer)?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != plan.id) {
        return Err(format!("it answers with plan {}, not {wanted}", plan.id));
    }
    if let Some(digest) = changed(&plan) {
        return Err(format!(
            "what it answers as plan {} was changed: the id of its content is {digest}",
            plan.id
        ));
    }
    Ok(plan)
}

/// The id of what a plan holds, where that is not its own.
pub(super) fn changed(plan: &PlanReport) -> Option<Uuid> {
    let digest = plan.digest();
    (!plan.is_whole() || digest != plan.id).then_some(digest)
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
        .is_ok_and(|text| checked(&text, Some(id)).is_ok());
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

#[cfg(test)]
pub(super) mod tests {
    use highwater_wire::report::{Bound, PlannedJob, Predicted};
    use tempfile::TempDir;

    use super::*;

    /// A plan of a job a file.
    pub(in crate::commands) fn plan_of(files: &[&str]) -> PlanReport {
        let job = |(at, file): (usize, &&str)| PlannedJob {
            index: at + 1,
            files: vec![(*file).to_owned()],
            predicted: Predicted {
                peak_bytes: 1,
                duration_us: 1,
            },
            bound: None,
        };
        let mut plan = PlanReport {
            id: Uuid::nil(),
            of: Uuid::from_u128(7),
            budget_bytes: 1,
            limit: None,
            base_bytes: 1,
            workers: 1,
            jobs_asked: None,
            jobs: files.iter().enumerate().map(job).collect(),
            bound: Bound::About,
            together: Vec::new(),
            alternatives: Vec::new(),
            is_partial: false,
            is_diagnosed: false,
            not_run: Vec::new(),
            cut_short: Vec::new(),
            recalled: Vec::new(),
            elsewhere: Vec::new(),
            no_tests: Vec::new(),
            left_out: Vec::new(),
            shard: None,
        };
        plan.id = plan.digest();
        plan
    }

    fn plan() -> PlanReport {
        plan_of(&["test_a.py"])
    }

    #[test]
    fn only_what_the_id_says_is_its_plan() {
        let plan = plan();
        let id = plan.id;
        let told = serde_json::to_string(&plan).unwrap();
        assert_eq!(checked(&told, None), Ok(plan.clone()));
        assert_eq!(checked(&told, Some(id)), Ok(plan));
        let other = checked(&told, Some(Uuid::nil())).unwrap_err();
        assert!(other.contains("it answers with plan "), "{other}");
        for (from, to) in [
            ("test_a.py", "test_b.py"),
            ("test_a.py", "test_a.py\\n b.py"),
        ] {
            let changed = told.replace(from, to);
            let why = checked(&changed, Some(id)).unwrap_err();
            assert!(why.contains("was changed"), "{why}");
        }
        let why = checked("<html>", Some(id)).unwrap_err();
        assert!(why.contains("is not understood"), "{why}");
    }

    #[test]
    fn a_plan_of_before_is_taken_from_beside_the_spool_and_the_old_go() {
        let root = TempDir::new().unwrap();
        let places = Places {
            server: None,
            token: None,
            spool: root.path().to_owned(),
            problems: Vec::new(),
        };
        let plan = plan();
        // There is none elsewhere either.
        let home = root.path().display().to_string();
        let env = Env::from([("XDG_STATE_HOME".to_owned(), home)]);
        let nobody = file(plan.id, &places, &env).unwrap_err();
        assert!(matches!(nobody, CommandError::NoServerForPlan(id) if id == plan.id));
        let folder = root.path().join(FOLDER);
        let old = folder.join("old.json");
        fs::create_dir(&folder).unwrap();
        fs::write(&old, "").unwrap();
        let month_ago = SystemTime::now() - KEPT_FOR - Duration::from_secs(60);
        let at = |path: &Path| File::options().append(true).open(path).unwrap();
        at(&old).set_modified(month_ago).unwrap();
        let json = serde_json::to_vec(&plan).unwrap();
        let path = write(&folder, &format!("{}.json", plan.id), &json).unwrap();
        assert!(!old.exists());
        // One that is named stays.
        at(&path).set_modified(month_ago).unwrap();
        assert_eq!(file(plan.id, &places, &env).unwrap(), path);
        remove_old(&folder).unwrap();
        assert!(path.exists());
        fs::write(&path, "{}").unwrap();
        file(plan.id, &places, &env).unwrap_err();
    }

    #[test]
    fn the_token_that_may_read_goes_before_the_one_that_records() {
        let places = |token: Option<&str>| Places {
            server: None,
            token: token.map(|text| Token::new(text).unwrap()),
            spool: PathBuf::new(),
            problems: Vec::new(),
        };
        let env = |pairs: &[(&str, &str)]| -> Env {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        let read = [(READ_TOKEN, "reads")];
        let oidc = [("HIGHWATER_OIDC_AUDIENCE", "x")];
        for (token, env, expected, by) in [
            (Some("records"), env(&read), Some("reads"), READ_TOKEN),
            (
                Some("records"),
                env(&[(READ_TOKEN, " ")]),
                Some("records"),
                "HIGHWATER_TOKEN",
            ),
            (None, env(&oidc), None, "what the CI proves"),
            (None, env(&[]), None, "without a token"),
        ] {
            let (found, words) = read_token(&places(token), &env).unwrap();
            assert_eq!(found.as_ref().map(Token::reveal), expected);
            assert!(words.contains(by), "{words}");
        }
        let odd = read_token(&places(None), &env(&[(READ_TOKEN, "two words")])).unwrap_err();
        assert!(odd.starts_with("HIGHWATER_READ_TOKEN: a token is"), "{odd}");
    }
}
