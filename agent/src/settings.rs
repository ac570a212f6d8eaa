//! Where each setting comes from.
//!
//! In this order, the first that says something counts: flag, `HIGHWATER_*` variable, `[tool.highwater]` in the nearest
//! `pyproject.toml`, the CI's own variables, git, default. What is empty says nothing. A flag that cannot be is an error before anything
//! runs (the command line is read with the parsers of this room); what is wrong with the other sources is told with its name, and left
//! out, and the next source counts: it must not keep the tests from running.

mod folders;
mod given;
mod guarded;
mod judged;
mod machine;
mod of_ci;
mod pyproject;
mod token;
mod units;
mod variables;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use highwater_wire::{VERSION, codec::Checked, ids::ProjectSlug, mask, v1};
use uuid::Uuid;

use folders::spool;
use machine::environment;
use of_ci::possible;
use pyproject::File;

use crate::{
    backend::Backend,
    bounds::bounded,
    ci::{self, Env, Metadata},
    clock,
    diagnose::Diagnose,
    forecaster::Forewarn,
    guard::Limit,
    regular,
};

pub(crate) use folders::{claim, spool_elsewhere};

pub use folders::default_spool;
pub use given::Given;
pub use guarded::{Guarded, MemoryLimit, parse_memory_limit, parse_on_limit};
pub use judged::Judged;
pub use token::Token;
pub use units::{
    parse_bytes, parse_ci_timeout, parse_commit, parse_duration, parse_interval, parse_name,
    parse_pair, parse_project, parse_server, parse_shard, parse_url,
};

/// Name of a job that nobody named, whatever runs in it.
const DEFAULT_JOB: &str = "pytest";
/// Most keys of a variant.
const MAX_VARIANT: usize = 32;

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
    /// Whether the plugin takes apart why memory stays.
    pub diagnose: Diagnose,
    /// Whether the kernel shall take the tests before the agent when memory runs out.
    pub protects: bool,
    /// Whether pytest is given the plugin; without, tests are read from its memory.
    pub plugin: bool,
    /// What the guard guards, if anything.
    pub guarded: Option<Limit>,
    /// Whether it is said that a limit will be crossed, and how loud.
    pub forewarns: Option<Forewarn>,
    /// Root of the repository.
    pub repo_root: PathBuf,
    /// Where the plugin's folder is laid out.
    pub plugin_root: PathBuf,
    /// File or id of the plan of which the tests run their shard.
    pub plan: Option<PathBuf>,
    /// File for the summary as JSON.
    pub summary: Option<PathBuf>,
    /// Whether the report goes into the job summary of GitHub Actions.
    pub step_summary: bool,
}

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings together make no job.
    #[error("{0}")]
    Job(#[from] highwater_wire::codec::Problem),
    /// The folder below `/var/tmp` is not this user's alone.
    #[error("{} {source}; name a folder by --spool or HIGHWATER_SPOOL", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
}

/// Works out the settings of a command in a folder.
///
/// # Errors
/// When the outcome is no valid job, or there is no folder for it.
pub fn resolve(
    given: Given,
    env: &Env,
    folder: &Path,
    command: &[String],
) -> Result<Settings, SettingsError> {
    let (given, file, mut problems) = gather(given, env, folder);
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
    // Of another commit than its head git was not asked where it began.
    let git_base = match head_commit == git.head_commit {
        true => git.base_commit.as_str(),
        false => "",
    };
    // Without a pull request a CI tells what a push came after, which may be a commit of the branch itself.
    let ci_base = match ci.pull_request.is_empty() && !git_base.is_empty() {
        true => "",
        false => ci.base_commit.as_str(),
    };
    let variant = variant([given.variant, file.variant], &mut problems);
    let run_id = text(given.run_id, None, &ci.run_id, "");
    // What is checked out for a pull request may be called as a branch of the project is.
    let git_branch = match ci.pull_request.is_empty() {
        true => git.branch.as_str(),
        false => "",
    };
    let mut run = v1::Run {
        provider: text(given.provider, None, &ci.provider, "local"),
        id: if run_id.is_empty() {
            Uuid::now_v7().to_string()
        } else {
            run_id
        },
        branch: text(given.branch, None, &ci.branch, git_branch),
        base_commit: text(given.base_commit, None, ci_base, git_base),
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
    // It would be taken for the project's branch of that name.
    if run.fork && run.pull_request.is_empty() && !run.branch.is_empty() {
        problems.push(format!(
            "branch {:?} is a fork's and of no pull request that is named: it is left out; --pull-request names one",
            run.branch
        ));
        run.branch.clear();
    }
    let interval = given
        .interval
        .or(file.interval)
        .unwrap_or(Duration::from_millis(50));
    let backend = given.backend.or(file.backend).unwrap_or_default();
    let interval = interval.max(backend.shortest_interval());
    let plugin = given.plugin.or(file.plugin).unwrap_or(true);
    let diagnose = given.diagnose.or(file.diagnose).unwrap_or_default();
    if given.plan.is_some() && !plugin {
        problems.push(
            "plan: the plugin follows it, and pytest is not given it: where it is not installed each shard runs all"
                .to_owned(),
        );
    }
    if diagnose != Diagnose::No && !plugin {
        problems.push("diagnose: the plugin does it, and pytest is not given it".to_owned());
    }
    let guard = given.guard.or(file.guard);
    let is_quiet = given.quiet.unwrap_or(false);
    let annotates = env.get("GITHUB_ACTIONS").is_some_and(|word| word == "true");
    let mut guarded = guard.settled(is_quiet, annotates);
    if backend == Backend::Sysinfo {
        problems.extend(out_of_reach(&mut guarded, plugin));
    }
    let budget_bytes = given.budget_bytes.or(file.budget_bytes);
    let check_limits = match Judged::default().resolve(env, folder) {
        Ok(judged) => judged.brought_along(),
        Err(problem) => {
            // What is wrong with the file was told with the rest of it.
            if !problem.contains("pyproject.toml: ") {
                problems.push(format!("{problem}; the limits are left out"));
            }
            None
        }
    };
    let mut job = v1::Job {
        version: VERSION,
        project,
        run: Some(run),
        name: text(given.job, file.job, &ci.job, DEFAULT_JOB),
        variant,
        shard: shard.map(|(index, total)| v1::Shard { index, total }),
        attempt: given.attempt.unwrap_or(ci.attempt).max(1),
        environment: Some(environment(env)),
        boot_id: clock::boot_id(),
        started_monotonic_us: clock::monotonic_us().cast_unsigned(),
        started_unix_us: clock::unix_us(),
        interval_us: u64::try_from(interval.as_micros()).unwrap_or(u64::MAX),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: bounded(command.to_vec()),
        url: text(given.url, None, &ci.job_url, ""),
        // A limit that is guarded is one that is shown.
        budget_bytes: budget_bytes.or(guard.size_bytes()).unwrap_or(0),
        check_limits,
        ci_timeout_us: given
            .ci_timeout
            .or(file.ci_timeout)
            .map_or(ci.timeout_us, |time| time.as_micros() as u64),
        ci_started_unix_us: ci.started_unix_us,
        confirms: given
            .confirms
            .map_or_else(String::new, |job| job.to_string()),
        ..v1::Job::default()
    };
    mask::job(&mut job);
    job.check()?;
    let spool = spool(given.spool.or(file.spool), env, folder, &mut problems)?;
    Ok(Settings {
        plugin_root: folders::plugin_root(&spool, env)?,
        places: Places {
            server: given.server.or(file.server),
            token: given.token,
            spool,
            problems,
        },
        job,
        backend,
        exact: given.exact.or(file.exact).unwrap_or(true),
        diagnose,
        protects: given.protect.or(file.protect).unwrap_or(true),
        plugin,
        guarded,
        forewarns: (!is_quiet).then_some(Forewarn { annotates }),
        repo_root,
        plan: given.plan,
        summary: given.summary,
        step_summary: given.step_summary.or(file.step_summary).unwrap_or(false),
    })
}

/// Leaves out what sysinfo cannot do; a line for each thing that was asked for.
fn out_of_reach(guarded: &mut Option<Limit>, plugin: bool) -> Vec<String> {
    let guard = guarded.take().map(|_| {
        "memory-limit: the limit is shown and not guarded: the guard measures by the Linux kernel's own files (--backend linux)"
    });
    let sights = (!plugin).then_some(
        "plugin: without it tests have no names here: they are read from the memory of pytest with --backend linux alone",
    );
    guard.into_iter().chain(sights).map(str::to_owned).collect()
}

/// Works out where recordings are and where they go.
///
/// # Errors
/// When recordings are where others may write.
pub fn places(given: Given, env: &Env, folder: &Path) -> Result<Places, SettingsError> {
    let (given, file, problems) = gather(given, env, folder);
    Ok(Places {
        server: given.server.or(file.server),
        token: given.token,
        spool: folders::spool_to_read(given.spool.or(file.spool), env, folder)?,
        problems,
    })
}

/// Where the plugin of what is recorded to a spool is laid out.
pub(crate) fn plugin_root(spool: &Path, env: &Env) -> Result<PathBuf, SettingsError> {
    folders::plugin_root(spool, env)
}

/// What is sent to the server as a bearer token.
#[must_use]
pub fn token(env: &Env, folder: &Path) -> Option<Token> {
    gather(Given::default(), env, folder).0.token
}

/// The id of a plan that a server keeps, where that is named and no file; a file that is called so is named by its folder too (`./…`).
#[must_use]
pub fn plan_id(plan: &Path) -> Option<Uuid> {
    let text = plan.to_str()?;
    let is_hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    is_hyphenated.then(|| text.parse().ok())?
}

/// A file that the CI names.
fn read(path: &Path) -> Option<String> {
    regular::read_text(path).ok()
}

/// Which shard of a split suite a recording would be, index and total.
#[must_use]
pub fn shard(given: &Given, env: &Env) -> Option<(u32, u32)> {
    let of_ci = || possible(ci::detect(env, &read)?, "ci", &mut Vec::new()).shard;
    let named = given.shard.or(variables::read(env).0.shard);
    named.or_else(of_ci)
}

/// The project that a recording in a folder would be of.
#[must_use]
pub fn project(given: Given, env: &Env, folder: &Path) -> String {
    let (given, file, mut problems) = gather(given, env, folder);
    let of_ci = || said(possible(ci::detect(env, &read)?, "ci", &mut problems).project);
    let named = given.project.or(file.project).or_else(of_ci);
    let of_git = || said(possible(ci::from_git(folder), "git", &mut Vec::new()).project);
    let repo_root = || ci::repo_root(folder).unwrap_or_else(|| folder.to_path_buf());
    named
        .or_else(of_git)
        .unwrap_or_else(|| local_project(&repo_root()))
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

/// Whether the report goes into the job summary of GitHub Actions.
#[must_use]
pub fn step_summary(given: Given, env: &Env, folder: &Path) -> bool {
    let (given, file, _) = gather(given, env, folder);
    given.step_summary.or(file.step_summary).unwrap_or(false)
}

fn gather(given: Given, env: &Env, folder: &Path) -> (Given, File, Vec<String>) {
    let (variables, mut problems) = variables::read(env);
    let (file, more) = pyproject::read(folder);
    problems.extend(more);
    (given.or(variables), file, problems)
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

#[cfg(test)]
mod tests;
