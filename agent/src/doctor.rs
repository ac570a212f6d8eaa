//! `highwater doctor`: what works on this machine, and how to mend what does not.
//!
//! Each check looks at one thing and says what it saw; none fails, takes longer than a few seconds or leaves anything behind. What a check reads
//! of the system comes with its root, so that tests lay a tree of files.

mod environ;
mod kernel;
mod machine;
mod naming;
mod portable;
mod python;
mod server;
mod spool;
mod text;
mod witness;

use std::path::Path;

use serde::Serialize;

use crate::{
    backend::Backend,
    ci::Env,
    procfs::Procfs,
    settings::{self, Given},
};

pub use text::{json, terminal};

/// How it is with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Works,
    /// A recording is made, and something will not be in it.
    Limited,
    /// Needed for a recording, or asked for, and not there.
    Missing,
    /// Could not be looked at, or nobody asked for it.
    NotChecked,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is with it.
    pub status: Status,
    /// What was seen, on one line.
    pub seen: String,
    /// What to do, where something can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    fn works(name: &'static str, seen: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Works,
            seen: seen.into(),
            mend: None,
        }
    }

    fn wrong(
        name: &'static str,
        status: Status,
        seen: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            name,
            status,
            seen: seen.into(),
            mend: Some(mend.into()),
        }
    }

    fn limited(name: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::wrong(name, Status::Limited, seen, mend)
    }

    fn missing(name: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::wrong(name, Status::Missing, seen, mend)
    }

    fn not_checked(name: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::wrong(name, Status::NotChecked, seen, mend)
    }
}

/// Whether everything that a recording needs is there.
#[must_use]
pub fn can_record(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.status != Status::Missing)
}

/// Looks at everything that `highwater run` of pytest in a folder would use, in the order in which it would.
#[must_use]
pub fn examine(given: Given, env: &Env, folder: &Path) -> Vec<Check> {
    let pid = std::process::id();
    let backend = settings::backend(given.clone(), env, folder);
    let mut checks = match backend {
        Backend::Linux => of_the_kernel(pid),
        Backend::Sysinfo => portable::all(pid),
    };
    let places = settings::places(given.clone(), env, folder);
    let roots = places.and_then(|places| {
        settings::plugin_root(&places.spool, env).map(|plugin_root| (places, plugin_root))
    });
    let (places, plugin_root) = match roots {
        Ok(roots) => roots,
        Err(error) => {
            checks.push(spool::refused(&error));
            return checks;
        }
    };
    checks.push(spool::spool(&places.spool));
    checks.extend(python::all(&plugin_root, env, folder));
    if backend == Backend::Linux {
        checks.push(environ::environ(env, folder));
    }
    checks.push(naming::naming(given, env, folder));
    checks.extend(server::all(&places, env));
    checks
}

fn of_the_kernel(pid: u32) -> Vec<Check> {
    let procfs = Procfs::system();
    vec![
        kernel::clear_refs(&procfs, pid),
        kernel::statm(&procfs, pid),
        kernel::smaps_rollup(&procfs, pid),
        kernel::children(&procfs, pid),
        kernel::oom_score_adj(&procfs, pid),
        witness::protection(&procfs, pid),
        kernel::memory_lock(&procfs),
        kernel::ptrace_scope(&procfs),
        machine::cgroup(&procfs, pid),
        machine::memory(&procfs),
        machine::pressure(&procfs),
        machine::oom_kills(&procfs),
        witness::kernel_log(&procfs, Path::new("/dev/kmsg")),
        witness::exits(std::env::current_exe()),
    ]
}

#[cfg(test)]
mod tests;
