//! Where each setting comes from.
//!
//! In this order, the first that says something counts: flag, `HIGHWATER_*` variable, `[tool.highwater]` in the nearest
//! `pyproject.toml`, the CI's own variables, git, default. What is empty says nothing. A flag that cannot be is an error before anything
//! runs (the command line is read with the parsers of this room); what is wrong with the other sources is told with its name, and left
//! out, and the next source counts: it must not keep the tests from running.

mod machine;
mod of_ci;
mod pyproject;
mod units;
mod variables;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use highwater_wire::{VERSION, codec::Checked, ids::ProjectSlug, v1};
use uuid::Uuid;

use machine::{boot_id, environment, unix_us};
use of_ci::possible;
use pyproject::File;

use crate::{
    backend::Backend,
    bounds::bounded,
    ci::{self, Env, Metadata},
    clock,
};

pub use units::{
    parse_bytes, parse_commit, parse_duration, parse_interval, parse_name, parse_pair,
    parse_project, parse_server, parse_shard, parse_url,
};

/// Most keys of a variant.
const MAX_VARIANT: usize = 32;

/// A secret: no message and no debug output shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// What goes into a header as a bearer token; the line end of a pasted secret is left out.
    ///
    /// # Errors
    /// When no header can carry it. The token is not repeated.
    pub fn new(text: &str) -> Result<Self, String> {
        let token = text.trim();
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(token.to_owned()))
        } else {
            Err("a token is one word of ASCII letters, digits and signs".to_owned())
        }
    }

    /// The secret itself, for whoever sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What was said by flag or variable; `None` where nothing was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Address of the server.
    pub server: Option<String>,
    /// `owner/repo`.
    pub project: Option<String>,
    /// Name of the job.
    pub job: Option<String>,
    /// The matrix leg.
    pub variant: BTreeMap<String, String>,
    /// Shard index and total.
    pub shard: Option<(u32, u32)>,
    /// Attempt, from 1.
    pub attempt: Option<u32>,
    /// Name of the CI provider.
    pub provider: Option<String>,
    /// Id of the run.
    pub run_id: Option<String>,
    /// Branch.
    pub branch: Option<String>,
    /// Commit under test.
    pub commit: Option<String>,
    /// Commit it is compared with.
    pub base_commit: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<String>,
    /// Whether the run belongs to a fork.
    pub fork: Option<bool>,
    /// What set the run off.
    pub event: Option<String>,
    /// Page of the job.
    pub url: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// Length of the sampling grid.
    pub interval: Option<Duration>,
    /// What reads processes and machine.
    pub backend: Option<Backend>,
    /// Memory the user allows, bytes.
    pub budget_bytes: Option<u64>,
    /// Whether the kernel's mark is used.
    pub exact: Option<bool>,
    /// File for the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Say nothing but errors.
    pub quiet: Option<bool>,
    /// What a proxy before the server asks for; a variable alone gives it, for others can read the command line.
    pub token: Option<Token>,
}

impl Given {
    /// What is said here, else what is said there. Variants add up.
    #[must_use]
    fn or(self, other: Self) -> Self {
        let mut variant = other.variant;
        variant.extend(self.variant);
        Self {
            server: self.server.or(other.server),
            project: self.project.or(other.project),
            job: self.job.or(other.job),
            variant,
            shard: self.shard.or(other.shard),
            attempt: self.attempt.or(other.attempt),
            provider: self.provider.or(other.provider),
            run_id: self.run_id.or(other.run_id),
            branch: self.branch.or(other.branch),
            commit: self.commit.or(other.commit),
            base_commit: self.base_commit.or(other.base_commit),
            pull_request: self.pull_request.or(other.pull_request),
            fork: self.fork.or(other.fork),
            event: self.event.or(other.event),
            url: self.url.or(other.url),
            spool: self.spool.or(other.spool),
            interval: self.interval.or(other.interval),
            backend: self.backend.or(other.backend),
            budget_bytes: self.budget_bytes.or(other.budget_bytes),
            exact: self.exact.or(other.exact),
            summary: self.summary.or(other.summary),
            quiet: self.quiet.or(other.quiet),
            token: self.token.or(other.token),
        }
    }
}

/// Where recordings are and where they go; all that `upload` and `report` need.
#[derive(Debug, Clone)]
pub struct Places {
    /// Address of the server; none records to the spool alone.
    pub server: Option<String>,
    /// Sent to the server as a bearer token.
    pub token: Option<Token>,
    /// Root of the spool, absolute where the working folder is.
    pub spool: PathBuf,
    /// What was wrong with a setting and is left out, a line each.
    pub problems: Vec<String>,
}

/// Everything `run` needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the recording is kept and sent.
    pub places: Places,
    /// How the job begins.
    pub job: v1::Job,
    /// What reads processes and machine.
    pub backend: Backend,
    /// Whether the kernel's mark is used.
    pub exact: bool,
    /// Root of the repository.
    pub repo_root: PathBuf,
    /// Where the plugin's folder is laid out.
    pub plugin_root: PathBuf,
    /// File for the summary as JSON.
    pub summary: Option<PathBuf>,
}

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings together make no job.
    #[error("{0}")]
    Job(#[from] highwater_wire::codec::Problem),
}

/// Works out the settings of a command in a folder.
///
/// # Errors
/// When the outcome is no valid job.
pub fn resolve(
    given: Given,
    env: &Env,
    folder: &Path,
    command: &[String],
) -> Result<Settings, SettingsError> {
    let (given, file, mut problems) = gather(given, env, folder);
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let ci = ci::detect(env, &read).map(|ci| {
        let provider = ci.provider.clone();
        possible(ci, &provider, &mut problems)
    });
    let git = possible(ci::from_git(folder), "git", &mut problems);
    let repo_root = ci::repo_root(folder).unwrap_or_else(|| folder.to_path_buf());
    let in_ci = ci.is_some();
    let ci = ci.unwrap_or_default();
    let text = |given: Option<String>, from_file: Option<String>, from_ci: &str, from_git: &str| {
        given
            .or(from_file)
            .or_else(|| said(from_ci))
            .or_else(|| said(from_git))
            .unwrap_or_default()
    };
    let project = text(given.project, file.project, &ci.project, &git.project);
    let project = if project.is_empty() {
        local_project(&repo_root)
    } else {
        project
    };
    let shard = given.shard.or(ci.shard);
    let head_commit = text(given.commit, None, &ci.head_commit, &git.head_commit);
    let variant = variant([given.variant, file.variant], &mut problems);
    let run_id = text(given.run_id, None, &ci.run_id, "");
    let run = v1::Run {
        provider: text(given.provider, None, &ci.provider, "local"),
        id: if run_id.is_empty() {
            Uuid::now_v7().to_string()
        } else {
            run_id
        },
        branch: text(given.branch, None, &ci.branch, &git.branch),
        base_commit: text(given.base_commit, None, &ci.base_commit, ""),
        commit_unix_us: commit_time(&head_commit, &ci, &git),
        head_commit,
        pull_request: text(given.pull_request, None, &ci.pull_request, ""),
        fork: given.fork.unwrap_or(ci.fork),
        event: text(
            given.event,
            None,
            &ci.event,
            if in_ci { "" } else { "manual" },
        ),
        url: ci.run_url,
    };
    let interval = given
        .interval
        .or(file.interval)
        .unwrap_or(Duration::from_millis(50));
    let backend = given.backend.or(file.backend).unwrap_or_default();
    let interval = interval.max(backend.shortest_interval());
    let job = v1::Job {
        version: VERSION,
        project,
        run: Some(run),
        name: text(given.job, file.job, &ci.job, &default_name(command)),
        variant,
        shard: shard.map(|(index, total)| v1::Shard { index, total }),
        attempt: given.attempt.unwrap_or(ci.attempt).max(1),
        environment: Some(environment(env)),
        boot_id: boot_id(),
        started_monotonic_us: clock::monotonic_us().cast_unsigned(),
        started_unix_us: unix_us(),
        interval_us: u64::try_from(interval.as_micros()).unwrap_or(u64::MAX),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: bounded(command.to_vec()),
        url: text(given.url, None, &ci.job_url, ""),
        budget_bytes: given.budget_bytes.or(file.budget_bytes).unwrap_or(0),
        ..v1::Job::default()
    };
    job.check()?;
    let spool = spool(given.spool.or(file.spool), env, folder);
    Ok(Settings {
        plugin_root: plugin_root(&spool, env),
        places: Places {
            server: given.server.or(file.server),
            token: given.token,
            spool,
            problems,
        },
        job,
        backend,
        exact: given.exact.or(file.exact).unwrap_or(true),
        repo_root,
        summary: given.summary,
    })
}

/// Works out where recordings are and where they go.
#[must_use]
pub fn places(given: Given, env: &Env, folder: &Path) -> Places {
    let (given, file, problems) = gather(given, env, folder);
    Places {
        server: given.server.or(file.server),
        token: given.token,
        spool: spool(given.spool.or(file.spool), env, folder),
        problems,
    }
}

/// What reads processes and machine here.
#[must_use]
pub fn backend(given: Given, env: &Env, folder: &Path) -> Backend {
    let (given, file, _) = gather(given, env, folder);
    given.backend.or(file.backend).unwrap_or_default()
}

/// Whether nothing but errors is to be said.
#[must_use]
pub fn quiet(given: &Given, env: &Env) -> bool {
    let (variables, _) = variables::read(env);
    given.quiet.or(variables.quiet).unwrap_or(false)
}

/// File for the summary as JSON.
#[must_use]
pub fn summary(given: &Given, env: &Env) -> Option<PathBuf> {
    let (variables, _) = variables::read(env);
    given.summary.clone().or(variables.summary)
}

fn gather(given: Given, env: &Env, folder: &Path) -> (Given, File, Vec<String>) {
    let (variables, mut problems) = variables::read(env);
    let (file, more) = pyproject::read(folder);
    problems.extend(more);
    (given.or(variables), file, problems)
}

/// The command and what it starts may leave the folder, and find plugin and events by this path.
fn spool(said: Option<PathBuf>, env: &Env, folder: &Path) -> PathBuf {
    folder.join(said.unwrap_or_else(|| default_spool(env)))
}

/// Below the spool, unless its path holds a colon: that is where `PYTHONPATH` is cut, and no colon can be escaped there.
pub(crate) fn plugin_root(spool: &Path, env: &Env) -> PathBuf {
    let has_colon = |path: &Path| path.as_os_str().as_encoded_bytes().contains(&b':');
    [spool.to_path_buf(), default_spool(env), homeless_spool()]
        .into_iter()
        .find(|root| !has_colon(root))
        .unwrap_or_else(homeless_spool)
        .join("plugin")
}

/// What a source said; an empty text says nothing.
pub(crate) fn said(text: impl Into<String>) -> Option<String> {
    Some(text.into()).filter(|text: &String| !text.trim().is_empty())
}

/// What the sources say together, the first over the next.
fn variant(
    sources: [BTreeMap<String, String>; 2],
    problems: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let mut variant = BTreeMap::new();
    for (key, value) in sources.into_iter().flatten() {
        if variant.len() < MAX_VARIANT || variant.contains_key(&key) {
            variant.entry(key).or_insert(value);
        } else {
            problems.push(format!(
                "variant: {key} is one more than the {MAX_VARIANT} keys allowed; it is left out"
            ));
        }
    }
    variant
}

/// git knows the time of its own head only.
fn commit_time(head_commit: &str, ci: &Metadata, git: &Metadata) -> i64 {
    if ci.commit_unix_us > 0 {
        ci.commit_unix_us
    } else if head_commit == git.head_commit {
        git.commit_unix_us
    } else {
        0
    }
}

/// `local/<folder>`, with what a slug may not hold replaced.
fn local_project(root: &Path) -> String {
    let name = root.file_name().unwrap_or_default();
    let slug = format!("local/{}", ci::slug_part(&name.to_string_lossy()));
    if ProjectSlug::new(slug.as_str()).is_ok() {
        slug
    } else {
        "local/project".to_owned()
    }
}

/// The command's own name, without its folder.
fn default_name(command: &[String]) -> String {
    command
        .first()
        .and_then(|word| Path::new(word).file_name())
        .map_or_else(
            || "job".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
}

/// `$XDG_STATE_HOME/highwater`, else `~/.local/state/highwater`, else a folder of the user's own below `/var/tmp`.
#[must_use]
pub fn default_spool(env: &Env) -> PathBuf {
    let absolute = |name: &str| {
        env.get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map_or_else(homeless_spool, |state| state.join("highwater"))
}

fn homeless_spool() -> PathBuf {
    let uid = rustix::process::getuid().as_raw();
    PathBuf::from(format!("/var/tmp/highwater-{uid}"))
}

#[cfg(test)]
mod tests;
