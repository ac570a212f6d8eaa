//! Where each setting comes from.
//!
//! In this order, the first that says something counts: flag, `HIGHWATER_*` variable, `[tool.highwater]` in the nearest
//! `pyproject.toml`, the CI's own variables, git, default. A flag that cannot be is an error before anything runs; what is wrong with
//! the other sources is told with its name, and left out: it must not keep the tests from running.

mod pyproject;
mod units;
mod variables;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use highwater_wire::{VERSION, codec::Checked, ids::ProjectSlug, v1};
use uuid::Uuid;

use pyproject::File;

use crate::{
    ci::{self, Env, Metadata},
    clock,
    procfs::Procfs,
};

pub use units::{parse_bytes, parse_duration, parse_interval, parse_pair, parse_shard};

/// What was said by flag or variable; `None` where nothing was.
#[derive(Debug, Clone, Default)]
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
    /// Memory the user allows, bytes.
    pub budget_bytes: Option<u64>,
    /// Whether the kernel's mark is used.
    pub exact: Option<bool>,
    /// File for the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Say nothing but errors.
    pub quiet: Option<bool>,
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
            budget_bytes: self.budget_bytes.or(other.budget_bytes),
            exact: self.exact.or(other.exact),
            summary: self.summary.or(other.summary),
            quiet: self.quiet.or(other.quiet),
        }
    }
}

/// Where recordings are and where they go; all that `upload` and `report` need.
#[derive(Debug, Clone)]
pub struct Places {
    /// Address of the server; none records to the spool alone.
    pub server: Option<String>,
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
    /// Whether the kernel's mark is used.
    pub exact: bool,
    /// Root of the repository.
    pub repo_root: PathBuf,
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
    let server = address(given.server.clone().or(file.server.clone()), &mut problems);
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let ci = ci::detect(env, &read);
    let git = ci::from_git(folder);
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
    let variant = [ci.variant.clone(), file.variant, given.variant]
        .into_iter()
        .flatten()
        .collect();
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
        command: command.to_vec(),
        url: text(given.url, None, &ci.job_url, ""),
        budget_bytes: given.budget_bytes.or(file.budget_bytes).unwrap_or(0),
    };
    job.check()?;
    Ok(Settings {
        places: Places {
            server,
            spool: spool(given.spool.or(file.spool), env, folder),
            problems,
        },
        job,
        exact: given.exact.or(file.exact).unwrap_or(true),
        repo_root,
        summary: given.summary,
    })
}

/// Works out where recordings are and where they go.
#[must_use]
pub fn places(given: Given, env: &Env, folder: &Path) -> Places {
    let (given, file, mut problems) = gather(given, env, folder);
    Places {
        server: address(given.server.or(file.server), &mut problems),
        spool: spool(given.spool.or(file.spool), env, folder),
        problems,
    }
}

/// Whether nothing but errors is to be said.
#[must_use]
pub fn quiet(given: &Given, env: &Env) -> bool {
    let (variables, _) = variables::read(env);
    given.quiet.or(variables.quiet).unwrap_or(false)
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

/// `host:port` is taken as `http://host:port`.
fn address(said: Option<String>, problems: &mut Vec<String>) -> Option<String> {
    let said = said.filter(|text| !text.trim().is_empty())?;
    let text = said.trim();
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let known = whole.parse::<ureq::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|h| !h.is_empty())
    });
    if !known {
        problems.push(format!(
            "server: {said:?} is no address such as http://127.0.0.1:8080; it is left out"
        ));
    }
    known.then_some(whole)
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
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
    let name: String = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .take(100)
        .collect();
    let slug = format!("local/{name}");
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
        .map_or_else(
            || {
                PathBuf::from(format!(
                    "/var/tmp/highwater-{}",
                    rustix::process::getuid().as_raw()
                ))
            },
            |state| state.join("highwater"),
        )
}

fn environment(env: &Env) -> v1::Environment {
    let names = rustix::system::uname();
    let machine = Procfs::system()
        .open_machine()
        .and_then(|files| files.read(&mut Vec::new()))
        .unwrap_or_default();
    v1::Environment {
        os: names.sysname().to_string_lossy().to_lowercase(),
        arch: names.machine().to_string_lossy().into_owned(),
        kernel: names.release().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism()
            .map_or(0, |count| u32::try_from(count.get()).unwrap_or(0)),
        memory_total_bytes: machine.total_bytes.unwrap_or(0),
        swap_total_bytes: machine.swap_total_bytes.unwrap_or(0),
        page_bytes: rustix::param::page_size() as u64,
        cgroup_version: cgroup_version(),
        hostname_hash: hostname_hash(&names.nodename().to_string_lossy()),
        versions: env
            .get("ImageVersion")
            .map(|version| ("runner_image".to_owned(), version.clone()))
            .into_iter()
            .collect(),
    }
}

/// 2 where the memory controller is in the unified hierarchy, 1 where it has its own, else 0.
fn cgroup_version() -> u32 {
    let has_memory = |path: &str| {
        std::fs::read_to_string(path)
            .is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "memory"))
    };
    if has_memory("/sys/fs/cgroup/cgroup.controllers") {
        2
    } else if Path::new("/sys/fs/cgroup/memory").exists() {
        1
    } else {
        0
    }
}

/// Tells machines apart without their names.
fn hostname_hash(name: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes())
        .simple()
        .to_string()
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

fn unix_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests;
